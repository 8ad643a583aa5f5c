//! What a channel counts, for those who ask for it.
//!
//! A channel without metrics tests one pointer per operation. With metrics, an operation adds one to
//! one figure, under the lock or alone at its end of the queue, with a plain load and store: the ways
//! that a value can take are counted, and sends, receives, matches and bytes follow from them when
//! somebody reads. Failures are counted outside of the lock. Reading takes no lock, so a snapshot of a
//! busy channel is not one instant's truth, but each figure is.
//!
//! # Invariants
//!
//! 1. `stored` to `first` are written by the holder of the lock only, or `taken` by who is alone at
//!    the receiving end and the others by who is alone at the sending end; the rest by anybody, with
//!    one atomic operation.
//! 2. No figure ever falls, but `depth`, and `recvs` and `matches` by a value that comes back.
//!
//! # Who calls this, and what it may call
//!
//! `shared`, and readers from anywhere. The clock is read once in [`STAMP`] operations of waiting
//! parties, at the close, and by readers.

#![forbid(unsafe_code)]

use crate::prim::{AtomicU64, Ordering};
use crate::sys::clock;
use std::fmt;
use std::time::Duration;

/// Operations of parties that wait for each other, between two looks at the clock.
const STAMP: u64 = 1024;

/// The figures of one channel.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Values that a sender put into the buffer.
    stored: AtomicU64,
    /// Values that a sender gave to a waiting receiver.
    handed: AtomicU64,
    /// Values that a receiver took, from the buffer or from a waiting sender.
    taken: AtomicU64,
    /// Values that a receiver fetched from a waiting sender, for itself or into the buffer.
    fetched: AtomicU64,
    high_water: AtomicU64,
    first: AtomicU64,
    /// The last look at the clock, and how many operations there had been then.
    last: AtomicU64,
    stamped: AtomicU64,
    failures: [AtomicU64; 8],
    waiters: AtomicU64,
    drops: AtomicU64,
    undelivered: AtomicU64,
}

/// Why an operation did not happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Failure {
    Full = 0,
    Empty = 1,
    SendTimeout = 2,
    RecvTimeout = 3,
    SendClosed = 4,
    RecvClosed = 5,
    SendCancelled = 6,
    RecvCancelled = 7,
}

/// Adds one where nobody else writes, and says what there was before.
#[inline(always)]
fn bump(figure: &AtomicU64) -> u64 {
    let before = figure.load(Ordering::Relaxed);
    figure.store(before + 1, Ordering::Relaxed);
    before
}

/// Takes one away where nobody else writes.
fn lower(figure: &AtomicU64) {
    figure.store(figure.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
}

impl Figures {
    /// A value went into the buffer, which now holds `len`. Under the lock.
    #[inline(always)]
    pub(super) fn stored(&self, len: usize) {
        bump(&self.stored);
        if len as u64 > self.high_water.load(Ordering::Relaxed) {
            self.rise(len as u64);
        }
    }

    #[inline(always)]
    fn rise(&self, len: u64) {
        self.high_water.store(len, Ordering::Relaxed);
        if len == 1 {
            self.stamp();
        }
    }

    /// A value went from a sender to a waiting receiver. Under the lock.
    #[inline(always)]
    pub(super) fn handed(&self) {
        if bump(&self.handed).is_multiple_of(STAMP) {
            self.stamp();
        }
    }

    /// A value that was handed to a receiver went into the buffer after all. Under the lock.
    pub(super) fn handed_back(&self) {
        lower(&self.handed);
        bump(&self.stored);
    }

    /// A value that came out went back. Under the lock.
    pub(super) fn taken_back(&self) {
        lower(&self.taken);
    }

    /// A value came out. Under the lock.
    #[inline(always)]
    pub(super) fn taken(&self) {
        bump(&self.taken);
    }

    /// A waiting sender's value went in, or out. Under the lock.
    #[inline(always)]
    pub(super) fn fetched(&self) {
        if bump(&self.fetched).is_multiple_of(STAMP) {
            self.stamp();
        }
    }

    /// Looks at the clock: what has been counted has happened by now. Under the lock.
    #[cold]
    #[inline(never)]
    fn stamp(&self) {
        let now = clock::now();
        if self.first.load(Ordering::Relaxed) == 0 {
            self.first.store(now, Ordering::Relaxed);
        }
        self.note(now, self.operations());
    }

    /// The channel is closed: stamps what came before. Under the lock.
    pub(super) fn ended(&self) {
        if self.operations() != self.stamped.load(Ordering::Relaxed) {
            self.stamp();
        }
    }

    /// At `now` there had been so many operations.
    fn note(&self, now: u64, operations: u64) {
        self.stamped.store(operations, Ordering::Relaxed);
        self.last.fetch_max(now, Ordering::Relaxed);
    }

    fn operations(&self) -> u64 {
        [&self.stored, &self.handed, &self.taken].map(|f| f.load(Ordering::Relaxed)).iter().sum()
    }

    pub(super) fn failed(&self, failure: Failure) {
        self.failures[failure as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A waiter left without what it waited for.
    pub(super) fn waiter_left(&self) {
        self.waiters.fetch_add(1, Ordering::Relaxed);
    }

    /// The overflow policy let a value fall.
    pub(super) fn dropped(&self) {
        self.drops.fetch_add(1, Ordering::Relaxed);
    }

    /// Values went to the undelivered hook, or would have.
    pub(super) fn undelivered(&self, values: usize) {
        self.undelivered.fetch_add(values as u64, Ordering::Relaxed);
    }

    /// Fills in what is counted; `direct`: the channel has no buffer; `size`: of a value.
    pub(super) fn read(&self, into: &mut Snapshot, direct: bool, size: usize) {
        let get = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        let failure = |failure: Failure| get(&self.failures[failure as usize]);
        let (handed, fetched) = (get(&self.handed), get(&self.fetched));
        into.sends = get(&self.stored) + handed + fetched;
        into.recvs = get(&self.taken) + handed;
        into.bytes_sent = into.sends * size as u64;
        into.bytes_received = into.recvs * size as u64;
        into.matches = handed + if direct { fetched } else { 0 };
        into.high_water = get(&self.high_water);
        into.full = failure(Failure::Full);
        into.empty = failure(Failure::Empty);
        into.send_timeouts = failure(Failure::SendTimeout);
        into.recv_timeouts = failure(Failure::RecvTimeout);
        into.send_closed = failure(Failure::SendClosed);
        into.recv_closed = failure(Failure::RecvClosed);
        into.send_cancelled = failure(Failure::SendCancelled);
        into.recv_cancelled = failure(Failure::RecvCancelled);
        into.cancelled_waiters = get(&self.waiters);
        into.drops = get(&self.drops);
        into.undelivered = get(&self.undelivered);
        let operations = self.operations();
        if operations != get(&self.stamped) {
            self.note(into.at.as_nanos() as u64, operations);
        }
        let origin = get(&self.first);
        into.first_operation = (origin != 0).then(|| Duration::from_nanos(origin));
        into.last_operation = (origin != 0).then(|| Duration::from_nanos(get(&self.last)));
    }
}

/// A channel's figures at a moment.
///
/// The counters stay 0 unless the channel was built with
/// [`metrics(true)`](super::Builder::metrics); `depth` and `closed` are always there. Times are since
/// the machine's start, as `CLOCK_MONOTONIC` has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// When it was taken.
    pub at: Duration,
    /// Whether the channel counts.
    pub counted: bool,
    /// Values that went in, or straight to a receiver.
    pub sends: u64,
    /// Values that went out.
    pub recvs: u64,
    /// Their bytes: the size of the type for a typed channel, the length for payloads.
    pub bytes_sent: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Values that went from a sender to a receiver without the buffer.
    pub matches: u64,
    /// Those of them that were payloads' descriptors: no byte was copied.
    pub zero_copy_matches: u64,
    /// Payloads sent through a channel made by [`zref`](super::zref()) or
    /// [`build_zref`](super::Builder::build_zref).
    pub zref_sent: u64,
    /// Payloads received from it.
    pub zref_received: u64,
    /// Payloads that went back to their sender because it was closed.
    pub zref_aborted: u64,
    /// Tries to send that found no room.
    pub full: u64,
    /// Tries to receive that found nothing.
    pub empty: u64,
    /// Sends whose deadline passed.
    pub send_timeouts: u64,
    /// Receives whose deadline passed.
    pub recv_timeouts: u64,
    /// Sends that found the channel closed, or were waiting when it closed.
    pub send_closed: u64,
    /// Receives that found it closed and empty, or were waiting when it closed.
    pub recv_closed: u64,
    /// Sends that were cancelled.
    pub send_cancelled: u64,
    /// Receives that were cancelled.
    pub recv_cancelled: u64,
    /// Waiters that left before anything happened: by deadline, cancel, unwinding, a dropped future
    /// or another arm of a select.
    pub cancelled_waiters: u64,
    /// Values that the overflow policy dropped.
    pub drops: u64,
    /// Values that went to the undelivered hook, or were dropped where there is none.
    pub undelivered: u64,
    /// Values in the buffer.
    pub depth: u64,
    /// The greatest depth so far.
    pub high_water: u64,
    /// When the first value was sent.
    pub first_operation: Option<Duration>,
    /// When the last value was sent or received, at the latest: snapshots and the close look at the
    /// clock, operations hardly ever; what has happened since the last look counts as having
    /// happened now.
    pub last_operation: Option<Duration>,
    /// Whether the channel is closed.
    pub closed: bool,
}

impl Snapshot {
    pub(super) fn now(depth: usize, closed: bool) -> Snapshot {
        let at = Duration::from_nanos(clock::now());
        Snapshot { at, depth: depth as u64, closed, ..Snapshot::default() }
    }

    /// What happened per second since `before`, an earlier snapshot of the same channel.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = kcoro::channel::builder().capacity(10).metrics(true).build();
    /// let before = tx.snapshot();
    /// (0..10).for_each(|n: u64| tx.send(n).unwrap());
    /// let now = rx.snapshot();
    /// assert_eq!((now.sends, now.bytes_sent, now.depth), (10, 80, 10));
    /// assert!(now.rate_since(&before).sends > 0.0);
    /// ```
    #[must_use]
    pub fn rate_since(&self, before: &Snapshot) -> Rate {
        let interval = self.at.saturating_sub(before.at);
        let seconds = interval.as_secs_f64();
        let per_second = |now: u64, then: u64| {
            if seconds > 0.0 { now.saturating_sub(then) as f64 / seconds } else { 0.0 }
        };
        Rate {
            interval,
            sends: per_second(self.sends, before.sends),
            recvs: per_second(self.recvs, before.recvs),
            bytes_sent: per_second(self.bytes_sent, before.bytes_sent),
            bytes_received: per_second(self.bytes_received, before.bytes_received),
            drops: per_second(self.drops, before.drops),
        }
    }
}

/// What happens in a channel per second.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
#[non_exhaustive]
pub struct Rate {
    /// The time it is about.
    pub interval: Duration,
    /// Values sent.
    pub sends: f64,
    /// Values received.
    pub recvs: f64,
    /// Bytes sent.
    pub bytes_sent: f64,
    /// Bytes received.
    pub bytes_received: f64,
    /// Values dropped by the overflow policy.
    pub drops: f64,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0} sends/s, {:.0} recvs/s, {:.0} B/s",
            self.sends, self.recvs, self.bytes_sent
        )
    }
}
