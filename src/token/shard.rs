//! A thread's share of the table: its free slots and its counters.
//!
//! Each thread that touches tickets owns a shard until it exits; then another thread may have it.
//! Counters are counted here, plainly, and added up only when someone asks: a global counter would
//! cost every ticket a cache line that all threads fight for.
//!
//! # Invariants
//!
//! 1. A shard has at most one owner, and only the owner calls the methods so marked.
//! 2. Shard 0 belongs to whoever holds its lock: threads that are exiting, and threads beyond the
//!    number of shards.
//!
//! # Who calls this, and what it may call
//!
//! The files of this module, from threads and coroutines. The closure given to [`with`] may not
//! suspend: it runs with a shard that belongs to the thread.

#![forbid(unsafe_code)]

use super::freelist::{LocalList, RemoteList};
use super::slot::SlotLinks;
use super::{table, thread};
use crate::prim::{AtomicU64, Mutex, Ordering};
use std::sync::OnceLock;

/// Shards there can be; further threads share shard 0.
const SHARDS: usize = 1024;

static SHARD: [OnceLock<Box<Shard>>; SHARDS] = [const { OnceLock::new() }; SHARDS];
static POOL: Mutex<Pool> = Mutex::new(Pool { free: Vec::new(), next: 1 });
/// Who holds this owns shard 0.
static COMMON: Mutex<()> = Mutex::new(());
/// Completions by signal handlers, which may interrupt a shard's owner.
static SIGNALLED: AtomicU64 = AtomicU64::new(0);
static HIGH_WATER: AtomicU64 = AtomicU64::new(0);

struct Pool {
    free: Vec<u16>,
    next: u16,
}

/// What is counted. Each counter is written by the shard's owner alone.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) published: Counter,
    pub(super) retired: Counter,
    pub(super) completed: Counter,
    pub(super) cancelled: Counter,
    pub(super) timed_out: Counter,
    pub(super) stale: Counter,
}

/// A number that one thread counts up and everybody may read.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Counts one and returns the new number; the owner of the shard only.
    #[inline(always)]
    pub(super) fn bump(&self) -> u64 {
        let count = self.0.load(Ordering::Relaxed) + 1;
        self.0.store(count, Ordering::Relaxed);
        count
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Free slots and counters of one thread.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Shard {
    id: u16,
    local: LocalList,
    pub(super) counters: Counters,
    remote: RemoteList,
}

impl Shard {
    fn new(id: u16) -> Shard {
        Shard {
            id,
            local: LocalList::new(),
            counters: Counters::default(),
            remote: RemoteList::new(),
        }
    }

    /// The shard's number.
    #[inline(always)]
    pub(super) fn id(&self) -> u16 {
        self.id
    }

    /// Whether it belongs to one thread until that exits, unlike shard 0.
    #[inline(always)]
    pub(super) fn is_own(&self) -> bool {
        self.id != 0
    }

    /// Takes a free slot; the owner only.
    #[inline]
    pub(super) fn pop(&self) -> Option<u32> {
        self.local.pop(&SlotLinks)
    }

    /// Puts a slot back; the owner only.
    #[inline]
    pub(super) fn push(&self, index: u32) {
        self.local.push(&SlotLinks, index);
    }

    /// Puts a slot back; anyone.
    pub(super) fn push_remote(&self, index: u32) {
        self.remote.push(&SlotLinks, index);
    }

    /// Takes over what others have put back; the owner only, when it has nothing left.
    pub(super) fn reclaim(&self) -> bool {
        self.local.refill(self.remote.drain())
    }
}

/// Runs `f` with a shard that the caller owns meanwhile.
#[inline]
pub(super) fn with<R>(f: impl FnOnce(&Shard) -> R) -> R {
    match thread::shard() {
        Some(shard) => f(shard),
        None => with_common(f),
    }
}

#[cold]
fn with_common<R>(f: impl FnOnce(&Shard) -> R) -> R {
    let _owner = COMMON.lock();
    f(by_id(0))
}

/// The shard of that number.
pub(super) fn by_id(id: u16) -> &'static Shard {
    SHARD[usize::from(id)].get_or_init(|| Box::new(Shard::new(id)))
}

/// A shard for a thread that has none; `None` when all are taken.
pub(super) fn acquire() -> Option<&'static Shard> {
    let mut pool = POOL.lock();
    let id = pool.free.pop().or_else(|| {
        let id = pool.next;
        (usize::from(id) < SHARDS).then(|| {
            pool.next += 1;
            id
        })
    })?;
    Some(by_id(id))
}

/// The owner of `shard` exits. The lock of the pool hands over to the next owner.
pub(super) fn release(shard: &'static Shard) {
    POOL.lock().free.push(shard.id);
}

/// Counts a completion by a signal handler.
pub(super) fn count_signal() {
    SIGNALLED.fetch_add(1, Ordering::Relaxed);
}

fn sum(counter: impl Fn(&Counters) -> &Counter) -> u64 {
    SHARD.iter().filter_map(OnceLock::get).map(|shard| counter(&shard.counters).get()).sum()
}

fn live() -> u64 {
    // Retired first: a ticket published between the two sums would count as minus one otherwise.
    let retired = sum(|counters| &counters.retired);
    sum(|counters| &counters.published).saturating_sub(retired)
}

/// Remembers how many tickets are live, if that is a record.
#[cold]
pub(super) fn note_high_water() -> u64 {
    let live = live();
    HIGH_WATER.fetch_max(live, Ordering::Relaxed).max(live)
}

/// What the table has counted since the process began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Tickets published and neither waited for, withdrawn nor handed to their callback.
    pub live: u64,
    /// The most that were live at once, by samples: when the table grows, when statistics are
    /// taken, and now and then (at powers of two) as a thread publishes.
    pub high_water: u64,
    /// Tickets published.
    pub published: u64,
    /// Tickets completed.
    pub completed: u64,
    /// Tickets cancelled.
    pub cancelled: u64,
    /// Tickets whose deadline passed first.
    pub timed_out: u64,
    /// Completions and cancellations that came too late and were refused.
    pub stale: u64,
    /// Completions that wait for the kernel's thread.
    pub backlog: u64,
    /// Slots in the table, in use or free: tickets, and one for each coroutine and thread that has
    /// waited.
    pub slots: u64,
    /// Slots taken out of use because their generations were used up.
    pub worn_out: u64,
}

/// Adds everything up; the figures are of slightly different moments.
pub(super) fn stats(backlog: u64) -> Stats {
    let high_water = note_high_water();
    let (slots, worn_out) = table::sizes();
    Stats {
        live: live(),
        high_water,
        published: sum(|counters| &counters.published),
        completed: sum(|counters| &counters.completed) + SIGNALLED.load(Ordering::Relaxed),
        cancelled: sum(|counters| &counters.cancelled),
        timed_out: sum(|counters| &counters.timed_out),
        stale: sum(|counters| &counters.stale),
        backlog,
        slots: u64::from(slots),
        worn_out: u64::from(worn_out),
    }
}
