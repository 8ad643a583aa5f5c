//! A channel that copies bytes into the arena and out of it.
//!
//! The sender's bytes are copied once, the receiver's once; what travels is the payload. A receiver
//! that wants no copy takes the payload. If the arena has a limit and is full, a send waits until
//! somebody drops a payload, or the channel is closed.

#![forbid(unsafe_code)]

use super::super::parties::Parties;
use super::{Capacity, Traffic, ZrefReceiver, ZrefSender, zref};
use crate::arena::{Arena, Payload};
use crate::coroutine::WaitReason;
use crate::error::{
    ArenaError, RecvError, SendBytesError, SendTimeoutError, TryRecvError, TrySendError,
};
use crate::prim::{Arc, Mutex};
use crate::token::{Outcome, SlotRef, Wait};
use std::fmt;
use std::time::{Duration, Instant};

/// A channel that carries messages of up to `max_len` bytes each, in an arena of its own.
///
/// # Examples
///
/// ```
/// use kcoro::channel::{self, Capacity};
///
/// let (tx, rx) = channel::bytes(Capacity::Bounded(64), 4096);
/// tx.send(b"hello").unwrap();
/// let mut buffer = Vec::new();
/// assert_eq!(rx.recv_into(&mut buffer), Ok(5));
/// assert_eq!(buffer, b"hello");
/// ```
#[must_use]
pub fn bytes(capacity: impl Into<Capacity>, max_len: usize) -> (BytesSender, BytesReceiver) {
    bytes_in(&Arena::new(), capacity, max_len)
}

/// As [`bytes`], in `arena`: a send waits while the arena is at its limit.
#[must_use]
pub fn bytes_in(
    arena: &Arena,
    capacity: impl Into<Capacity>,
    max_len: usize,
) -> (BytesSender, BytesReceiver) {
    let (tx, rx) = zref(capacity);
    let roomless = Roomless::default();
    let sender = BytesSender { tx, arena: arena.clone(), max_len, roomless: roomless.clone() };
    (sender, BytesReceiver { rx, roomless })
}

/// The senders that wait for room in the arena. The close of the channel ends that wait as well: each
/// handle has a share, declared last, and calls them when it goes.
#[derive(Clone, Default)]
struct Roomless(Arc<Mutex<Parties>>);

impl Roomless {
    /// Has them all look again.
    fn call(&self) {
        let called = self.0.lock().take();
        called.wake();
    }
}

impl Drop for Roomless {
    fn drop(&mut self) {
        self.call();
    }
}

/// A sender among the [`Roomless`], until dropped.
struct Listed<'a> {
    roomless: &'a Roomless,
    slot: SlotRef,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.roomless.0.lock().remove(self.slot);
    }
}

/// Sends bytes. Clones send into the same channel; when the last is dropped, it closes.
#[derive(Clone)]
pub struct BytesSender {
    tx: ZrefSender,
    arena: Arena,
    max_len: usize,
    roomless: Roomless,
}

impl BytesSender {
    /// Copies `bytes` and sends the copy, waiting for room in the arena and in the channel.
    ///
    /// # Errors
    ///
    /// They are too many, the channel is closed, or the arena cannot hold them at all.
    pub fn send(&self, bytes: &[u8]) -> Result<(), SendBytesError> {
        let payload = self.copy(bytes, None)?;
        self.tx.send(payload).map_err(|_| SendBytesError::Closed)
    }

    /// As [`send`](BytesSender::send), waiting for `timeout` at most.
    ///
    /// # Errors
    ///
    /// As [`send`](BytesSender::send), or the time is up.
    pub fn send_timeout(&self, bytes: &[u8], timeout: Duration) -> Result<(), SendBytesError> {
        let Some(deadline) = Instant::now().checked_add(timeout) else { return self.send(bytes) };
        let payload = self.copy(bytes, Some(deadline))?;
        let left = deadline.saturating_duration_since(Instant::now());
        self.tx.send_timeout(payload, left).map_err(|error| match error {
            SendTimeoutError::Timeout(_) => SendBytesError::Timeout,
            SendTimeoutError::Full(_) => SendBytesError::Full,
            SendTimeoutError::Closed(_) => SendBytesError::Closed,
        })
    }

    /// Copies `bytes` and sends the copy if that needs no waiting.
    ///
    /// # Errors
    ///
    /// As [`send`](BytesSender::send), or there is no room in the channel or the arena.
    pub fn try_send(&self, bytes: &[u8]) -> Result<(), SendBytesError> {
        self.check(bytes)?;
        let payload = self.arena.copy(bytes).map_err(SendBytesError::Arena)?;
        self.tx.try_send(payload).map_err(|error| match error {
            TrySendError::Full(_) => SendBytesError::Full,
            TrySendError::Closed(_) => SendBytesError::Closed,
        })
    }

    fn check(&self, bytes: &[u8]) -> Result<(), SendBytesError> {
        if bytes.len() > self.max_len {
            return Err(SendBytesError::TooLong { length: bytes.len(), max: self.max_len });
        }
        if self.tx.is_closed() { Err(SendBytesError::Closed) } else { Ok(()) }
    }

    fn copy(&self, bytes: &[u8], deadline: Option<Instant>) -> Result<Payload, SendBytesError> {
        loop {
            self.check(bytes)?;
            match self.arena.copy(bytes) {
                Ok(payload) => return Ok(payload),
                Err(ArenaError::Full { requested, limit, used }) if requested > limit => {
                    let error = ArenaError::Full { requested, limit, used };
                    return Err(SendBytesError::Arena(error));
                }
                Err(ArenaError::Full { .. }) => self.wait_for_room(bytes.len(), deadline)?,
                Err(error) => return Err(SendBytesError::Arena(error)),
            }
        }
    }

    #[cold]
    fn wait_for_room(&self, len: usize, deadline: Option<Instant>) -> Result<(), SendBytesError> {
        let wait = Wait::begin_for(WaitReason::Send, std::ptr::from_ref(&self.arena).addr());
        let (slot, generation) = (wait.slot(), wait.generation());
        self.roomless.0.lock().add(slot, generation);
        let _listed = Listed { roomless: &self.roomless, slot };
        let room = self.arena.wait_for_room(len, move || {
            if let Some(claim) = slot.claim(generation, Outcome::Ready(0)) {
                claim.wake();
            }
        });
        // Who closes from now on finds it listed.
        if room.is_none() || self.is_closed() {
            if let Err(claimed) = wait.retract() {
                claimed.park();
            }
            return Ok(());
        }
        let outcome = match deadline {
            None => wait.park(),
            Some(deadline) => wait.park_deadline(deadline),
        };
        if outcome == Outcome::TimedOut { Err(SendBytesError::Timeout) } else { Ok(()) }
    }

    /// How many bytes a message may have.
    #[must_use]
    pub fn max_len(&self) -> usize {
        self.max_len
    }

    /// Messages and bytes sent by all senders.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.tx.traffic()
    }

    /// Closes the channel: sends fail from now on, receivers drain what is left. True the first
    /// time.
    pub fn close(&self) -> bool {
        let first = self.tx.close();
        self.roomless.call();
        first
    }

    /// Whether the channel is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.tx.is_closed()
    }

    /// Messages in the channel at this moment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tx.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tx.is_empty()
    }
}

impl fmt::Debug for BytesSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes{:?}, up to {} bytes each", self.tx, self.max_len)
    }
}

/// Receives bytes. Clones receive from the same channel, each message at one of them.
#[derive(Clone)]
pub struct BytesReceiver {
    rx: ZrefReceiver,
    roomless: Roomless,
}

impl BytesReceiver {
    /// Receives the next message, copied into `buffer` in place of what was there, and returns its
    /// length.
    ///
    /// # Errors
    ///
    /// The channel is closed and empty.
    pub fn recv_into(&self, buffer: &mut Vec<u8>) -> Result<usize, RecvError> {
        let payload = self.rx.recv()?;
        Ok(copy_out(&payload, buffer))
    }

    /// As [`recv_into`](BytesReceiver::recv_into), if there is a message now.
    ///
    /// # Errors
    ///
    /// There is none now, or the channel is closed and empty.
    pub fn try_recv_into(&self, buffer: &mut Vec<u8>) -> Result<usize, TryRecvError> {
        let payload = self.rx.try_recv()?;
        Ok(copy_out(&payload, buffer))
    }

    /// Receives the next message where it lies, without copying it.
    ///
    /// # Errors
    ///
    /// The channel is closed and empty.
    pub fn recv(&self) -> Result<Payload, RecvError> {
        self.rx.recv()
    }

    /// Messages and bytes received by all receivers.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.rx.traffic()
    }

    /// Closes the channel: sends fail from now on; what is left can still be received. True the
    /// first time.
    pub fn close(&self) -> bool {
        let first = self.rx.close();
        self.roomless.call();
        first
    }

    /// Whether the channel is closed; something may be left in it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.rx.is_closed()
    }

    /// Messages in the channel at this moment.
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

fn copy_out(payload: &Payload, buffer: &mut Vec<u8>) -> usize {
    buffer.clear();
    buffer.extend_from_slice(payload);
    payload.len()
}

impl fmt::Debug for BytesReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes{:?}", self.rx)
    }
}
