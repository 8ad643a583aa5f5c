//! The error of a channel that copies bytes in.

use super::ArenaError;
use core::fmt;
use std::error::Error;

/// Why bytes were not sent. They remain with the caller, who had only lent them.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SendBytesError {
    /// There are more of them than a message of this channel may have.
    TooLong {
        /// How many there are.
        length: usize,
        /// How many there may be.
        max: usize,
    },
    /// There is no room in the channel now.
    Full,
    /// The deadline passed first.
    Timeout,
    /// The token was cancelled first.
    Cancelled,
    /// The channel is closed.
    Closed,
    /// The arena cannot hold them, and waiting would not help or was not wanted.
    Arena(ArenaError),
}

impl fmt::Display for SendBytesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendBytesError::TooLong { length, max } => {
                write!(f, "a message of {length} bytes into a channel that carries up to {max}")
            }
            SendBytesError::Full => f.write_str("cannot send into a full channel"),
            SendBytesError::Timeout => {
                f.write_str("the deadline passed before the bytes were sent")
            }
            SendBytesError::Cancelled => f.write_str("the send was cancelled"),
            SendBytesError::Closed => f.write_str("cannot send into a closed channel"),
            SendBytesError::Arena(error) => error.fmt(f),
        }
    }
}

impl Error for SendBytesError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            SendBytesError::Arena(error) => Some(error),
            _ => None,
        }
    }
}
