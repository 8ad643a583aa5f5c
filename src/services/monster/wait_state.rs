//! The 256 wait states: who waits for the coordination of which shard.
//!
//! A wait state is a place in a table of fixed size. Its owner waits in it for its shard to be
//! coordinated; coordinating a shard is a broadcast to those who wait at that moment. A signal to
//! one wait state is kept if nobody waits in it, and lets the next wait through at once.
//!
//! # Invariants
//!
//! 1. At most 256 wait states live; the next is refused, and a dropped one makes room.
//! 2. Sequence numbers grow by one with each wait state created and are never used twice.
//! 3. A coordination wakes each party that waits on the shard once and counts it once. A party
//!    whose timeout came first is not counted, and gets the timeout.
//! 4. A signal lets exactly the parties through that wait in that state, or the next one to come.
//!
//! # Who calls this, and what it may call
//!
//! Coroutines and threads. Only [`WaitState::wait_for_coord`] suspends; nothing is called with the
//! lock held.

#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use super::hub::Hub;
use super::primes::{SHARD_COUNT, ShardId};
use super::status::{Coordinated, WaitStatus};
use super::waiters::{Waiters, deadline_after, park};
use crate::error::{CoordError, WaitStateError};
use crate::prim::{Arc, Mutex};
use crate::token::{Claim, Wait};

/// How many wait states there may be at a time.
pub const WAIT_STATE_COUNT: usize = 256;

const FREE_WORDS: usize = WAIT_STATE_COUNT / 64;

/// A wait state that lives.
#[derive(Clone, Copy, Debug)]
struct Entry {
    shard: ShardId,
    sequence: u64,
    ready: bool,
}

/// All wait states, under one lock.
pub(super) struct WaitTable {
    table: Mutex<Table>,
}

struct Table {
    entries: [Option<Entry>; WAIT_STATE_COUNT],
    /// A set bit for each place that is free.
    free: [u64; FREE_WORDS],
    last_sequence: u64,
    /// Who waits, by shard; the key is the index of the wait state.
    waiting: [Waiters; SHARD_COUNT],
    /// An empty list that keeps its memory from one coordination to the next.
    spare: Waiters,
}

impl WaitTable {
    pub(super) fn new() -> WaitTable {
        let table = Table {
            entries: [None; WAIT_STATE_COUNT],
            free: [u64::MAX; FREE_WORDS],
            last_sequence: 0,
            waiting: Default::default(),
            spare: Waiters::default(),
        };
        WaitTable { table: Mutex::new(table) }
    }

    /// Takes the lowest free place; returns its index and the sequence number.
    pub(super) fn create(&self, shard: ShardId) -> Result<(usize, u64), WaitStateError> {
        let mut table = self.table.lock();
        let word = table.free.iter().position(|word| *word != 0).ok_or(WaitStateError::AllInUse)?;
        let bit = table.free[word].trailing_zeros() as usize;
        table.free[word] &= !(1 << bit);
        table.last_sequence += 1;
        let (index, sequence) = (word * 64 + bit, table.last_sequence);
        table.entries[index] = Some(Entry { shard, sequence, ready: false });
        Ok((index, sequence))
    }

    fn free(&self, index: usize) {
        let mut table = self.table.lock();
        table.entries[index] = None;
        table.free[index / 64] |= 1 << (index % 64);
    }

    /// Wakes all who wait on the shard.
    pub(super) fn coordinate(&self, shard: ShardId) -> Coordinated {
        let mut taken = {
            let mut table = self.table.lock();
            let spare = std::mem::take(&mut table.spare);
            std::mem::replace(&mut table.waiting[shard.index()], spare)
        };
        let apps = taken.wake_all();
        self.table.lock().spare = taken;
        Coordinated { apps, shard }
    }

    /// The live wait states, by index.
    pub(super) fn status(&self, pid: u32) -> Vec<WaitStatus> {
        let table = self.table.lock();
        let line = |(wait, entry): (usize, &Option<Entry>)| {
            let Entry { shard, sequence, ready } = (*entry)?;
            Some(WaitStatus { wait, pid, shard, sequence, ready })
        };
        table.entries.iter().enumerate().filter_map(line).collect()
    }
}

impl fmt::Debug for WaitTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let live = self.table.lock().entries.iter().flatten().count();
        f.debug_struct("WaitTable").field("live", &live).finish_non_exhaustive()
    }
}

/// One wait state. Dropping it frees its place.
///
/// # Examples
///
/// ```
/// use kcoro::monster::{Monster, ShardId};
/// use std::time::Duration;
///
/// let monster = Monster::new();
/// let shard = ShardId::new(5)?;
/// let state = monster.wait_state(shard)?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| state.wait_for_coord(None).expect("no timeout was given"));
///     while monster.coordinate_shard(shard).apps == 0 {
///         std::thread::sleep(Duration::from_millis(1));
///     }
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WaitState {
    hub: Arc<Hub>,
    index: usize,
    shard: ShardId,
    sequence: u64,
}

impl WaitState {
    pub(super) fn create(hub: &Arc<Hub>, shard: ShardId) -> Result<WaitState, WaitStateError> {
        let (index, sequence) = hub.waits.create(shard)?;
        Ok(WaitState { hub: Arc::clone(hub), index, shard, sequence })
    }

    /// Its place in the table, 0 to 255; the place of a dropped wait state is used again.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The shard it waits for.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// Its sequence number: greater than that of every wait state created before.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// True if it was signalled and no wait has taken the signal yet.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.hub.waits.table.lock().entries[self.index].is_some_and(|entry| entry.ready)
    }

    /// Waits until the shard is coordinated or this wait state is signalled.
    ///
    /// Suspends a coroutine, blocks a thread. `None` waits without a bound, zero takes a signal
    /// that is there and waits for nothing. Several parties may wait in one state.
    ///
    /// # Errors
    ///
    /// [`CoordError::Timeout`] if neither happens within `timeout`.
    pub fn wait_for_coord(&self, timeout: Option<Duration>) -> Result<(), CoordError> {
        let (lock, shard) = (&self.hub.waits.table, self.shard.index());
        let wait = {
            let mut table = lock.lock();
            let entry = table.entries[self.index].as_mut();
            if entry.is_some_and(|entry| std::mem::take(&mut entry.ready)) {
                return Ok(());
            }
            if timeout == Some(Duration::ZERO) {
                return Err(CoordError::Timeout);
            }
            let wait = Wait::begin();
            table.waiting[shard].add(&wait, self.index);
            wait
        };
        let woken = park(lock, |table| &mut table.waiting[shard], wait, deadline_after(timeout));
        if woken { Ok(()) } else { Err(CoordError::Timeout) }
    }

    /// Lets those through who wait in this state; if nobody does, the next who comes.
    ///
    /// Signals do not add up: two with nobody waiting let one wait through.
    pub fn signal_ready(&self) {
        let claims = {
            let mut table = self.hub.waits.table.lock();
            let claims = table.waiting[self.shard.index()].claim(self.index);
            if claims.is_empty()
                && let Some(entry) = &mut table.entries[self.index]
            {
                entry.ready = true;
            }
            claims
        };
        claims.into_iter().for_each(Claim::wake);
    }
}

impl Drop for WaitState {
    fn drop(&mut self) {
        self.hub.waits.free(self.index);
    }
}

impl fmt::Debug for WaitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitState")
            .field("index", &self.index)
            .field("shard", &self.shard)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}
