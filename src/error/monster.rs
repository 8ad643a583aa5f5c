//! The errors of the monster service.

use std::fmt;

/// A pipe or shard id outside 0 to 14.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdError {
    /// No pipe has this id.
    Pipe(usize),
    /// No shard has this id.
    Shard(usize),
    /// The text is not a whole number.
    NotANumber,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdError::Pipe(id) => write!(f, "there is no pipe {id}: pipes are numbered 0 to 14"),
            IdError::Shard(id) => write!(f, "there is no shard {id}: shards are numbered 0 to 14"),
            IdError::NotANumber => f.write_str("an id is a whole number from 0 to 14"),
        }
    }
}

impl std::error::Error for IdError {}

/// A wait state that cannot be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitStateError {
    /// As many as there may be exist already.
    AllInUse,
}

impl fmt::Display for WaitStateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitStateError::AllInUse => {
                f.write_str("all 256 wait states are in use: drop one before creating another")
            }
        }
    }
}

impl std::error::Error for WaitStateError {}

/// A wait for a coordination that did not end with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoordError {
    /// The timeout passed first.
    Timeout,
}

impl fmt::Display for CoordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CoordError::Timeout => f.write_str("timed out waiting for the shard to be coordinated"),
        }
    }
}

impl std::error::Error for CoordError {}

/// A pipe that cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PipeOpenError {
    /// The pipe with this id was closed, and an end from before is still there.
    Closed(usize),
}

impl fmt::Display for PipeOpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PipeOpenError::Closed(pipe) => {
                write!(f, "pipe {pipe} is closed: drop its ends before opening it again")
            }
        }
    }
}

impl std::error::Error for PipeOpenError {}

/// A sample that was not written; it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError<T> {
    /// The timeout passed before there was room or a consumer.
    Timeout(T),
    /// The pipe is closed.
    Closed(T),
}

impl<T> WriteError<T> {
    /// The sample.
    #[must_use]
    pub fn into_inner(self) -> T {
        match self {
            WriteError::Timeout(sample) | WriteError::Closed(sample) => sample,
        }
    }
}

impl<T> fmt::Display for WriteError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WriteError::Timeout(_) => "timed out writing to the pipe",
            WriteError::Closed(_) => "the pipe is closed",
        })
    }
}

impl<T: fmt::Debug> std::error::Error for WriteError<T> {}

/// A read that gave no sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// The timeout passed before there was a sample.
    Timeout,
    /// The pipe is closed and nothing is left in it.
    Closed,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReadError::Timeout => "timed out reading from the pipe",
            ReadError::Closed => "the pipe is closed and nothing is left in it",
        })
    }
}

impl std::error::Error for ReadError {}
