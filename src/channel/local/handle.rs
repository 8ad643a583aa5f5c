//! The two sides of a local channel, and iterators.

#![forbid(unsafe_code)]

use super::super::shared::{End, Side};
use super::super::verbs::{iterators, limited_recvs, limited_sends, looks};
use super::super::wait::Limits;
use super::core::{Channel, Node};
use super::future::{RecvFuture, RecvStream, SendFuture};
use crate::error::{RecvError, SendError, TryRecvError, TrySendError};
use std::fmt;
use std::rc::Rc;

/// Sends into a local channel. Clones send into the same one; when the last is dropped, it closes.
/// Neither `Send` nor `Sync`.
pub struct Sender<T> {
    channel: Rc<Channel<T>>,
}

impl<T> Sender<T> {
    pub(super) fn new(channel: Rc<Channel<T>>) -> Sender<T> {
        Sender { channel }
    }

    /// Sends `value`, waiting for room, or at a rendezvous for a receiver.
    ///
    /// # Errors
    ///
    /// The channel is closed: the value comes back.
    ///
    /// # Panics
    ///
    /// If it would have to wait outside of a coroutine.
    #[inline(always)]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.channel.send(value)
    }

    /// Sends `value` if that needs no waiting.
    ///
    /// # Errors
    ///
    /// There is no room, or the channel is closed: the value comes back.
    #[inline]
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.channel.try_send(value)
    }

    limited_sends!(self, [&self], T);

    fn send_limited(&self, value: T, limits: Limits<'_>) -> Result<(), (T, End)> {
        let node = Node::new(Some(value));
        let end = self.channel.wait_limited(&node, Side::Send, limits);
        node.into_value().map_or(Ok(()), |value| Err((value, end)))
    }

    /// Sends `value` from a future, which may wait on any executor of this thread. Dropped before it
    /// is ready, it has either sent its value or drops it.
    ///
    /// # Examples
    ///
    /// ```
    /// use kcoro::channel::local;
    ///
    /// let (tx, rx) = local::rendezvous();
    /// let both = async { futures::join!(tx.send_async(1), rx.recv_async()) };
    /// assert_eq!(futures::executor::block_on(both), (Ok(()), Ok(1)));
    /// ```
    pub fn send_async(&self, value: T) -> SendFuture<'_, T> {
        SendFuture::new(&self.channel, value)
    }

    /// Closes the channel: sends fail from now on, receivers drain what is left. True the first
    /// time. All that wait are woken.
    pub fn close(&self) -> bool {
        self.channel.close()
    }

    looks!(channel);

    /// Whether both send into the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Rc::ptr_eq(&self.channel, &other.channel)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.channel.join(Side::Send);
        Sender { channel: Rc::clone(&self.channel) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.channel.leave(Side::Send);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({:?})", self.channel)
    }
}

/// Receives from a local channel. Clones receive from the same one, each value at one of them; when
/// the last is dropped, the channel closes and what is left is dropped. Neither `Send` nor `Sync`.
pub struct Receiver<T> {
    channel: Rc<Channel<T>>,
}

impl<T> Receiver<T> {
    pub(super) fn new(channel: Rc<Channel<T>>) -> Receiver<T> {
        Receiver { channel }
    }

    /// Receives the next value, waiting for one.
    ///
    /// # Errors
    ///
    /// The channel is closed and empty.
    ///
    /// # Panics
    ///
    /// If it would have to wait outside of a coroutine.
    #[inline(always)]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.channel.recv()
    }

    /// Receives the next value if that needs no waiting.
    ///
    /// # Errors
    ///
    /// There is none now, or the channel is closed and empty.
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.channel.try_recv()
    }

    limited_recvs!(self, [&self], T);

    fn recv_limited(&self, limits: Limits<'_>) -> Result<T, End> {
        let node = Node::new(None);
        let end = self.channel.wait_limited(&node, Side::Recv, limits);
        node.into_value().ok_or(end)
    }

    /// Receives the next value in a future, which may wait on any executor of this thread. If a
    /// future is dropped that has been given a value, the value goes to the next receiver.
    pub fn recv_async(&self) -> RecvFuture<'_, T> {
        RecvFuture::new(&self.channel)
    }

    /// The values as a stream, which ends when the channel is closed and empty.
    pub fn stream(&self) -> RecvStream<'_, T> {
        RecvStream::new(&self.channel)
    }

    /// Closes the channel: sends fail from now on; what is left can still be received. True the
    /// first time. All that wait are woken.
    pub fn close(&self) -> bool {
        self.channel.close()
    }

    looks!(channel);

    /// Whether both receive from the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        Rc::ptr_eq(&self.channel, &other.channel)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Receiver<T> {
        self.channel.join(Side::Recv);
        Receiver { channel: Rc::clone(&self.channel) }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.channel.leave(Side::Recv);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({:?})", self.channel)
    }
}

iterators!([T] Receiver<T>, T, []);
