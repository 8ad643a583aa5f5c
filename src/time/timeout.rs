//! A deadline over everything that a closure waits for.

use std::time::{Duration, Instant};

use crate::error::Elapsed;
use crate::sched::{cancel_token, with_cancel_token};

/// Runs `f` with a deadline `duration` from now.
///
/// A stack cannot be dropped from outside as a future can, so the deadline is a cancel: within `f`,
/// [`cancel_token`](crate::cancel_token) returns a child of the outer token that is cancelled at the
/// deadline. Waits that are given that token end then; a wait without a token and a computation go
/// on, and `timeout` returns when `f` does. Timeouts nest, and the earliest counts.
/// [`Duration::MAX`] is no deadline.
///
/// # Errors
///
/// [`Elapsed`] if the deadline had passed when `f` returned, with what `f` returned: a value that
/// came too late is not lost.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use kcoro::{cancel_token, channel, timeout};
///
/// kcoro::run(|| {
///     let (tx, rx) = channel::bounded::<u8>(1);
///     let late = timeout(Duration::from_millis(1), || rx.recv_cancellable(&cancel_token()));
///     assert!(late.is_err());
///     tx.send(1).unwrap();
///     let prompt = timeout(Duration::from_secs(60), || rx.recv_cancellable(&cancel_token()));
///     assert_eq!(prompt.unwrap(), Ok(1));
/// });
/// ```
pub fn timeout<T>(duration: Duration, f: impl FnOnce() -> T) -> Result<T, Elapsed<T>> {
    let Some(deadline) = Instant::now().checked_add(duration) else { return Ok(f()) };
    let token = cancel_token().child_with_deadline(deadline);
    let value = with_cancel_token(&token, f);
    if Instant::now() >= deadline { Err(Elapsed(value)) } else { Ok(value) }
}
