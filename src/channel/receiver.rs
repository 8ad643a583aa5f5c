//! The receiving side, and iterators over it.

#![forbid(unsafe_code)]

use super::future::{IntoStream, RecvFuture, RecvStream};
use super::metrics::Snapshot;
use super::metrics_pipe::{self, MetricsConfig, MetricsPipe};
use super::node::Node;
use super::shared::{End, Shared, Side};
use super::verbs::{iterators, limited_recvs, looks};
use super::wait::Limits;
use crate::error::{RecvError, TryRecvError};
use crate::prim::Arc;
use std::fmt;
use std::io;

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

    limited_recvs!(self, [&self], T);

    #[inline(always)]
    pub(super) fn recv_limited(&self, limits: Limits<'_>) -> Result<T, End> {
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

    looks!(shared);

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

iterators!([T] Receiver<T>, T, []);
