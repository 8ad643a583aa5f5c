//! The sending side.

#![forbid(unsafe_code)]

use super::node::Node;
use super::shared::{End, Shared, Side};
use crate::error::{SendError, SendTimeoutError, TrySendError};
use crate::prim::Arc;
use std::fmt;
use std::time::{Duration, Instant};

/// Sends into a channel. Clones send into the same one; when the last is dropped, it closes.
///
/// It may be used from coroutines, plain threads and futures. It is `Send` and `Sync` if the values
/// are `Send`.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Sender<T> {
        Sender { shared }
    }

    /// Sends `value`, waiting for room, or at a rendezvous for a receiver.
    ///
    /// A coroutine suspends, a plain thread blocks. Waiting senders are served in order of arrival.
    ///
    /// # Errors
    ///
    /// The channel is closed: the value comes back.
    #[inline(always)]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.shared.send(value)
    }

    /// Sends `value` if that needs no waiting.
    ///
    /// # Errors
    ///
    /// There is no room, or the channel is closed: the value comes back.
    #[inline]
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.shared.try_send(value)
    }

    /// Sends `value`, waiting for `timeout` at most; zero tries.
    ///
    /// # Errors
    ///
    /// The time is up, or the channel is closed: the value comes back.
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.send_deadline(value, deadline),
            None => self.send(value).map_err(|error| SendTimeoutError::Closed(error.0)),
        }
    }

    /// Sends `value`, waiting until `deadline` at most; one that has passed tries.
    ///
    /// # Errors
    ///
    /// The deadline has passed, or the channel is closed: the value comes back.
    pub fn send_deadline(&self, value: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        let node = Node::new(Some(value));
        let end = self.shared.wait_limited(&node, Side::Send, deadline);
        match (node.into_value(), end) {
            (None, _) => Ok(()),
            (Some(value), End::TimedOut) => Err(SendTimeoutError::Timeout(value)),
            (Some(value), End::Refused) => Err(SendTimeoutError::Full(value)),
            (Some(value), _) => Err(SendTimeoutError::Closed(value)),
        }
    }

    /// Closes the channel: sends fail from now on, receivers drain what is left. True the first
    /// time. All that wait are woken.
    pub fn close(&self) -> bool {
        self.shared.close()
    }

    /// Whether the channel is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Values in the buffer at this moment; those of waiting senders do not count.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether the buffer is empty at this moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the buffer is full at this moment; at a rendezvous it always is.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.capacity().is_some_and(|capacity| self.len() >= capacity)
    }

    /// How many values the buffer holds; `None` without a bound.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.shared.capacity()
    }

    /// Whether both send into the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.shared.join(Side::Send);
        Sender { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.leave(Side::Send);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({:?})", self.shared)
    }
}
