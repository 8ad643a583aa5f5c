//! Meters on the way of a sample: counts and latencies of one hop from a writer to a reader.
//!
//! A pipe is first in, first out, with one writer and one reader here, so the n-th sample written is
//! the n-th one read: the writer leaves the time of the n-th write in a ring of stamps, the reader
//! finds it there. The sample itself stays as it is.
//!
//! # Invariants
//!
//! 1. A hop has one writer and one reader; each counter and each bucket has one writer.
//! 2. The ring of stamps is longer than the pipe, so no stamp is overwritten before it is read.
//!
//! # Who calls this, and what it may call
//!
//! The stages, on their workers; whoever shows progress reads, from any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kcoro::error::{ReadError, WriteError};
use kcoro::monster::{PipeEnd, RING_CAPACITY, Sample, SampleSink, SampleSource};

/// How many stamps a hop holds.
const STAMPS: usize = 2 * RING_CAPACITY.next_power_of_two();

/// Each power of two of nanoseconds is divided into this many buckets: steps of 3 %.
const STEPS: u64 = 32;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Latencies from here on (18 minutes) share the last bucket.
const TOP_BITS: u32 = 40;
const BUCKETS: usize = ((TOP_BITS - STEP_BITS + 1) as usize) * STEPS as usize;

/// Adds to a number that only this thread writes.
pub(super) fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed) + by, Ordering::Relaxed);
}

/// The number, at about this moment.
pub(super) fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Durations, counted in buckets that are 3 % wide; the greatest is exact.
#[derive(Debug)]
pub(super) struct Histogram {
    buckets: Box<[AtomicU64]>,
    max: AtomicU64,
}

impl Histogram {
    pub(super) fn new() -> Histogram {
        let buckets = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Histogram { buckets, max: AtomicU64::new(0) }
    }

    /// Counts one duration. One thread at a time.
    pub(super) fn record(&self, ns: u64) {
        bump(&self.buckets[bucket(ns)], 1);
        if ns > read(&self.max) {
            self.max.store(ns, Ordering::Relaxed);
        }
    }

    /// The durations that this share of all stays below; `None` if there is none yet.
    pub(super) fn quantile(&self, share: f64) -> Option<Duration> {
        let counts: Vec<u64> = self.buckets.iter().map(read).collect();
        let total: u64 = counts.iter().sum();
        let rank = ((total as f64 * share).ceil() as u64).clamp(1, total.max(1));
        let mut below = 0;
        let index = counts.iter().position(|count| {
            below += count;
            below >= rank
        })?;
        Some(Duration::from_nanos(upper_end(index).min(read(&self.max))))
    }

    pub(super) fn max(&self) -> Duration {
        Duration::from_nanos(read(&self.max))
    }
}

/// Below `STEPS` each nanosecond has its bucket; above, the top bits choose.
fn bucket(ns: u64) -> usize {
    let ns = ns.min((1 << TOP_BITS) - 1);
    if ns < STEPS {
        return ns as usize;
    }
    let shift = ns.ilog2() - STEP_BITS;
    (u64::from(shift) * STEPS + (ns >> shift)) as usize
}

/// The greatest duration that falls into the bucket.
fn upper_end(index: usize) -> u64 {
    let index = index as u64;
    if index < 2 * STEPS {
        return index;
    }
    let shift = index / STEPS - 1;
    ((index - shift * STEPS + 1) << shift) - 1
}

/// What a stamp holds: when the sample was written here, and when into the first pipe.
#[derive(Debug, Default)]
struct Stamp {
    written: AtomicU64,
    entered: AtomicU64,
}

/// One hop: a pipe from its writer to its reader.
#[derive(Debug)]
pub(super) struct Hop {
    began: Instant,
    stamps: Box<[Stamp]>,
    pub(super) written: AtomicU64,
    pub(super) read: AtomicU64,
    /// From the write to the read, waiting for room included.
    pub(super) latency: Histogram,
    /// From the write into the first pipe to the read here.
    pub(super) since_entry: Histogram,
    /// When the sample that was read last had entered the first pipe.
    last_entered: AtomicU64,
}

impl Hop {
    pub(super) fn new(began: Instant) -> Arc<Hop> {
        Arc::new(Hop {
            began,
            stamps: (0..STAMPS).map(|_| Stamp::default()).collect(),
            written: AtomicU64::new(0),
            read: AtomicU64::new(0),
            latency: Histogram::new(),
            since_entry: Histogram::new(),
            last_entered: AtomicU64::new(0),
        })
    }

    fn stamp(&self, number: u64) -> &Stamp {
        &self.stamps[number as usize % STAMPS]
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }
}

/// The writing end of a hop.
#[derive(Debug)]
pub(super) struct MeteredSink {
    pub(super) end: PipeEnd,
    pub(super) hop: Arc<Hop>,
    /// The hop the samples come from; `None` if they enter here.
    pub(super) from: Option<Arc<Hop>>,
}

impl SampleSink for MeteredSink {
    fn write(&self, sample: Sample, timeout: Option<Duration>) -> Result<(), WriteError<Sample>> {
        let (number, now) = (read(&self.hop.written), self.hop.now());
        let stamp = self.hop.stamp(number);
        stamp.written.store(now, Ordering::Relaxed);
        let entered = self.from.as_ref().map_or(now, |from| read(&from.last_entered));
        stamp.entered.store(entered, Ordering::Relaxed);
        // The pipe orders the stamp before the read of its sample.
        self.end.write(sample, timeout)?;
        self.hop.written.store(number + 1, Ordering::Relaxed);
        Ok(())
    }
}

/// The reading end of a hop.
#[derive(Debug)]
pub(super) struct MeteredSource {
    pub(super) end: PipeEnd,
    pub(super) hop: Arc<Hop>,
}

impl SampleSource for MeteredSource {
    fn read(&self, timeout: Option<Duration>) -> Result<Sample, ReadError> {
        let sample = self.end.read(timeout)?;
        let hop = &self.hop;
        let (number, now) = (read(&hop.read), hop.now());
        let stamp = hop.stamp(number);
        let entered = read(&stamp.entered);
        hop.latency.record(now.saturating_sub(read(&stamp.written)));
        hop.since_entry.record(now.saturating_sub(entered));
        hop.last_entered.store(entered, Ordering::Relaxed);
        hop.read.store(number + 1, Ordering::Relaxed);
        Ok(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_in_order_and_narrow() {
        let mut last = 0;
        for ns in (0..200_000).chain((18..40).map(|bits| (1u64 << bits) + 12)) {
            let index = bucket(ns);
            assert!(upper_end(index) >= ns.min((1 << TOP_BITS) - 1), "{ns}");
            assert!(upper_end(index) - ns <= ns / STEPS, "{ns}: {}", upper_end(index));
            assert!(index >= last, "{ns}");
            last = index;
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_of_known_durations() {
        let histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), None);
        (1..=1000).for_each(|us| histogram.record(us * 1000));
        let ns = |share| histogram.quantile(share).expect("there are some").as_nanos();
        assert!((500_000..516_000).contains(&ns(0.5)), "{}", ns(0.5));
        assert!((990_000..=1_000_000).contains(&ns(0.99)), "{}", ns(0.99));
        assert_eq!((ns(1.0), histogram.max()), (1_000_000, Duration::from_millis(1)));
    }
}
