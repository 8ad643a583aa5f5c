//! The clock: `CLOCK_MONOTONIC` as nanoseconds in a `u64`, and what turns `Instant` and `Duration`
//! into such a number and back.
//!
//! Deadlines are absolute nanoseconds because the kernel's absolute waits, the timing wheel and a
//! compare in a loop all want one integer. An `Instant` reads the same clock but hides its number, so
//! one pair read together when first needed anchors the two. The clock stands still while the machine
//! is suspended. A clock made from the CPU's cycle counter would save ten nanoseconds a reading and is
//! left out: nothing proves it monotone across the processors of a virtual machine, and the wheel
//! works from a reading cached once per turn anyway.
//!
//! # Invariants
//!
//! 1. An `Instant` turned into nanoseconds is never early: `now() >= from_instant(t)` implies
//!    `Instant::now() >= t`.
//! 2. `to_instant(from_instant(t)) == t` within the years a `u64` covers.
//! 3. Every conversion saturates: what lies too far ahead is [`FOREVER`], what lies before the
//!    clock's zero is zero.
//!
//! # Who calls this, and what it may call
//!
//! Anyone, from any thread; no allocation, no lock after the first conversion of an `Instant`.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// The deadline that never comes.
pub(crate) const FOREVER: u64 = u64::MAX;

/// The same moment on both scales, the number rounded up.
static ANCHOR: LazyLock<(Instant, u64)> = LazyLock::new(|| {
    let pair = || {
        let before = now();
        let instant = Instant::now();
        let after = now();
        (after - before, instant, after)
    };
    let tightest = (0..16).map(|_| pair()).min_by_key(|&(width, ..)| width);
    let (_, instant, after) = tightest.unwrap_or_else(pair);
    (instant, after)
});

/// Nanoseconds on `CLOCK_MONOTONIC`.
#[inline]
pub(crate) fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for the write of one timespec.
    let rc = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    debug_assert_eq!(rc, 0, "CLOCK_MONOTONIC always exists");
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The deadline `wait` after `from` (ns), never by overflow an early one.
#[inline]
pub(crate) fn after(from: u64, wait: Duration) -> u64 {
    from.saturating_add(nanoseconds(wait))
}

/// The length of `wait` in ns; [`FOREVER`] beyond 584 years.
#[inline]
pub(crate) fn nanoseconds(wait: Duration) -> u64 {
    match wait.as_secs().checked_mul(1_000_000_000) {
        Some(seconds) => seconds.saturating_add(u64::from(wait.subsec_nanos())),
        None => FOREVER,
    }
}

/// The deadline that `instant` names.
pub(crate) fn from_instant(instant: Instant) -> u64 {
    let (anchor, at) = *ANCHOR;
    match instant.checked_duration_since(anchor) {
        Some(later) => at.saturating_add(nanoseconds(later)),
        None => at.saturating_sub(nanoseconds(anchor.saturating_duration_since(instant))),
    }
}

/// The instant that `deadline` (ns) names; `None` for [`FOREVER`] or what an `Instant` cannot hold.
pub(crate) fn to_instant(deadline: u64) -> Option<Instant> {
    if deadline == FOREVER {
        return None;
    }
    let (anchor, at) = *ANCHOR;
    match deadline.checked_sub(at) {
        Some(later) => anchor.checked_add(Duration::from_nanos(later)),
        None => anchor.checked_sub(Duration::from_nanos(at - deadline)),
    }
}

/// How long until `deadline`, nothing if it has passed; `None` for [`FOREVER`].
#[inline]
pub(crate) fn remaining(deadline: u64, now: u64) -> Option<Duration> {
    (deadline != FOREVER).then(|| Duration::from_nanos(deadline.saturating_sub(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_round_trip_and_saturate() {
        let t = Instant::now();
        for shift in [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(1 << 30)] {
            assert_eq!(to_instant(from_instant(t + shift)), Some(t + shift));
        }
        let ahead = Instant::now() + Duration::from_micros(50);
        while now() < from_instant(ahead) {}
        assert!(Instant::now() >= ahead, "never early");
        assert_eq!(after(now(), Duration::MAX), FOREVER);
        assert_eq!((to_instant(FOREVER), remaining(FOREVER, 7)), (None, None));
        assert_eq!(remaining(5, 7), Some(Duration::ZERO));
    }
}
