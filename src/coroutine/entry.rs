//! The first frame of a coroutine with a control block, and the boundary no panic crosses.
//!
//! # Invariants
//!
//! 1. The body runs at most once, inside `catch_unwind`; nothing unwinds out of [`root`].
//! 2. A forced unwind is recognised by its private payload and reported to nobody.
//! 3. After the last line of [`root`] nothing refers to the stack except through the block.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::control::{ControlRef, Driver, UNWIND};
use super::core::core;
use super::park::ForcedUnwind;
use super::state::State;
use crate::arch::{self, Arrival, Leave};
use crate::sys::fiber;

/// How often coroutine-local values are dropped that destructors of such values made anew.
const LOCAL_ROUNDS: usize = 8;

/// Lays the first frame of a coroutine whose body is set.
#[inline(always)]
pub(super) fn prepare(me: ControlRef) {
    prepare_below(me, me.frame_top());
}

/// As [`prepare`], below `top`: something lies between it and the block.
#[inline(always)]
pub(super) fn prepare_below(me: ControlRef, top: usize) {
    debug_assert!(top.is_multiple_of(64) && top <= me.frame_top());
    // SAFETY: the bytes below the block are the coroutine's own stack, which is not in use, and
    // `top` is 64-aligned; `root` does not unwind and returns a suspended context.
    let sp = unsafe { arch::init(top, root, me.address()) };
    me.sp().set(sp);
}

/// What [`prepare`] makes a coroutine start in.
///
/// # Safety
///
/// - `argument` is the address of a control block whose stack this runs on, with a body set.
unsafe extern "C" fn root(argument: usize, value: usize, hook: usize) -> Leave {
    let me = ControlRef::from_address(argument);
    // SAFETY: this is the first thing on arrival at `me`; the hook came with the switch.
    let value = unsafe {
        fiber::arrive_first(me.fiber());
        arch::arrive(Arrival { value, hook })
    };
    if me.has_extra() {
        arrive_extra(me);
    }
    let outcome = if value == UNWIND { Ok(()) } else { run_body(me) };
    me.set_state(State::Finished);
    if me.is_scheduled() { super::sched::finish(me, outcome) } else { finish_by_hand(me, outcome) }
}

#[cold]
fn arrive_extra(me: ControlRef) {
    if me.is_scheduled() { super::hooks::enter(me) } else { super::park::arrive_fp(me) }
}

fn run_body(me: ControlRef) -> Result<(), Box<dyn Any + Send>> {
    let (body, data) = me.body().replace((None, core::ptr::null_mut()));
    let Some(body) = body else { return Ok(()) };
    catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: set together with its data, and taken out above, so called once.
        unsafe { body(data) }
    }))
}

fn finish_by_hand(me: ControlRef, outcome: Result<(), Box<dyn Any + Send>>) -> Leave {
    let outcome = drop_locals(me, outcome);
    let driver: *mut Driver = me.driver();
    if me.has_extra() {
        super::park::leave_fp(me);
    }
    // SAFETY: the driver's record lies on the frame that waits for this switch; the coroutine ends
    // here, as `leave_for_good` says.
    unsafe {
        if let Err(payload) = outcome
            && !payload.is::<ForcedUnwind>()
        {
            (*driver).panic = Some(payload);
        }
        if let Some(core) = core() {
            core.set_current((*driver).previous);
        }
        fiber::leave_for_good(me.fiber(), &(*driver).fiber);
        Leave { to: (*driver).sp, hook: 0 }
    }
}

/// Drops the coroutine-local values while the coroutine still counts as running.
#[inline]
pub(super) fn drop_locals(
    me: ControlRef,
    outcome: Result<(), Box<dyn Any + Send>>,
) -> Result<(), Box<dyn Any + Send>> {
    // SAFETY: own thread only, and the reference ends here.
    if unsafe { (*me.locals().get()).is_none() } {
        return outcome;
    }
    drop_locals_slow(me, outcome)
}

#[cold]
#[inline(never)]
fn drop_locals_slow(
    me: ControlRef,
    mut outcome: Result<(), Box<dyn Any + Send>>,
) -> Result<(), Box<dyn Any + Send>> {
    for _ in 0..LOCAL_ROUNDS {
        // SAFETY: own thread only, and the reference ends before the values are dropped.
        let Some(locals) = (unsafe { (*me.locals().get()).take() }) else { break };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(locals))) {
            outcome = outcome.and(Err(payload));
        }
    }
    // SAFETY: as above. What is left was made by a destructor of its own kind: it would never end.
    std::mem::forget(unsafe { (*me.locals().get()).take() });
    outcome
}
