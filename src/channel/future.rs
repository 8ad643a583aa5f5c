//! Channel operations as futures, streams and sinks.
//!
//! A future's node lies in the future itself and holds the task's waker; it waits in the same queue
//! as coroutines and threads. It waits in one place only, so the channel's lock decides everything:
//! no slot, no allocation.
//!
//! # Invariants
//!
//! 1. While `linked` is set, the node is or was in the channel's list, and the [`Operation`] is
//!    pinned; dropping it takes the node out, and passes on a value that it was given.
//!
//! # Who calls this, and what it may call
//!
//! Executors, from any thread.

use super::Receiver;
use super::node::Node;
use super::shared::{Shared, Side};
use crate::error::{RecvError, SendError};
use futures_core::stream::{FusedStream, Stream};
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

/// One operation at a time on the channel that `C` leads to.
struct Operation<T, C: Deref<Target = Shared<T>>> {
    channel: C,
    side: Side,
    node: Node<T>,
    linked: Cell<bool>,
}

// SAFETY: another thread may touch the node while it is linked, under the channel's lock; what may
// be sent besides are the value and the way to the channel.
unsafe impl<T: Send, C: Deref<Target = Shared<T>> + Send> Send for Operation<T, C> {}
// SAFETY: a shared reference to it leads to nothing but its `Debug`.
unsafe impl<T: Send, C: Deref<Target = Shared<T>> + Sync> Sync for Operation<T, C> {}

impl<T, C: Deref<Target = Shared<T>>> Operation<T, C> {
    fn new(channel: C, side: Side, value: Option<T>) -> Operation<T, C> {
        Operation { channel, side, node: Node::new(value), linked: Cell::new(false) }
    }

    /// Ready: what is in the cell.
    fn poll(self: Pin<&Self>, context: &Context<'_>) -> Poll<Option<T>> {
        let this = self.get_ref();
        // SAFETY: the node is pinned with `self`, and `Drop` abandons it (invariant 1).
        let poll = unsafe { this.channel.poll(&this.node, this.side, &this.linked, context) };
        // SAFETY: ready, so the node is not linked and is ours again.
        poll.map(|()| unsafe { this.node.cell() }.take())
    }

    /// [`poll`](Operation::poll) of a send.
    ///
    /// # Panics
    ///
    /// If it was ready before: there is no value to be sent.
    fn poll_send(self: Pin<&Self>, context: &Context<'_>) -> Poll<Result<(), SendError<T>>> {
        assert!(self.is_loaded(), "polled after it was ready");
        let failed = |value| Err(self.channel.send_failed(value));
        self.poll(context).map(|left| left.map_or(Ok(()), failed))
    }

    /// [`poll`](Operation::poll) of a receive.
    fn poll_recv(self: Pin<&Self>, context: &Context<'_>) -> Poll<Result<T, RecvError>> {
        self.poll(context).map(|value| value.ok_or_else(|| self.channel.recv_failed()))
    }

    /// Puts a value into the cell of a sender that is not under way.
    #[cfg(feature = "sink")]
    fn load(self: Pin<&mut Self>, value: T) {
        assert!(!self.linked.get(), "the sink was not ready");
        // SAFETY: not linked, so the node is ours.
        *unsafe { self.as_ref().get_ref().node.cell() } = Some(value);
    }

    /// Whether the cell of a sender holds a value that is not sent.
    fn is_loaded(&self) -> bool {
        // SAFETY: looked at only when it is not linked, so the node is ours.
        self.linked.get() || unsafe { self.node.cell() }.is_some()
    }
}

impl<T, C: Deref<Target = Shared<T>>> Drop for Operation<T, C> {
    fn drop(&mut self) {
        if self.linked.get() {
            self.channel.abandon(&self.node, self.side);
        }
    }
}

/// The way from a pinned wrapper to the operation in it.
macro_rules! operation {
    ($this:expr) => {{
        // SAFETY: the operation is pinned with the wrapper: nothing moves it out of there.
        unsafe { $this.map_unchecked_mut(|this| &mut this.operation) }
    }};
}

/// What [`Sender::send_async`](super::Sender::send_async) returns.
#[must_use = "a future does nothing unless it is polled"]
pub struct SendFuture<'a, T> {
    operation: Operation<T, &'a Shared<T>>,
}

impl<'a, T> SendFuture<'a, T> {
    pub(super) fn new(shared: &'a Shared<T>, value: T) -> SendFuture<'a, T> {
        SendFuture { operation: Operation::new(shared, Side::Send, Some(value)) }
    }
}

impl<T> Future for SendFuture<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        operation!(self).as_ref().poll_send(context)
    }
}

/// What [`Receiver::recv_async`](super::Receiver::recv_async) returns.
#[must_use = "a future does nothing unless it is polled"]
pub struct RecvFuture<'a, T> {
    operation: Operation<T, &'a Shared<T>>,
}

impl<'a, T> RecvFuture<'a, T> {
    pub(super) fn new(shared: &'a Shared<T>) -> RecvFuture<'a, T> {
        RecvFuture { operation: Operation::new(shared, Side::Recv, None) }
    }
}

impl<T> Future for RecvFuture<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        operation!(self).as_ref().poll_recv(context)
    }
}

/// What [`Receiver::stream`](super::Receiver::stream) returns.
#[must_use = "a stream does nothing unless it is polled"]
pub struct RecvStream<'a, T> {
    operation: Operation<T, &'a Shared<T>>,
    ended: bool,
}

impl<'a, T> RecvStream<'a, T> {
    pub(super) fn new(shared: &'a Shared<T>) -> RecvStream<'a, T> {
        RecvStream { operation: Operation::new(shared, Side::Recv, None), ended: false }
    }
}

/// What [`Receiver::into_stream`](super::Receiver::into_stream) returns.
#[must_use = "a stream does nothing unless it is polled"]
pub struct IntoStream<T> {
    operation: Operation<T, Owned<T>>,
    ended: bool,
}

impl<T> IntoStream<T> {
    pub(super) fn new(receiver: Receiver<T>) -> IntoStream<T> {
        IntoStream { operation: Operation::new(Owned(receiver), Side::Recv, None), ended: false }
    }
}

/// A receiver as the way to its channel.
struct Owned<T>(Receiver<T>);

impl<T> Deref for Owned<T> {
    type Target = Shared<T>;

    fn deref(&self) -> &Shared<T> {
        self.0.shared()
    }
}

macro_rules! stream {
    ($name:ty $(, $lifetime:lifetime)?) => {
        impl<$($lifetime,)? T> Stream for $name {
            type Item = T;

            fn poll_next(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<Option<T>> {
                let poll = operation!(self.as_mut()).as_ref().poll(context);
                if let Poll::Ready(None) = poll {
                    // SAFETY: the flag is not pinned, and nothing is moved out.
                    unsafe { self.get_unchecked_mut() }.ended = true;
                }
                poll
            }
        }

        impl<$($lifetime,)? T> FusedStream for $name {
            fn is_terminated(&self) -> bool {
                self.ended
            }
        }

        impl<$($lifetime,)? T> fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), &*self.operation.channel)
            }
        }
    };
}

stream!(RecvStream<'a, T>, 'a);
stream!(IntoStream<T>);

impl<T> fmt::Debug for SendFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SendFuture({:?})", self.operation.channel)
    }
}

impl<T> fmt::Debug for RecvFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecvFuture({:?})", self.operation.channel)
    }
}

#[cfg(feature = "sink")]
mod sink {
    use super::{Context, Deref, Operation, Pin, Poll, SendError, Shared, Side, fmt};
    use crate::channel::Sender;
    use futures_sink::Sink;

    /// A sender as the way to its channel.
    pub(super) struct Owned<T>(Sender<T>);

    impl<T> Deref for Owned<T> {
        type Target = Shared<T>;

        fn deref(&self) -> &Shared<T> {
            self.0.shared()
        }
    }

    /// What [`Sender::into_sink`](crate::channel::Sender::into_sink) returns.
    #[must_use = "a sink does nothing unless it is polled"]
    pub struct SendSink<T> {
        operation: Operation<T, Owned<T>>,
    }

    impl<T> SendSink<T> {
        pub(in crate::channel) fn new(sender: Sender<T>) -> SendSink<T> {
            SendSink { operation: Operation::new(Owned(sender), Side::Send, None) }
        }
    }

    impl<T> Sink<T> for SendSink<T> {
        type Error = SendError<T>;

        fn poll_ready(
            self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Result<(), Self::Error>> {
            self.poll_flush(context)
        }

        fn start_send(self: Pin<&mut Self>, value: T) -> Result<(), Self::Error> {
            operation!(self).load(value);
            Ok(())
        }

        fn poll_flush(
            self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Result<(), Self::Error>> {
            if !self.operation.is_loaded() {
                return Poll::Ready(Ok(()));
            }
            operation!(self).as_ref().poll_send(context)
        }

        fn poll_close(
            self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Result<(), Self::Error>> {
            self.poll_flush(context)
        }
    }

    impl<T> fmt::Debug for SendSink<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "SendSink({:?})", &*self.operation.channel)
        }
    }
}

#[cfg(feature = "sink")]
pub use sink::SendSink;
