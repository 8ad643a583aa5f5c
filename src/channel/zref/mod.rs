//! Channels of byte payloads: [`zref()`] hands descriptors on and touches no byte, [`bytes`] copies in
//! and out.
//!
//! Both are the one engine with [`Payload`] as its value. A payload reaches exactly one receiver,
//! which may read it, slice it, keep it, or send it on into another channel: the bytes stay where
//! they are. A payload that could not be sent comes back in the error. Both sides count messages and
//! bytes, the latter from the payload's length, without looking at them.
//!
//! # Invariants
//!
//! 1. `zref` never reads nor writes a payload's bytes.
//! 2. What is sent is counted after it was accepted, what is received after it was taken out: when
//!    all have come to rest, `sent - received` is what the channel holds or has dropped.
//!
//! # Who calls this, and what it may call
//!
//! Coroutines and threads. Sending bytes may also wait for room in the arena.

#![forbid(unsafe_code)]

mod bytes;
mod figures;

pub use bytes::{BytesReceiver, BytesSender, bytes, bytes_in};
pub use figures::Traffic;

use super::{Builder, Snapshot};
use crate::arena::Payload;
use crate::error::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
use figures::Tally;
use std::fmt;
use std::time::Duration;

/// How many payloads a channel holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Capacity {
    /// None: a send waits for a receiver.
    Rendezvous,
    /// So many, exactly.
    Bounded(usize),
    /// Any number.
    Unbounded,
}

impl Capacity {
    fn bound(self) -> Option<usize> {
        match self {
            Capacity::Rendezvous => Some(0),
            Capacity::Bounded(capacity) => Some(capacity),
            Capacity::Unbounded => None,
        }
    }
}

impl From<usize> for Capacity {
    fn from(capacity: usize) -> Capacity {
        Capacity::Bounded(capacity)
    }
}

/// A channel that moves payloads without touching their bytes.
///
/// # Examples
///
/// ```
/// use kcoro::arena::Arena;
/// use kcoro::channel::{self, Capacity};
///
/// let arena = Arena::new();
/// let (tx, rx) = channel::zref(Capacity::Bounded(4));
/// let payload = arena.copy(b"large")?;
/// let address = payload.as_ptr();
/// tx.send(payload).unwrap();
/// let received = rx.recv().unwrap();
/// assert_eq!((received.as_ptr(), &received[..]), (address, &b"large"[..]));
/// assert_eq!(rx.traffic().bytes, 5);
/// # Ok::<(), kcoro::error::ArenaError>(())
/// ```
#[must_use]
pub fn zref(capacity: impl Into<Capacity>) -> (ZrefSender, ZrefReceiver) {
    let builder = super::builder();
    match capacity.into().bound() {
        Some(capacity) => builder.capacity(capacity).build_zref(),
        None => builder.build_zref(),
    }
}

impl Builder<Payload> {
    /// Makes a channel that moves payloads without touching their bytes, as [`zref()`] does, with what
    /// was set before.
    ///
    /// # Examples
    ///
    /// ```
    /// use kcoro::arena::Arena;
    /// use kcoro::channel;
    ///
    /// let arena = Arena::new();
    /// let (tx, rx) = channel::builder().capacity(4).metrics(true).build_zref();
    /// tx.send(arena.copy(b"large")?).unwrap();
    /// rx.recv().unwrap();
    /// let figures = tx.snapshot();
    /// assert_eq!((figures.zref_sent, figures.zref_received, figures.bytes_sent), (1, 1, 5));
    /// # Ok::<(), kcoro::error::ArenaError>(())
    /// ```
    #[must_use]
    pub fn build_zref(self) -> (ZrefSender, ZrefReceiver) {
        let (tx, rx) = self.build();
        let (sent, received) = Tally::pair();
        (ZrefSender { tx, tally: sent }, ZrefReceiver { rx, tally: received })
    }
}

/// The channel's own figures with those of its payloads put in.
fn with_traffic(mut snapshot: Snapshot, sent: Traffic, received: Traffic) -> Snapshot {
    snapshot.zref_sent = sent.messages;
    snapshot.zref_received = received.messages;
    snapshot.zref_aborted = snapshot.send_closed;
    snapshot.zero_copy_matches = snapshot.matches;
    snapshot.bytes_sent = sent.bytes;
    snapshot.bytes_received = received.bytes;
    snapshot
}

/// Sends payloads. Clones send into the same channel; when the last is dropped, it closes.
///
/// A handle counts for itself, so it is `Send` and not `Sync`: clone one for each party.
#[derive(Clone)]
pub struct ZrefSender {
    tx: super::Sender<Payload>,
    tally: Tally,
}

impl ZrefSender {
    /// Sends `payload`, waiting for room, or at a rendezvous for a receiver.
    ///
    /// # Errors
    ///
    /// The channel is closed: the payload comes back.
    #[inline(always)]
    pub fn send(&self, payload: Payload) -> Result<(), SendError<Payload>> {
        let length = payload.len();
        let outcome = self.tx.send(payload);
        self.tally.count(length, outcome.is_ok());
        outcome
    }

    /// Sends `payload` if that needs no waiting.
    ///
    /// # Errors
    ///
    /// There is no room, or the channel is closed: the payload comes back.
    #[inline]
    pub fn try_send(&self, payload: Payload) -> Result<(), TrySendError<Payload>> {
        let length = payload.len();
        let outcome = self.tx.try_send(payload);
        self.tally.count(length, outcome.is_ok());
        outcome
    }

    /// Sends `payload`, waiting for `timeout` at most.
    ///
    /// # Errors
    ///
    /// The time is up, or the channel is closed: the payload comes back.
    pub fn send_timeout(
        &self,
        payload: Payload,
        timeout: Duration,
    ) -> Result<(), SendTimeoutError<Payload>> {
        let length = payload.len();
        let outcome = self.tx.send_timeout(payload, timeout);
        self.tally.count(length, outcome.is_ok());
        outcome
    }

    /// Messages and bytes sent by all senders.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.tally.total()
    }

    /// What the channel has counted. Messages and bytes are always there, the rest if it was built
    /// with [`metrics(true)`](Builder::metrics).
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        with_traffic(self.tx.snapshot(), self.tally.total(), self.tally.opposite())
    }

    /// Closes the channel: sends fail from now on, receivers drain what is left. True the first
    /// time.
    pub fn close(&self) -> bool {
        self.tx.close()
    }

    /// Whether the channel is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.tx.is_closed()
    }

    /// Payloads in the channel at this moment; those of waiting senders do not count.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tx.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tx.is_empty()
    }

    /// How many payloads the channel holds; `None` without a bound.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.tx.capacity()
    }
}

impl fmt::Debug for ZrefSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zref{:?}, {:?}", self.tx, self.traffic())
    }
}

/// Receives payloads. Clones receive from the same channel, each payload at one of them; when the
/// last is dropped, it closes and what is left is dropped.
///
/// `Send` and not `Sync`, like the sender.
#[derive(Clone)]
pub struct ZrefReceiver {
    rx: super::Receiver<Payload>,
    tally: Tally,
}

impl ZrefReceiver {
    #[inline(always)]
    fn note<E>(&self, outcome: Result<Payload, E>) -> Result<Payload, E> {
        let length = outcome.as_ref().map_or(0, |payload| payload.len());
        self.tally.count(length, outcome.is_ok());
        outcome
    }

    /// Receives the next payload, waiting for one.
    ///
    /// # Errors
    ///
    /// The channel is closed and empty.
    #[inline(always)]
    pub fn recv(&self) -> Result<Payload, RecvError> {
        self.note(self.rx.recv())
    }

    /// Receives the next payload if that needs no waiting.
    ///
    /// # Errors
    ///
    /// There is none now, or the channel is closed and empty.
    #[inline]
    pub fn try_recv(&self) -> Result<Payload, TryRecvError> {
        self.note(self.rx.try_recv())
    }

    /// Receives the next payload, waiting for `timeout` at most.
    ///
    /// # Errors
    ///
    /// The time is up, or the channel is closed and empty.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Payload, RecvTimeoutError> {
        self.note(self.rx.recv_timeout(timeout))
    }

    /// Receives until the channel is closed and empty.
    pub fn iter(&self) -> impl Iterator<Item = Payload> {
        std::iter::from_fn(|| self.recv().ok())
    }

    /// Messages and bytes received by all receivers.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.tally.total()
    }

    /// As [`ZrefSender::snapshot`].
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        with_traffic(self.rx.snapshot(), self.tally.opposite(), self.tally.total())
    }

    /// Closes the channel: sends fail from now on; what is left can still be received. True the
    /// first time.
    pub fn close(&self) -> bool {
        self.rx.close()
    }

    /// Whether the channel is closed; something may be left in it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.rx.is_closed()
    }

    /// Payloads in the channel at this moment; those of waiting senders do not count.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rx.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rx.is_empty()
    }
}

impl fmt::Debug for ZrefReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zref{:?}, {:?}", self.rx, self.traffic())
    }
}
