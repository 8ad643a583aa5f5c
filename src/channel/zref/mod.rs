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

mod arm;
mod bytes;
mod figures;

pub use arm::{ZrefRecvArm, ZrefSendArm};
pub use bytes::{BytesReceiver, BytesSender, bytes, bytes_in};
pub use figures::Traffic;

use super::shared::End;
use super::verbs::{iterators, limited_recvs, limited_sends, looks};
use super::wait::Limits;
use super::{Builder, Snapshot};
use crate::arena::Payload;
use crate::error::{RecvError, SendError, TryRecvError, TrySendError};
use figures::Tally;
use std::fmt;
use std::future::Future;

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

    limited_sends!(self, [&self], Payload);

    fn send_limited(&self, payload: Payload, limits: Limits<'_>) -> Result<(), (Payload, End)> {
        let length = payload.len();
        let outcome = self.tx.send_limited(payload, limits);
        self.tally.count(length, outcome.is_ok());
        outcome
    }

    /// Sends `payload` from a future. It is counted when the future is ready: one that is dropped
    /// before has sent its payload uncounted, or drops it.
    pub fn send_async(
        &self,
        payload: Payload,
    ) -> impl Future<Output = Result<(), SendError<Payload>>> + Send + '_ {
        let (length, futures) = (payload.len(), self.tally.futures());
        let sending = self.tx.send_async(payload);
        async move {
            let outcome = sending.await;
            futures.count(length, outcome.is_ok());
            outcome
        }
    }

    /// An arm for a [`Select`](super::Select); it keeps the payload unless it is chosen.
    #[must_use]
    pub fn arm(&self, payload: Payload) -> ZrefSendArm<'_> {
        ZrefSendArm::new(self, payload)
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

    looks!(tx);

    /// Whether both send into the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &ZrefSender) -> bool {
        self.tx.same_channel(&other.tx)
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

    limited_recvs!(self, [&self], Payload);

    fn recv_limited(&self, limits: Limits<'_>) -> Result<Payload, End> {
        self.note(self.rx.recv_limited(limits))
    }

    /// Receives the next payload in a future. If a future is dropped that has been given one, it goes
    /// to the next receiver.
    pub fn recv_async(&self) -> impl Future<Output = Result<Payload, RecvError>> + Send + '_ {
        let (receiving, futures) = (self.rx.recv_async(), self.tally.futures());
        async move {
            let outcome = receiving.await;
            let length = outcome.as_ref().map_or(0, |payload| payload.len());
            futures.count(length, outcome.is_ok());
            outcome
        }
    }

    /// An arm for a [`Select`](super::Select).
    #[must_use]
    pub fn arm(&self) -> ZrefRecvArm<'_> {
        ZrefRecvArm::new(self)
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

    looks!(rx);

    /// Whether both receive from the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &ZrefReceiver) -> bool {
        self.rx.same_channel(&other.rx)
    }
}

iterators!([] ZrefReceiver, Payload, []);

impl fmt::Debug for ZrefReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zref{:?}, {:?}", self.rx, self.traffic())
    }
}
