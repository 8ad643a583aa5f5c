//! The operations of a local channel as futures and a stream.
//!
//! A future's node lies in the future itself and holds its waker. It is polled, woken and dropped on
//! the channel's thread: it borrows a handle, and is no more `Send` than that.
//!
//! # Invariants
//!
//! 1. While `pending` is set, the node is or was in the channel's list, and the operation is pinned;
//!    dropping it takes the node out, and passes on a value that it was given.

use super::super::shared::Side;
use super::core::{Channel, Node};
use crate::error::{RecvError, SendError};
use futures_core::Stream;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

struct Operation<'a, T> {
    channel: &'a Channel<T>,
    side: Side,
    node: Node<T>,
    pending: bool,
}

impl<'a, T> Operation<'a, T> {
    fn new(channel: &'a Channel<T>, side: Side, value: Option<T>) -> Operation<'a, T> {
        Operation { channel, side, node: Node::new(value), pending: false }
    }

    /// Ready: what is in the cell.
    fn poll(self: Pin<&mut Self>, context: &Context<'_>) -> Poll<Option<T>> {
        // SAFETY: nothing is moved out of the operation.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: the node is pinned with the operation, and `Drop` abandons it (invariant 1).
        unsafe { this.channel.poll(&this.node, this.side, &mut this.pending, context) }
    }
}

impl<T> Drop for Operation<'_, T> {
    fn drop(&mut self) {
        if self.pending {
            self.channel.abandon(&self.node, self.side);
        }
    }
}

macro_rules! future {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name<'a, T>(Operation<'a, T>);

        impl<'a, T> $name<'a, T> {
            fn operation(self: Pin<&mut Self>) -> Pin<&mut Operation<'a, T>> {
                // SAFETY: the operation is pinned with the wrapper: nothing moves it out of there.
                unsafe { self.map_unchecked_mut(|this| &mut this.0) }
            }
        }

        impl<T> fmt::Debug for $name<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.0.channel)
            }
        }
    };
}

future! {
    /// What [`Sender::send_async`](super::Sender::send_async) returns.
    #[must_use = "a future does nothing unless it is polled"]
    SendFuture
}
future! {
    /// What [`Receiver::recv_async`](super::Receiver::recv_async) returns.
    #[must_use = "a future does nothing unless it is polled"]
    RecvFuture
}
future! {
    /// What [`Receiver::stream`](super::Receiver::stream) returns.
    #[must_use = "a stream does nothing unless it is polled"]
    RecvStream
}

impl<'a, T> SendFuture<'a, T> {
    pub(super) fn new(channel: &'a Channel<T>, value: T) -> SendFuture<'a, T> {
        SendFuture(Operation::new(channel, Side::Send, Some(value)))
    }
}

impl<'a, T> RecvFuture<'a, T> {
    pub(super) fn new(channel: &'a Channel<T>) -> RecvFuture<'a, T> {
        RecvFuture(Operation::new(channel, Side::Recv, None))
    }
}

impl<'a, T> RecvStream<'a, T> {
    pub(super) fn new(channel: &'a Channel<T>) -> RecvStream<'a, T> {
        RecvStream(Operation::new(channel, Side::Recv, None))
    }
}

impl<T> Future for SendFuture<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let left = self.operation().poll(context);
        left.map(|left| left.map_or(Ok(()), |value| Err(SendError::Closed(value))))
    }
}

impl<T> Future for RecvFuture<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.operation().poll(context).map(|value| value.ok_or(RecvError))
    }
}

impl<T> Stream for RecvStream<'_, T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.operation().poll(context)
    }
}
