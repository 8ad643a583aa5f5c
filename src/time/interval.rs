//! A clock that ticks: one moment after another, a period apart.
//!
//! # Invariants
//!
//! 1. A tick is never early.
//! 2. With [`Missed::Burst`] and [`Missed::Skip`] every tick is a whole number of periods after the
//!    first.
//!
//! # Who calls this, and what it may call
//!
//! One coroutine or thread at a time; `tick` suspends it.

use std::time::{Duration, Instant};

use super::{sleep_cancellable_until, sleep_until};
use crate::cancel::CancelToken;
use crate::error::Cancelled;

/// What an [`Interval`] does about ticks that nobody waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Missed {
    /// Makes up for them: they come at once, one after the other.
    #[default]
    Burst,
    /// Lets the following tick be a whole period after the late one.
    Delay,
    /// Leaves them out and goes on at the next whole period.
    Skip,
}

/// Ticks, made by [`interval`].
#[derive(Debug, Clone)]
pub struct Interval {
    period: Duration,
    /// `None`: never again.
    due: Option<Instant>,
    missed: Missed,
}

/// Ticks every `period`, the first time one period from now. [`Duration::MAX`] is for ever.
///
/// # Panics
///
/// If `period` is zero.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use kcoro::time::{interval, Missed};
///
/// kcoro::run(|| {
///     let start = Instant::now();
///     let mut ticks = interval(Duration::from_millis(2)).missed(Missed::Skip);
///     for _ in 0..3 {
///         ticks.tick();
///     }
///     assert!(start.elapsed() >= Duration::from_millis(6));
/// });
/// ```
#[must_use]
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval's period must not be zero");
    Interval { period, due: Instant::now().checked_add(period), missed: Missed::default() }
}

impl Interval {
    /// Says what is done about ticks that nobody waited for. Default: [`Missed::Burst`].
    #[must_use]
    pub fn missed(mut self, missed: Missed) -> Interval {
        self.missed = missed;
        self
    }

    /// The time between two ticks.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Waits for the next tick and returns the moment it was due.
    pub fn tick(&mut self) -> Instant {
        match self.due {
            Some(due) => {
                sleep_until(due);
                self.advance(due)
            }
            None => super::sleep_for_ever(),
        }
    }

    /// [`tick`](Interval::tick), unless `token` is cancelled first: then the tick is still to come.
    ///
    /// # Errors
    ///
    /// [`Cancelled`].
    pub fn tick_cancellable(&mut self, token: &CancelToken) -> Result<Instant, Cancelled> {
        sleep_cancellable_until(self.due, token)?;
        Ok(self.due.map_or_else(Instant::now, |due| self.advance(due)))
    }

    /// Begins anew: the next tick is one period from now.
    pub fn reset(&mut self) {
        self.due = Instant::now().checked_add(self.period);
    }

    fn advance(&mut self, due: Instant) -> Instant {
        self.due = following(due, Instant::now(), self.period, self.missed);
        due
    }
}

/// When the tick after the one at `due` comes, which was taken at `now`.
fn following(due: Instant, now: Instant, period: Duration, missed: Missed) -> Option<Instant> {
    let late = now.saturating_duration_since(due);
    if late < period {
        return due.checked_add(period);
    }
    match missed {
        Missed::Burst => due.checked_add(period),
        Missed::Delay => now.checked_add(period),
        Missed::Skip => {
            let into = late.as_nanos() % period.as_nanos();
            // Less than a period, of which there are fewer than `late` holds.
            let rest = period - Duration::from_nanos_u128(into);
            now.checked_add(rest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_ticks() {
        let due = Instant::now();
        let period = Duration::from_millis(10);
        let after = |ms| due + Duration::from_millis(ms);
        for missed in [Missed::Burst, Missed::Delay, Missed::Skip] {
            assert_eq!(following(due, after(9), period, missed), Some(after(10)), "{missed:?}");
        }
        assert_eq!(following(due, after(25), period, Missed::Burst), Some(after(10)));
        assert_eq!(following(due, after(25), period, Missed::Delay), Some(after(35)));
        assert_eq!(following(due, after(25), period, Missed::Skip), Some(after(30)));
        assert_eq!(following(due, after(30), period, Missed::Skip), Some(after(40)));
        assert_eq!(following(due, after(30), Duration::MAX, Missed::Skip), None);
    }
}
