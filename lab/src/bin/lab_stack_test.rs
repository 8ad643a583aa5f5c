//! Stack integrity: millions of switches at many depths on stacks of many sizes, every frame filled
//! with a pattern and compared after each switch. Exits with 1 at the first fault.
//!
//! `lab_stack_test [SWITCHES]`, default 4,000,000, or 200,000 with `KCORO_SLOW_TESTS=0`.

use kcoro::coroutine::{self, Coroutine, CoroutineState, State, Task, Yielder};
use std::cell::Cell;
use std::hint::black_box;
use std::process::ExitCode;
use std::rc::Rc;

/// Words of pattern in each frame.
const WORDS: usize = 16;

/// The smallest stack, in bytes. A coroutine that is dropped while suspended is unwound on its own
/// stack; on aarch64, where there are more registers to keep, 16 KiB were too few.
const SMALLEST: usize = if cfg!(target_arch = "aarch64") { 32 << 10 } else { 16 << 10 };

/// Stack sizes, in bytes.
const SIZES: [usize; 5] = [SMALLEST, 32 << 10, 64 << 10, 256 << 10, 1 << 20];

/// Faults found so far.
#[derive(Clone, Default)]
struct Faults(Rc<Cell<u64>>);

impl Faults {
    fn check(
        &self,
        what: &str,
        id: u64,
        depth: u64,
        frame: &[u64; WORDS],
        expected: &[u64; WORDS],
    ) {
        if frame != expected {
            eprintln!("{what} {id}, depth {depth}: {frame:x?} instead of {expected:x?}");
            self.0.set(self.0.get() + 1);
        }
    }
}

fn pattern(id: u64, depth: u64) -> [u64; WORDS] {
    std::array::from_fn(|at| {
        (id << 32 | depth << 8 | at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17)
    })
}

/// A small generator of numbers, for an order that repeats.
struct Order(u64);

impl Order {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Goes down to `depth`, pausing in every frame on the way down and up.
fn dive(id: u64, depth: u64, to: u64, faults: &Faults, pause: &dyn Fn()) {
    let frame = black_box(pattern(id, depth));
    pause();
    faults.check("frame", id, depth, black_box(&frame), &pattern(id, depth));
    if depth < to {
        dive(id, depth + 1, to, faults, pause);
        pause();
        faults.check("frame", id, depth, black_box(&frame), &pattern(id, depth));
    }
}

/// How deep a stack of `bytes` may be used: a third of it, whatever the optimisation.
fn depth_of(bytes: usize) -> u64 {
    (bytes / 3 / 1024) as u64
}

fn generator(id: u64, bytes: usize, faults: &Faults) -> Coroutine<u64, u64, ()> {
    let faults = faults.clone();
    let made =
        Coroutine::builder().stack_size(bytes).build(move |y: &Yielder<u64, u64>, first: u64| {
            let value = Cell::new(first);
            loop {
                dive(id, 0, depth_of(bytes), &faults, &|| {
                    value.set(y.suspend(value.get() ^ id));
                });
            }
        });
    made.unwrap_or_else(|error| panic!("{error}"))
}

fn task(id: u64, bytes: usize, faults: &Faults) -> Task {
    let faults = faults.clone();
    let made = Task::builder().stack_size(bytes).build(move || {
        loop {
            dive(id, 0, depth_of(bytes), &faults, &coroutine::yield_now);
        }
    });
    made.unwrap_or_else(|error| panic!("{error}"))
}

fn main() -> ExitCode {
    let slow = std::env::var_os("KCORO_TEST_SCALE").is_some();
    let switches = kcoro_lab::number(1, if slow { 200_000 } else { 4_000_000 });
    let faults = Faults::default();
    let mut order = Order(0x1234_5678_9abc_def1);
    let count = 40 * SIZES.len() as u64;
    let size = |id: u64| SIZES[id as usize % SIZES.len()];
    let mut generators: Vec<_> = (0..count).map(|id| generator(id, size(id), &faults)).collect();
    let mut tasks: Vec<_> = (0..count).map(|id| task(id + count, size(id), &faults)).collect();
    let (mut made, mut done) = (2 * count, 0);
    while done < switches && faults.0.get() == 0 {
        let (at, value) = (order.below(count), order.below(u64::MAX));
        if generators[at as usize].resume(value) != CoroutineState::Yielded(value ^ at) {
            eprintln!("generator {at} changed its value");
            return ExitCode::FAILURE;
        }
        let at = order.below(count);
        if !matches!(tasks[at as usize].resume(), Ok(State::Suspended)) {
            eprintln!("task {at} stopped");
            return ExitCode::FAILURE;
        }
        done += 4;
        // Now and then one is unwound in the middle and another takes its stack.
        if order.below(1000) == 0 {
            let at = order.below(count);
            generators[at as usize] = generator(at, size(at), &faults);
            tasks[at as usize] = task(at + count, size(at), &faults);
            made += 2;
        }
    }
    drop((generators, tasks));
    let leaked = coroutine::stack_stats().leaked;
    println!(
        "{done} switches, {made} coroutines on stacks of {} to {} bytes, up to {} frames deep: {} \
         faults, {leaked} stacks leaked",
        SIZES[0],
        SIZES[4],
        depth_of(SIZES[4]) + 1,
        faults.0.get(),
    );
    if faults.0.get() == 0 && leaked == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
