//! The switches alone: every callee-saved register, the values, the hooks.
//!
//! A test in Rust does not see a lost register that its own compilation happens not to use. Here
//! assembly sets a pattern in every one of them on both sides of each switch and compares.

use super::cpu::tests::{KEPT, call_with_patterns};
use super::{
    Arrival, Hook, Leave, Root, StackPointer, arrive, call_init, call_switch, init_linked, resume,
    suspend, token_init, token_switch,
};
use core::cell::{Cell, UnsafeCell};

const ROUNDS: usize = 5;

/// A stack for one context.
#[repr(align(64))]
struct Space(UnsafeCell<[u8; 64 * 1024]>);

impl Space {
    fn new() -> Box<Space> {
        Box::new(Space(UnsafeCell::new([0; 64 * 1024])))
    }

    fn top(&self) -> usize {
        self.0.get() as usize + size_of::<Space>()
    }
}

type Switch = unsafe extern "C" fn(*mut StackPointer, StackPointer, usize, usize) -> Arrival;
type Init = unsafe fn(usize, Root, usize) -> StackPointer;

/// The token form behind a call: the compiler owes the caller what the assembly declares lost.
///
/// # Safety
///
/// - As `token_switch`.
#[inline(never)]
unsafe extern "C" fn token_called(
    from: *mut StackPointer,
    to: StackPointer,
    value: usize,
    hook: usize,
) -> Arrival {
    // SAFETY: passed on to the caller.
    unsafe { token_switch(from, to, value, hook) }
}

/// As above, for the generator's two halves.
///
/// # Safety
///
/// - As `resume`, with `*sp`, which is valid for reads and writes.
#[inline(never)]
unsafe extern "C" fn resume_called(sp: *mut StackPointer, link: *mut usize, value: usize) -> usize {
    // SAFETY: passed on to the caller.
    unsafe {
        let (value, next) = resume(*sp, link, value);
        *sp = next;
        value
    }
}

/// # Safety
///
/// - As `suspend`.
#[inline(never)]
unsafe extern "C" fn suspend_called(link: *mut usize, value: usize) -> usize {
    // SAFETY: passed on to the caller.
    unsafe { suspend(link, value) }
}

/// A different value for every register, round and side.
fn patterns(side: u64, round: usize) -> [u64; KEPT] {
    core::array::from_fn(|register| {
        ((side << 56) | ((round as u64) << 32) | (register as u64 + 1))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}

/// Calls a switch with patterns in the registers; returns its value, and notes what was lost.
///
/// # Safety
///
/// - `function` may be called with these arguments.
unsafe fn checked(
    function: usize,
    arguments: [usize; 4],
    side: u64,
    round: usize,
    lost: &Cell<u32>,
) -> usize {
    let before = patterns(side, round);
    let mut after = [0; KEPT];
    // SAFETY: by the contract; the arrays live until the call returns.
    let value = unsafe { call_with_patterns(function, &arguments, &before, &mut after) };
    for register in 0..KEPT {
        if before[register] != after[register] {
            eprintln!("side {side}, round {round}: register {register} of {KEPT} was lost");
            lost.set(lost.get() + 1);
        }
    }
    value
}

/// What the two sides of a symmetric switch share.
struct Pair {
    outside: Cell<StackPointer>,
    inside: Cell<StackPointer>,
    switch: Switch,
    lost: Cell<u32>,
}

/// # Safety
///
/// - `argument` is the address of a [`Pair`] whose `inside` this context is.
unsafe extern "C" fn inside(argument: usize, value: usize, _hook: usize) -> Leave {
    // SAFETY: the argument is the address of the pair, which outlives the context; each side
    // continues the other in turn.
    unsafe {
        let pair = &*(argument as *const Pair);
        assert_eq!(value, 100);
        for round in 1..ROUNDS {
            let arguments = [pair.inside.as_ptr() as usize, pair.outside.get(), 200 + round, 0];
            let value = checked(pair.switch as usize, arguments, 2, round, &pair.lost);
            assert_eq!(value, 100 + round);
        }
        Leave { to: pair.outside.get(), hook: 0 }
    }
}

fn symmetric(init: Init, switch: Switch) {
    let space = Space::new();
    let pair = Pair { outside: Cell::new(0), inside: Cell::new(0), switch, lost: Cell::new(0) };
    // SAFETY: the space is large enough, aligned and unused; `inside` does not unwind past its
    // frame in a run that passes, and leaves to a context of the same form.
    unsafe {
        pair.inside.set(init(space.top(), inside, &raw const pair as usize));
        for round in 0..ROUNDS {
            let arguments = [pair.outside.as_ptr() as usize, pair.inside.get(), 100 + round, 0];
            let value = checked(pair.switch as usize, arguments, 1, round, &pair.lost);
            assert_eq!(value, if round + 1 < ROUNDS { 201 + round } else { 0 });
        }
    }
    assert_eq!(pair.lost.get(), 0, "registers were lost");
}

#[test]
fn called_switch_keeps_every_register() {
    symmetric(call_init, call_switch);
}

#[test]
fn token_switch_keeps_every_register() {
    /// # Safety
    ///
    /// - As `token_init`.
    unsafe fn init(top: usize, root: Root, argument: usize) -> StackPointer {
        // SAFETY: passed on to the caller.
        unsafe { token_init(top, root, argument) }
    }
    symmetric(init, token_called);
}

/// What a generator and its parent share; the link comes first.
#[repr(C)]
struct Below {
    link: Cell<usize>,
    lost: Cell<u32>,
}

/// # Safety
///
/// - `argument` is the address of the [`Below`] by which this context is resumed.
unsafe extern "C" fn below(argument: usize, value: usize) -> usize {
    // SAFETY: the argument is the address of the shared block, which outlives the context.
    let below = unsafe { &*(argument as *const Below) };
    assert_eq!(value, 100);
    for round in 1..ROUNDS {
        let function = suspend_called as *const () as usize;
        let arguments = [below.link.as_ptr() as usize, 200 + round, 0, 0];
        // SAFETY: this runs on the generator's own stack, and the link is its own.
        let value = unsafe { checked(function, arguments, 2, round, &below.lost) };
        assert_eq!(value, 100 + round);
    }
    300
}

#[test]
fn generator_pair_keeps_every_register() {
    let space = Space::new();
    let shared = Below { link: Cell::new(0), lost: Cell::new(0) };
    // SAFETY: as in `symmetric`.
    unsafe {
        let mut sp = init_linked(space.top(), below, &raw const shared as usize);
        for round in 0..ROUNDS {
            let arguments = [&raw mut sp as usize, shared.link.as_ptr() as usize, 100 + round, 0];
            let value =
                checked(resume_called as *const () as usize, arguments, 1, round, &shared.lost);
            assert_eq!(value, if round + 1 < ROUNDS { 201 + round } else { 300 });
            assert_eq!(sp == 0, round + 1 == ROUNDS);
        }
    }
    assert_eq!(shared.lost.get(), 0, "registers were lost");
}

/// A hook that counts, and says on which stack it ran.
#[repr(C)]
struct Counted {
    hook: Hook,
    runs: Cell<u32>,
    at: Cell<usize>,
}

/// # Safety
///
/// - `hook` is the first field of a [`Counted`].
unsafe fn count(hook: *mut Hook) {
    let here = 0u8;
    // SAFETY: the hook is the first field of a `Counted`.
    unsafe {
        let counted = hook.cast::<Counted>();
        (*counted).runs.set((*counted).runs.get() + 1);
        (*counted).at.set(&raw const here as usize);
    }
}

/// # Safety
///
/// - As [`inside`]; and `hook` is 0 or the address of a [`Hook`] to be run.
unsafe extern "C" fn runs_hooks(argument: usize, value: usize, hook: usize) -> Leave {
    // SAFETY: as in `inside`; the hook came with the switch.
    unsafe {
        let pair = &*(argument as *const Pair);
        arrive(Arrival { value, hook });
        let arrival = (pair.switch)(pair.inside.as_ptr(), pair.outside.get(), 0, hook);
        Leave { to: pair.outside.get(), hook: arrive(arrival) }
    }
}

fn hooks(init: Init, switch: Switch) {
    let space = Space::new();
    let on_it = |at: usize| at < space.top() && at >= space.top() - size_of::<Space>();
    let pair = Pair { outside: Cell::new(0), inside: Cell::new(0), switch, lost: Cell::new(0) };
    let counted = Counted { hook: Hook { run: count }, runs: Cell::new(0), at: Cell::new(0) };
    let hook = &raw const counted as usize;
    // SAFETY: as in `symmetric`.
    unsafe {
        pair.inside.set(init(space.top(), runs_hooks, &raw const pair as usize));
        let back = switch(pair.outside.as_ptr(), pair.inside.get(), 0, hook);
        assert!(counted.runs.get() == 1 && on_it(counted.at.get()));
        arrive(back);
        assert!(counted.runs.get() == 2 && !on_it(counted.at.get()));
        // The value of this one is the hook to leave with.
        let back = switch(pair.outside.as_ptr(), pair.inside.get(), hook, 0);
        assert_eq!((counted.runs.get(), back.value, back.hook), (2, 0, hook));
        arrive(back);
    }
    assert!(counted.runs.get() == 3 && !on_it(counted.at.get()));
}

#[test]
#[cfg_attr(kcoro_asan, ignore = "AddressSanitizer keeps locals on a stack of its own")]
fn hooks_run_on_the_arriving_side() {
    hooks(call_init, call_switch);
    /// # Safety
    ///
    /// - As `token_init`.
    unsafe fn init(top: usize, root: Root, argument: usize) -> StackPointer {
        // SAFETY: passed on to the caller.
        unsafe { token_init(top, root, argument) }
    }
    hooks(init, token_called);
}
