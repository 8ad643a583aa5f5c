//! Crowds that wait: memory, idle cost, CPU time and lateness of sleepers.
//!
//! A runtime's part is to start the crowd and to keep it: the process ends without taking it down.

use kcoro_lab::Memory;
use kcoro_lab::versus::{CpuTime, Sample, quantile, scramble};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

static UP: AtomicUsize = AtomicUsize::new(0);
static WOKEN: AtomicUsize = AtomicUsize::new(0);
static LATE: OnceLock<Vec<AtomicU32>> = OnceLock::new();

/// One of the crowd has come so far that it waits next.
pub fn is_up() {
    UP.fetch_add(1, Ordering::Relaxed);
}

/// How the crowd sleeps: all within the second after `base`.
#[derive(Clone, Copy)]
pub struct Nap {
    base: Duration,
}

impl Nap {
    /// The `at`th of the crowd is up, and sleeps for how long?
    pub fn duration(self, at: usize) -> Duration {
        is_up();
        self.base + Duration::from_micros(scramble(at) % 1_000_000)
    }

    /// The `at`th of the crowd was to wake at this time and has woken.
    pub fn over(self, at: usize, until: Instant) {
        if let Some(late) = LATE.get() {
            late[at].store(until.elapsed().as_nanos() as u32, Ordering::Relaxed);
        }
        WOKEN.fetch_add(1, Ordering::Release);
    }
}

fn wait_for(counter: &AtomicUsize, count: usize, step: Duration) {
    while counter.load(Ordering::Acquire) < count {
        sleep(step);
    }
}

/// Memory and CPU time of each of a million that are parked.
pub fn park(sample: &mut Sample, start: fn(usize)) {
    let count = sample.scale(1_000_000);
    let (memory, cpu) = (Memory::now(), CpuTime::now());
    start(count);
    wait_for(&UP, count, Duration::from_millis(1));
    sleep(Duration::from_millis(200));
    let cpu = cpu.since();
    let now = Memory::now();
    let bytes = (now.resident + now.tables) as f64 - (memory.resident + memory.tables) as f64;
    sample.figure("memory", bytes / count as f64, "B");
    sample.figure("set-up", cpu / count as f64, "ns");
}

/// CPU time that 10,000 parked ones use in five seconds.
pub fn idle(sample: &mut Sample, start: fn(usize)) {
    let count = sample.scale(10_000);
    start(count);
    wait_for(&UP, count, Duration::from_millis(1));
    sleep(sample.pick(Duration::from_secs(1), Duration::from_secs(1), Duration::from_millis(20)));
    let cpu = CpuTime::now();
    let time =
        sample.pick(Duration::from_secs(5), Duration::from_secs(1), Duration::from_millis(20));
    sleep(time);
    sample.figure("cpu", cpu.since() / 1e6 * 5.0 / time.as_secs_f64(), "ms");
}

/// CPU time of a million sleepers, for falling asleep and for waking.
pub fn nap(sample: &mut Sample, start: fn(usize, Nap)) {
    let count = sample.scale(1_000_000);
    // Nobody may wake before all sleep.
    let base = sample.pick(Duration::from_secs(25), Duration::from_secs(3), Duration::ZERO);
    let cpu = CpuTime::now();
    start(count, Nap { base });
    wait_for(&UP, count, Duration::from_millis(1));
    sleep(sample.pick(Duration::from_millis(300), Duration::from_millis(100), Duration::ZERO));
    let set_up = cpu.since();
    let early = WOKEN.load(Ordering::Acquire);
    let cpu = CpuTime::now();
    wait_for(&WOKEN, count, Duration::from_millis(5));
    assert!(early == 0 || base.is_zero(), "{early} woke before the last was asleep");
    sample.figure("set-up", set_up / count as f64, "ns");
    sample.figure("waking", cpu.since() / count as f64, "ns");
}

/// How late 10,000 sleepers wake within a second.
pub fn late(sample: &mut Sample, start: fn(usize, Nap)) {
    let count = sample.scale(10_000);
    let base = sample.pick(Duration::from_millis(500), Duration::from_millis(100), Duration::ZERO);
    let late = LATE.get_or_init(|| (0..count).map(|_| AtomicU32::new(0)).collect());
    start(count, Nap { base });
    wait_for(&WOKEN, count, Duration::from_millis(50));
    let mut all: Vec<f64> =
        late.iter().map(|one| f64::from(one.load(Ordering::Relaxed)) / 1e3).collect();
    all.sort_by(f64::total_cmp);
    sample.figure("p50", quantile(&all, 0.5), "us");
    sample.figure("p99", quantile(&all, 0.99), "us");
}
