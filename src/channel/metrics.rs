//! What a channel counts, for those who ask for it.
//!
//! A channel without metrics tests one pointer per operation. With metrics, what happens under the
//! lock is counted there with plain loads and stores; failures are counted outside of it. Reading
//! takes no lock, so a snapshot of a busy channel is not one instant's truth, but each figure is.
//!
//! # Invariants
//!
//! 1. Figures of `inside` are written by the holder of the lock only; the others by anybody, with one
//!    atomic addition.
//! 2. No figure ever falls, but `depth`.
//!
//! # Who calls this, and what it may call
//!
//! `shared`, and readers from anywhere. It reads the clock once in [`STAMP`] operations.

#![forbid(unsafe_code)]

use crate::prim::{AtomicU64, Ordering};
use crate::sys::clock;
use std::fmt;
use std::time::Duration;

/// Operations between two looks at the clock.
const STAMP: u64 = 64;

/// The figures of one channel.
#[derive(Debug, Default)]
pub(super) struct Figures {
    sends: AtomicU64,
    recvs: AtomicU64,
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
    matches: AtomicU64,
    high_water: AtomicU64,
    first: AtomicU64,
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

/// Adds where nobody else writes.
fn bump(figure: &AtomicU64, by: u64) -> u64 {
    let value = figure.load(Ordering::Relaxed) + by;
    figure.store(value, Ordering::Relaxed);
    value
}

impl Figures {
    /// Values of `bytes` in all went in; `len` are in the buffer. Under the lock.
    pub(super) fn sent(&self, values: u64, bytes: u64, len: usize) {
        let sends = bump(&self.sends, values);
        bump(&self.bytes_sent, bytes);
        if len as u64 > self.high_water.load(Ordering::Relaxed) {
            self.high_water.store(len as u64, Ordering::Relaxed);
        }
        if sends % STAMP <= 1 {
            self.stamp(sends);
        }
    }

    /// Values went out. Under the lock.
    pub(super) fn received(&self, values: u64, bytes: u64) {
        let recvs = bump(&self.recvs, values);
        bump(&self.bytes_received, bytes);
        if recvs % STAMP <= 1 {
            self.stamp(self.sends.load(Ordering::Relaxed));
        }
    }

    /// A sender and a receiver met without the buffer. Under the lock.
    pub(super) fn matched(&self) {
        bump(&self.matches, 1);
    }

    #[cold]
    fn stamp(&self, sends: u64) {
        let now = clock::now();
        if self.first.load(Ordering::Relaxed) == 0 {
            self.first.store(now, Ordering::Relaxed);
        }
        self.last.store(now, Ordering::Relaxed);
        self.stamped.store(sends + self.recvs.load(Ordering::Relaxed), Ordering::Relaxed);
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

    pub(super) fn read(&self, into: &mut Snapshot) {
        let get = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        let failure = |failure: Failure| get(&self.failures[failure as usize]);
        into.sends = get(&self.sends);
        into.recvs = get(&self.recvs);
        into.bytes_sent = get(&self.bytes_sent);
        into.bytes_received = get(&self.bytes_received);
        into.matches = get(&self.matches);
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
        let origin = get(&self.first);
        into.first_operation = (origin != 0).then(|| Duration::from_nanos(origin));
        let mut last = get(&self.last);
        if into.sends + into.recvs != get(&self.stamped) {
            last = into.at.as_nanos() as u64;
        }
        into.last_operation = (origin != 0).then(|| Duration::from_nanos(last));
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
    /// Their bytes: the size of the type for a typed channel.
    pub bytes_sent: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Values that went from a sender to a receiver without the buffer.
    pub matches: u64,
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
    /// When the last value was sent or received, at the latest: the clock is read once in 64
    /// operations, so operations since then count as having happened now.
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
