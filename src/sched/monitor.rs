//! The monitor: a thread that notices workers which do not move, says so, and calls for a spare.
//!
//! A coroutine that blocks its thread, or computes for long, holds up the coroutines of its worker:
//! started ones are bound to it. Those that have not started are not, so while a worker is held up a
//! spare one, beyond the configured number, may take them. A spare takes nothing while all workers
//! move; what it has started it runs to the end.
//!
//! # Invariants
//!
//! 1. Only the monitor writes `Shared::held_up`; spares look for work only while it is not 0.
//! 2. The monitor sleeps without a deadline once all workers have slept for some ticks. The first
//!    worker that gets up rouses it, by the sleep protocol of `parker.rs` with the parts swapped.
//! 3. A core is looked at under the lock of `Remote::watch`, which its worker takes before it goes.
//! 4. The hook is called with no lock held, on the monitor's thread.
//!
//! # Who calls this, and what it may call
//!
//! `start.rs` starts and stops the thread; workers rouse it. Nothing here suspends.

use core::fmt;
use crossbeam_deque::Worker as Deque;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle as ThreadHandle;
use std::time::{Duration, Instant};

use super::job::JobRef;
use super::parker::{NOTIFIED, SLEEPING, Sleep};
use super::shared::{Remote, Shared};
use super::start::run_worker;
use crate::coroutine::{Glance, Watch};
use crate::prim::{AtomicU64, AtomicUsize, Condvar, Mutex, Ordering};
use crate::sys::{futex, membarrier};

/// The shortest time between two looks.
const TICK_MIN: Duration = Duration::from_millis(1);

/// The longest time between two looks while spares are allowed: how long a worker that has said
/// that it blocks may wait for a spare.
const TICK_SPARE: Duration = Duration::from_millis(8);

/// The longest time between two looks otherwise.
const TICK_MAX: Duration = Duration::from_millis(100);

/// How long a worker that has said nothing may stand still, unless the builder says otherwise.
const STALL_DEFAULT: Duration = Duration::from_millis(20);

/// Looks in a row at which all workers slept before the monitor sleeps as well.
const QUIET: u32 = 4;

/// Called for each stall.
pub(crate) type StallHook = dyn Fn(&StallReport) + Send + Sync;

/// A worker that has not moved for longer than [`stall_after`](crate::runtime::Builder).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StallReport {
    /// Which worker.
    pub worker: usize,
    /// For how long it has not moved, at least.
    pub stalled_for: Duration,
    /// The number of the coroutine that holds it up; `None` if it has moved on just now, or the
    /// worker itself is held up.
    pub coroutine: Option<u64>,
    /// The coroutine's name, if it has one.
    pub name: Option<Arc<str>>,
    /// Where the coroutine was spawned.
    pub spawned_at: Option<&'static Location<'static>>,
}

impl fmt::Display for StallReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} has not moved for {:?}", self.worker, self.stalled_for)?;
        if let Some(id) = self.coroutine {
            write!(f, ": coroutine {id}")?;
        }
        if let Some(name) = &self.name {
            write!(f, " \"{name}\"")?;
        }
        if let Some(location) = self.spawned_at {
            write!(f, " (spawned at {location})")?;
        }
        Ok(())
    }
}

/// What the monitor and the workers share; in [`Shared`] if the runtime has a monitor.
#[derive(Debug)]
pub(super) struct Monitor {
    sleep: Sleep,
    stop: (Mutex<bool>, Condvar),
    /// Names of coroutines that have one, by number.
    names: Mutex<HashMap<u64, Arc<str>>>,
    /// Spares that have not been started: their place among the remotes, and their deque.
    waiting: Mutex<Vec<(usize, Deque<JobRef>)>>,
    threads: Mutex<Vec<ThreadHandle<()>>>,
    pub(super) spares: AtomicUsize,
    pub(super) stalls: AtomicU64,
}

/// What the monitor remembers of one worker.
#[derive(Debug, Clone, Copy)]
struct Memory {
    rounds: u64,
    glance: Glance,
    since: Instant,
    reported: bool,
    held_up: bool,
}

impl Monitor {
    pub(super) fn new(mut spares: Vec<(usize, Deque<JobRef>)>) -> Monitor {
        spares.reverse();
        Monitor {
            sleep: Sleep::new(),
            stop: (Mutex::new(false), Condvar::new()),
            names: Mutex::default(),
            waiting: Mutex::new(spares),
            threads: Mutex::default(),
            spares: AtomicUsize::new(0),
            stalls: AtomicU64::new(0),
        }
    }

    /// A worker got up.
    #[inline]
    pub(super) fn rouse(&self) {
        membarrier::light();
        if self.sleep.notify(NOTIFIED) {
            futex::wake(self.sleep.word());
        }
    }

    /// Remembers the name of a coroutine that starts.
    pub(super) fn enter_name(&self, id: u64, name: &Arc<str>) {
        self.names.lock().insert(id, Arc::clone(name));
    }

    /// Forgets it at its end.
    pub(super) fn strike_name(&self, id: u64) {
        self.names.lock().remove(&id);
    }

    /// Tells the thread to end.
    pub(super) fn stop(&self) {
        let (lock, condvar) = &self.stop;
        *lock.lock() = true;
        condvar.notify_all();
        self.rouse();
    }

    /// Joins the spares that were started, when the monitor's own thread has ended.
    pub(super) fn join_spares(&self) {
        let threads = core::mem::take(&mut *self.threads.lock());
        for handle in threads {
            // A worker's loop does not panic; if it did, its runtime is gone all the same.
            let _ = handle.join();
        }
    }

    fn is_stopped(&self) -> bool {
        *self.stop.0.lock()
    }

    /// Waits for the next look; false: the monitor shall end.
    fn nap(&self, tick: Duration) -> bool {
        let (lock, condvar) = &self.stop;
        let mut stopped = lock.lock();
        let until = Instant::now() + tick;
        while !*stopped && !condvar.wait_until(&mut stopped, until).timed_out() {}
        !*stopped
    }

    /// Sleeps until a worker gets up.
    fn sleep(&self, shared: &Shared) {
        self.sleep.prepare();
        membarrier::heavy();
        if !self.is_stopped() && shared.remotes.iter().all(|remote| is_at_rest(remote)) {
            while self.sleep.is_sleeping() && futex::wait(self.sleep.word(), SLEEPING, None) {}
        }
        self.sleep.cancel();
    }

    /// Starts a spare worker, if there is one left; false: there is none.
    fn start_spare(&self, shared: &Arc<Shared>) -> bool {
        let Some((index, deque)) = self.waiting.lock().pop() else { return false };
        let number = index - shared.config.workers;
        let inner = Arc::clone(shared);
        let thread = std::thread::Builder::new()
            .name(format!("{}-spare-{number}", shared.config.name))
            .spawn(move || run_worker(inner, index, deque));
        if let Ok(handle) = thread {
            self.threads.lock().push(handle);
            self.spares.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        false
    }
}

/// Whether a worker sleeps, or has not begun.
fn is_at_rest(remote: &Remote) -> bool {
    remote.sleep.is_sleeping() || remote.watch.lock().is_none()
}

/// Starts the monitor's thread.
pub(super) fn start(shared: &Arc<Shared>) -> std::io::Result<ThreadHandle<()>> {
    let inner = Arc::clone(shared);
    std::thread::Builder::new()
        .name(format!("{}-monitor", shared.config.name))
        .spawn(move || run(&inner))
}

fn run(shared: &Arc<Shared>) {
    let Some(monitor) = &shared.monitor else { return };
    let slowest = if shared.config.spare_workers > 0 {
        TICK_SPARE
    } else {
        (shared.config.stall_after.unwrap_or(TICK_MAX) / 4).clamp(TICK_MIN, TICK_MAX)
    };
    let now = Instant::now();
    let fresh = Memory {
        rounds: 0,
        glance: Glance::default(),
        since: now,
        reported: false,
        held_up: false,
    };
    let mut memories = vec![fresh; shared.remotes.len()];
    let (mut tick, mut quiet) = (TICK_MIN, 0);
    while monitor.nap(tick) {
        let (mut at_rest, mut still, mut held_up) = (true, false, 0);
        for (index, memory) in memories.iter_mut().enumerate() {
            let seen = look(shared, index, memory);
            at_rest &= seen == Seen::AtRest;
            still |= seen == Seen::Still;
            held_up += usize::from(memory.held_up);
        }
        call_spares(shared, monitor, held_up);
        tick = if still { TICK_MIN } else { (tick * 2).min(slowest) };
        quiet = if at_rest { quiet + 1 } else { 0 };
        if quiet >= QUIET {
            monitor.sleep(shared);
            (tick, quiet) = (TICK_MIN, 0);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    AtRest,
    Moving,
    /// As at the last look.
    Still,
}

/// Compares a worker with what it was at the last look.
fn look(shared: &Shared, index: usize, memory: &mut Memory) -> Seen {
    let remote = &shared.remotes[index];
    let now = Instant::now();
    let rounds = remote.counts.ticks.load(Ordering::Relaxed);
    let seen = {
        let watch = remote.watch.lock();
        // SAFETY: the worker takes this lock before its core goes (invariant 3).
        watch.as_ref().map(|watch| unsafe { watch.glance() })
    };
    let glance = match seen {
        Some(glance) if !remote.sleep.is_sleeping() => glance,
        _ => {
            *memory = Memory { rounds, since: now, reported: false, held_up: false, ..*memory };
            return Seen::AtRest;
        }
    };
    if memory.rounds != rounds || memory.glance != glance {
        *memory = Memory { rounds, glance, since: now, reported: false, held_up: false };
        return Seen::Moving;
    }
    let stalled_for = now - memory.since;
    let declared = remote.in_place.load(Ordering::Relaxed) != 0;
    let stall_after = shared.config.stall_after;
    memory.held_up = declared || stalled_for >= stall_after.unwrap_or(STALL_DEFAULT);
    if declared {
        // The time of a declared block is not held against what the worker does after it.
        memory.since = now;
    } else if !memory.reported && stall_after.is_some_and(|after| stalled_for >= after) {
        memory.reported = true;
        report(shared, index, glance, stalled_for);
    }
    Seen::Still
}

fn report(shared: &Shared, worker: usize, seen: Glance, stalled_for: Duration) {
    let Some(monitor) = &shared.monitor else { return };
    monitor.stalls.fetch_add(1, Ordering::Relaxed);
    let running = {
        let watch = shared.remotes[worker].watch.lock();
        // SAFETY: as in `look`.
        watch.as_ref().and_then(|watch| unsafe { watch.running(seen) })
    };
    let coroutine = running.map(|(id, _)| id);
    let name = coroutine.and_then(|id| monitor.names.lock().get(&id).cloned());
    let spawned_at = running.map(|(_, location)| location);
    let report = StallReport { worker, stalled_for, coroutine, name, spawned_at };
    // A hook that panics must not take the monitor along; the panic has been printed.
    let _ = catch_unwind(AssertUnwindSafe(|| match &shared.config.stall_hook {
        Some(hook) => hook(&report),
        None => eprintln!("kcoro: {}: {report}", shared.config.name),
    }));
}

/// Lets as many spares look for work as workers are held up.
fn call_spares(shared: &Arc<Shared>, monitor: &Monitor, held_up: usize) {
    if shared.config.spare_workers == 0 || !shared.held_up.set(held_up) {
        return;
    }
    while monitor.spares.load(Ordering::Relaxed) < held_up && monitor.start_spare(shared) {}
    // Those that sleep count among the sleepers from now on, or no longer: they look again.
    for remote in &shared.remotes[shared.config.workers..] {
        remote.wake();
    }
}

/// Runs `f`, which may block this thread, in place.
///
/// It tells the runtime beforehand, so that a spare worker, if the builder allowed any
/// ([`Builder::spare_workers`](crate::runtime::Builder)), or a worker without work takes the
/// closures from here that have not started. A short `f` costs next to nothing: a spare is called
/// only if the worker stands still for a millisecond or more. Coroutines that have started on this
/// worker are bound to it and wait until `f` returns; [`blocking`](crate::blocking) does not hold
/// them up, at the price of two thread switches.
///
/// Outside of a runtime's coroutines `f` is simply called.
///
/// # Examples
///
/// ```
/// let mut text = String::new();
/// kcoro::run(|| kcoro::block_in_place(|| text = std::fs::read_to_string("/proc/self/comm").unwrap()));
/// assert!(!text.is_empty());
/// ```
pub fn block_in_place<T>(f: impl FnOnce() -> T) -> T {
    struct Leave<'a>(&'a Remote);
    impl Drop for Leave<'_> {
        fn drop(&mut self) {
            self.0.in_place.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let Some(worker) = super::worker::current_worker() else { return f() };
    let remote = Arc::clone(&worker.remote);
    // A coroutine that may migrate counts down from another thread if `f` suspends.
    remote.in_place.fetch_add(1, Ordering::Relaxed);
    let _leave = Leave(&remote);
    if !remote.stealer.is_empty() {
        worker.shared.wake_one();
    }
    f()
}

/// Shows a core to the monitor for as long as it lives.
#[derive(Debug)]
pub(super) struct Shown<'a>(&'a Remote);

impl<'a> Shown<'a> {
    pub(super) fn new(remote: &'a Remote, watch: Watch) -> Shown<'a> {
        *remote.watch.lock() = Some(watch);
        Shown(remote)
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        *self.0.watch.lock() = None;
    }
}
