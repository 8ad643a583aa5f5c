//! The ends as futures.
//!
//! # Invariants
//!
//! 1. A future sits only while it is pending, and rises when it is polled again or dropped.

#![forbid(unsafe_code)]

use super::half::{Rx, Tx};
use crate::error::{RecvError, SendError};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What [`Sender::send_async`](super::Sender::send_async) returns.
#[must_use = "a future does nothing unless it is polled"]
pub struct SendFuture<'a, T> {
    half: &'a mut Tx<T>,
    value: Option<T>,
}

impl<'a, T> SendFuture<'a, T> {
    pub(super) fn new(half: &'a mut Tx<T>, value: T) -> SendFuture<'a, T> {
        SendFuture { half, value: Some(value) }
    }
}

// The value is moved in and out, never pinned.
impl<T> Unpin for SendFuture<'_, T> {}

impl<T> Future for SendFuture<'_, T> {
    type Output = Result<(), SendError<T>>;

    /// # Panics
    ///
    /// If it was ready before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            if self.half.is_closed() {
                let value = self.value.take().expect("polled after it was ready");
                return Poll::Ready(Err(SendError::Closed(value)));
            }
            if self.half.ready() != 0 {
                let value = self.value.take().expect("polled after it was ready");
                self.half.put(value);
                self.half.publish();
                return Poll::Ready(Ok(()));
            }
            if self.half.sit(context.waker()) {
                return Poll::Pending;
            }
        }
    }
}

impl<T> Drop for SendFuture<'_, T> {
    fn drop(&mut self) {
        self.half.rise();
    }
}

impl<T> fmt::Debug for SendFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendFuture").field("ready", &self.value.is_none()).finish_non_exhaustive()
    }
}

fn poll_recv<T>(half: &mut Rx<T>, context: &Context<'_>) -> Poll<Option<T>> {
    loop {
        let closed = half.is_closed();
        if half.ready() != 0 {
            let value = half.take();
            half.publish();
            return Poll::Ready(value);
        }
        if closed {
            return Poll::Ready(None);
        }
        if half.sit(context.waker()) {
            return Poll::Pending;
        }
    }
}

/// What [`Receiver::recv_async`](super::Receiver::recv_async) returns.
#[must_use = "a future does nothing unless it is polled"]
pub struct RecvFuture<'a, T> {
    half: &'a mut Rx<T>,
}

impl<'a, T> RecvFuture<'a, T> {
    pub(super) fn new(half: &'a mut Rx<T>) -> RecvFuture<'a, T> {
        RecvFuture { half }
    }
}

impl<T> Future for RecvFuture<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        poll_recv(self.half, context).map(|value| value.ok_or(RecvError))
    }
}

impl<T> Drop for RecvFuture<'_, T> {
    fn drop(&mut self) {
        self.half.rise();
    }
}

impl<T> fmt::Debug for RecvFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecvFuture({:?})", self.half)
    }
}

/// What [`Receiver::stream`](super::Receiver::stream) returns.
#[must_use = "a stream does nothing unless it is polled"]
pub struct Stream<'a, T> {
    half: &'a mut Rx<T>,
}

impl<'a, T> Stream<'a, T> {
    pub(super) fn new(half: &'a mut Rx<T>) -> Stream<'a, T> {
        Stream { half }
    }
}

impl<T> futures_core::Stream for Stream<'_, T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        poll_recv(self.half, context)
    }
}

impl<T> Drop for Stream<'_, T> {
    fn drop(&mut self) {
        self.half.rise();
    }
}

impl<T> fmt::Debug for Stream<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({:?})", self.half)
    }
}
