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

impl Cancelled {
    /// The cancel that ended a transfer, if one did: the cancellable calls of [`io`](crate::io)
    /// report it within an [`io::Error`](std::io::Error) of kind
    /// [`Other`](std::io::ErrorKind::Other).
    ///
    /// # Examples
    ///
    /// ```
    /// use kcoro::error::{CancelReason, Cancelled};
    ///
    /// let error = std::io::Error::from(Cancelled(CancelReason::Code(3)));
    /// assert_eq!(Cancelled::of(&error), Some(Cancelled(3.into())));
    /// ```
    #[must_use]
    pub fn of(error: &std::io::Error) -> Option<Cancelled> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl From<Cancelled> for std::io::Error {
    fn from(cancelled: Cancelled) -> std::io::Error {
        std::io::Error::other(cancelled)
    }
}

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
