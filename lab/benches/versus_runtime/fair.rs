//! Fairness on one worker: what equals get, and how long one that is ready waits beside a hog.
//!
//! A runtime's part is the loop and its way to give way; the process ends without taking it down.

use kcoro_lab::versus::{Sample, quantile};
use std::hint::spin_loop;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::thread::sleep;
use std::time::{Duration, Instant};

static TURNS: OnceLock<Vec<AtomicU64>> = OnceLock::new();

/// The `at`th of the equals has its turn.
pub fn turn(at: usize) {
    if let Some(turns) = TURNS.get() {
        turns[at].store(turns[at].load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

fn turns() -> Vec<u64> {
    TURNS.get().into_iter().flatten().map(|turns| turns.load(Ordering::Relaxed)).collect()
}

/// 1,000 that take a turn and give way, for ever: the turns of the luckiest by those of the
/// unluckiest within the same second.
pub fn fair(sample: &mut Sample, start: fn(usize)) {
    let count = sample.pick(1_000, 1_000, 10);
    TURNS.get_or_init(|| (0..count).map(|_| AtomicU64::new(0)).collect());
    start(count);
    while turns().contains(&0) {
        sleep(Duration::from_millis(1));
    }
    let before = turns();
    let time = sample.pick(1_000, 300, 5);
    sleep(Duration::from_millis(time));
    let gained: Vec<u64> = turns().iter().zip(before).map(|(now, then)| now - then).collect();
    let (least, most) = (*gained.iter().min().unwrap_or(&0), *gained.iter().max().unwrap_or(&0));
    let sum: u64 = gained.iter().sum();
    sample.figure("max/min", most as f64 / least.max(1) as f64, "times");
    sample.figure("turns", sum as f64 / (time as f64 * 1e3), "M/s");
}

/// What the hog does between two times that it gives way.
pub fn compute() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1) {
        spin_loop();
    }
}

/// How often the other one sleeps.
pub fn naps(sample: &Sample) -> usize {
    sample.pick(3_000, 1_000, 4)
}

/// When the next nap ends.
pub fn due() -> Instant {
    Instant::now() + Duration::from_micros(200)
}

/// Collects how late each nap ended, and sends it when that was the last.
pub struct Lateness {
    all: Vec<f64>,
    count: usize,
    to: Sender<Vec<f64>>,
}

impl Lateness {
    pub fn new(count: usize, to: Sender<Vec<f64>>) -> Lateness {
        Lateness { all: Vec::with_capacity(count), count, to }
    }

    /// A nap that was to end at `due` has ended; true: there is another one.
    pub fn note(&mut self, due: Instant) -> bool {
        self.all.push(due.elapsed().as_nanos() as f64 / 1e3);
        if self.all.len() == self.count {
            let _ = self.to.send(std::mem::take(&mut self.all));
            return false;
        }
        true
    }
}

/// One that sleeps 200 us again and again, beside one that computes for a millisecond between two
/// times that it gives way: how long after its deadline it runs.
pub fn hog(sample: &mut Sample, start: fn(Lateness)) {
    let (to, from) = std::sync::mpsc::channel();
    start(Lateness::new(naps(sample), to));
    let mut all = from.recv().unwrap_or_default();
    all.sort_by(f64::total_cmp);
    sample.figure("p50", quantile(&all, 0.5), "us");
    sample.figure("p99.9", quantile(&all, 0.999), "us");
}
