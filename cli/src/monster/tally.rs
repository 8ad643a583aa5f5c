//! What the consumer makes of the samples: how many per shard, and who used the most CPU time.
//!
//! # Invariants
//!
//! 1. The book belongs to the consumer; others see copies that it publishes now and then.
//! 2. The book forgets processes that have not been seen for a while, so that it does not grow for
//!    as long as processes come and go.
//!
//! # Who calls this, and what it may call
//!
//! The consumer's coroutine; any thread reads. The lock is held for a copy, never across a wait.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kcoro::monster::{Command, SHARD_COUNT, Sample};

/// How many of the busiest processes are shown.
const BUSIEST: usize = 3;
/// How often, in samples' time, the busiest are looked for.
const PUBLISH_EVERY_NS: u64 = 500_000_000;
/// A process that was not seen for this long is forgotten.
const FORGET_AFTER_NS: u64 = 5_000_000_000;
/// Below this many processes nothing is forgotten.
const FORGET_FROM: usize = 4096;

/// A busy process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Busy {
    pub(super) pid: u32,
    pub(super) command: Command,
    /// CPU time over time, in percent of one core.
    pub(super) percent: f64,
}

#[derive(Debug, Default)]
struct Published {
    shards: [u64; SHARD_COUNT],
    busiest: Vec<Busy>,
}

/// The copy that others see.
#[derive(Debug, Default)]
pub(super) struct Tally {
    published: Mutex<Published>,
}

impl Tally {
    fn lock(&self) -> MutexGuard<'_, Published> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Samples per shard.
    pub(super) fn shards(&self) -> [u64; SHARD_COUNT] {
        self.lock().shards
    }

    /// The busiest processes, the first one first.
    pub(super) fn busiest(&self) -> Vec<Busy> {
        self.lock().busiest.clone()
    }

    /// Opens the book.
    pub(super) fn book(&self) -> Book<'_> {
        Book {
            tally: self,
            shards: [0; SHARD_COUNT],
            seen: HashMap::new(),
            now: 0,
            published_at: 0,
            forget_from: FORGET_FROM,
        }
    }
}

/// What is known of one process: its CPU time at the first and at the last sample.
#[derive(Debug, Clone, Copy)]
struct Seen {
    command: Command,
    first: (u64, u64),
    last: (u64, u64),
}

impl Seen {
    fn percent(&self) -> f64 {
        let (cpu, time) = (self.last.0 - self.first.0, self.last.1 - self.first.1);
        if time == 0 { 0.0 } else { cpu as f64 / time as f64 * 100.0 }
    }
}

/// The consumer's own counts.
#[derive(Debug)]
pub(super) struct Book<'a> {
    tally: &'a Tally,
    shards: [u64; SHARD_COUNT],
    seen: HashMap<u32, Seen>,
    /// The time of the last sample.
    now: u64,
    published_at: u64,
    forget_from: usize,
}

impl Book<'_> {
    /// Counts a sample.
    pub(super) fn add(&mut self, sample: &Sample) {
        self.shards[sample.shard.index()] += 1;
        self.now = sample.timestamp_ns;
        let at = (sample.cpu_time_ns, sample.timestamp_ns);
        let fresh = Seen { command: sample.command, first: at, last: at };
        let seen = self.seen.entry(sample.pid).or_insert(fresh);
        // Another process has got the pid, or the process another program, or a recording its time.
        let same = seen.command == sample.command && at.0 >= seen.last.0 && at.1 >= seen.last.1;
        if same {
            seen.last = at;
        } else {
            *seen = fresh;
        }
        if self.now.saturating_sub(self.published_at) >= PUBLISH_EVERY_NS {
            self.publish();
            self.forget();
        }
    }

    /// Lets others see the counts.
    pub(super) fn publish(&mut self) {
        self.published_at = self.now;
        let present = |seen: &Seen| self.now.saturating_sub(seen.last.1) < FORGET_AFTER_NS;
        let busy = self.seen.iter().filter(|(_, seen)| present(seen));
        let mut busy: Vec<_> = busy
            .map(|(&pid, seen)| Busy { pid, command: seen.command, percent: seen.percent() })
            .filter(|busy| busy.percent > 0.0)
            .collect();
        busy.sort_by(|a, b| b.percent.total_cmp(&a.percent).then(a.pid.cmp(&b.pid)));
        busy.truncate(BUSIEST);
        let mut published = self.tally.lock();
        *published = Published { shards: self.shards, busiest: busy };
    }

    fn forget(&mut self) {
        if self.seen.len() >= self.forget_from {
            let now = self.now;
            self.seen.retain(|_, seen| now.saturating_sub(seen.last.1) < FORGET_AFTER_NS);
            self.forget_from = FORGET_FROM.max(2 * self.seen.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(pid: u32, time: u64, cpu: u64) -> Sample {
        let mut sample = Sample::new(pid, time);
        (sample.cpu_time_ns, sample.command) = (cpu, Command::new(b"busy"));
        sample
    }

    #[test]
    fn the_busiest_come_first_and_a_reused_pid_starts_afresh() {
        let tally = Tally::default();
        let mut book = tally.book();
        for tick in 0..=10 {
            book.add(&sample(7, tick * 10_000_000, tick * 5_000_000));
            book.add(&sample(8, tick * 10_000_000, tick * 10_000_000));
            book.add(&sample(9, tick * 10_000_000, if tick < 9 { tick * 10_000_000 } else { 0 }));
        }
        book.publish();
        let busiest = tally.busiest();
        assert_eq!(busiest.iter().map(|busy| busy.pid).collect::<Vec<_>>(), [8, 7]);
        assert!((busiest[1].percent - 50.0).abs() < 0.01, "{busiest:?}");
        assert_eq!(tally.shards().iter().sum::<u64>(), 33);
    }

    #[test]
    fn what_has_gone_is_forgotten() {
        let tally = Tally::default();
        let mut book = tally.book();
        for second in 0..200u32 {
            for process in 0..100 {
                book.add(&sample(second * 100 + process, u64::from(second) * 1_000_000_000, 0));
            }
        }
        assert!(book.seen.len() <= FORGET_FROM + 100, "{}", book.seen.len());
    }
}
