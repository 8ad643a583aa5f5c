//! How long a worker without work looks for some before it sleeps in the kernel.
//!
//! To sleep and to be woken costs both sides some ten to thirty microseconds, most of it in the
//! kernel; a partner on another worker often answers within one. So a worker whose last sleep turned
//! out shorter than [`LONGEST`] waits that long awake before the next one, and each sleep that lasts
//! halves the wait again: what is wasted is at most what a sleep and a wake-up would have cost, and
//! nothing while nobody answers. Where the process may use one CPU only, waiting awake would keep
//! the partner from answering; a worker then sleeps at once.
//!
//! # Who calls this, and what it may call
//!
//! The worker's loop, on its own thread.
//!
//! Source: A. Karlin, K. Li, M. Manasse, S. Owicki, "Empirical studies of competitive spinning for a
//! shared-memory multiprocessor", SOSP 1991.

#![forbid(unsafe_code)]

use core::cell::Cell;

/// What a sleep and a wake-up cost, generously, in nanoseconds; and the longest wait awake.
pub(super) const LONGEST: u64 = 50_000;

/// Shorter waits are left out, in nanoseconds.
const SHORTEST: u64 = 3_000;

/// A worker's patience.
#[derive(Debug)]
pub(super) struct Patience {
    several_cpus: bool,
    wait: Cell<u64>,
}

impl Patience {
    /// `cpus` is how many the process may use.
    pub(super) fn new(cpus: usize) -> Patience {
        Patience { several_cpus: cpus > 1, wait: Cell::new(0) }
    }

    /// Nanoseconds to wait awake; `busy` says whether another worker is up and may produce work.
    pub(super) fn wait(&self, busy: bool) -> u64 {
        match self.wait.get() {
            0 if busy && self.several_cpus => SHORTEST,
            wait => wait,
        }
    }

    /// A sleep of so many nanoseconds was ended by somebody who had work.
    pub(super) fn woken_after(&self, slept: u64) {
        if slept < LONGEST && self.several_cpus {
            self.wait.set(LONGEST);
        } else {
            self.tire();
        }
    }

    /// A sleep lasted, or ended for another reason.
    pub(super) fn tire(&self) {
        let half = self.wait.get() / 2;
        self.wait.set(if half < SHORTEST { 0 } else { half });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_sleeps_make_patient_and_long_ones_tire() {
        let patience = Patience::new(2);
        assert_eq!((patience.wait(false), patience.wait(true)), (0, SHORTEST));
        patience.woken_after(LONGEST - 1);
        assert_eq!(patience.wait(false), LONGEST);
        patience.woken_after(LONGEST);
        assert_eq!(patience.wait(false), LONGEST / 2);
        for _ in 0..10 {
            patience.tire();
        }
        assert_eq!(patience.wait(false), 0);
    }

    #[test]
    fn on_one_cpu_there_is_none() {
        let patience = Patience::new(1);
        patience.woken_after(1);
        assert_eq!(patience.wait(true), 0);
    }
}
