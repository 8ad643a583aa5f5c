//! Errors of reading and writing several times.

use core::fmt;
use std::error::Error;
use std::io;

/// A transfer that ended before all bytes were through.
///
/// It turns into the [`io::Error`] that ended it, for functions that return one.
#[derive(Debug)]
pub struct Incomplete {
    done: usize,
    error: io::Error,
}

impl Incomplete {
    pub(crate) fn new(done: usize, error: io::Error) -> Incomplete {
        Incomplete { done, error }
    }

    /// Bytes that were read or written before.
    #[must_use]
    pub fn done(&self) -> usize {
        self.done
    }

    /// What ended the transfer: [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) at an early end,
    /// [`TimedOut`](io::ErrorKind::TimedOut) at the deadline, a cancel
    /// ([`Cancelled::of`](super::Cancelled::of)), or the system's.
    #[must_use]
    pub fn error(&self) -> &io::Error {
        &self.error
    }

    /// The same as [`io::Error::kind`] of what ended it.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.error.kind()
    }
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the transfer ended after {} bytes: {}", self.done, self.error)
    }
}

impl Error for Incomplete {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

impl From<Incomplete> for io::Error {
    fn from(incomplete: Incomplete) -> io::Error {
        incomplete.error
    }
}
