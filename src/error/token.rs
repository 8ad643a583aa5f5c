//! Why a ticket could not be completed, and why a wait ended without its event.

use std::fmt;

/// The ticket had already been completed, cancelled, timed out or withdrawn: this came too late, had
/// no effect, and is given back.
///
/// ```
/// use kcoro::error::Stale;
///
/// assert_eq!(Stale("reply").to_string(), "the ticket is stale");
/// assert_eq!(Stale(5).0, 5);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Stale<T>(pub T);

impl<T> fmt::Debug for Stale<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stale(..)")
    }
}

impl<T> fmt::Display for Stale<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ticket is stale")
    }
}

impl<T> std::error::Error for Stale<T> {}

/// Why somebody cancelled a wait.
///
/// ```
/// use kcoro::error::CancelReason;
///
/// assert_eq!(CancelReason::from("user gave up").to_string(), "user gave up");
/// assert_eq!(CancelReason::from(-5).to_string(), "code -5");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum CancelReason {
    /// None was given.
    #[default]
    Unspecified,
    /// What was waited on was closed.
    Closed,
    /// The runtime shuts down.
    Shutdown,
    /// The deadline passed.
    Deadline,
    /// A number, as foreign code gives it; by custom a negative error number.
    Code(i32),
    /// In words.
    Text(&'static str),
}

impl From<i32> for CancelReason {
    fn from(code: i32) -> CancelReason {
        CancelReason::Code(code)
    }
}

impl From<&'static str> for CancelReason {
    fn from(text: &'static str) -> CancelReason {
        CancelReason::Text(text)
    }
}

impl From<()> for CancelReason {
    fn from((): ()) -> CancelReason {
        CancelReason::Unspecified
    }
}

impl fmt::Display for CancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CancelReason::Unspecified => f.write_str("no reason given"),
            CancelReason::Closed => f.write_str("closed"),
            CancelReason::Shutdown => f.write_str("shutting down"),
            CancelReason::Deadline => f.write_str("the deadline passed"),
            CancelReason::Code(code) => write!(f, "code {code}"),
            CancelReason::Text(text) => f.write_str(text),
        }
    }
}

/// Why a wait for a ticket ended without a payload.
///
/// ```
/// use kcoro::error::WaitError;
///
/// assert_eq!(WaitError::Cancelled(5.into()).to_string(), "the wait was cancelled: code 5");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum WaitError {
    /// The ticket was cancelled.
    Cancelled(CancelReason),
    /// The deadline passed; whoever completes the ticket from now on is told that it is stale.
    Timeout,
    /// The caller has no such ticket: it did not publish it, or has already waited for it.
    NotOwned,
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitError::Cancelled(reason) => write!(f, "the wait was cancelled: {reason}"),
            WaitError::Timeout => f.write_str("the deadline passed"),
            WaitError::NotOwned => f.write_str("the caller holds no such ticket"),
        }
    }
}

impl std::error::Error for WaitError {}
