//! Moments as messages: a receiver that gets one moment, or one for each period.
//!
//! The kernel's thread sends them, as it runs all callbacks: nothing is parked meanwhile, and a
//! receiver may be used by anybody, in a [`select!`](crate::select) too. The thread lives until the
//! last moment has come, or nobody receives any more at a tick.
//!
//! # Invariants
//!
//! 1. No moment is sent early.
//! 2. A receiver that is not looked at holds at most one moment; later ones are left out.
//!
//! # Who calls this, and what it may call
//!
//! Anybody makes them. The callbacks send without waiting.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::channel::{self, Receiver, Sender};
use crate::error::{TrySendError, WaitError};
use crate::token::{self, Kernel};

/// As far away as for ever is.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// A receiver that gets the moment `duration` from now, when it has come; then it is closed.
/// [`Duration::MAX`] never comes.
///
/// In a `select!` an arm `after(duration)` does the same at less cost.
///
/// # Panics
///
/// If the thread that keeps the time cannot be started.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// let start = Instant::now();
/// let moment = kcoro::time::after(Duration::from_millis(2)).recv().unwrap();
/// assert!(moment >= start + Duration::from_millis(2) && Instant::now() >= moment);
/// ```
#[must_use]
pub fn after(duration: Duration) -> Receiver<Instant> {
    let (sender, receiver) = channel::bounded(1);
    send_at(sender, from(Instant::now(), duration), None);
    receiver
}

/// A receiver that gets a moment every `period`, the first time one period from now, until it is
/// dropped. Moments that it does not take in time are left out; the others are a whole number of
/// periods after the first.
///
/// [`interval`](super::interval()) costs less where one coroutine does nothing but wait for the ticks.
///
/// # Panics
///
/// If `period` is zero, or the thread that keeps the time cannot be started.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// let start = Instant::now();
/// let ticks = kcoro::time::tick(Duration::from_millis(1));
/// kcoro::run(|| {
///     for _ in 0..3 {
///         ticks.recv().unwrap();
///     }
/// });
/// assert!(start.elapsed() >= Duration::from_millis(3));
/// ```
#[must_use]
#[track_caller]
pub fn tick(period: Duration) -> Receiver<Instant> {
    assert!(!period.is_zero(), "the period of ticks must not be zero");
    let (sender, receiver) = channel::bounded(1);
    send_at(sender, from(Instant::now(), period), Some(period));
    receiver
}

/// Sends `at` when it has come, and goes on a period later, if there is one, unless nobody receives.
fn send_at(sender: Sender<Instant>, at: Instant, period: Option<Duration>) {
    // The callback's own: it keeps the thread until the moment has come.
    let kernel = Kernel::start().expect("the kernel's thread, to keep the time");
    let ticket = token::publish_callback(move |result| {
        let _kernel = kernel;
        // What shutting down or a forged ticket ends is not time that has come.
        if !matches!(result, Err(WaitError::Timeout)) {
            return;
        }
        let sent = sender.try_send(at);
        if let (Some(period), Ok(()) | Err(TrySendError::Full(_))) = (period, sent) {
            send_at(sender, next(at, Instant::now(), period), Some(period));
        }
    });
    drop(token::end_at(ticket, at));
}

fn from(start: Instant, duration: Duration) -> Instant {
    start.checked_add(duration).unwrap_or_else(|| start + FAR)
}

/// The first whole period after `at` that is not before `now`.
fn next(at: Instant, now: Instant, period: Duration) -> Instant {
    let late = now.saturating_duration_since(at);
    let periods = late.as_nanos() / period.as_nanos() + 1;
    let Ok(periods) = u32::try_from(periods) else { return from(now, period) };
    period.checked_mul(periods).map_or_else(|| from(now, period), |step| from(at, step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_that_are_late_are_left_out() {
        let at = Instant::now();
        let ms = Duration::from_millis;
        assert_eq!(next(at, at, ms(10)), at + ms(10));
        assert_eq!(next(at, at + ms(9), ms(10)), at + ms(10));
        assert_eq!(next(at, at + ms(35), ms(10)), at + ms(40));
        assert!(next(at, at, Duration::MAX) > at + ms(1_000_000));
    }
}
