//! The stacks that no thread holds, shared by all.
//!
//! Warm stacks still have their pages, cold ones gave them back. A free stack above the bound gives
//! its pages back after it has not been needed for a period: the pool remembers how few were warm at
//! any moment of it, and [`decay`] takes that many. It runs on a thread that has time, because each
//! call to the system interrupts the other CPUs and takes microseconds for each run of neighbouring
//! slots; for the same reason it waits until many are free, of which many are neighbours. Whoever
//! brings the pool to twice the bound asks for it ([`set_decay`]). Where nobody does that work, a
//! thread that frees a large population brings the pool down to the bound itself.
//!
//! # Invariants
//!
//! 1. Every slot in `warm` and `cold` has its guard, every slot in `bare` lacks it.
//! 2. Nothing is given to the system while a pool is locked.
//! 3. `low` is at most the number of warm stacks.
//!
//! # Who calls this, and what it may call
//!
//! Caches, dropped stacks and chores. One lock a class, a leaf: only the region table's is taken
//! inside.
//!
//! Source: the decay follows J. Evans, jemalloc, "dirty_decay_ms".

use super::cache::Magazine;
use super::class::{CLASSES, Class};
use super::guard::{self, GuardKind};
use super::handle::Stack;
use super::region::{self, Carver, Slot};
use crate::error::StackError;
use crate::prim::{AtomicUsize, Mutex, Ordering};
use crate::sys::memory::{self, Pages};
use std::sync::OnceLock;

/// The address space of the warm stacks of a class, in bytes, within the two bounds below.
const WARM_BYTES: usize = 256 << 20;
const WARM_MIN: usize = 4;
const WARM_MAX: usize = 1024;

/// The part of the stacks ever made whose guards come in one call.
const SHARE: usize = 8;

#[derive(Debug)]
struct Pool {
    warm: Vec<Stack>,
    /// The smallest number of warm ones since the last [`decay`].
    low: usize,
    cold: Vec<Slot>,
    bare: Vec<Slot>,
    carver: Carver,
}

static POOLS: [Mutex<Pool>; CLASSES] = [const {
    Mutex::new(Pool {
        warm: Vec::new(),
        low: 0,
        cold: Vec::new(),
        bare: Vec::new(),
        carver: Carver::new(),
    })
}; CLASSES];

/// Asks for [`decay`] to be called once in a while, until it returns false; false: nobody will.
static DECAY: OnceLock<fn() -> bool> = OnceLock::new();

static LEAKED: AtomicUsize = AtomicUsize::new(0);

/// How many slots give their pages back in one call to the system, so that none takes long.
const RUN_MAX: usize = 256;

/// How many runs of neighbouring slots do so in one call, where the kernel takes several.
const RUNS_MAX: usize = 64;

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
        pool.low = pool.low.min(pool.warm.len());
        return Ok(stack);
    }
    if let Some(slot) = pool.cold.pop() {
        drop(pool);
        return Ok(Stack::in_slot(slot));
    }
    // A process with many stacks is likely to want more: their guards come in one call.
    let many = (pool.carver.carved() / SHARE).clamp(1, magazine.batch());
    let mut slots = pool.fetch_bare(class, many)?;
    drop(pool);
    if slots.len() > 1 && !guard::install_many(&slots) {
        // Guards are scarce here: no more than asked for.
        let rest = slots.split_off(1);
        POOLS[class.index()].lock().bare.extend(rest.into_iter().rev());
    }
    let first = slots[0];
    if slots.len() == 1
        && let Err(error) = guard::install(first)
    {
        POOLS[class.index()].lock().bare.push(first);
        return Err(error);
    }
    if slots.len() > 1 {
        // The last one is taken first: the lowest address.
        POOLS[class.index()].lock().cold.extend(slots.drain(1..).rev());
    }
    Ok(Stack::in_slot(first))
}

impl Pool {
    /// Fetches up to `wanted` slots without guards, at least one.
    fn fetch_bare(&mut self, class: Class, wanted: usize) -> Result<Vec<Slot>, StackError> {
        let mut slots = Vec::with_capacity(wanted);
        while slots.len() < wanted {
            match self.bare.pop().map_or_else(|| self.carver.carve(class), Ok) {
                Ok(slot) => slots.push(slot),
                Err(error) if slots.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(slots)
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
    if pool.warm.len() < 2 * bound {
        return;
    }
    drop(pool);
    if DECAY.get().is_some_and(|ask| ask()) {
        return;
    }
    let mut pool = POOLS[class.index()].lock();
    let excess = split_oldest(&mut pool, bound);
    drop(pool);
    give_back(class, excess);
}

/// Has `ask` called when there is something for [`decay`] to do. It returns
/// whether it will be done. The first one stays.
pub(crate) fn set_decay(ask: fn() -> bool) {
    let _ = DECAY.set(ask);
}

/// Whether there is something for [`decay`] to do.
pub(crate) fn is_over() -> bool {
    Class::ALL.into_iter().any(|class| POOLS[class.index()].lock().warm.len() > warm_bound(class))
}

/// Gives the pages of the stacks back that were above the bound and not needed since the last call;
/// true: some are above the bound still. Makes system calls; for a thread that has time.
pub(crate) fn decay() -> bool {
    let mut more = false;
    for class in Class::ALL {
        let bound = warm_bound(class);
        let mut pool = POOLS[class.index()].lock();
        let unneeded = pool.low.saturating_sub(bound);
        let keep = pool.warm.len() - unneeded;
        let excess = split_oldest(&mut pool, keep);
        pool.low = pool.warm.len();
        more |= pool.warm.len() > bound;
        drop(pool);
        give_back(class, excess);
    }
    more
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
    pool.low = pool.low.min(keep);
    pool.warm.drain(..excess).map(Stack::into_slot).collect()
}

/// Gives the pages of slots back, and the slots to the pool.
fn give_back(class: Class, mut slots: Vec<Slot>) {
    if slots.is_empty() {
        return;
    }
    slots.sort_unstable_by_key(|slot| slot.base);
    let size = class.bytes();
    let runs: Vec<Pages> = slots
        .chunk_by(|low, high| low.base.addr().get() + size == high.base.addr().get())
        .flat_map(|run| run.chunks(RUN_MAX))
        .map(|run| Pages { address: run[0].base, bytes: run.len() * size })
        .collect();
    for runs in runs.chunks(RUNS_MAX) {
        // A refusal (locked memory) only means that the pages stay.
        // SAFETY: the slots are owned here, mapped, and hold nothing; each run is contiguous.
        let _ = unsafe { memory::discard(runs) };
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
