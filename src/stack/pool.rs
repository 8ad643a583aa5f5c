//! The stacks that no thread holds, shared by all.
//!
//! Warm stacks still have their pages, cold ones gave them back. The number of warm ones is
//! bounded: [`trim`] takes it down off the hot path, and a thread that frees a large population
//! brings it down to the bound itself once it is at twice that. Pages go back in runs of
//! neighbouring slots, because each call interrupts the other CPUs.
//!
//! # Invariants
//!
//! 1. Every slot in `warm` and `cold` has its guard, every slot in `bare` lacks it.
//! 2. Nothing is given to the system while a pool is locked.
//!
//! # Who calls this, and what it may call
//!
//! Caches, dropped stacks and chores. One lock a class, a leaf: only the region table's is taken
//! inside.

use super::cache::Magazine;
use super::class::{CLASSES, Class};
use super::guard::{self, GuardKind};
use super::handle::Stack;
use super::region::{self, Carver, Slot};
use crate::error::StackError;
use crate::prim::{AtomicUsize, Mutex, Ordering};
use crate::sys::memory;

/// The address space of the warm stacks of a class, in bytes, within the two bounds below.
const WARM_BYTES: usize = 256 << 20;
const WARM_MIN: usize = 4;
const WARM_MAX: usize = 1024;

#[derive(Debug)]
struct Pool {
    warm: Vec<Stack>,
    cold: Vec<Slot>,
    bare: Vec<Slot>,
    carver: Carver,
}

static POOLS: [Mutex<Pool>; CLASSES] = [const {
    Mutex::new(Pool { warm: Vec::new(), cold: Vec::new(), bare: Vec::new(), carver: Carver::new() })
}; CLASSES];

static LEAKED: AtomicUsize = AtomicUsize::new(0);

/// How many warm stacks of a class the pool keeps.
pub(super) fn warm_bound(class: Class) -> usize {
    (WARM_BYTES / class.bytes()).clamp(WARM_MIN, WARM_MAX)
}

/// Takes a stack out of the pool, and more into `magazine` if there are warm ones.
///
/// # Errors
///
/// A [`StackError`] that names the limit.
pub(super) fn take(class: Class, magazine: &Magazine) -> Result<Stack, StackError> {
    let mut pool = POOLS[class.index()].lock();
    if let Some(stack) = pool.warm.pop() {
        let keep = pool.warm.len().saturating_sub(magazine.batch());
        while pool.warm.len() > keep
            && let Some(more) = pool.warm.pop()
        {
            if let Err(refused) = magazine.push(more) {
                pool.warm.push(refused);
                break;
            }
        }
        return Ok(stack);
    }
    if let Some(slot) = pool.cold.pop() {
        drop(pool);
        return Ok(Stack::in_slot(slot));
    }
    let slot = match pool.bare.pop() {
        Some(slot) => slot,
        None => pool.carver.carve(class)?,
    };
    drop(pool);
    match guard::install(slot) {
        Ok(()) => Ok(Stack::in_slot(slot)),
        Err(error) => {
            POOLS[class.index()].lock().bare.push(slot);
            Err(error)
        }
    }
}

/// Puts one stack without a label into the pool.
pub(super) fn put(stack: Stack) {
    put_all(stack.class(), std::iter::once(stack));
}

/// Puts stacks of one class, without labels, into the pool.
pub(super) fn put_all(class: Class, stacks: impl Iterator<Item = Stack>) {
    let mut pool = POOLS[class.index()].lock();
    pool.warm.extend(stacks);
    let bound = warm_bound(class);
    if pool.warm.len() >= 2 * bound {
        let excess = split_oldest(&mut pool, bound);
        drop(pool);
        give_back(class, excess);
    }
}

/// Gives the pages of idle stacks back to the system, all but those of `keep` of each size.
///
/// Returns the number of stacks that became cold. Makes system calls; for a thread that has time.
pub(crate) fn trim(keep: usize) -> usize {
    let mut trimmed = 0;
    for class in Class::ALL {
        let excess = split_oldest(&mut POOLS[class.index()].lock(), keep);
        trimmed += excess.len();
        give_back(class, excess);
    }
    trimmed
}

/// Takes out the stacks that have been in the pool longest.
fn split_oldest(pool: &mut Pool, keep: usize) -> Vec<Slot> {
    let excess = pool.warm.len().saturating_sub(keep);
    pool.warm.drain(..excess).map(Stack::into_slot).collect()
}

/// Gives the pages of slots back, and the slots to the pool.
fn give_back(class: Class, mut slots: Vec<Slot>) {
    if slots.is_empty() {
        return;
    }
    slots.sort_unstable_by_key(|slot| slot.base);
    let size = class.bytes();
    for run in slots.chunk_by(|low, high| low.base.addr().get() + size == high.base.addr().get()) {
        // A refusal (locked memory) only means that the pages stay.
        // SAFETY: the slots are owned here, contiguous, mapped, and hold nothing.
        let _ = unsafe { memory::discard(run[0].base, run.len() * size) };
    }
    // The lowest address is taken first, so that few page tables are in use.
    slots.reverse();
    POOLS[class.index()].lock().cold.append(&mut slots);
}

/// The number of warm stacks of a class.
#[cfg(test)]
pub(super) fn warm_count(class: Class) -> usize {
    POOLS[class.index()].lock().warm.len()
}

/// Counts a stack that was given up for good.
pub(super) fn count_leak() {
    LEAKED.fetch_add(1, Ordering::Relaxed);
}

/// Where all stacks are, at about one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Address space reserved, in bytes.
    pub reserved: usize,
    /// Regions reserved.
    pub regions: usize,
    /// Stacks ever made.
    pub created: usize,
    /// Stacks in use or in the cache of a thread.
    pub lent: usize,
    /// Idle stacks in the pool that still have their pages.
    pub warm: usize,
    /// Idle stacks in the pool without pages.
    pub cold: usize,
    /// Stacks given up for good.
    pub leaked: usize,
    /// How stacks are guarded.
    pub guard: GuardKind,
}

/// Counts the stacks of the process.
///
/// # Examples
///
/// ```
/// let before = kcoro::coroutine::stack_stats();
/// let generator = kcoro::coroutine::Coroutine::<(), (), ()>::new(|_, ()| ());
/// assert!(kcoro::coroutine::stack_stats().created >= before.created.max(1));
/// # drop(generator);
/// ```
#[must_use]
pub fn stats() -> Stats {
    let (regions, reserved) = region::totals();
    let leaked = LEAKED.load(Ordering::Relaxed);
    let (mut created, mut warm, mut cold) = (0, 0, 0);
    for pool in &POOLS {
        let pool = pool.lock();
        created += pool.carver.carved() - pool.bare.len();
        warm += pool.warm.len();
        cold += pool.cold.len();
    }
    let lent = created.saturating_sub(warm + cold + leaked);
    Stats { reserved, regions, created, lent, warm, cold, leaked, guard: guard::kind() }
}
