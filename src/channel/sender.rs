//! The sending side.

#![forbid(unsafe_code)]

use super::future::SendFuture;
#[cfg(feature = "sink")]
use super::future::SendSink;
use super::metrics::Snapshot;
use super::metrics_pipe::{self, MetricsConfig, MetricsPipe};
use super::node::Node;
use super::shared::{End, Shared, Side};
use super::verbs::{limited_sends, looks};
use super::wait::Limits;
use crate::error::{SendError, TrySendError};
use crate::prim::Arc;
use std::fmt;
use std::io;

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

    limited_sends!(self, [&self], T);

    #[inline(always)]
    pub(super) fn send_limited(&self, value: T, limits: Limits<'_>) -> Result<(), (T, End)> {
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

    looks!(shared);

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
