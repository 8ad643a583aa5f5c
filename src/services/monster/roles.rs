//! The four roles: producer, filter, consumer, coordinator.
//!
//! A role works on whatever carries samples, through [`SampleSink`] and [`SampleSource`], so that
//! the same role runs on a pipe of this process or on one that leads to another. A role counts what
//! it does; its [`Summary`] is the line it ends with. It has no thread and no clock of its own: who
//! calls it decides where it runs and how often.
//!
//! # Invariants
//!
//! 1. Every sample offered to a [`Producer`] is counted as written or as dropped.
//! 2. A [`Filter`] writes at most what it has read, and loses nothing that it decided to keep but
//!    when its sink is closed.
//!
//! # Who calls this, and what it may call
//!
//! Coroutines and threads; waits where the sink and the source wait.

#![forbid(unsafe_code)]

use std::ops::ControlFlow;
use std::time::Duration;

use super::hub::Monster;
use super::pipe::PipeEnd;
use super::primes::{PipeId, ShardId};
use super::sample::Sample;
use super::status::{Coordinated, Summary};
use crate::error::{ReadError, WriteError};

/// Where samples can be written.
pub trait SampleSink {
    /// Writes a sample, as [`PipeEnd::write`] does.
    ///
    /// # Errors
    ///
    /// As for [`PipeEnd::write`].
    fn write(&self, sample: Sample, timeout: Option<Duration>) -> Result<(), WriteError<Sample>>;
}

/// Where samples can be read.
pub trait SampleSource {
    /// Reads a sample, as [`PipeEnd::read`] does.
    ///
    /// # Errors
    ///
    /// As for [`PipeEnd::read`].
    fn read(&self, timeout: Option<Duration>) -> Result<Sample, ReadError>;
}

impl SampleSink for PipeEnd {
    fn write(&self, sample: Sample, timeout: Option<Duration>) -> Result<(), WriteError<Sample>> {
        PipeEnd::write(self, sample, timeout)
    }
}

impl SampleSource for PipeEnd {
    fn read(&self, timeout: Option<Duration>) -> Result<Sample, ReadError> {
        PipeEnd::read(self, timeout)
    }
}

/// Writes samples to a ring, and counts those that found no room in time.
///
/// # Examples
///
/// ```
/// use kcoro::monster::{Consumer, Filter, Monster, PipeId, Producer, Role, Sample};
///
/// let monster = Monster::new();
/// let (first, second) = (PipeId::new(0)?, PipeId::new(1)?);
/// let source = monster.open(first, Role::Consumer)?;
/// let mut producer = Producer::new(monster.open(first, Role::Producer)?, first);
/// producer.write((1..=1000).map(|pid| Sample::new(pid, 0)), None);
/// producer.sink().close();
/// assert_eq!(producer.summary().to_string(), "Producer: Wrote 1000 samples to ring 0");
///
/// let end = monster.open(second, Role::Consumer)?;
/// let mut filter = Filter::new(source, monster.open(second, Role::Producer)?, second);
/// filter.run(|sample| sample.pid % 5 != 0);
/// filter.sink().close();
/// assert_eq!(filter.summary().to_string(), "Filter: Read 1000 samples, wrote 800 to ring 1");
///
/// let mut consumer = Consumer::new(end);
/// consumer.run(|_| true);
/// assert_eq!(consumer.summary().to_string(), "Consumer: Read 800 samples, processed 800");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Producer<S> {
    sink: S,
    ring: PipeId,
    wrote: u64,
    dropped: u64,
}

impl<S: SampleSink> Producer<S> {
    /// A producer that writes to `sink`, which leads to `ring`.
    #[must_use]
    pub fn new(sink: S, ring: PipeId) -> Producer<S> {
        Producer { sink, ring, wrote: 0, dropped: 0 }
    }

    /// Writes samples, waiting for each as long as `timeout` says; `Break` if the ring is closed.
    pub fn write(
        &mut self,
        samples: impl IntoIterator<Item = Sample>,
        timeout: Option<Duration>,
    ) -> ControlFlow<()> {
        let mut flow = ControlFlow::Continue(());
        for sample in samples {
            match self.sink.write(sample, timeout) {
                Ok(()) => self.wrote += 1,
                Err(error) => {
                    self.dropped += 1;
                    if matches!(error, WriteError::Closed(_)) {
                        flow = ControlFlow::Break(());
                    }
                }
            }
        }
        flow
    }

    /// Where it writes.
    pub fn sink(&self) -> &S {
        &self.sink
    }

    /// Samples written so far.
    #[must_use]
    pub fn wrote(&self) -> u64 {
        self.wrote
    }

    /// Samples that found no room in time, or the ring closed.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The line for what it has done so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary::Producer { wrote: self.wrote, ring: self.ring }
    }
}

/// Reads samples from one ring and writes those worth keeping to another.
#[derive(Debug)]
pub struct Filter<R, S> {
    source: R,
    sink: S,
    ring: PipeId,
    read: u64,
    wrote: u64,
}

impl<R: SampleSource, S: SampleSink> Filter<R, S> {
    /// A filter from `source` to `sink`, which leads to `ring`.
    #[must_use]
    pub fn new(source: R, sink: S, ring: PipeId) -> Filter<R, S> {
        Filter { source, sink, ring, read: 0, wrote: 0 }
    }

    /// Reads until the source is closed and empty, or the sink is closed. `keep` may change the
    /// sample, and says whether it goes on.
    pub fn run(&mut self, mut keep: impl FnMut(&mut Sample) -> bool) {
        while let Ok(mut sample) = self.source.read(None) {
            self.read += 1;
            if keep(&mut sample) {
                if self.sink.write(sample, None).is_err() {
                    return;
                }
                self.wrote += 1;
            }
        }
    }

    /// Where it writes.
    pub fn sink(&self) -> &S {
        &self.sink
    }

    /// Samples read so far.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Samples written so far.
    #[must_use]
    pub fn wrote(&self) -> u64 {
        self.wrote
    }

    /// The line for what it has done so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary::Filter { read: self.read, wrote: self.wrote, ring: self.ring }
    }
}

/// Reads samples from a ring and does something with them.
#[derive(Debug)]
pub struct Consumer<R> {
    source: R,
    read: u64,
    processed: u64,
}

impl<R: SampleSource> Consumer<R> {
    /// A consumer of `source`.
    #[must_use]
    pub fn new(source: R) -> Consumer<R> {
        Consumer { source, read: 0, processed: 0 }
    }

    /// Reads until the source is closed and empty. `process` says whether it did something with the
    /// sample.
    pub fn run(&mut self, mut process: impl FnMut(&Sample) -> bool) {
        while let Ok(sample) = self.source.read(None) {
            self.read += 1;
            self.processed += u64::from(process(&sample));
        }
    }

    /// Samples read so far.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read
    }

    /// The line for what it has done so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary::Consumer { read: self.read, processed: self.processed }
    }
}

/// Coordinates one shard, again and again.
///
/// # Examples
///
/// ```
/// use kcoro::monster::{Coordinator, Monster, ShardId};
///
/// let mut coordinator = Coordinator::new(Monster::new(), ShardId::new(5)?);
/// assert_eq!(coordinator.coordinate().to_string(), "Coordinated 0 apps on shard 5");
/// let summary = coordinator.summary().to_string();
/// assert_eq!(summary, "Coordinator: Coordinated 0 apps on shard 5");
/// # Ok::<(), kcoro::error::IdError>(())
/// ```
#[derive(Debug)]
pub struct Coordinator {
    monster: Monster,
    shard: ShardId,
    apps: usize,
}

impl Coordinator {
    /// A coordinator of `shard`.
    #[must_use]
    pub fn new(monster: Monster, shard: ShardId) -> Coordinator {
        Coordinator { monster, shard, apps: 0 }
    }

    /// Wakes who waits on the shard now; the result is the log line.
    pub fn coordinate(&mut self) -> Coordinated {
        let coordinated = self.monster.coordinate_shard(self.shard);
        self.apps += coordinated.apps;
        coordinated
    }

    /// The line for all it has done so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary::Coordinator(Coordinated { apps: self.apps, shard: self.shard })
    }
}
