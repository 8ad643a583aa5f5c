//! The receiving side, and iterators over it.

#![forbid(unsafe_code)]

use super::future::{IntoStream, RecvFuture, RecvStream};
use super::metrics::Snapshot;
use super::metrics_pipe::{self, MetricsConfig, MetricsPipe};
use super::node::Node;
use super::shared::{End, Shared, Side};
use super::wait::Limits;
use crate::cancel::CancelToken;
use crate::error::{RecvCancelError, RecvError, RecvTimeoutError, TryRecvError};
use crate::prim::Arc;
use std::fmt;
use std::io;
use std::iter::FusedIterator;
use std::time::{Duration, Instant};

/// Receives from a channel. Clones receive from the same one, each value at one of them; when the
/// last is dropped, the channel closes and what is left goes to the undelivered hook.
///
/// It may be used from coroutines, plain threads and futures. It is `Send` and `Sync` if the values
/// are `Send`.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Receiver<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Receiver<T> {
        Receiver { shared }
    }

    #[inline(always)]
    pub(super) fn shared(&self) -> &Shared<T> {
        &self.shared
    }

    /// Receives the next value, waiting for one.
    ///
    /// A coroutine suspends, a plain thread blocks. Waiting receivers are served in order of
    /// arrival.
    ///
    /// # Errors
    ///
    /// The channel is closed and empty.
    #[inline(always)]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.shared.recv()
    }

    /// Receives the next value if that needs no waiting.
    ///
    /// # Errors
    ///
    /// There is none now, or the channel is closed and empty.
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.shared.try_recv()
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
        self.recv_limited(Limits { deadline: Some(deadline), cancel: None }).map_err(|end| {
            if end == End::TimedOut { RecvTimeoutError::Timeout } else { RecvTimeoutError::Closed }
        })
    }

    /// Receives the next value, unless `token` is cancelled before one comes.
    ///
    /// A value that has come is returned even if the token is cancelled in the same moment.
    ///
    /// # Errors
    ///
    /// The token is cancelled, or the channel is closed and empty.
    pub fn recv_cancellable(&self, token: &CancelToken) -> Result<T, RecvCancelError> {
        self.recv_cancel_limited(token, None)
    }

    /// Receives the next value, unless `token` is cancelled or `timeout` is over before one comes.
    ///
    /// # Errors
    ///
    /// The token is cancelled (this comes first), the time is up, or the channel is closed and
    /// empty.
    pub fn recv_timeout_cancellable(
        &self,
        timeout: Duration,
        token: &CancelToken,
    ) -> Result<T, RecvCancelError> {
        self.recv_cancel_limited(token, Instant::now().checked_add(timeout))
    }

    /// Receives the next value, unless `token` is cancelled or `deadline` passes before one comes.
    ///
    /// # Errors
    ///
    /// As [`recv_timeout_cancellable`](Self::recv_timeout_cancellable).
    pub fn recv_deadline_cancellable(
        &self,
        deadline: Instant,
        token: &CancelToken,
    ) -> Result<T, RecvCancelError> {
        self.recv_cancel_limited(token, Some(deadline))
    }

    fn recv_cancel_limited(
        &self,
        token: &CancelToken,
        deadline: Option<Instant>,
    ) -> Result<T, RecvCancelError> {
        self.recv_limited(Limits { deadline, cancel: Some(token) }).map_err(|end| match end {
            End::Cancelled => RecvCancelError::Cancelled,
            End::TimedOut => RecvCancelError::Timeout,
            _ => RecvCancelError::Closed,
        })
    }

    fn recv_limited(&self, limits: Limits<'_>) -> Result<T, End> {
        let node = Node::new(None);
        let end = self.shared.wait_limited(&node, Side::Recv, limits);
        node.into_value().ok_or(end)
    }

    /// Receives the next value in a future. The operation begins with the first poll; if a future
    /// is dropped that has been given a value, the value goes to the next receiver.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = kcoro::channel::bounded(1);
    /// tx.send(5).unwrap();
    /// assert_eq!(futures::executor::block_on(rx.recv_async()), Ok(5));
    /// ```
    pub fn recv_async(&self) -> RecvFuture<'_, T> {
        RecvFuture::new(&self.shared)
    }

    /// The values as a stream, which ends when the channel is closed and empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// let (tx, rx) = kcoro::channel::unbounded();
    /// (0..3).for_each(|n| tx.send(n).unwrap());
    /// drop(tx);
    /// let all = futures::executor::block_on(rx.stream().collect::<Vec<_>>());
    /// assert_eq!(all, [0, 1, 2]);
    /// ```
    pub fn stream(&self) -> RecvStream<'_, T> {
        RecvStream::new(&self.shared)
    }

    /// As [`stream`](Self::stream), owning the receiver.
    pub fn into_stream(self) -> IntoStream<T> {
        IntoStream::new(self)
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

    /// Receives up to `max` values into `into`, waiting for the first but for no other; returns how
    /// many.
    ///
    /// # Errors
    ///
    /// The channel is closed and empty.
    pub fn recv_many(&self, into: &mut Vec<T>, max: usize) -> Result<usize, RecvError> {
        self.shared.recv_many(into, max)
    }

    /// What the channel has counted, if it was built with
    /// [`metrics(true)`](super::Builder::metrics).
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    /// As [`Sender::metrics_pipe`](super::Sender::metrics_pipe).
    ///
    /// # Errors
    ///
    /// If the thread that makes the reports cannot be started.
    pub fn metrics_pipe(&self, config: MetricsConfig) -> io::Result<MetricsPipe>
    where
        T: Send + 'static,
    {
        metrics_pipe::pipe(&self.shared, config)
    }

    /// Closes the channel: sends fail from now on; what is left can still be received. True the
    /// first time. All that wait are woken.
    pub fn close(&self) -> bool {
        self.shared.close()
    }

    /// Whether the channel is closed; something may be left in it.
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

    /// Whether both receive from the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

// A panic leaves no operation half done: the engine is whole whenever its lock is free.
impl<T> std::panic::UnwindSafe for Receiver<T> {}
impl<T> std::panic::RefUnwindSafe for Receiver<T> {}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Receiver<T> {
        self.shared.join(Side::Recv);
        Receiver { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.leave(Side::Recv);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({:?})", self.shared)
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
