//! What the scheduler needs from this layer: to start, run and recycle scheduled coroutines.
//!
//! # Invariants
//!
//! 1. A scheduled coroutine runs on the thread whose core launched it, from its first instruction
//!    to its last, or until it is taken off that core (`migrate.rs`).
//! 2. A finished coroutine's block goes to its core's warm list; it is not reused before the thread
//!    has left its stack, because only that thread takes from the list.
//!
//! # Who calls this, and what it may call
//!
//! The worker, on its own thread and its root context.

use core::panic::Location;
use std::any::Any;
use std::sync::Arc;

use super::control::{Body, ControlRef, UNWIND};
use super::core::{Core, QUEUE_ROOM, Schedule};
use super::entry;
use super::hooks;
use super::park::ForcedUnwind;
use super::state::State;
use crate::arch::{self, Hook, Leave};
use crate::error::StackError;
use crate::stack::StackSize;
use crate::sys::fiber::{self, Fiber};

/// Finished blocks that a thread keeps warm, stack and all.
const WARM: usize = 64;

/// What a scheduled coroutine is made from.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) id: u64,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) location: &'static Location<'static>,
    pub(crate) stack_size: StackSize,
    pub(crate) migratable: bool,
    pub(crate) body: Body,
    pub(crate) data: *mut (),
}

/// Gives a spawned body a stack and the worker of this thread as its home. It does not run yet.
///
/// # Errors
///
/// [`StackError`] if there is no stack to be had; the body and its data remain the caller's.
#[inline]
pub(crate) fn launch(
    core: &Core,
    schedule: &Arc<dyn Schedule>,
    launch: Launch,
) -> Result<ControlRef, StackError> {
    let Launch { id, name, location, stack_size, migratable, body, data } = launch;
    let me = match (stack_size == StackSize::DEFAULT).then(|| core.take_warm()).flatten() {
        Some(warm) => {
            warm.relabel(id, name, location);
            warm
        }
        None => {
            let stack = core.cache().acquire(stack_size)?;
            ControlRef::create(stack, id, name, location)
        }
    };
    me.body().set((Some(body), data));
    me.set_home(core, schedule);
    me.set_migratable(migratable);
    me.set_hooked(!core.hooks.get().is_null());
    if migratable {
        core.migrates.set(true);
    }
    core.enlist(me);
    entry::prepare(me);
    Ok(me)
}

/// Runs `first` and whoever becomes ready on this thread, until nobody is or the budget is used up.
///
/// # Safety
///
/// - The caller runs on the thread's root context.
/// - `first` is a suspended or fresh coroutine of this thread, in no queue.
#[inline(always)]
pub(crate) unsafe fn run(core: &Core, first: ControlRef) {
    // SAFETY: by the contract.
    unsafe { enter(core, first, 0) }
}

/// Makes a suspended scheduled coroutine unwind its stack; false: it refused, and is suspended
/// again.
///
/// # Safety
///
/// - As [`run`]; and `me` has started.
pub(crate) unsafe fn force_unwind(core: &Core, me: ControlRef) -> bool {
    core.watched.set(Some(me));
    // SAFETY: by the contract.
    unsafe { enter(core, me, UNWIND) }
    // A block that was taken apart is gone; one that is kept warm is not used again before the next
    // launch, which only this context makes.
    core.watched.take().is_none() || me.state() == State::Finished
}

/// # Safety
///
/// - As [`run`].
#[inline(always)]
unsafe fn enter(core: &Core, first: ControlRef, value: usize) {
    let to = first.enter(core);
    // SAFETY:
    // - `first` is suspended, and its stack pointer is used once.
    // - The root is continued by whoever finds nothing else to run on this thread.
    unsafe {
        *core.root_fiber.get() = Fiber::here();
        fiber::leave(&*core.root_fiber.get(), first.fiber());
        let arrival = arch::switch(core.root.as_ptr(), to, value, 0);
        fiber::arrive(&*core.root_fiber.get());
        arch::arrive(arrival);
    }
}

/// The end of a scheduled coroutine: where its thread goes next. Its block is recycled.
pub(super) fn finish(me: ControlRef, outcome: Result<(), Box<dyn Any + Send>>) -> Leave {
    let outcome = entry::drop_locals(me, outcome);
    if let Err(payload) = outcome
        && !payload.is::<ForcedUnwind>()
    {
        // A job keeps its own panics; only a destructor of its values can panic here.
        drop(payload);
    }
    if me.has_extra() {
        hooks::leave(me);
    }
    let core = super::core::core().expect("a scheduled coroutine runs on a thread with a core");
    core.strike(me);
    let hook = core.recycle(me);
    let to = core.depart();
    // SAFETY: the coroutine ends here; `depart` made the one it names current.
    unsafe { fiber::leave_for_good(me.fiber(), core.current_fiber()) };
    Leave { to, hook }
}

impl Core {
    #[inline(always)]
    pub(super) fn enlist(&self, me: ControlRef) {
        // SAFETY: owner thread only, and the reference does not outlive the call.
        let live = unsafe { &mut *self.live.get() };
        me.place().set(live.len());
        live.push(me);
    }

    #[inline(always)]
    pub(super) fn strike(&self, me: ControlRef) {
        // SAFETY: as above.
        let live = unsafe { &mut *self.live.get() };
        let place = me.place().get();
        live.swap_remove(place);
        if let Some(moved) = live.get(place) {
            moved.place().set(place);
        }
    }

    /// The scheduled coroutines of this thread that have started and not ended.
    pub(crate) fn live(&self) -> Vec<ControlRef> {
        // SAFETY: owner thread only, and the reference does not outlive the call.
        unsafe { (*self.live.get()).clone() }
    }

    /// One of the scheduled coroutines of this thread that have started and not ended: the latest
    /// that `is_meant` names.
    pub(crate) fn find_live(&self, is_meant: impl Fn(ControlRef) -> bool) -> Option<ControlRef> {
        // SAFETY: owner thread only, and the reference does not outlive the call; `is_meant` is the
        // scheduler's and looks at the coroutine only.
        unsafe { (*self.live.get()).iter().rev().copied().find(|&c| is_meant(c)) }
    }

    /// Takes a coroutine that will never end out of the account: its stack is leaked.
    ///
    /// # Safety
    ///
    /// - `me` is a suspended coroutine of this thread, in no queue, and is never continued.
    pub(crate) unsafe fn give_up(&self, me: ControlRef) {
        self.strike(me);
        me.leak();
    }

    /// Whether [`shrink`](Core::shrink) would give anything back.
    pub(crate) fn has_surplus(&self) -> bool {
        // SAFETY: owner thread only, and the references do not outlive the block.
        let (live, warm) = unsafe { (&*self.live.get(), &*self.warm.get()) };
        let roomy = |len: usize, room: usize| room > QUEUE_ROOM && room / 4 > len;
        let (ready, room) = self.ready_room();
        roomy(live.len(), live.capacity())
            || roomy(ready, room)
            || !warm.is_empty()
            || self.cache().len() > 0
    }

    /// Gives back what is kept from a peak: room in the lists, warm blocks and stacks.
    pub(crate) fn shrink(&self) {
        let warm = {
            // SAFETY: owner thread only, and the references do not outlive the block.
            let (live, warm) = unsafe { (&mut *self.live.get(), &mut *self.warm.get()) };
            live.shrink_to((2 * live.len()).max(QUEUE_ROOM));
            core::mem::take(warm)
        };
        self.shrink_ready();
        for block in warm {
            block.dismantle(Some(self));
        }
        self.cache().flush();
    }

    fn take_warm(&self) -> Option<ControlRef> {
        // SAFETY: owner thread only, and the reference does not outlive the call.
        unsafe { (*self.warm.get()).pop() }
    }

    /// Keeps a finished block, or returns the hook that takes it apart once its stack is left.
    fn recycle(&self, me: ControlRef) -> usize {
        // SAFETY: owner thread only, and the reference does not outlive the call.
        let warm = unsafe { &mut *self.warm.get() };
        if warm.len() < WARM && me.is_default_size() {
            warm.push(me);
            return 0;
        }
        me.set_hook(Hook { run: dismantle_after })
    }
}

/// # Safety
///
/// - `hook` is the hook in the block of a finished coroutine whose stack has been left.
unsafe fn dismantle_after(hook: *mut Hook) {
    let me = ControlRef::of_hook(hook);
    let core = super::core::core();
    if let Some(core) = core.filter(|core| core.watched.get() == Some(me)) {
        core.watched.set(None);
    }
    me.dismantle(core);
}
