//! Errors of channel operations: one type an operation, and the value comes back.

use core::fmt;
use std::error::Error;

/// Why a send that may wait for as long as it takes did not send.
///
/// # Examples
///
/// ```
/// use kcoro::channel::{self, Overflow};
/// use kcoro::error::SendError;
///
/// let (tx, rx) = channel::builder().capacity(1).overflow(Overflow::Fail).build();
/// tx.send(1).unwrap();
/// assert_eq!(tx.send(2), Err(SendError::Full(2)));
/// drop(rx);
/// assert_eq!(tx.send(3), Err(SendError::Closed(3)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError<T> {
    /// The channel is closed.
    Closed(T),
    /// The channel is full and was built with [`Overflow::Fail`](crate::channel::Overflow::Fail).
    Full(T),
}

/// Why [`try_send`](crate::channel::Sender::try_send) did not send.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrySendError<T> {
    /// There is no room, or nobody waits at a rendezvous.
    Full(T),
    /// The channel is closed.
    Closed(T),
}

/// Why a send with a deadline did not send.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendTimeoutError<T> {
    /// The deadline passed first.
    Timeout(T),
    /// The channel is closed.
    Closed(T),
    /// The channel is full and was built with [`Overflow::Fail`](crate::channel::Overflow::Fail).
    Full(T),
}

/// Why a cancellable send did not send.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendCancelError<T> {
    /// The token was cancelled first.
    Cancelled(T),
    /// The deadline passed first.
    Timeout(T),
    /// The channel is closed.
    Closed(T),
    /// The channel is full and was built with [`Overflow::Fail`](crate::channel::Overflow::Fail).
    Full(T),
}

/// The channel is closed and nothing is left in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct RecvError;

/// Why [`try_recv`](crate::channel::Receiver::try_recv) received nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum TryRecvError {
    /// Nothing is there now.
    Empty,
    /// The channel is closed and nothing is left in it.
    Closed,
}

/// Why a receive with a deadline received nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum RecvTimeoutError {
    /// The deadline passed first.
    Timeout,
    /// The channel is closed and nothing is left in it.
    Closed,
}

/// Why a cancellable receive received nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum RecvCancelError {
    /// The token was cancelled first.
    Cancelled,
    /// The deadline passed first.
    Timeout,
    /// The channel is closed and nothing is left in it.
    Closed,
}

macro_rules! value_error {
    ($name:ident { $($variant:ident => $text:literal),+ }) => {
        impl<T> $name<T> {
            /// The value that was not sent.
            pub fn into_inner(self) -> T {
                match self {
                    $($name::$variant(value) => value),+
                }
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $($name::$variant(_) => concat!(stringify!($variant), "(..)")),+
                })
            }
        }

        impl<T> fmt::Display for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $($name::$variant(_) => $text),+
                })
            }
        }

        impl<T> Error for $name<T> {}
    };
}

value_error!(SendError {
    Closed => "cannot send into a closed channel",
    Full => "cannot send into a full channel"
});
value_error!(TrySendError {
    Full => "cannot send into a full channel",
    Closed => "cannot send into a closed channel"
});
value_error!(SendTimeoutError {
    Timeout => "the deadline passed before the value was sent",
    Closed => "cannot send into a closed channel",
    Full => "cannot send into a full channel"
});
value_error!(SendCancelError {
    Cancelled => "the send was cancelled",
    Timeout => "the deadline passed before the value was sent",
    Closed => "cannot send into a closed channel",
    Full => "cannot send into a full channel"
});

macro_rules! plain_error {
    ($name:ident { $($variant:ident => $text:literal),+ }) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $($name::$variant => $text),+
                })
            }
        }

        impl Error for $name {}
    };
}

plain_error!(TryRecvError {
    Empty => "the channel is empty",
    Closed => "the channel is closed and empty"
});
plain_error!(RecvTimeoutError {
    Timeout => "the deadline passed before a value came",
    Closed => "the channel is closed and empty"
});
plain_error!(RecvCancelError {
    Cancelled => "the receive was cancelled",
    Timeout => "the deadline passed before a value came",
    Closed => "the channel is closed and empty"
});

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the channel is closed and empty")
    }
}

impl Error for RecvError {}

macro_rules! from_send_error {
    ($($name:ident)*) => {$(
        impl<T> From<SendError<T>> for $name<T> {
            fn from(error: SendError<T>) -> $name<T> {
                match error {
                    SendError::Closed(value) => $name::Closed(value),
                    SendError::Full(value) => $name::Full(value),
                }
            }
        }
    )*};
}

from_send_error!(TrySendError SendTimeoutError SendCancelError);

impl From<RecvError> for TryRecvError {
    fn from(_: RecvError) -> TryRecvError {
        TryRecvError::Closed
    }
}

impl From<RecvError> for RecvTimeoutError {
    fn from(_: RecvError) -> RecvTimeoutError {
        RecvTimeoutError::Closed
    }
}
