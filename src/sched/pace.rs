//! How many switches a round of a worker may make, so that it takes a bounded time.
//!
//! A fixed number is right for coroutines that run for a microsecond between two switches; those
//! that compute for a millisecond and yield would keep timers, descriptors and newcomers waiting a
//! hundred times too long. So the budget follows the time that full rounds take. Reading the clock
//! at each switch would cost as much as the switch; it is read once for a round that used up its
//! budget, and not at all for others.
//!
//! # Who calls this, and what it may call
//!
//! The worker's loop.

#![forbid(unsafe_code)]

use core::cell::Cell;

use crate::sys::clock;

/// What a round should take at most, in nanoseconds, if its coroutines let it.
const ROUND: u64 = 200_000;

/// Short rounds in a row after which the budget grows: one that computes for long and gives way in
/// turns with one that does not should not have two turns in every second round.
const SHORT_ROUNDS: u32 = 8;

/// The budget of a worker's rounds.
#[derive(Debug)]
pub(super) struct Pace {
    most: u32,
    budget: Cell<u32>,
    /// When the last round ended, if it used up its budget; otherwise 0.
    spent_at: Cell<u64>,
    /// Short full rounds since the last that was not.
    short: Cell<u32>,
}

impl Pace {
    /// A pace of at most `most` switches in a round.
    pub(super) fn new(most: u32) -> Pace {
        Pace { most, budget: Cell::new(most), spent_at: Cell::new(0), short: Cell::new(0) }
    }

    /// Switches that the next round may make.
    #[inline(always)]
    pub(super) fn budget(&self) -> u32 {
        self.budget.get()
    }

    /// A round has ended.
    #[inline(always)]
    pub(super) fn note(&self, spent: bool) {
        if spent {
            self.adapt(clock::now());
        } else {
            self.spent_at.set(0);
        }
    }

    fn adapt(&self, now: u64) {
        let before = self.spent_at.replace(now);
        if before != 0 {
            let elapsed = now.saturating_sub(before);
            let budget = next(self.budget.get(), elapsed, self.most);
            if budget <= self.budget.get() {
                self.short.set(0);
            } else if self.short.get() < SHORT_ROUNDS {
                return self.short.set(self.short.get() + 1);
            }
            self.budget.set(budget);
        }
    }
}

/// The budget, of `most`, after a full round of `budget` switches took `elapsed` ns.
fn next(budget: u32, elapsed: u64, most: u32) -> u32 {
    if elapsed > ROUND {
        let fitting = u64::from(budget) * ROUND / elapsed;
        u32::try_from(fitting).unwrap_or(budget).max(1)
    } else if elapsed < ROUND / 4 {
        budget.saturating_mul(2).min(most)
    } else {
        budget
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coroutine::SWITCH_BUDGET;

    #[test]
    fn the_budget_follows_the_time_of_a_round() {
        let next = |budget, elapsed| next(budget, elapsed, SWITCH_BUDGET);
        assert_eq!(next(SWITCH_BUDGET, 5_000), SWITCH_BUDGET);
        assert_eq!(next(SWITCH_BUDGET, 128_000_000), 1);
        assert_eq!(next(1, 1_000_000), 1);
        assert_eq!(next(1, 10_000), 2);
        assert_eq!(next(64, 100_000), 64);
    }

    #[test]
    fn a_short_round_now_and_then_lets_nobody_have_two_turns() {
        let pace = Pace::new(SWITCH_BUDGET);
        let mut now = 1;
        let mut round = |elapsed| {
            now += elapsed;
            pace.adapt(now);
            pace.budget()
        };
        round(0);
        assert_eq!(round(1_000_000_000), 1);
        for _ in 0..100 {
            assert_eq!((round(1_000_000), round(1_000)), (1, 1));
        }
        assert!((1..SHORT_ROUNDS).all(|_| round(1_000) == 1));
        assert_eq!((round(1_000), round(1_000)), (2, 4));
    }
}
