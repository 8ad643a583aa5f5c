//! Starting and stopping the threads of a runtime.
//!
//! # Invariants
//!
//! 1. Every worker thread is joined before its runtime is gone.
//! 2. A runtime that failed to start leaves no thread behind.
//!
//! # Who calls this, and what it may call
//!
//! `runtime`, on plain threads and from coroutines of other runtimes.

use crossbeam_deque::{Injector, Worker as Deque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle as ThreadHandle;
use std::time::Instant;

use super::blocking::Pool;
use super::held_up::HeldUp;
use super::job::{Job, JobRef};
use super::join::JoinHandle;
use super::migrate::Migrants;
use super::monitor::{self, Monitor};
use super::report::{RuntimeMetrics, ShutdownReport};
use super::search::Searchers;
use super::shared::{Config, Remote, Shared, ThreadHook};
use super::spawn::describe;
use super::worker::{Worker, current_worker};
use crate::cancel::CancelToken;
use crate::error::{BuildError, CancelReason};
use crate::prim::{AtomicBool, AtomicU64, AtomicUsize, Condvar, Mutex, Ordering};
use crate::sys::membarrier;

/// What the thread of a worker does.
pub(super) fn run_worker(shared: Arc<Shared>, index: usize, deque: Deque<JobRef>) {
    /// A hook that panics has had its say in the panic hook; the worker goes on.
    fn call(hook: Option<&ThreadHook>, index: usize) {
        if let Some(hook) = hook {
            let _ = catch_unwind(AssertUnwindSafe(|| hook(index)));
        }
    }
    call(shared.config.thread_start.as_deref(), index);
    let stop = shared.config.thread_stop.clone();
    Worker::new(shared, index, deque).run(&|| false);
    call(stop.as_deref(), index);
}

/// A runtime's shared part and its threads.
#[derive(Debug)]
pub(crate) struct Threads {
    pub(crate) shared: Arc<Shared>,
    handles: Vec<ThreadHandle<()>>,
    monitor: Option<ThreadHandle<()>>,
    /// The worker that the caller's own thread is to be; its thread has not been given yet. In a
    /// lock only so that a runtime can be shared.
    own: Mutex<Option<Deque<JobRef>>>,
}

impl Threads {
    /// Makes the shared part and starts a thread for every worker but, with `own`, the first.
    pub(crate) fn start(config: Config, own: bool) -> Result<Threads, BuildError> {
        let _ = membarrier::available();
        crate::token::set_clock(&crate::timer::CLOCK);
        super::decay::install();
        let count = config.workers + config.spare_workers;
        let mut deques: Vec<_> = (0..count).map(|_| Deque::new_fifo()).collect();
        let remotes = deques.iter().map(|d| Arc::new(Remote::new(d.stealer()))).collect();
        let spares: Vec<_> = deques.split_off(config.workers);
        let spares = (config.workers..).zip(spares).collect();
        let monitored = config.spare_workers != 0 || config.stall_after.is_some();
        let pool = Pool::new(Arc::clone(&config.name), config.blocking_threads);
        let shared = Arc::new(Shared {
            config,
            held_up: HeldUp::new(),
            monitor: monitored.then(|| Monitor::new(spares)),
            pool,
            remotes,
            injector: Injector::new(),
            migrants: Migrants::default(),
            timekeeper: OnceLock::new(),
            sleepers: AtomicUsize::new(0),
            searchers: Searchers::new(),
            spawned: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            never_started: AtomicU64::new(0),
            token: CancelToken::new(),
            closed: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            drained: (Mutex::new(()), Condvar::new()),
            stuck: Mutex::new(Vec::new()),
        });
        let mut threads =
            Threads { shared, handles: Vec::new(), monitor: None, own: Mutex::new(None) };
        let rest = deques.split_off(usize::from(own));
        *threads.own.get_mut() = deques.pop();
        for (offset, deque) in rest.into_iter().enumerate() {
            let index = offset + usize::from(own);
            let shared = Arc::clone(&threads.shared);
            let thread = std::thread::Builder::new()
                .name(format!("{}-{index}", shared.config.name))
                .spawn(move || run_worker(shared, index, deque));
            match thread {
                Ok(handle) => threads.handles.push(handle),
                Err(error) => {
                    threads.stop(None);
                    return Err(BuildError::Thread(error));
                }
            }
        }
        if monitored {
            match monitor::start(&threads.shared) {
                Ok(handle) => threads.monitor = Some(handle),
                Err(error) => {
                    threads.stop(None);
                    return Err(BuildError::Thread(error));
                }
            }
        }
        Ok(threads)
    }

    /// Makes the calling thread the first worker until `f`, run as a coroutine on it, has ended.
    pub(crate) fn run_here<T>(&mut self, f: impl FnOnce() -> T) -> super::job::JobResult<T> {
        let deque =
            self.own.get_mut().take().expect("started with a worker for this thread, used once");
        let worker = Worker::new(Arc::clone(&self.shared), 0, deque);
        let location = std::panic::Location::caller();
        let description = describe(None, self.shared.config.stack_size, location);
        let (job, handle) = Job::make(description, f);
        worker.spawn_pinned(job);
        worker.run(&|| handle.header().completion.is_done());
        // What is left on this worker ends here: its coroutines cannot go elsewhere.
        self.begin_stop();
        worker.run(&|| false);
        handle.take()
    }

    /// Whether any worker of this runtime runs on the calling thread.
    pub(crate) fn is_inside(&self) -> bool {
        current_worker().is_some_and(|w| Arc::ptr_eq(&w.shared, &self.shared))
    }

    /// Waits until nothing is alive, at most until `deadline`; false: something is.
    pub(crate) fn drain(&self, deadline: Option<Instant>) -> bool {
        let shared = &self.shared;
        shared.draining.store(true, Ordering::SeqCst);
        let (lock, condvar) = &shared.drained;
        let mut guard = lock.lock();
        // The flag is read by a finishing coroutine without a fence, so a first one may slip
        // through: hence the bounded waits.
        let mut nap = std::time::Duration::from_micros(50);
        let empty = loop {
            if shared.alive() == 0 {
                break true;
            }
            let until = Instant::now() + nap;
            nap = (nap * 2).min(std::time::Duration::from_millis(20));
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                break false;
            }
            condvar.wait_until(&mut guard, deadline.map_or(until, |deadline| deadline.min(until)));
        };
        drop(guard);
        shared.draining.store(false, Ordering::Relaxed);
        empty
    }

    /// Refuses new coroutines from outside, and cancels the tokens of those that are there.
    pub(crate) fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        // A callback that panics has had its say in the panic hook; the end goes on.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            self.shared.token.cancel_with(CancelReason::Shutdown);
        }));
    }

    fn begin_stop(&self) {
        self.close();
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.wake_all();
        if let Some(monitor) = &self.shared.monitor {
            monitor.stop();
        }
    }

    /// Ends what is left, joins the threads and says how it went. Blocking calls that run have time
    /// until `deadline`.
    pub(crate) fn stop(&mut self, deadline: Option<Instant>) -> ShutdownReport {
        self.begin_stop();
        for handle in self.monitor.take().into_iter().chain(self.handles.drain(..)) {
            // A worker's loop does not panic; if it did, its runtime is gone all the same.
            let _ = handle.join();
        }
        if let Some(monitor) = &self.shared.monitor {
            monitor.join_spares();
        }
        let shared = &self.shared;
        // Jobs that were posted while the last worker stopped.
        while let crossbeam_deque::Steal::Success(job) = shared.injector.steal() {
            job.fail(super::shared::aborted());
            shared.never_started.fetch_add(1, Ordering::Relaxed);
        }
        let (calls_never_started, calls_running) = shared.pool.stop(deadline);
        ShutdownReport {
            finished: self.metrics().finished,
            never_started: shared.never_started.load(Ordering::Relaxed),
            stuck: std::mem::take(&mut *shared.stuck.lock()),
            calls_never_started,
            calls_running,
        }
    }

    /// Begins the end from a coroutine of this runtime: its threads end by themselves.
    pub(crate) fn stop_from_inside(&mut self) -> ShutdownReport {
        self.handles.clear();
        self.begin_stop();
        ShutdownReport {
            finished: self.metrics().finished,
            never_started: self.shared.never_started.load(Ordering::Relaxed),
            stuck: Vec::new(),
            calls_never_started: self.shared.pool.close(),
            calls_running: Vec::new(),
        }
    }

    /// Spawns on this runtime from any thread.
    #[track_caller]
    pub(crate) fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let description =
            describe(None, self.shared.config.stack_size, std::panic::Location::caller());
        super::spawn::submit(&self.shared, description, f)
    }

    /// What the workers have done.
    pub(crate) fn metrics(&self) -> RuntimeMetrics {
        let shared = &self.shared;
        let sum = |pick: fn(&super::shared::Counts) -> &AtomicU64| -> u64 {
            shared.remotes.iter().map(|r| pick(&r.counts).load(Ordering::Relaxed)).sum()
        };
        let pool = shared.pool.counts();
        RuntimeMetrics {
            workers: shared.config.workers,
            spawned: shared.spawned.load(Ordering::Relaxed) + sum(|c| &c.spawned),
            finished: sum(|c| &c.finished),
            rounds: sum(|c| &c.ticks),
            steals: sum(|c| &c.steals),
            migrations: sum(|c| &c.migrations),
            sleeps: sum(|c| &c.sleeps),
            detached_panics: shared.panics.load(Ordering::Relaxed),
            held_up_workers: shared.held_up.count(),
            spare_workers: shared.monitor.as_ref().map_or(0, |m| m.spares.load(Ordering::Relaxed)),
            stalls: shared.monitor.as_ref().map_or(0, |m| m.stalls.load(Ordering::Relaxed)),
            blocking_threads: pool.threads,
            blocking_idle: pool.idle,
            blocking_peak: pool.peak,
            blocking_queued: pool.queued,
            blocking_calls: pool.jobs,
        }
    }
}
