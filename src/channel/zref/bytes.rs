//! A channel that copies bytes into the arena and out of it.
//!
//! The sender's bytes are copied once, the receiver's once; what travels is the payload. A receiver
//! that wants no copy takes the payload. If the arena has a limit and is full, a send waits until
//! somebody drops a payload, or the channel is closed.

#![forbid(unsafe_code)]

use super::super::Snapshot;
use super::super::deadline;
use super::super::parties::Parties;
use super::super::shared::End;
use super::super::verbs::{limited_recvs, looks};
use super::super::wait::Limits;
use super::{Capacity, Traffic, ZrefReceiver, ZrefRecvArm, ZrefSender, zref};
use crate::arena::{Arena, Payload};
use crate::cancel::CancelToken;
use crate::coroutine::WaitReason;
use crate::error::{
    ArenaError, RecvCancelError, RecvError, RecvTimeoutError, SendBytesError, SendError,
    TryRecvError, TrySendError,
};
use crate::prim::{Arc, AtomicU64, Mutex, Ordering};
use crate::token::{Outcome, SlotRef, Wait};
use std::fmt;
use std::future::{Future, poll_fn};
use std::task::Poll;
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
        let payload = self.copy(bytes, Limits::default())?;
        self.tx.send(payload).map_err(refused)
    }

    /// As [`send`](BytesSender::send), waiting for `timeout` at most.
    ///
    /// # Errors
    ///
    /// As [`send`](BytesSender::send), or the time is up.
    pub fn send_timeout(&self, bytes: &[u8], timeout: Duration) -> Result<(), SendBytesError> {
        let deadline = deadline::after(timeout);
        self.send_limited(bytes, Limits { deadline, cancel: None })
    }

    /// As [`send`](BytesSender::send), waiting until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`send`](BytesSender::send), or the deadline has passed.
    pub fn send_deadline(&self, bytes: &[u8], deadline: Instant) -> Result<(), SendBytesError> {
        self.send_limited(bytes, Limits { deadline: deadline::at(deadline), cancel: None })
    }

    /// As [`send`](BytesSender::send), unless `token` is cancelled before.
    ///
    /// # Errors
    ///
    /// As [`send`](BytesSender::send), or the token is cancelled.
    pub fn send_cancellable(
        &self,
        bytes: &[u8],
        token: &CancelToken,
    ) -> Result<(), SendBytesError> {
        self.send_limited(bytes, Limits { deadline: None, cancel: Some(token) })
    }

    /// As [`send`](BytesSender::send), unless `token` is cancelled or `timeout` is over before.
    ///
    /// # Errors
    ///
    /// As [`send`](BytesSender::send), the token is cancelled, or the time is up.
    pub fn send_timeout_cancellable(
        &self,
        bytes: &[u8],
        timeout: Duration,
        token: &CancelToken,
    ) -> Result<(), SendBytesError> {
        let deadline = deadline::after(timeout);
        self.send_limited(bytes, Limits { deadline, cancel: Some(token) })
    }

    fn send_limited(&self, bytes: &[u8], limits: Limits<'_>) -> Result<(), SendBytesError> {
        let payload = self.copy(bytes, limits)?;
        self.tx.send_limited(payload, limits).map_err(|(_, end)| ended(end))
    }

    /// As [`send`](BytesSender::send), as a future, which waits for room in the arena as well.
    ///
    /// # Errors
    ///
    /// As [`send`](BytesSender::send).
    pub fn send_async<'a>(
        &'a self,
        bytes: &'a [u8],
    ) -> impl Future<Output = Result<(), SendBytesError>> + Send + 'a {
        let BytesSender { tx: ZrefSender { tx, tally }, arena, max_len, roomless } = self;
        let (futures, max_len) = (tally.futures(), *max_len);
        async move {
            let payload = loop {
                check(bytes, max_len, tx.is_closed())?;
                match try_copy(arena, bytes)? {
                    Some(payload) => break payload,
                    None => room(arena, roomless, bytes.len(), || tx.is_closed()).await,
                }
            };
            let outcome = tx.send_async(payload).await;
            futures.count(bytes.len(), outcome.is_ok());
            outcome.map_err(refused)
        }
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
        check(bytes, self.max_len, self.tx.is_closed())
    }

    fn copy(&self, bytes: &[u8], limits: Limits<'_>) -> Result<Payload, SendBytesError> {
        loop {
            self.check(bytes)?;
            if limits.is_cancelled() {
                return Err(SendBytesError::Cancelled);
            }
            match try_copy(&self.arena, bytes)? {
                Some(payload) => return Ok(payload),
                None => self.wait_for_room(bytes.len(), limits)?,
            }
        }
    }

    #[cold]
    fn wait_for_room(&self, len: usize, limits: Limits<'_>) -> Result<(), SendBytesError> {
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
        limits.park(wait).map_or(Ok(()), |end| Err(ended(end)))
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

    /// What the channel has counted: messages and bytes, as [`ZrefSender::snapshot`].
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.tx.snapshot()
    }

    /// Closes the channel: sends fail from now on, receivers drain what is left. True the first
    /// time.
    pub fn close(&self) -> bool {
        let first = self.tx.close();
        self.roomless.call();
        first
    }

    looks!(tx);
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

    /// As [`recv_into`](BytesReceiver::recv_into), waiting for `timeout` at most.
    ///
    /// # Errors
    ///
    /// The time is up, or the channel is closed and empty.
    pub fn recv_into_timeout(
        &self,
        buffer: &mut Vec<u8>,
        timeout: Duration,
    ) -> Result<usize, RecvTimeoutError> {
        let payload = self.rx.recv_timeout(timeout)?;
        Ok(copy_out(&payload, buffer))
    }

    /// As [`recv_into`](BytesReceiver::recv_into), unless `token` is cancelled before.
    ///
    /// # Errors
    ///
    /// The token is cancelled, or the channel is closed and empty.
    pub fn recv_into_cancellable(
        &self,
        buffer: &mut Vec<u8>,
        token: &CancelToken,
    ) -> Result<usize, RecvCancelError> {
        let payload = self.rx.recv_cancellable(token)?;
        Ok(copy_out(&payload, buffer))
    }

    /// As [`recv_into`](BytesReceiver::recv_into), as a future.
    ///
    /// # Errors
    ///
    /// The channel is closed and empty.
    pub fn recv_into_async<'a>(
        &'a self,
        buffer: &'a mut Vec<u8>,
    ) -> impl Future<Output = Result<usize, RecvError>> + Send + 'a {
        let receiving = self.rx.recv_async();
        async move { Ok(copy_out(&receiving.await?, buffer)) }
    }

    /// Receives the next message where it lies, without copying it.
    ///
    /// # Errors
    ///
    /// The channel is closed and empty.
    pub fn recv(&self) -> Result<Payload, RecvError> {
        self.rx.recv()
    }

    /// As [`recv`](BytesReceiver::recv), if there is a message now.
    ///
    /// # Errors
    ///
    /// There is none now, or the channel is closed and empty.
    pub fn try_recv(&self) -> Result<Payload, TryRecvError> {
        self.rx.try_recv()
    }

    limited_recvs!(self, [&self], Payload);

    fn recv_limited(&self, limits: Limits<'_>) -> Result<Payload, End> {
        self.rx.recv_limited(limits)
    }

    /// As [`recv`](BytesReceiver::recv), as a future.
    pub fn recv_async(&self) -> impl Future<Output = Result<Payload, RecvError>> + Send + '_ {
        self.rx.recv_async()
    }

    /// An arm for a [`Select`](crate::channel::Select), which gives the message where it lies.
    #[must_use]
    pub fn arm(&self) -> ZrefRecvArm<'_> {
        self.rx.arm()
    }

    /// Messages and bytes received by all receivers.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.rx.traffic()
    }

    /// As [`BytesSender::snapshot`].
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.rx.snapshot()
    }

    /// Closes the channel: sends fail from now on; what is left can still be received. True the
    /// first time.
    pub fn close(&self) -> bool {
        let first = self.rx.close();
        self.roomless.call();
        first
    }

    looks!(rx);
}

fn check(bytes: &[u8], max: usize, closed: bool) -> Result<(), SendBytesError> {
    match bytes.len() {
        length if length > max => Err(SendBytesError::TooLong { length, max }),
        _ if closed => Err(SendBytesError::Closed),
        _ => Ok(()),
    }
}

/// A copy in the arena; none: it is full, and it helps to wait.
fn try_copy(arena: &Arena, bytes: &[u8]) -> Result<Option<Payload>, SendBytesError> {
    match arena.copy(bytes) {
        Ok(payload) => Ok(Some(payload)),
        Err(ArenaError::Full { requested, limit, .. }) if requested <= limit => Ok(None),
        Err(error) => Err(SendBytesError::Arena(error)),
    }
}

/// A future among the [`Roomless`], until dropped.
struct ListedTask<'a> {
    roomless: &'a Roomless,
    key: u64,
}

impl Drop for ListedTask<'_> {
    fn drop(&mut self) {
        let waker = self.roomless.0.lock().remove_task(self.key);
        drop(waker);
    }
}

/// Waits as a future until there may be room for `len` bytes, or the channel is closed.
async fn room(arena: &Arena, roomless: &Roomless, len: usize, closed: impl Fn() -> bool) {
    static KEYS: AtomicU64 = AtomicU64::new(0);
    let mut waiting = None;
    poll_fn(|context| {
        if waiting.is_some() {
            // Woken, for whatever reason: look again.
            return Poll::Ready(());
        }
        let key = KEYS.fetch_add(1, Ordering::Relaxed);
        let (waker, other) = (context.waker().clone(), context.waker().clone());
        let before = roomless.0.lock().set_task(key, waker);
        debug_assert!(before.is_none(), "keys are used once");
        let listed = ListedTask { roomless, key };
        let room = arena.wait_for_room(len, move || other.wake());
        // Who closes from now on finds it listed.
        if room.is_none() || closed() {
            return Poll::Ready(());
        }
        waiting = Some((listed, room));
        Poll::Pending
    })
    .await;
}

fn ended(end: End) -> SendBytesError {
    match end {
        End::Cancelled => SendBytesError::Cancelled,
        End::TimedOut => SendBytesError::Timeout,
        End::Refused => SendBytesError::Full,
        End::Closed | End::Done => SendBytesError::Closed,
    }
}

fn refused(error: SendError<Payload>) -> SendBytesError {
    match error {
        SendError::Closed(_) => SendBytesError::Closed,
        SendError::Full(_) => SendBytesError::Full,
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
