//! The sending side.

#![forbid(unsafe_code)]

use super::future::SendFuture;
#[cfg(feature = "sink")]
use super::future::SendSink;
use super::metrics::Snapshot;
use super::metrics_pipe::{self, MetricsConfig, MetricsPipe};
use super::node::Node;
use super::shared::{End, Shared, Side};
use super::wait::Limits;
use crate::cancel::CancelToken;
use crate::error::{SendCancelError, SendError, SendTimeoutError, TrySendError};
use crate::prim::Arc;
use std::fmt;
use std::io;
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

    #[inline(always)]
    pub(super) fn shared(&self) -> &Shared<T> {
        &self.shared
    }

    /// Sends `value`, waiting for room, or at a rendezvous for a receiver.
    ///
    /// A coroutine suspends, a plain thread blocks. Waiting senders are served in order of arrival.
    ///
    /// # Errors
    ///
    /// The channel is closed, or it is full and was built with
    /// [`Overflow::Fail`](super::Overflow::Fail): the value comes back.
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
            None => Ok(self.send(value)?),
        }
    }

    /// Sends `value`, waiting until `deadline` at most; one that has passed tries.
    ///
    /// # Errors
    ///
    /// The deadline has passed, or the channel is closed: the value comes back.
    pub fn send_deadline(&self, value: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        let limits = Limits { deadline: Some(deadline), cancel: None };
        self.send_limited(value, limits).map_err(|(value, end)| match end {
            End::TimedOut => SendTimeoutError::Timeout(value),
            End::Refused => SendTimeoutError::Full(value),
            _ => SendTimeoutError::Closed(value),
        })
    }

    /// Sends `value`, unless `token` is cancelled before it is sent.
    ///
    /// A cancel that comes when the value is already with a receiver has no effect on this call.
    ///
    /// # Errors
    ///
    /// The token is cancelled, or the channel is closed: the value comes back.
    pub fn send_cancellable(
        &self,
        value: T,
        token: &CancelToken,
    ) -> Result<(), SendCancelError<T>> {
        self.send_cancel_limited(value, token, None)
    }

    /// Sends `value`, unless `token` is cancelled or `timeout` is over before it is sent.
    ///
    /// # Errors
    ///
    /// The token is cancelled (this comes first), the time is up, or the channel is closed: the
    /// value comes back.
    pub fn send_timeout_cancellable(
        &self,
        value: T,
        timeout: Duration,
        token: &CancelToken,
    ) -> Result<(), SendCancelError<T>> {
        self.send_cancel_limited(value, token, Instant::now().checked_add(timeout))
    }

    /// Sends `value`, unless `token` is cancelled or `deadline` passes before it is sent.
    ///
    /// # Errors
    ///
    /// As [`send_timeout_cancellable`](Self::send_timeout_cancellable).
    pub fn send_deadline_cancellable(
        &self,
        value: T,
        deadline: Instant,
        token: &CancelToken,
    ) -> Result<(), SendCancelError<T>> {
        self.send_cancel_limited(value, token, Some(deadline))
    }

    fn send_cancel_limited(
        &self,
        value: T,
        token: &CancelToken,
        deadline: Option<Instant>,
    ) -> Result<(), SendCancelError<T>> {
        let limits = Limits { deadline, cancel: Some(token) };
        self.send_limited(value, limits).map_err(|(value, end)| match end {
            End::Cancelled => SendCancelError::Cancelled(value),
            End::TimedOut => SendCancelError::Timeout(value),
            End::Refused => SendCancelError::Full(value),
            _ => SendCancelError::Closed(value),
        })
    }

    fn send_limited(&self, value: T, limits: Limits<'_>) -> Result<(), (T, End)> {
        let node = Node::new(Some(value));
        let end = self.shared.wait_limited(&node, Side::Send, limits);
        node.into_value().map_or(Ok(()), |value| Err((value, end)))
    }

    /// Sends `value` from a future. The operation begins with the first poll; a future that is
    /// dropped before it is ready has either sent its value or drops it.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = kcoro::channel::rendezvous();
    /// let both = async { futures::join!(tx.send_async(1), rx.recv_async()) };
    /// assert_eq!(futures::executor::block_on(both), (Ok(()), Ok(1)));
    /// ```
    pub fn send_async(&self, value: T) -> SendFuture<'_, T> {
        SendFuture::new(&self.shared, value)
    }

    /// The sender as a sink. Flushing waits until the value is sent; closing flushes, and dropping
    /// the sink drops the sender.
    #[cfg(feature = "sink")]
    pub fn into_sink(self) -> SendSink<T> {
        SendSink::new(self)
    }

    /// Sends all of `values`, in order, with fewer entries into the channel's lock than one by one;
    /// returns how many there were.
    ///
    /// # Errors
    ///
    /// The channel is closed: the values that were taken from the iterator and not sent come back;
    /// the rest is still in the iterator, if it was passed by reference.
    pub fn send_many(
        &self,
        values: impl IntoIterator<Item = T>,
    ) -> Result<usize, SendError<Vec<T>>> {
        self.shared.send_many(values.into_iter())
    }

    /// What the channel has counted, if it was built with
    /// [`metrics(true)`](super::Builder::metrics).
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    /// Has the channel's figures reported periodically, on a channel of their own. It needs a channel
    /// built with [`metrics(true)`](super::Builder::metrics); otherwise the events say that nothing
    /// is counted.
    ///
    /// # Errors
    ///
    /// If the thread that makes the reports cannot be started.
    ///
    /// # Examples
    ///
    /// ```
    /// use kcoro::channel::{self, MetricsConfig};
    /// use std::time::Duration;
    ///
    /// let (tx, rx) = channel::builder().capacity(4).metrics(true).build();
    /// let events = tx.metrics_pipe(MetricsConfig::new().period(Duration::from_millis(1)))?;
    /// tx.send(1).unwrap();
    /// rx.recv().unwrap();
    /// while events.recv().unwrap().snapshot.recvs == 0 {}
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn metrics_pipe(&self, config: MetricsConfig) -> io::Result<MetricsPipe>
    where
        T: Send + 'static,
    {
        metrics_pipe::pipe(&self.shared, config)
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

// A panic leaves no operation half done: the engine is whole whenever its lock is free.
impl<T> std::panic::UnwindSafe for Sender<T> {}
impl<T> std::panic::RefUnwindSafe for Sender<T> {}

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
