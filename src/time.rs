//! Sleeping, deadlines and intervals.
//!
//! Time is `CLOCK_MONOTONIC`, as `std::time::Instant` is: it does not count while the machine is
//! suspended. Nothing ends early; how late depends on how busy the worker is.

use std::time::{Duration, Instant};

use crate::coroutine::{WaitReason, current_waiter};
use crate::sys::clock;
use crate::timer;
use crate::token::Wait;

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
