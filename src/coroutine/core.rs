//! What one thread needs in order to run coroutines: who runs, who is next, where to go idle.
//!
//! A [`Core`] belongs to one thread and is touched by no other, so nothing in it is
//! atomic but the two words that `watch.rs` shows to others. A started coroutine stays on its core,
//! or is taken off it by the owner (`migrate.rs`), which is why the ready queue can be plain:
//! another thread that wakes a coroutine hands it to the home worker's inbox (see [`Schedule`]).
//!
//! Parking takes the next coroutine straight from here and switches to it; the worker's own loop
//! (the *root* context) runs only when nothing is ready or the budget is used up. One switch from
//! partner to partner, no detour.
//!
//! # Invariants
//!
//! 1. `current` is the coroutine whose stack the thread runs on (or on whose behalf a generator
//!    runs), `None` on the root context.
//! 2. A coroutine is in `next` or in `ready` at most once, and only while it is not running.
//! 3. `root` is valid whenever `current` is a scheduled coroutine.
//! 4. Only the owner thread reaches a `Core`, through the thread's word.
//!
//! # Who calls this, and what it may call
//!
//! The coroutine and scheduler layers, on the owner thread. Nothing here suspends by itself.

use core::cell::{Cell, UnsafeCell};
use core::ptr::NonNull;
use std::collections::VecDeque;

use super::control::ControlRef;
use super::hooks::SwitchHooks;
use super::watch::{ShownBudget, ShownCurrent};
use crate::arch::{self, StackPointer};
use crate::prim::{AtomicU32, AtomicU64, Ordering};
use crate::stack::{StackCache, ThreadAltStack};
use crate::sys::fiber::Fiber;

/// Switches between coroutines before the worker's loop looks at its other sources of work (the
/// injector, timers and file descriptors), unless the runtime's builder says otherwise.
pub(crate) const SWITCH_BUDGET: u32 = 128;

/// Consecutive hand-offs through `next` before the queue gets its turn, so that a pair that wakes
/// each other cannot starve the rest.
pub(crate) const HANDOFF_BUDGET: u32 = 32;

/// Coroutines for which there is always room in a thread's queue.
pub(super) const QUEUE_ROOM: usize = 256;

/// Identifiers that a thread takes at a time.
const ID_BLOCK: u64 = 1024;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// The numbers of threads are multiples of this: the bits below are for whoever keeps one.
const HERE: u32 = 16;

static NEXT_NUMBER: AtomicU32 = AtomicU32::new(HERE);

fn take_number() -> u32 {
    let next = |number: u32| number.checked_add(HERE);
    NEXT_NUMBER.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or(0)
}

/// What the layer below needs from the scheduler: a way to hand a coroutine to its home worker.
pub(crate) trait Schedule: Send + Sync {
    /// Queues a woken coroutine on its home worker, waking the worker if it sleeps. Any thread.
    fn ready_remote(&self, coroutine: ControlRef);

    /// Moves what came in from other threads to the ready queue of `core`. Home thread only.
    fn collect(&self, core: &Core);
}

/// A number for a coroutine of a thread that has no core any more.
#[cold]
pub(crate) fn id_without_core() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

/// One thread's share of the coroutine machinery.
pub(crate) struct Core {
    pub(super) current: ShownCurrent,
    next: Cell<Option<ControlRef>>,
    ready: UnsafeCell<VecDeque<ControlRef>>,
    pub(super) root: Cell<StackPointer>,
    pub(super) root_fiber: UnsafeCell<Fiber>,
    pub(super) budget: ShownBudget,
    handoffs: Cell<u32>,
    number: u32,
    ids: Cell<(u64, u64)>,
    /// Suspended coroutines that are being unwound because they are dropped; they nest.
    pub(super) unwinding: Cell<u32>,
    cache: StackCache,
    /// Where an overflow on this thread is reported from; without one the report is lost, nothing
    /// else.
    _alternate: Option<ThreadAltStack>,
    /// Finished scheduled coroutines whose block and stack are kept warm.
    pub(super) warm: UnsafeCell<Vec<ControlRef>>,
    /// The scheduled coroutine that is being unwound, until its block is taken apart.
    pub(super) watched: Cell<Option<ControlRef>>,
    /// The scheduled coroutines of this thread that have started and not ended.
    pub(super) live: UnsafeCell<Vec<ControlRef>>,
    /// Called with a coroutine that has forks waiting and is about to park.
    pub(crate) on_park: Cell<fn(ControlRef)>,
    /// Whether the worker may have jobs to start, which a coroutine that gives way must let it do.
    pub(crate) has_jobs: Cell<bool>,
    /// Whether a coroutine that may change workers has ever lived here.
    pub(crate) migrates: Cell<bool>,
    /// What to call at each switch of a scheduled coroutine; null where there is nothing.
    pub(crate) hooks: Cell<*const SwitchHooks>,
    /// Consecutive hand-offs before the queue gets its turn.
    pub(crate) handoff_budget: Cell<u32>,
    /// The worker that runs on this thread, for the scheduler; null elsewhere.
    pub(crate) worker: Cell<*const ()>,
    /// The timers of this thread, for the timer layer; null where there are none.
    pub(crate) timers: Cell<*const ()>,
    /// The runtime that was entered on this thread, for the scheduler; null elsewhere.
    pub(crate) entered: Cell<*const ()>,
}

impl core::fmt::Debug for Core {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Core")
            .field("current", &self.current.get())
            .field("next", &self.next.get())
            .field("ready", &self.ready_len())
            .field("budget", &self.budget.get())
            .finish_non_exhaustive()
    }
}

impl Core {
    fn new() -> Core {
        Core {
            current: ShownCurrent::new(),
            next: Cell::new(None),
            ready: UnsafeCell::new(VecDeque::with_capacity(QUEUE_ROOM)),
            root: Cell::new(0),
            root_fiber: UnsafeCell::new(Fiber::here()),
            budget: ShownBudget::new(SWITCH_BUDGET),
            handoffs: Cell::new(0),
            number: take_number(),
            ids: Cell::new((0, 0)),
            unwinding: Cell::new(0),
            cache: StackCache::new(),
            _alternate: ThreadAltStack::install().ok(),
            warm: UnsafeCell::new(Vec::new()),
            watched: Cell::new(None),
            live: UnsafeCell::new(Vec::new()),
            on_park: Cell::new(|_| ()),
            has_jobs: Cell::new(false),
            migrates: Cell::new(false),
            hooks: Cell::new(core::ptr::null()),
            handoff_budget: Cell::new(HANDOFF_BUDGET),
            worker: Cell::new(core::ptr::null()),
            timers: Cell::new(core::ptr::null()),
            entered: Cell::new(core::ptr::null()),
        }
    }

    /// The running coroutine (invariant 1).
    #[inline(always)]
    pub(crate) fn current(&self) -> Option<ControlRef> {
        self.current.get()
    }

    #[inline(always)]
    pub(super) fn set_current(&self, coroutine: Option<ControlRef>) {
        self.current.set(coroutine);
    }

    /// What tools must be told about whoever runs, or is about to run, on this thread.
    #[inline(always)]
    pub(super) fn current_fiber(&self) -> &Fiber {
        match self.current.get() {
            Some(current) => current.fiber(),
            // SAFETY: owner-only, and replaced only by the root context itself.
            None => unsafe { &*self.root_fiber.get() },
        }
    }

    /// A number that no other coroutine of the process has or had.
    #[inline(always)]
    pub(crate) fn take_id(&self) -> u64 {
        let (id, end) = self.ids.get();
        if id == end {
            return self.take_id_slow();
        }
        self.ids.set((id + 1, end));
        id
    }

    #[cold]
    fn take_id_slow(&self) -> u64 {
        let id = NEXT_ID.fetch_add(ID_BLOCK, Ordering::Relaxed);
        self.ids.set((id + 1, id + ID_BLOCK));
        id
    }

    /// This thread's stack cache.
    #[inline(always)]
    pub(crate) fn cache(&self) -> &StackCache {
        &self.cache
    }

    /// Queues a coroutine of this thread at the end.
    #[inline(always)]
    pub(crate) fn push_back(&self, coroutine: ControlRef) {
        // SAFETY: owner-only, and the reference does not outlive the call.
        unsafe { (*self.ready.get()).push_back(coroutine) }
    }

    /// Queues a woken coroutine of this thread: it runs next if that place is free.
    #[inline(always)]
    pub(crate) fn push_woken(&self, coroutine: ControlRef) {
        if self.next.get().is_none() {
            self.next.set(Some(coroutine));
        } else {
            self.push_back(coroutine);
        }
    }

    /// Takes the coroutine whose turn it is, without regard to the budget.
    #[inline(always)]
    pub(crate) fn pop(&self) -> Option<ControlRef> {
        if let Some(next) = self.next.take() {
            let handoffs = self.handoffs.get();
            if handoffs < self.handoff_budget.get() {
                self.handoffs.set(handoffs + 1);
                return Some(next);
            }
            // SAFETY: owner-only, and the reference does not outlive the block.
            let ready = unsafe { &mut *self.ready.get() };
            ready.push_back(next);
        }
        self.handoffs.set(0);
        // SAFETY: as above.
        unsafe { (*self.ready.get()).pop_front() }
    }

    /// Takes a coroutine out of the queue, wherever it stands; false: it is not there.
    #[cold]
    pub(super) fn take_out(&self, coroutine: ControlRef) -> bool {
        if self.next.get() == Some(coroutine) {
            self.next.set(None);
            return true;
        }
        // SAFETY: owner-only, and the reference does not outlive the call.
        let ready = unsafe { &mut *self.ready.get() };
        let place = ready.iter().position(|&queued| queued == coroutine);
        place.and_then(|place| ready.remove(place)).is_some()
    }

    /// Whether somebody runs next ahead of the queue.
    pub(super) fn has_next(&self) -> bool {
        self.next.get().is_some()
    }

    /// The coroutine that stands at this place of the queue.
    pub(super) fn ready_at(&self, place: usize) -> Option<ControlRef> {
        // SAFETY: owner-only, and the reference does not outlive the call.
        unsafe { (&*self.ready.get()).get(place).copied() }
    }

    /// Takes the coroutine at this place out of the queue.
    pub(super) fn remove_ready(&self, place: usize) {
        // SAFETY: owner-only, and the reference does not outlive the call.
        unsafe { (*self.ready.get()).remove(place) };
    }

    /// How many the queue holds, and for how many it has room.
    pub(super) fn ready_room(&self) -> (usize, usize) {
        // SAFETY: owner-only, and the reference does not outlive the block.
        let ready = unsafe { &*self.ready.get() };
        (ready.len(), ready.capacity())
    }

    /// Gives room of the queue back that is not needed.
    pub(super) fn shrink_ready(&self) {
        // SAFETY: owner-only, and the reference does not outlive the block.
        let ready = unsafe { &mut *self.ready.get() };
        ready.shrink_to((2 * ready.len()).max(QUEUE_ROOM));
    }

    /// Number of coroutines that are ready on this thread.
    #[inline]
    pub(crate) fn ready_len(&self) -> usize {
        // SAFETY: owner-only, and the reference does not outlive the call.
        let queued = unsafe { (*self.ready.get()).len() };
        queued + usize::from(self.next.get().is_some())
    }

    /// Whether the running coroutine may stay, because nobody else is ready and the worker's loop
    /// is not due.
    #[inline(always)]
    pub(super) fn may_stay(&self) -> bool {
        let budget = self.budget.get();
        // SAFETY: owner-only, and the reference does not outlive the call.
        let alone = self.next.get().is_none() && unsafe { (*self.ready.get()).is_empty() };
        if !alone || budget <= 1 {
            return false;
        }
        if self.has_jobs.get() {
            // Back to the root, which starts one.
            self.budget.set(1);
            return false;
        }
        self.budget.set(budget - 1);
        true
    }

    /// Decides where a scheduled coroutine that stops running goes, and makes that the current
    /// one: the stack pointer of the next ready coroutine, or the root's.
    #[inline(always)]
    pub(super) fn depart(&self) -> StackPointer {
        let budget = self.budget.get();
        if budget > 1 {
            self.budget.set(budget - 1);
            if let Some(next) = self.pop() {
                return next.enter(self);
            }
        }
        self.current.set(None);
        self.root.get()
    }

    /// Gives the thread's loop a fresh budget.
    #[inline(always)]
    pub(crate) fn refill(&self, budget: u32) {
        self.budget.set(budget);
    }

    /// Whether coroutines stopped because the budget was used up, not for lack of others.
    #[inline(always)]
    pub(crate) fn is_spent(&self) -> bool {
        self.budget.get() <= 1
    }
}

/// This thread's core, if it has one already.
#[inline(always)]
pub(crate) fn core<'a>() -> Option<&'a Core> {
    // SAFETY: the word is 0 or the address of the thread's own core, which lives until the thread
    // ends; the callers in this crate let no reference outlive the call stack they run on.
    unsafe { (arch::thread_word() as *const Core).as_ref() }
}

/// A number that no other thread has or had, a multiple of [`HERE`]; 0 if there is no core, or no
/// number left.
#[inline(always)]
pub(crate) fn here() -> u32 {
    core().map_or(0, |core| core.number)
}

/// This thread's core, made on first use; `None` once the thread is shutting down.
#[inline(always)]
pub(crate) fn core_or_make<'a>() -> Option<&'a Core> {
    match core() {
        Some(core) => Some(core),
        None => make_core(),
    }
}

thread_local! {
    /// Frees the core when the thread ends. The only thread-local variable of the library that the
    /// compiler knows of; it is not touched on any fast path.
    static OWNER: Owner = const { Owner(Cell::new(None)) };
}

struct Owner(Cell<Option<NonNull<Core>>>);

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(core) = self.0.take() {
            arch::set_thread_word(0);
            // SAFETY: made by `make_core` from a box, and the word no longer leads to it.
            drop(unsafe { Box::from_raw(core.as_ptr()) });
        }
    }
}

#[cold]
#[inline(never)]
fn make_core<'a>() -> Option<&'a Core> {
    OWNER
        .try_with(|owner| {
            let core = NonNull::from(Box::leak(Box::new(Core::new())));
            owner.0.set(Some(core));
            arch::set_thread_word(core.as_ptr() as usize);
            // SAFETY: just made, and freed only when the thread ends.
            unsafe { core.as_ref() }
        })
        .ok()
}

impl Drop for Core {
    fn drop(&mut self) {
        for control in self.warm.get_mut().drain(..) {
            control.dismantle(None);
        }
    }
}
