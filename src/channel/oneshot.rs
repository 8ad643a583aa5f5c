//! One value, once: the engine with a buffer of one, and handles that are used up.

#![forbid(unsafe_code)]

use super::{Receiver, RecvArm, Sender, bounded};
use crate::cancel::CancelToken;
use crate::error::{RecvCancelError, RecvError, RecvTimeoutError, SendError, TryRecvError};
use std::time::Duration;

/// A channel for one value. Sending never waits.
///
/// # Examples
///
/// ```
/// let (tx, rx) = kcoro::channel::oneshot();
/// std::thread::spawn(move || tx.send("done"));
/// assert_eq!(rx.recv(), Ok("done"));
/// ```
#[must_use]
pub fn oneshot<T>() -> (OneshotSender<T>, OneshotReceiver<T>) {
    let (tx, rx) = bounded(1);
    (OneshotSender(tx), OneshotReceiver(rx))
}

/// Sends the one value; dropped without that, it closes the channel.
#[derive(Debug)]
pub struct OneshotSender<T>(Sender<T>);

impl<T> OneshotSender<T> {
    /// Sends the value. Never waits.
    ///
    /// # Errors
    ///
    /// The receiver is gone: the value comes back.
    pub fn send(self, value: T) -> Result<(), SendError<T>> {
        self.0.try_send(value).map_err(|error| SendError::Closed(error.into_inner()))
    }

    /// Whether the receiver is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// Receives the one value. Dropped without that, it drops the value.
#[derive(Debug)]
pub struct OneshotReceiver<T>(Receiver<T>);

impl<T> OneshotReceiver<T> {
    /// Waits for the value.
    ///
    /// # Errors
    ///
    /// The sender is gone without having sent it.
    #[inline(always)]
    pub fn recv(self) -> Result<T, RecvError> {
        self.0.recv()
    }

    /// The value, if it is there.
    ///
    /// # Errors
    ///
    /// It is not, or never will be (any more).
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.0.try_recv()
    }

    /// Waits for the value, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// The time is up, or the sender is gone without having sent it.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.0.recv_timeout(timeout)
    }

    /// Waits for the value unless `token` is cancelled.
    ///
    /// # Errors
    ///
    /// The token is cancelled, or the sender is gone without having sent it.
    pub fn recv_cancellable(&self, token: &CancelToken) -> Result<T, RecvCancelError> {
        self.0.recv_cancellable(token)
    }

    /// Waits for the value in a future.
    ///
    /// # Errors
    ///
    /// The sender is gone without having sent it.
    pub async fn recv_async(self) -> Result<T, RecvError> {
        self.0.recv_async().await
    }

    /// An arm for a [`Select`](super::Select), and for `v = rx.recv() =>` in `select!`.
    #[must_use]
    pub fn arm(&self) -> RecvArm<'_, T> {
        self.0.arm()
    }

    /// The receiver as one of a channel, for all the other verbs.
    #[must_use]
    pub fn as_receiver(&self) -> &Receiver<T> {
        &self.0
    }
}
