//! Sleeping, deadlines and intervals.
//!
//! Time is `CLOCK_MONOTONIC`, as `std::time::Instant` is: it does not count while the machine is
//! suspended. Nothing ends early; how late depends on how busy the worker is.

mod interval;
mod receivers;
mod timeout;

use std::time::{Duration, Instant};

pub use interval::{Interval, Missed, interval};
pub use receivers::{after, tick};
pub use timeout::timeout;

use crate::cancel::CancelToken;
use crate::coroutine::{WaitReason, current_waiter};
use crate::error::Cancelled;
use crate::sys::clock;
use crate::timer;
use crate::token::{Outcome, Wait};

/// Suspends the coroutine, or blocks the thread, for `duration`. [`Duration::MAX`] is for ever.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// kcoro::run(|| {
///     let start = Instant::now();
///     kcoro::sleep(Duration::from_millis(2));
///     assert!(start.elapsed() >= Duration::from_millis(2));
/// });
/// ```
pub fn sleep(duration: Duration) {
    sleep_to(clock::after(clock::now(), duration));
}

/// Suspends the coroutine, or blocks the thread, until `instant`.
pub fn sleep_until(instant: Instant) {
    sleep_to(timer::deadline(instant));
}

/// [`sleep`], unless `token` is cancelled first.
///
/// # Errors
///
/// [`Cancelled`] with the reason: before, during, or at the very end of the sleep.
pub fn sleep_cancellable(duration: Duration, token: &CancelToken) -> Result<(), Cancelled> {
    sleep_cancellable_to(clock::after(clock::now(), duration), token)
}

/// Sleeps until `instant`, `None` being for ever, unless `token` is cancelled first.
///
/// # Errors
///
/// As [`sleep_cancellable`].
pub fn sleep_cancellable_until(
    instant: Option<Instant>,
    token: &CancelToken,
) -> Result<(), Cancelled> {
    sleep_cancellable_to(instant.map_or(clock::FOREVER, timer::deadline), token)
}

#[inline]
fn sleep_to(deadline: u64) {
    if deadline <= clock::now() {
        return crate::coroutine::yield_now();
    }
    let wait = Wait::begin();
    if let Some(me) = current_waiter() {
        me.set_reason(WaitReason::Sleep, deadline as usize);
    }
    timer::park_deadline(wait, deadline);
}

fn sleep_cancellable_to(deadline: u64, token: &CancelToken) -> Result<(), Cancelled> {
    if deadline <= clock::now() {
        if !token.is_cancelled() {
            crate::coroutine::yield_now();
        }
    } else {
        let wait = Wait::begin_for(WaitReason::Sleep, deadline as usize);
        let registered = token.register(wait.slot(), wait.generation(), Outcome::Cancelled);
        if registered.is_some() {
            timer::park_deadline(wait, deadline);
        } else if let Err(claimed) = wait.retract() {
            claimed.park();
        }
    }
    Cancelled::check(token.is_cancelled().then(|| token.reason().unwrap_or_default()))
}

fn sleep_for_ever() -> ! {
    loop {
        sleep_to(clock::FOREVER);
    }
}
