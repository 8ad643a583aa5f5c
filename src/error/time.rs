//! Waits that ended before what they waited for: by a cancel, by a deadline.

use std::fmt;

use super::CancelReason;

/// A wait was cancelled, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled(pub CancelReason);

impl Cancelled {
    pub(crate) fn check(reason: Option<CancelReason>) -> Result<(), Cancelled> {
        reason.map_or(Ok(()), |reason| Err(Cancelled(reason)))
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the wait was cancelled: {}", self.0)
    }
}

impl std::error::Error for Cancelled {}

/// The deadline had passed when the closure returned; what it returned is inside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Elapsed<T>(pub T);

impl<T> fmt::Debug for Elapsed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Elapsed(..)")
    }
}

impl<T> fmt::Display for Elapsed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline had passed")
    }
}

impl<T> std::error::Error for Elapsed<T> {}
