//! The shared heart of an arena: its slabs, its limit, its figures, and how long all of it lives.
//!
//! A payload holds no counted reference to its arena: that would cost a locked instruction on each
//! allocation. Instead blocks that leave a depot count in bulk, a magazine at a time, and the store
//! goes when the last handle, the last thread's magazines and the last block are back.
//!
//! # Invariants
//!
//! 1. `holds` = 1 while there is an `Arena` + threads with magazines of this store + blocks outside
//!    the depots. The store is freed when it reaches zero, and not before.
//! 2. With a limit, `budget.used()` is the sum of the sizes of all live payloads that have memory of
//!    the arena; without one it is not kept.
//!
//! # Who calls this, and what it may call
//!
//! Handles, payloads and magazines, from any thread. Callbacks of those who wait for room run after
//! all locks are released.

use super::budget::Budget;
use super::class::{BARE, CLASS, CLASSES, SIZED};
use super::holds::Holds;
use super::magazine::Figures;
use super::slab::{Block, Slab};
use super::stats::{ArenaStats, ClassStats};
use crate::error::ArenaError;
use crate::prim::{AtomicBool, AtomicU64, Mutex, Ordering};
use crate::util::Panics;
use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::Arc;

/// Told once when memory was given back.
pub(super) type Waiter = Box<dyn FnOnce() + Send>;

/// Those who wait for room, each with a number by which it can be taken back.
#[derive(Default)]
struct Waiters {
    next: u64,
    list: Vec<(u64, Waiter)>,
}

/// Those who waited for room and must be told, with no lock held.
#[must_use = "they wait until they are called"]
pub(super) struct Called(Vec<(u64, Waiter)>);

impl Called {
    pub(super) fn nobody() -> Called {
        Called(Vec::new())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells each one, even if another panics.
    pub(super) fn call_all(self, panics: &mut Panics) {
        self.0.into_iter().for_each(|(_, wake)| panics.catch(wake));
    }

    /// As [`call_all`](Called::call_all).
    ///
    /// # Panics
    ///
    /// If one of them did.
    pub(super) fn call(self) {
        let mut panics = Panics::new();
        self.call_all(&mut panics);
        panics.resume();
    }
}

/// What the builder fixed.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) limit: Option<usize>,
    pub(super) spill_above: Option<usize>,
    pub(super) spill_dir: PathBuf,
}

/// The shared heart of an arena. See the module header.
pub(super) struct Store {
    holds: Holds,
    handles: Holds,
    closed: AtomicBool,
    pub(super) budget: Option<Budget>,
    pub(super) config: Config,
    slabs: [Slab; CLASSES],
    waiters: Mutex<Waiters>,
    pub(super) counts: Counts,
    threads: Mutex<Threads>,
}

/// Figures that are kept in common, because what they count is slow anyway.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) mapped: AtomicU64,
    pub(super) mapped_bytes: AtomicU64,
    pub(super) spilled: AtomicU64,
    pub(super) spilled_bytes: AtomicU64,
    pub(super) spills: AtomicU64,
    pub(super) sticky: AtomicU64,
    pub(super) refused: AtomicU64,
}

#[derive(Default)]
struct Threads {
    live: Vec<Arc<Figures>>,
    /// What threads counted that have ended.
    ended_allocations: u64,
    ended_bytes: u64,
}

impl Store {
    /// A store with one handle.
    pub(super) fn create(config: Config) -> NonNull<Store> {
        let store = Store {
            holds: Holds::one(),
            handles: Holds::one(),
            closed: AtomicBool::new(false),
            budget: config.limit.map(|limit| Budget::new(limit as u64)),
            config,
            slabs: std::array::from_fn(|_| Slab::new()),
            waiters: Mutex::new(Waiters::default()),
            counts: Counts::default(),
            threads: Mutex::new(Threads::default()),
        };
        NonNull::from(Box::leak(Box::new(store)))
    }

    pub(super) fn add_handle(&self) {
        self.handles.add(1);
    }

    /// Removes a handle; the caller's pointer may dangle afterwards.
    ///
    /// # Safety
    ///
    /// The caller owns a handle of a store from `create`, and gives it up.
    pub(super) unsafe fn drop_handle(store: NonNull<Store>) {
        // SAFETY: the caller's handle keeps the store.
        let this = unsafe { store.as_ref() };
        // The handles share one hold, so giving up a handle must publish like giving up a hold: the
        // thread that gives up the last one speaks for all of them.
        if !this.handles.give_up(1) {
            return;
        }
        this.closed.store(true, Ordering::Relaxed);
        // Nobody can allocate any more. Dropped here, no callback is dropped under a borrowed stock.
        let waiters = std::mem::take(&mut this.waiters.lock().list);
        drop(waiters);
        super::magazine::release_closed();
        // SAFETY: the last handle's hold, given up once.
        unsafe { Store::drop_holds(store, 1) };
    }

    /// Whether the last handle is gone: magazines are not worth keeping.
    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Counts `count` more reasons to keep the store. The caller has one.
    pub(super) fn add_holds(&self, count: usize) {
        self.holds.add(count);
    }

    /// Gives `count` holds up; the caller's pointer may dangle afterwards.
    ///
    /// # Safety
    ///
    /// The caller owns that many holds of a store from `create`.
    pub(super) unsafe fn drop_holds(store: NonNull<Store>, count: usize) {
        // SAFETY: the caller's holds keep the store.
        if unsafe { store.as_ref() }.holds.give_up(count) {
            // SAFETY: it came out of a box in `create`, and nobody holds it any more.
            drop(unsafe { Box::from_raw(store.as_ptr()) });
        }
    }

    /// Moves blocks from the depot to `into`; each of them holds the store from then on.
    pub(super) fn take_blocks(
        &self,
        class: usize,
        count: usize,
        into: &mut Vec<Block>,
    ) -> Result<(), ArenaError> {
        let taken = self.slabs[class].take(self, class, count, into)?;
        self.add_holds(taken);
        Ok(())
    }

    /// Moves unused blocks to the depot; the caller's pointer may dangle afterwards.
    ///
    /// # Safety
    ///
    /// The blocks are of this store and class, nobody uses them, and the caller gives them up.
    pub(super) unsafe fn put_blocks(
        store: NonNull<Store>,
        class: usize,
        blocks: &mut dyn ExactSizeIterator<Item = Block>,
    ) {
        let count = blocks.len();
        if count > 0 {
            // SAFETY: each block holds the store.
            unsafe { store.as_ref() }.slabs[class].put(blocks);
            // SAFETY: those were the holds of the blocks.
            unsafe { Store::drop_holds(store, count) };
        }
    }

    /// Leaves a block alone for ever; the caller's pointer may dangle afterwards.
    ///
    /// # Safety
    ///
    /// As for [`put_blocks`](Store::put_blocks).
    #[cold]
    pub(super) unsafe fn forget_block(store: NonNull<Store>, class: usize) {
        // SAFETY: the block holds the store.
        unsafe { store.as_ref() }.slabs[class].forget();
        // SAFETY: that was the hold of the block.
        unsafe { Store::drop_holds(store, 1) };
    }

    /// Finds a block that may be in any state.
    #[inline]
    pub(super) fn find(&self, class: usize, index: u32) -> Option<Block> {
        self.slabs.get(class)?.find(class, index)
    }

    /// Takes `bytes` out of the budget.
    #[inline]
    pub(super) fn charge(&self, bytes: usize) -> Result<(), ArenaError> {
        let Some(budget) = &self.budget else { return Ok(()) };
        budget.take(bytes as u64).map_err(|used| self.full(budget, bytes, used))
    }

    #[cold]
    fn full(&self, budget: &Budget, requested: usize, used: u64) -> ArenaError {
        self.counts.refused.fetch_add(1, Ordering::Relaxed);
        let limit = budget.limit() as usize;
        ArenaError::Full { requested, used: used as usize, limit }
    }

    /// Puts `bytes` back into the budget. Whoever waits for them is returned and must be called.
    #[inline]
    pub(super) fn discharge(&self, bytes: usize) -> Called {
        match &self.budget {
            Some(budget) if budget.give_back(bytes as u64) => self.take_waiters(budget),
            _ => Called::nobody(),
        }
    }

    #[cold]
    fn take_waiters(&self, budget: &Budget) -> Called {
        let mut waiters = self.waiters.lock();
        budget.nobody_waits();
        Called(std::mem::take(&mut waiters.list))
    }

    /// Keeps `waiter` until memory is given back and returns its number; `None`, and `waiter` is
    /// dropped, if `bytes` are to be had now.
    pub(super) fn wait_for_room(&self, bytes: usize, waiter: Waiter) -> Option<u64> {
        // The lock is dropped before the waiter, which is code of the user's.
        let waiter = waiter;
        let budget = self.budget.as_ref()?;
        let mut waiters = self.waiters.lock();
        if !budget.wait_unless_room(bytes as u64) {
            return None;
        }
        let key = waiters.next;
        waiters.next += 1;
        waiters.list.push((key, waiter));
        Some(key)
    }

    /// Takes a waiter back that has not been told.
    pub(super) fn forget_waiter(&self, key: u64) -> Option<Waiter> {
        let mut waiters = self.waiters.lock();
        let place = waiters.list.iter().position(|(other, _)| *other == key)?;
        Some(waiters.list.remove(place).1)
    }

    pub(super) fn add_thread(&self, figures: Arc<Figures>) {
        self.add_holds(1);
        self.threads.lock().live.push(figures);
    }

    /// Forgets a thread; its hold stays with the caller.
    pub(super) fn remove_thread(&self, figures: &Arc<Figures>) {
        let mut threads = self.threads.lock();
        threads.live.retain(|other| !Arc::ptr_eq(other, figures));
        self.fold(&mut threads, figures);
    }

    /// Counts an operation of a thread that has no magazines any more.
    #[cold]
    pub(super) fn count_without_thread(&self, figures: &Figures) {
        self.fold(&mut self.threads.lock(), figures);
    }

    fn fold(&self, threads: &mut Threads, figures: &Figures) {
        threads.ended_allocations += figures.allocations();
        threads.ended_bytes = threads.ended_bytes.wrapping_add(figures.bytes());
    }

    /// Gives the pages of unused blocks back to the system.
    pub(super) fn trim(&self) -> usize {
        let large = |&class: &usize| CLASS[class].size >= 4096;
        (0..SIZED).filter(large).map(|class| self.slabs[class].trim(class)).sum()
    }

    pub(super) fn stats(&self) -> ArenaStats {
        let threads = self.threads.lock();
        let sum = |of: &dyn Fn(&Figures) -> u64| {
            threads.live.iter().map(|figures| of(figures)).fold(0, u64::wrapping_add)
        };
        let class_stats = |class: usize| {
            let figures = self.slabs[class].figures();
            let cached = sum(&|thread| thread.cached(class)) as usize;
            ClassStats {
                size: CLASS[class].size,
                live: figures.out.saturating_sub(cached),
                cached,
                blocks: figures.carved,
                high_water: figures.peak,
            }
        };
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let classes: [ClassStats; SIZED] = std::array::from_fn(class_stats);
        let bare = class_stats(BARE).live as u64;
        let (large, spilled) = (get(&self.counts.mapped), get(&self.counts.spilled));
        let bytes = sum(&Figures::bytes).wrapping_add(threads.ended_bytes);
        ArenaStats {
            depth: classes.iter().map(|class| class.live).sum::<usize>() + bare as usize,
            bytes,
            allocations: sum(&Figures::allocations) + threads.ended_allocations,
            limit: self.config.limit,
            used: self.budget.as_ref().map(Budget::used),
            high_water: classes.iter().map(|class| class.high_water * class.size).sum::<usize>()
                as u64,
            large,
            large_bytes: get(&self.counts.mapped_bytes),
            // Every other payload that has only a header is counted one by one.
            aliases: bare.saturating_sub(large + spilled),
            spilled,
            spilled_bytes: get(&self.counts.spilled_bytes),
            spills: get(&self.counts.spills),
            sticky: get(&self.counts.sticky),
            refused: get(&self.counts.refused),
            classes,
        }
    }
}
