//! Giving way and waiting: what a coroutine calls to stop running.
//!
//! Every public call here is an `#[inline(always)]` stub: it asks [`Core`] where to go, an
//! ordinary call that returns, and then switches from the caller's own frame. No frame of the
//! library is returned through after a switch, which is where a switched stack costs most: each
//! such return is mispredicted.
//!
//! # Invariants
//!
//! 1. A scheduled coroutine that parks is continued only after `make_ready`, which runs exactly
//!    once for each wait.
//! 2. A hand-driven coroutine may be resumed by its driver at any time: [`wait_for_wake`] loops
//!    until it was woken, [`park`] returns.
//! 3. Nothing here switches while the thread is panicking: the panic count belongs to the thread,
//!    and the next coroutine would take itself to be unwinding.
//!
//! # Who calls this, and what it may call
//!
//! Coroutines, and on a plain thread [`yield_now`] and [`park`] with the thread's own meaning.

use std::any::Any;
use std::panic::resume_unwind;

use super::control::{ControlRef, UNWIND};
use super::core::{Core, core};
use super::hooks;
use super::spans;
use super::state::{State, WaitReason};
use super::unparker::Permit;
use crate::arch::{self, StackPointer};
use crate::sys::fiber;

/// The payload of the panic that unwinds a suspended coroutine. Private, so that nobody takes it
/// for a panic of the program's own.
#[derive(Debug)]
pub(super) struct ForcedUnwind;

/// Whether a coroutine that ended with this panic was unwound because it was dropped.
pub(crate) fn is_forced_unwind(payload: &(dyn Any + Send)) -> bool {
    payload.is::<ForcedUnwind>()
}

/// The running coroutine, unless it may not suspend because its thread is panicking.
#[inline(always)]
pub(crate) fn current_waiter() -> Option<ControlRef> {
    let current = core()?.current()?;
    if std::thread::panicking() { None } else { Some(current) }
}

/// Lets the other coroutines of this worker run before the caller goes on: it goes to the back of
/// the queue.
///
/// A hand-driven coroutine ([`Task`](super::Task)) returns to its driver, in state
/// [`State::Suspended`]. On a plain thread the thread's time slice is given up. While the caller is
/// unwinding from a panic the call does nothing.
///
/// # Examples
///
/// ```
/// use kcoro::coroutine::{self, State, Task};
///
/// let task = Task::new(|| coroutine::yield_now());
/// assert_eq!(task.resume().unwrap(), State::Suspended);
/// assert_eq!(task.resume().unwrap(), State::Finished);
/// ```
#[inline(always)]
pub fn yield_now() {
    let Some(core) = core() else { return std::thread::yield_now() };
    let Some(me) = core.current() else { return std::thread::yield_now() };
    if std::thread::panicking() {
        return;
    }
    if me.is_scheduled() {
        if core.may_stay() {
            return;
        }
        me.set_state(State::Suspended);
        core.push_back(me);
        // SAFETY: `me` is the running coroutine, and it is in the queue from which it will be
        // continued once.
        unsafe { depart(core, me) }
    } else {
        // SAFETY: `me` is the running coroutine and is driven by hand.
        unsafe { to_driver(me, State::Suspended) }
    }
}

/// Suspends the running coroutine until `make_ready` was called on it, once. The caller has made
/// its wait known before.
///
/// # Panics
///
/// Outside of a coroutine, which is a mistake of the layer above.
#[inline(always)]
pub(crate) fn wait_for_wake() {
    let core = core().expect("a coroutine runs on a thread with a core");
    let me = core.current().expect("only a coroutine can be suspended");
    if me.is_scheduled() {
        if !me.forks().get().1.is_null() {
            (core.on_park.get())(me);
        }
        me.set_state(State::Parked);
        // SAFETY: `me` is the running coroutine; whoever completes its wait queues it once.
        unsafe { depart(core, me) }
        me.set_reason(WaitReason::None, 0);
    } else {
        wait_by_hand(me);
    }
}

#[inline(never)]
fn wait_by_hand(me: ControlRef) {
    while !me.take_woken() {
        // SAFETY: `me` is the running coroutine and is driven by hand.
        unsafe { to_driver(me, State::Parked) }
    }
    me.set_reason(WaitReason::None, 0);
}

/// Waits until the coroutine's or thread's [`Unparker`](super::Unparker) was used.
///
/// One use that came before is remembered: then the call returns at once. Uses do not add up. A
/// coroutine parks, a plain thread blocks. A hand-driven coroutine also returns when its driver
/// resumes it without that, so check the condition that you wait for in a loop. While the caller is
/// unwinding from a panic the call returns at once.
///
/// # Examples
///
/// ```
/// use kcoro::coroutine::{self, Task};
///
/// let task = Task::new(|| coroutine::park());
/// task.resume().unwrap();
/// assert!(task.is_parked());
/// task.unpark();
/// task.resume().unwrap();
/// ```
#[inline(always)]
pub fn park() {
    let Some(me) = current_waiter() else { return park_thread() };
    let permit = Permit::of(me);
    if permit.begin_park() {
        me.set_reason(WaitReason::Park, 0);
        let parked = Parked { permit, me };
        if me.is_scheduled() {
            wait_for_wake();
            let _ = parked.woken();
        } else {
            // SAFETY: `me` is the running coroutine and is driven by hand.
            unsafe { to_driver(me, State::Parked) }
            drop(parked);
        }
    }
}

/// An announced park. Dropped while it stands (a spurious resume, a forced unwind), it takes the
/// announcement back; if a waker was faster, its mark is consumed.
struct Parked {
    permit: std::sync::Arc<Permit>,
    me: ControlRef,
}

impl Parked {
    /// The wake-up came: there is nothing to take back.
    fn woken(self) -> core::mem::ManuallyDrop<Parked> {
        let mut this = core::mem::ManuallyDrop::new(self);
        // SAFETY: the permit is dropped once, here, because `Parked` itself never is.
        unsafe { core::ptr::drop_in_place(&raw mut this.permit) };
        this
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        if !self.permit.retract() {
            finish_wake(self.me);
        }
    }
}

/// Consumes the one `make_ready` that is on its way to `me`, the running coroutine, whose wait
/// ended otherwise: without that it would be queued again after its end.
///
/// A scheduled coroutine comes here only while it is unwound, so it may not switch away (invariant
/// 3). It waits on the spot: the waker is another thread, a few instructions before its end.
pub(crate) fn finish_wake(me: ControlRef) {
    if me.is_scheduled() {
        let core = core().expect("a coroutine runs on a thread with a core");
        while !core.take_out(me) {
            crate::prim::thread_yield();
            me.collect(core);
        }
        me.set_state(State::Running);
    } else {
        while !me.take_woken() {
            crate::prim::thread_yield();
        }
    }
}

#[cold]
fn park_thread() {
    if !std::thread::panicking() {
        std::thread::park();
    }
}

/// Switches from the scheduled coroutine `me` to whoever is next on this thread.
///
/// # Safety
///
/// - `me` runs on this thread, is scheduled, and will be queued exactly once, now or later.
/// - The thread is not panicking.
#[inline(always)]
pub(super) unsafe fn depart(core: &Core, me: ControlRef) {
    let to = core.depart();
    if core.current() == Some(me) {
        // It was next itself: it never left.
        return;
    }
    // SAFETY: `depart` handed out a suspended context of the build's form, once.
    unsafe { switch_away(core, me, to) }
}

/// # Safety
///
/// - As [`depart`]; `to` is the suspended context that `core.depart()` made current.
#[inline(always)]
unsafe fn switch_away(core: &Core, me: ControlRef, to: StackPointer) {
    let left = spans::leave();
    if me.has_extra() {
        hooks::leave(me);
    }
    // SAFETY:
    // - `to` is suspended and is continued here for the only time since.
    // - `me.sp` is written by the switch and lives in the block until `me` is continued.
    // - A started coroutine stays on its thread, so thread-locals keep their addresses.
    let value = unsafe {
        fiber::leave(me.fiber(), core.current_fiber());
        let arrival = arch::switch(me.sp().as_ptr(), to, 0, 0);
        fiber::arrive(me.fiber());
        arch::arrive(arrival)
    };
    if me.has_extra() {
        hooks::enter(me);
    }
    spans::enter(left);
    if value == UNWIND {
        unwind();
    }
}

/// Switches from the hand-driven coroutine `me` to its driver.
///
/// # Safety
///
/// - `me` runs on this thread and has a driver; the thread is not panicking.
#[inline(always)]
pub(super) unsafe fn to_driver(me: ControlRef, state: State) {
    let driver = me.driver();
    me.set_state(state);
    if me.has_extra() {
        leave_fp(me);
    }
    // SAFETY:
    // - The driver's record lies on the frame of the `resume` that waits for this switch.
    // - It is continued once, here.
    let value = unsafe {
        if let Some(core) = core() {
            core.set_current((*driver).previous);
        }
        fiber::leave(me.fiber(), &(*driver).fiber);
        let arrival = arch::switch(me.sp().as_ptr(), (*driver).sp, 0, 0);
        fiber::arrive(me.fiber());
        arch::arrive(arrival)
    };
    if me.has_extra() {
        arrive_fp(me);
    }
    if value == UNWIND {
        unwind();
    }
}

/// Gives the one that ran `me` its floating-point control words back: before each switch away.
#[cold]
pub(super) fn leave_fp(me: ControlRef) {
    let own = arch::fp_control();
    let outer = me.fp().replace(own);
    // SAFETY: `outer` was in force on this thread when the coroutine was entered.
    unsafe { arch::set_fp_control(outer) }
}

/// Puts the control words of `me` in force: first thing after each arrival, on its own side.
#[cold]
pub(super) fn arrive_fp(me: ControlRef) {
    let outer = arch::fp_control();
    let own = me.fp().replace(outer);
    // SAFETY: `own` is what the coroutine had set up itself before it left.
    unsafe { arch::set_fp_control(own) }
}

/// Whether a suspended coroutine may be unwound now: not while the thread is panicking, unless it
/// is on account of another coroutine that is being unwound and owns this one.
///
/// Waits return at once meanwhile, so a body that catches every unwinding in a loop never ends
/// there; outside of an unwinding it would suspend and be leaked.
pub(super) fn may_unwind() -> bool {
    !std::thread::panicking() || core().is_some_and(|core| core.unwinding.get() > 0)
}

/// Counts, as long as it lives, that a dropped coroutine is being unwound on this thread.
pub(super) struct Unwinding<'a>(Option<&'a Core>);

impl Unwinding<'_> {
    pub(super) fn begin<'a>() -> Unwinding<'a> {
        let core = core();
        if let Some(core) = core {
            core.unwinding.set(core.unwinding.get() + 1);
        }
        Unwinding(core)
    }
}

impl Drop for Unwinding<'_> {
    fn drop(&mut self) {
        if let Some(core) = self.0 {
            core.unwinding.set(core.unwinding.get() - 1);
        }
    }
}

#[cold]
#[inline(never)]
pub(super) fn unwind() -> ! {
    resume_unwind(Box::new(ForcedUnwind))
}
