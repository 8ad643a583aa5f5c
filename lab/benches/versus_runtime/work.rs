//! What is the same for every runtime: sizes, shapes, uneven work, and the alarm clock.

use kcoro_lab::versus::{Sample, quantile, scramble};
use std::hint::{black_box, spin_loop};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How many are joined together in the batch case.
pub const BATCH: usize = 1024;

/// Depth of the tree: this many levels of forks.
pub fn depth(sample: &Sample) -> u32 {
    sample.pick(20, 17, 6)
}

/// Levels of the tree that is forked first, so that threads run and pools are filled.
pub fn warm_depth(sample: &Sample) -> u32 {
    depth(sample).min(12)
}

/// How many are spawned in the flat and batch cases: a multiple of [`BATCH`].
pub fn crowd(sample: &Sample) -> usize {
    1 << sample.pick(20, 17, 10)
}

/// Writes down the rate at which `count` were done.
pub fn done(sample: &mut Sample, count: usize, taken: Duration) {
    sample.figure("rate", count as f64 / taken.as_secs_f64() / 1e6, "M/s");
}

static SUM: AtomicU64 = AtomicU64::new(0);

/// The body of a short life; on one worker, so that no locked instruction is needed.
#[inline]
pub fn bump() {
    SUM.store(SUM.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// Pieces of uneven work: one of 32 takes a hundred times as long as the others.
pub fn pieces(sample: &Sample) -> usize {
    sample.scale(8192)
}

/// Does the piece with this number, some microseconds of arithmetic or some hundreds.
pub fn piece(number: usize) -> u64 {
    let heavy = scramble(number).is_multiple_of(32);
    let mut state = black_box(number as u64 | 1);
    for _ in 0..if heavy { 100_000 } else { 1000 } {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    }
    black_box(state)
}

/// Measures `run` with one and with two workers in turn and writes the speed-up down.
pub fn speed_up(sample: &mut Sample, run: impl Fn(usize, usize) -> Duration) {
    let pieces = pieces(sample);
    let mut least = [Duration::MAX; 2];
    for _ in 0..sample.pick(3, 2, 1) {
        for (at, least) in least.iter_mut().enumerate() {
            *least = run(at + 1, pieces).min(*least);
        }
    }
    sample.figure("speed-up", least[0].as_secs_f64() / least[1].as_secs_f64(), "x");
}

static ARRIVED: AtomicUsize = AtomicUsize::new(0);
static CALLED: AtomicUsize = AtomicUsize::new(0);
static ANSWERED: AtomicUsize = AtomicUsize::new(0);
static MOMENT: AtomicU64 = AtomicU64::new(0);

fn clock() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Holds the worker until two have come: so they are on two workers.
pub fn meet() {
    ARRIVED.fetch_add(1, Ordering::Relaxed);
    while ARRIVED.load(Ordering::Relaxed) < 2 {
        spin_loop();
    }
}

/// How often the sleeper is woken.
pub fn calls(sample: &Sample) -> usize {
    sample.pick(1000, 300, 4)
}

/// The caller: wakes the other, again and again, after time enough for it to fall asleep, and
/// returns how long each took to run, in nanoseconds. The caller keeps its own worker busy.
pub fn call(count: usize, wake: impl Fn()) -> Vec<f64> {
    let mut all = Vec::with_capacity(count);
    for at in 1..=count {
        let asleep = Instant::now();
        while asleep.elapsed() < Duration::from_micros(100) {
            spin_loop();
        }
        let start = clock();
        CALLED.store(at, Ordering::Release);
        wake();
        while ANSWERED.load(Ordering::Acquire) < at {
            spin_loop();
        }
        all.push((MOMENT.load(Ordering::Relaxed) - start) as f64);
    }
    all
}

/// Whether the sleeper has been called for the `at`th time.
pub fn called(at: usize) -> bool {
    CALLED.load(Ordering::Acquire) >= at
}

/// The sleeper runs, for the `at`th time.
pub fn answer(at: usize) {
    MOMENT.store(clock(), Ordering::Relaxed);
    ANSWERED.store(at, Ordering::Release);
}

/// Writes the latencies down, in microseconds.
pub fn latencies(sample: &mut Sample, mut all: Vec<f64>) {
    all.sort_by(f64::total_cmp);
    sample.figure("p10", quantile(&all, 0.1) / 1e3, "us");
    sample.figure("p50", quantile(&all, 0.5) / 1e3, "us");
    sample.figure("p99", quantile(&all, 0.99) / 1e3, "us");
}
