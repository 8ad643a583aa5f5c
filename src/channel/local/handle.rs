//! The two sides of a local channel, and iterators.

#![forbid(unsafe_code)]

use super::core::{Channel, End, Node, Side};
use crate::error::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
use std::fmt;
use std::iter::FusedIterator;
use std::rc::Rc;
use std::time::{Duration, Instant};

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

    /// Sends `value`, waiting for `timeout` at most; zero tries.
    ///
    /// # Errors
    ///
    /// The time is up, or the channel is closed: the value comes back.
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.send_deadline(value, deadline),
            None => Ok(self.send(value)?),
        }
    }

    /// Sends `value`, waiting until `deadline` at most; one that has passed tries.
    ///
    /// # Errors
    ///
    /// The deadline has passed, or the channel is closed: the value comes back.
    pub fn send_deadline(&self, value: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        let value = match self.try_send(value) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(value)) => return Err(SendTimeoutError::Closed(value)),
            Err(TrySendError::Full(value)) => value,
        };
        let node = Node::new(Some(value));
        let end = self.channel.wait_until(&node, Side::Send, deadline);
        match (node.into_value(), end) {
            (None, _) => Ok(()),
            (Some(value), End::TimedOut) => Err(SendTimeoutError::Timeout(value)),
            (Some(value), End::Over) => Err(SendTimeoutError::Closed(value)),
        }
    }

    /// Closes the channel: sends fail from now on, receivers drain what is left. True the first
    /// time. All that wait are woken.
    pub fn close(&self) -> bool {
        self.channel.close()
    }

    /// Whether the channel is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.channel.is_closed()
    }

    /// Values in the buffer; those of waiting senders do not count.
    #[must_use]
    pub fn len(&self) -> usize {
        self.channel.len()
    }

    /// Whether the buffer is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the buffer is full; at a rendezvous it always is.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.capacity().is_some_and(|capacity| self.len() >= capacity)
    }

    /// How many values the buffer holds; `None` without a bound.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.channel.bound()
    }

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

    /// Receives the next value, waiting for `timeout` at most; zero tries.
    ///
    /// # Errors
    ///
    /// The time is up, or the channel is closed and empty.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.recv_deadline(deadline),
            None => Ok(self.recv()?),
        }
    }

    /// Receives the next value, waiting until `deadline` at most; one that has passed tries.
    ///
    /// # Errors
    ///
    /// The deadline has passed, or the channel is closed and empty.
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        match self.try_recv() {
            Ok(value) => return Ok(value),
            Err(TryRecvError::Closed) => return Err(RecvTimeoutError::Closed),
            Err(TryRecvError::Empty) => {}
        }
        let node = Node::new(None);
        let end = self.channel.wait_until(&node, Side::Recv, deadline);
        match (node.into_value(), end) {
            (Some(value), _) => Ok(value),
            (None, End::TimedOut) => Err(RecvTimeoutError::Timeout),
            (None, End::Over) => Err(RecvTimeoutError::Closed),
        }
    }

    /// Receives until the channel is closed and empty, waiting for each value.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// Receives what is there, and ends when nothing is.
    #[must_use]
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self }
    }

    /// Closes the channel: sends fail from now on; what is left can still be received. True the
    /// first time. All that wait are woken.
    pub fn close(&self) -> bool {
        self.channel.close()
    }

    /// Whether the channel is closed; something may be left in it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.channel.is_closed()
    }

    /// Values in the buffer; those of waiting senders do not count.
    #[must_use]
    pub fn len(&self) -> usize {
        self.channel.len()
    }

    /// Whether the buffer is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the buffer is full; at a rendezvous it always is.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.capacity().is_some_and(|capacity| self.len() >= capacity)
    }

    /// How many values the buffer holds; `None` without a bound.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.channel.bound()
    }

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

/// What [`Receiver::iter`] returns.
#[derive(Debug)]
pub struct Iter<'a, T> {
    receiver: &'a Receiver<T>,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T> FusedIterator for Iter<'_, T> {}

/// What [`Receiver::try_iter`] returns.
#[derive(Debug)]
pub struct TryIter<'a, T> {
    receiver: &'a Receiver<T>,
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

/// What `for value in receiver` iterates with: it owns the receiver.
#[derive(Debug)]
pub struct IntoIter<T> {
    receiver: Receiver<T>,
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T> FusedIterator for IntoIter<T> {}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self }
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}
