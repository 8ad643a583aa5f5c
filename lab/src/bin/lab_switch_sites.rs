//! One user function for each way to switch: what `ci/disassembly.sh` and `ci/gdb-bt.sh` look at.
//!
//! The inlined switch is worth its name only if it is in the caller's own code: a coroutine that is
//! continued arrives there, and no frame of the library is returned through. Each `kcoro_site_*`
//! function suspends or resumes and then calls [`kcoro_site_after`], the code of the user.

use std::hint::black_box;

use kcoro::coroutine::{self, Coroutine, CoroutineState, State, Task, Yielder};

/// What comes after each switch; a debugger stops here.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn kcoro_site_after(value: u64) -> u64 {
    black_box(value)
}

/// A generator's suspension.
#[unsafe(no_mangle)]
#[inline(never)]
pub fn kcoro_site_suspend(yielder: &Yielder<u64, u64>, value: u64) -> u64 {
    let input = yielder.suspend(value);
    kcoro_site_after(input) + 1
}

/// A generator's resumption.
#[unsafe(no_mangle)]
#[inline(never)]
pub fn kcoro_site_resume(
    generator: &mut Coroutine<u64, u64, u64>,
    value: u64,
) -> CoroutineState<u64, u64> {
    let state = generator.resume(value);
    kcoro_site_after(1);
    state
}

/// A scheduled or hand-driven coroutine that lets others run.
#[unsafe(no_mangle)]
#[inline(never)]
pub fn kcoro_site_yield() -> u64 {
    coroutine::yield_now();
    kcoro_site_after(2) + 1
}

/// A coroutine that lets others run twice: one that may migrate comes back on another thread, and
/// has to ask that thread for its core.
#[unsafe(no_mangle)]
#[inline(never)]
pub fn kcoro_site_twice() -> u64 {
    coroutine::yield_now();
    kcoro_site_after(3);
    coroutine::yield_now();
    kcoro_site_after(4) + 1
}

fn main() {
    let mut generator = Coroutine::new(|yielder: &Yielder<u64, u64>, first: u64| {
        kcoro_site_suspend(yielder, first)
    });
    println!("resume: {:?}", kcoro_site_resume(&mut generator, 7));
    println!("resume: {:?}", kcoro_site_resume(&mut generator, 8));

    let task = Task::new(|| println!("yield: {}", kcoro_site_yield()));
    assert_eq!(task.resume().unwrap(), State::Suspended);
    assert_eq!(task.resume().unwrap(), State::Finished);

    let task = Task::new(|| println!("yields: {}", kcoro_site_twice()));
    while task.resume().unwrap() != State::Finished {}
}
