//! The stages of the demonstration: sampler, filter, consumer, apps and coordinator, wired up.
//!
//! ```text
//!   sampler -> Producer -> [pipe 0] -> Filter -> [pipe 1] -> Consumer
//!                          Coordinator -> 15 shards -> 3 apps on each
//! ```
//!
//! Each is a coroutine. One more, the supervisor, joins them in the order in which they end: the
//! end of the samples closes the pipes one after the other, then the coordinator stops, then the
//! apps are let go.
//!
//! # Invariants
//!
//! 1. What a stage returns it has counted itself; `report` compares these counts, it computes none.
//! 2. Dropping the sender of the stop channel ends everything, within one sweep.
//!
//! # Who calls this, and what it may call
//!
//! The main thread starts it and reads the [`Gauges`]; everything else runs on the workers.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kcoro::channel::{self, Receiver, Sender};
use kcoro::error::{RecvTimeoutError, TryRecvError};
use kcoro::monster::status::{Coordinated, Summary};
use kcoro::monster::{
    Consumer, Coordinator, Filter, Monster, PipeId, Producer, Role, Sample, ShardId, Sweep,
    WaitState, assign_shard,
};
use kcoro::{Builder, JoinHandle, Runtime};

use super::feed::Feed;
use super::meter::{Histogram, Hop, MeteredSink, MeteredSource, bump};
use super::tally::{Busy, Tally};
use crate::args::Rate;

/// How many apps wait on each shard.
pub(super) const APPS_PER_SHARD: usize = 3;

/// All coroutines of the demonstration: the apps, four stages and the supervisor.
pub(super) const COROUTINES: u64 = (APPS_PER_SHARD * kcoro::monster::SHARD_COUNT + 5) as u64;

/// How often the shards are coordinated.
const COORDINATION_INTERVAL: Duration = Duration::from_secs(1);

/// What the stages show of themselves while they run.
#[derive(Debug)]
pub(super) struct Gauges {
    pub(super) began: Instant,
    pub(super) hops: [Arc<Hop>; 2],
    pub(super) sweep_time: Histogram,
    pub(super) sweeps: AtomicU64,
    pub(super) processes: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) missed: AtomicU64,
    pub(super) coordinated: AtomicU64,
    pub(super) rounds: AtomicU64,
    pub(super) tally: Tally,
    /// What the last round of coordinations did.
    log: Mutex<Vec<Coordinated>>,
}

impl Gauges {
    fn log(&self) -> MutexGuard<'_, Vec<Coordinated>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last round of coordinations, once.
    pub(super) fn take_log(&self) -> Vec<Coordinated> {
        std::mem::take(&mut self.log())
    }
}

/// What the sampler met, over all sweeps.
#[derive(Debug, Default, Clone)]
pub(super) struct Sweeps {
    pub(super) count: u64,
    pub(super) most_processes: usize,
    pub(super) sampled: u64,
    pub(super) vanished: usize,
    pub(super) denied: usize,
    pub(super) malformed: usize,
    pub(super) failed: usize,
    pub(super) registers_denied: usize,
    /// Ticks that passed while a sweep was still going on.
    pub(super) missed: u64,
}

impl Sweeps {
    fn add(&mut self, sweep: &Sweep) {
        self.count += 1;
        self.most_processes = self.most_processes.max(sweep.listed());
        self.sampled += sweep.sampled as u64;
        self.vanished += sweep.vanished;
        self.denied += sweep.denied;
        self.malformed += sweep.malformed;
        self.failed += sweep.failed;
        self.registers_denied += sweep.registers_denied;
    }
}

/// What the stages say at their end.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) sweeps: Sweeps,
    pub(super) producer: Summary,
    pub(super) wrote: u64,
    pub(super) dropped: u64,
    pub(super) filter: Summary,
    pub(super) filter_read: u64,
    pub(super) filter_wrote: u64,
    pub(super) held_back: u64,
    pub(super) consumer: Summary,
    pub(super) consumer_read: u64,
    pub(super) shards: [u64; kcoro::monster::SHARD_COUNT],
    pub(super) busiest: Vec<Busy>,
    pub(super) coordinators: Vec<Summary>,
    pub(super) coordinated: u64,
    /// How often an app was woken by a coordination, counted by the apps.
    pub(super) woken: u64,
    pub(super) took: Duration,
    /// Why there were no more samples, if that was not planned.
    pub(super) failure: Option<String>,
}

/// The stages at work.
#[derive(Debug)]
pub(super) struct Stages {
    pub(super) monster: Monster,
    pub(super) gauges: Arc<Gauges>,
    /// Closing it ends everything.
    pub(super) stop: Sender<()>,
    /// Brings the outcome, once.
    pub(super) done: Receiver<Outcome>,
}

/// How long and how fast.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) rate: Rate,
    pub(super) limit: Option<Duration>,
}

impl Stages {
    /// Spawns all stages.
    pub(super) fn start(rt: &Runtime, feed: Feed, pace: Pace) -> Result<Stages, String> {
        let monster = Monster::new();
        let (stop, stopped) = channel::rendezvous();
        let (report, done) = channel::bounded(1);
        let began = Instant::now();
        let gauges = Arc::new(Gauges {
            began,
            hops: [Hop::new(began), Hop::new(began)],
            sweep_time: Histogram::new(),
            sweeps: AtomicU64::new(0),
            processes: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            coordinated: AtomicU64::new(0),
            rounds: AtomicU64::new(0),
            tally: Tally::default(),
            log: Mutex::default(),
        });
        let crew = Crew::spawn(rt, &monster, &gauges, (feed, pace, stopped))?;
        named(rt, "supervisor", move || {
            // The main thread waits for it; if it has gone, nobody wants to know.
            let _ = report.send(crew.finish(began));
        })?
        .detach();
        Ok(Stages { monster, gauges, stop, done })
    }
}

fn named<T: Send + 'static>(
    rt: &Runtime,
    name: &str,
    f: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, String> {
    let spawned = rt.spawn_with(Builder::new().name(name), f);
    spawned.map_err(|error| format!("cannot start the {name}: {error}"))
}

/// The coroutines of the demonstration.
struct Crew {
    producer: JoinHandle<(Producer<MeteredSink>, Sweeps, Option<String>)>,
    filter: JoinHandle<(Filter<MeteredSource, MeteredSink>, u64)>,
    consumer: JoinHandle<Consumer<MeteredSource>>,
    coordinator: JoinHandle<Vec<(Summary, u64)>>,
    stop_coordinator: Sender<()>,
    apps: Vec<(Arc<WaitState>, JoinHandle<u64>)>,
    go_home: Arc<AtomicBool>,
    gauges: Arc<Gauges>,
}

impl Crew {
    fn spawn(
        rt: &Runtime,
        monster: &Monster,
        gauges: &Arc<Gauges>,
        (feed, pace, stopped): (Feed, Pace, Receiver<()>),
    ) -> Result<Crew, String> {
        let [first, second] = [0, 1].map(|id| PipeId::new(id).expect("there are 15 pipes"));
        let open = |pipe, role| monster.open(pipe, role).map_err(|error| error.to_string());
        let [hop0, hop1] = &gauges.hops;
        let sink = |end, hop: &Arc<Hop>, from| MeteredSink { end, hop: Arc::clone(hop), from };
        let source = |end, hop: &Arc<Hop>| MeteredSource { end, hop: Arc::clone(hop) };

        let producer = Producer::new(sink(open(first, Role::Producer)?, hop0, None), first);
        let middle = source(open(first, Role::Consumer)?, hop0);
        let onward = sink(open(second, Role::Producer)?, hop1, Some(Arc::clone(hop0)));
        let filter = Filter::new(middle, onward, second);
        let consumer = Consumer::new(source(open(second, Role::Consumer)?, hop1));

        let (stop_coordinator, coordinator_stopped) = channel::rendezvous();
        let go_home = Arc::new(AtomicBool::new(false));
        let mut apps = Vec::new();
        for shard in ShardId::all() {
            for _ in 0..APPS_PER_SHARD {
                let state = monster.wait_state(shard).map_err(|error| error.to_string())?;
                let (state, go_home) = (Arc::new(state), Arc::clone(&go_home));
                let waiter = Arc::clone(&state);
                apps.push((state, named(rt, "app", move || app(&waiter, &go_home))?));
            }
        }
        let tallies = Arc::clone(gauges);
        let consumer = named(rt, "consumer", move || consume(consumer, &tallies.tally))?;
        let filter = named(rt, "filter", move || sift(filter))?;
        let (hub, rounds) = (monster.clone(), Arc::clone(gauges));
        let coordinate = move || coordinate(&hub, &rounds, &coordinator_stopped);
        let coordinator = named(rt, "coordinator", coordinate)?;
        let sampler = Arc::clone(gauges);
        let produce = move || produce(producer, feed, pace, &stopped, &sampler);
        let producer = named(rt, "sampler", produce)?;
        let gauges = Arc::clone(gauges);
        Ok(Crew {
            producer,
            filter,
            consumer,
            coordinator,
            stop_coordinator,
            apps,
            go_home,
            gauges,
        })
    }

    /// Waits for all, in the order in which they end.
    fn finish(self, began: Instant) -> Outcome {
        let (producer, sweeps, failure) = joined(self.producer);
        let (filter, held_back) = joined(self.filter);
        let consumer = joined(self.consumer);
        let took = began.elapsed();
        drop(self.stop_coordinator);
        let coordinators = joined(self.coordinator);
        // Release: pairs with the Acquire in `app`.
        self.go_home.store(true, Ordering::Release);
        self.apps.iter().for_each(|(state, _)| state.signal_ready());
        let woken = self.apps.into_iter().map(|(state, app)| {
            let wakes = joined(app);
            // The farewell was one of the wakes, unless it is still there to be taken.
            wakes - u64::from(!state.is_ready())
        });
        Outcome {
            sweeps,
            producer: producer.summary(),
            wrote: producer.wrote(),
            dropped: producer.dropped(),
            filter: filter.summary(),
            filter_read: filter.read(),
            filter_wrote: filter.wrote(),
            held_back,
            consumer: consumer.summary(),
            consumer_read: consumer.read(),
            woken: woken.sum(),
            shards: self.gauges.tally.shards(),
            busiest: self.gauges.tally.busiest(),
            coordinated: coordinators.iter().map(|(_, apps)| apps).sum(),
            coordinators: coordinators.into_iter().map(|(summary, _)| summary).collect(),
            took,
            failure,
        }
    }
}

fn joined<T>(handle: JoinHandle<T>) -> T {
    handle.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// Sweeps at the pace until the time is up, the recording ends or somebody says stop.
fn produce(
    mut producer: Producer<MeteredSink>,
    mut feed: Feed,
    pace: Pace,
    stopped: &Receiver<()>,
    gauges: &Gauges,
) -> (Producer<MeteredSink>, Sweeps, Option<String>) {
    let (mut samples, mut sweeps) = (Vec::new(), Sweeps::default());
    let end = pace.limit.map(|limit| gauges.began + limit);
    let mut ticks = Ticks::new(gauges.began, pace.rate);
    let failure = loop {
        match feed.next(&mut samples) {
            Ok(Some(sweep)) => {
                sweeps.add(&sweep);
                gauges.sweep_time.record(sweep.elapsed.as_nanos() as u64);
                gauges.processes.store(sweep.sampled as u64, Ordering::Relaxed);
                bump(&gauges.sweeps, 1);
            }
            Ok(None) => break None,
            Err(text) => break Some(text),
        }
        // A live sample that finds no room for a whole tick is dropped. Without ticks, or from a
        // recording, it waits.
        let unhurried = feed.is_replay() || ticks.period.is_zero();
        let patience = (!unhurried).then_some(ticks.period);
        let patience =
            if stopped.is_closed() { patience.map(|_| Duration::ZERO) } else { patience };
        if producer.write(samples.iter().copied(), patience).is_break() {
            break Some("pipe 0 was closed by somebody else".to_owned());
        }
        gauges.dropped.store(producer.dropped(), Ordering::Relaxed);
        sweeps.missed += ticks.skip();
        gauges.missed.store(sweeps.missed, Ordering::Relaxed);
        if ticks.wait(stopped, end) {
            break None;
        }
    };
    producer.sink().end.close();
    let failure = failure.or(feed.finish().err());
    (producer, sweeps, failure)
}

/// The ticks of the sampler.
struct Ticks {
    next: Instant,
    /// Zero: as fast as it goes.
    period: Duration,
}

impl Ticks {
    fn new(began: Instant, rate: Rate) -> Ticks {
        let period = match rate {
            Rate::PerSecond(rate) => Duration::from_secs_f64(1.0 / rate),
            Rate::Max => Duration::ZERO,
        };
        Ticks { next: began + period, period }
    }

    /// Passes over ticks that are gone already; returns how many.
    fn skip(&mut self) -> u64 {
        let late = Instant::now().saturating_duration_since(self.next);
        if self.period.is_zero() || late < self.period {
            return 0;
        }
        let missed = (late.as_nanos() / self.period.as_nanos()) as u32;
        self.next += self.period * missed;
        u64::from(missed)
    }

    /// Waits for the next tick; true if the end comes first.
    fn wait(&mut self, stopped: &Receiver<()>, end: Option<Instant>) -> bool {
        if self.period.is_zero() {
            kcoro::yield_now();
            return stopped.try_recv() == Err(TryRecvError::Closed)
                || end.is_some_and(|end| Instant::now() >= end);
        }
        let (until, last) = match end {
            Some(end) if end <= self.next => (end, true),
            _ => (self.next, false),
        };
        self.next += self.period;
        stopped.recv_deadline(until) == Err(RecvTimeoutError::Closed) || last
    }
}

/// Assigns the shard, applies the Hecke operator of the shard's prime, and holds back what has no
/// memory of its own: kernel threads, and processes that have ended.
fn sift(
    mut filter: Filter<MeteredSource, MeteredSink>,
) -> (Filter<MeteredSource, MeteredSink>, u64) {
    let mut held_back = 0;
    filter.run(|sample: &mut Sample| {
        sample.shard = assign_shard(u64::from(sample.pid));
        if let Ok(operator) = PipeId::new(sample.shard.index()) {
            sample.apply_hecke(operator);
        }
        let keep = sample.memory_bytes > 0;
        held_back += u64::from(!keep);
        keep
    });
    filter.sink().end.close();
    (filter, held_back)
}

fn consume(mut consumer: Consumer<MeteredSource>, tally: &Tally) -> Consumer<MeteredSource> {
    let mut book = tally.book();
    consumer.run(|sample| {
        book.add(sample);
        true
    });
    book.publish();
    consumer
}

/// Coordinates every shard, once per interval; returns the line and the count of each.
fn coordinate(monster: &Monster, gauges: &Gauges, stopped: &Receiver<()>) -> Vec<(Summary, u64)> {
    let mut shards: Vec<_> =
        ShardId::all().map(|shard| Coordinator::new(monster.clone(), shard)).collect();
    while stopped.recv_timeout(COORDINATION_INTERVAL) == Err(RecvTimeoutError::Timeout) {
        let round: Vec<_> = shards.iter_mut().map(Coordinator::coordinate).collect();
        bump(&gauges.coordinated, round.iter().map(|done| done.apps as u64).sum());
        *gauges.log() = round;
        bump(&gauges.rounds, 1);
    }
    let line = |shard: &Coordinator| match shard.summary() {
        Summary::Coordinator(all) => (Summary::Coordinator(all), all.apps as u64),
        other => (other, 0),
    };
    shards.iter().map(line).collect()
}

/// An app: waits for its shard again and again; returns how often it was woken.
fn app(state: &WaitState, go_home: &AtomicBool) -> u64 {
    let mut wakes = 0;
    // Acquire: pairs with the Release in `Crew::finish`.
    while !go_home.load(Ordering::Acquire) {
        if state.wait_for_coord(None).is_ok() {
            wakes += 1;
        }
    }
    wakes
}

/// Ends everything and waits for the outcome; `None` if the supervisor has panicked.
pub(super) fn abandon(stages: &Stages) -> Option<Outcome> {
    stages.stop.close();
    stages.done.recv().ok()
}
