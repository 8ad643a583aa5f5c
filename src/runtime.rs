//! A runtime: its settings, its life and its end. The only place that wires the parts together.

use core::fmt;
use std::panic::{Location, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::coroutine::{HANDOFF_BUDGET, SWITCH_BUDGET, SwitchHooks};
use crate::error::{BuildError, SpawnError};
use crate::future::block_on;
use crate::sched::blocking::DEFAULT_LIMIT;
use crate::sched::enter::enter;
use crate::sched::monitor::StallHook;
use crate::sched::shared::{Config, PanicHook, ThreadHook};
use crate::sched::start::Threads;
use crate::sched::worker::POLL_INTERVAL;
pub use crate::sched::{
    Aborted, PanicReport, RuntimeMetrics, ShutdownReport, StallReport, StuckCall, StuckCoroutine,
};
use crate::sched::{Builder as CoroutineBuilder, JoinHandle, current_worker};
pub use crate::sched::{LiveCoroutine, Observer, RuntimeDump, WorkerDump};
use crate::stack::StackSize;
use crate::sys::cpu;

/// How many workers a runtime may have.
pub const MAX_WORKERS: usize = cpu::WORKERS_MAX;

/// How long dropping a runtime waits for its coroutines before it unwinds them.
pub const DROP_DEADLINE: Duration = Duration::from_secs(1);

/// Sets up a [`Runtime`].
///
/// # Examples
///
/// ```
/// use kcoro::Runtime;
///
/// let rt = Runtime::builder().workers(2).stack_size(128 * 1024).name("app").build()?;
/// assert_eq!(rt.spawn(|| 1 + 1).join().unwrap(), 2);
/// # Ok::<(), kcoro::error::BuildError>(())
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct Builder {
    name: Option<Arc<str>>,
    workers: Option<usize>,
    stack_size: Option<usize>,
    panic_hook: Option<Arc<PanicHook>>,
    blocking_threads: Option<usize>,
    spare_workers: usize,
    stall_after: Option<Duration>,
    stall_hook: Option<Arc<StallHook>>,
    switch_budget: Option<u32>,
    handoff_budget: Option<u32>,
    poll_interval: Option<Duration>,
    switch_hooks: SwitchHooks,
    thread_start: Option<Arc<ThreadHook>>,
    thread_stop: Option<Arc<ThreadHook>>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("workers", &self.workers)
            .field("stack_size", &self.stack_size)
            .field("panic_hook", &self.panic_hook.is_some())
            .field("blocking_threads", &self.blocking_threads)
            .field("spare_workers", &self.spare_workers)
            .field("stall_after", &self.stall_after)
            .field("stall_hook", &self.stall_hook.is_some())
            .field("switch_budget", &self.switch_budget)
            .field("handoff_budget", &self.handoff_budget)
            .field("poll_interval", &self.poll_interval)
            .field("switch_hooks", &!self.switch_hooks.is_empty())
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// Names the runtime: its threads are called `NAME-0`, `NAME-1`, ... Default: `kcoro`.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Builder {
        self.name = Some(name.into());
        self
    }

    /// Sets the number of worker threads.
    ///
    /// Default: `KCORO_WORKERS` if it is set, otherwise the CPUs that this process may use: its
    /// affinity and the tightest quota of its control groups, whichever is less.
    pub fn workers(mut self, workers: usize) -> Builder {
        self.workers = Some(workers);
        self
    }

    /// Sets the stack size, in bytes, of coroutines that ask for none. Default: 256 KiB reserved.
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.stack_size = Some(bytes);
        self
    }

    /// Calls `hook` for each panic of a coroutine whose handle was or is dropped without a join,
    /// after the process's own panic hook. It runs on the worker, or where the handle is dropped,
    /// and should be short.
    pub fn on_detached_panic(
        mut self,
        hook: impl Fn(&PanicReport<'_>) + Send + Sync + 'static,
    ) -> Builder {
        self.panic_hook = Some(Arc::new(hook));
        self
    }

    /// Sets how many threads may run [`blocking`](crate::blocking) calls at a time, at least one;
    /// further calls queue. They start when they are needed and end after some idle seconds.
    /// Default: 512.
    pub fn blocking_threads(mut self, max: usize) -> Builder {
        self.blocking_threads = Some(max);
        self
    }

    /// Allows up to `spares` workers beyond the configured number, which start when a coroutine
    /// holds up a worker, by [`block_in_place`](crate::block_in_place) or by itself, and take the
    /// closures that have not started. Default: none.
    ///
    /// A thread watches the workers while they run; it sleeps when all of them do.
    pub fn spare_workers(mut self, spares: usize) -> Builder {
        self.spare_workers = spares;
        self
    }

    /// Reports coroutines that keep their worker for longer than `limit` without giving way: once
    /// for each stall, to the hook of [`on_stall`](Builder::on_stall), by default as a line on
    /// standard error. It also is the time after which a spare worker steps in. Default: no reports.
    ///
    /// A thread watches the workers while they run; it sleeps when all of them do.
    pub fn stall_after(mut self, limit: Duration) -> Builder {
        self.stall_after = Some(limit);
        self
    }

    /// Calls `hook` for each stall, on the thread that watches. It needs
    /// [`stall_after`](Builder::stall_after) to be set.
    pub fn on_stall(mut self, hook: impl Fn(&StallReport) + Send + Sync + 'static) -> Builder {
        self.stall_hook = Some(Arc::new(hook));
        self
    }

    /// Sets how many switches from coroutine to coroutine a worker makes at most, at least one,
    /// before it looks at timers, descriptors and closures that have not started. It makes fewer by
    /// itself where coroutines run for long between two switches. Default: 128.
    pub fn switch_budget(mut self, switches: u32) -> Builder {
        self.switch_budget = Some(switches);
        self
    }

    /// Sets how often in a row a coroutine that was woken may run ahead of those that are ready
    /// already. With 0 everybody queues. Default: 32.
    pub fn handoff_budget(mut self, handoffs: u32) -> Builder {
        self.handoff_budget = Some(handoffs);
        self
    }

    /// Sets how long a worker that has other work may leave its file descriptors alone. Default: 50
    /// microseconds.
    pub fn poll_interval(mut self, interval: Duration) -> Builder {
        self.poll_interval = Some(interval);
        self
    }

    /// Calls `hook` on each worker thread before it runs anything, with the worker's number: 0 and
    /// up, spares last.
    pub fn on_thread_start(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Builder {
        self.thread_start = Some(Arc::new(hook));
        self
    }

    /// Calls `hook` on each worker thread after it has run everything, with the worker's number.
    pub fn on_thread_stop(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Builder {
        self.thread_stop = Some(Arc::new(hook));
        self
    }

    /// Calls `hook` with a coroutine's number each time it begins or goes on to run on a worker, on
    /// its own stack.
    ///
    /// The hook should be short, and nothing in it can suspend: what would wait blocks the worker.
    /// Without a hook a switch costs nothing more.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// let switches = Arc::new(AtomicU64::new(0));
    /// let counted = Arc::clone(&switches);
    /// let rt = kcoro::Runtime::builder()
    ///     .workers(1)
    ///     .on_switch_in(move |_| { counted.fetch_add(1, Ordering::Relaxed); })
    ///     .build()?;
    /// rt.run(|| kcoro::spawn(|| ()).join().unwrap());
    /// drop(rt);
    /// assert!(switches.load(Ordering::Relaxed) >= 2);
    /// # Ok::<(), kcoro::error::BuildError>(())
    /// ```
    pub fn on_switch_in(mut self, hook: impl Fn(u64) + Send + Sync + 'static) -> Builder {
        self.switch_hooks.enter = Some(Arc::new(hook));
        self
    }

    /// Calls `hook` with a coroutine's number each time it stops running on a worker, for a while or
    /// for good. As [`on_switch_in`](Builder::on_switch_in) otherwise.
    pub fn on_switch_out(mut self, hook: impl Fn(u64) + Send + Sync + 'static) -> Builder {
        self.switch_hooks.leave = Some(Arc::new(hook));
        self
    }

    /// Starts the runtime.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: a setting is out of range, or the system refused a thread.
    pub fn build(self) -> Result<Runtime, BuildError> {
        Ok(Runtime { threads: Some(Threads::start(self.config()?, false)?) })
    }

    fn config(self) -> Result<Config, BuildError> {
        let workers = match self.workers {
            Some(workers) => workers,
            None => cpu::available_workers()?.get(),
        };
        let requested = workers.saturating_add(self.spare_workers);
        if workers == 0 || requested > MAX_WORKERS {
            return Err(BuildError::Workers { requested, maximum: MAX_WORKERS });
        }
        let stack_size = match self.stack_size {
            Some(bytes) => StackSize::new(bytes)?,
            None => StackSize::DEFAULT,
        };
        Ok(Config {
            name: self.name.unwrap_or_else(|| "kcoro".into()),
            workers,
            stack_size,
            panic_hook: self.panic_hook,
            blocking_threads: self.blocking_threads.unwrap_or(DEFAULT_LIMIT).max(1),
            spare_workers: self.spare_workers,
            stall_after: self.stall_after,
            stall_hook: self.stall_hook,
            switch_budget: self.switch_budget.unwrap_or(SWITCH_BUDGET).max(1),
            handoff_budget: self.handoff_budget.unwrap_or(HANDOFF_BUDGET),
            poll_interval: self.poll_interval.map_or(POLL_INTERVAL, |interval| {
                u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX)
            }),
            switch_hooks: self.switch_hooks,
            thread_start: self.thread_start,
            thread_stop: self.thread_stop,
        })
    }
}

/// A set of worker threads that run coroutines.
///
/// Several can live in one process, one after another or at the same time. Dropping a runtime waits
/// [`DROP_DEADLINE`] for its coroutines and then ends them; [`shutdown`](Runtime::shutdown) does the
/// same with a deadline of your own and says what was stuck.
#[derive(Debug)]
pub struct Runtime {
    threads: Option<Threads>,
}

impl Runtime {
    /// Sets up a runtime.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Starts a runtime with default settings.
    ///
    /// # Errors
    ///
    /// As [`Builder::build`].
    pub fn new() -> Result<Runtime, BuildError> {
        Runtime::builder().build()
    }

    fn threads(&self) -> &Threads {
        self.threads.as_ref().expect("a runtime has its threads until it is shut down")
    }

    /// Spawns a coroutine, from any thread.
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.threads().spawn(f)
    }

    /// Spawns a coroutine that `builder` sets up, from any thread.
    ///
    /// # Errors
    ///
    /// [`SpawnError`]: the runtime is shutting down, or the stack size is out of range.
    #[track_caller]
    pub fn spawn_with<F, T>(
        &self,
        builder: CoroutineBuilder,
        f: F,
    ) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        builder.submit_to(&self.threads().shared, Location::caller(), f)
    }

    /// Runs `f` as a coroutine of this runtime and waits for it: a thread blocks, a coroutine
    /// parks. A panic of `f` continues in the caller.
    ///
    /// # Examples
    ///
    /// ```
    /// let rt = kcoro::Runtime::new()?;
    /// assert_eq!(rt.run(|| kcoro::spawn(|| 5).join().unwrap()), 5);
    /// # Ok::<(), kcoro::error::BuildError>(())
    /// ```
    #[track_caller]
    pub fn run<F, T>(&self, f: F) -> T
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self.spawn(f).join() {
            Ok(value) => value,
            Err(payload) => resume_unwind(payload),
        }
    }

    /// Runs `future` to its end on the calling thread or coroutine, as [`kcoro::block_on`] does.
    ///
    /// On a plain thread the runtime is entered meanwhile: [`kcoro::spawn`] in the future spawns
    /// here. A coroutine keeps spawning on its own runtime; on the stack of a generator or a
    /// hand-driven task nothing is entered.
    ///
    /// [`kcoro::block_on`]: crate::block_on
    /// [`kcoro::spawn`]: crate::spawn
    ///
    /// # Examples
    ///
    /// ```
    /// let rt = kcoro::Runtime::new()?;
    /// let sum = rt.block_on(async { kcoro::spawn(|| 20).await.unwrap() + 1 });
    /// assert_eq!(sum, 21);
    /// # Ok::<(), kcoro::error::BuildError>(())
    /// ```
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        enter(&self.threads().shared, || block_on(future))
    }

    /// What the workers have done so far.
    #[must_use]
    pub fn metrics(&self) -> RuntimeMetrics {
        self.threads().metrics()
    }

    /// What can look at this runtime's coroutines from elsewhere, such as a watchdog.
    #[must_use]
    pub fn observer(&self) -> Observer {
        Observer::new(&self.threads().shared)
    }

    /// Coroutines that were spawned and have not ended.
    #[must_use]
    pub fn alive(&self) -> u64 {
        self.threads().shared.alive()
    }

    /// Waits until every coroutine has ended, at most for `timeout`; false: some have not.
    ///
    /// It blocks the calling thread; from a coroutine of this runtime it returns false at once,
    /// because the caller itself has not ended.
    #[must_use]
    pub fn drain(&self, timeout: Duration) -> bool {
        !self.threads().is_inside() && self.threads().drain(Instant::now().checked_add(timeout))
    }

    /// Refuses new coroutines, waits up to `deadline` for those that are there, then drops what has
    /// not started, unwinds what is suspended, and stops the threads.
    ///
    /// From a coroutine of this very runtime it waits for nothing: the end begins when the caller
    /// gives way, and the report cannot name what is stuck.
    ///
    /// A coroutine that neither ends nor parks keeps its worker, and this call, waiting: nothing
    /// can stop a thread from outside. Threads of [`blocking`](crate::blocking) calls are left
    /// behind at the deadline, and the report names the calls.
    #[must_use = "the report says what was stuck"]
    pub fn shutdown(mut self, deadline: Duration) -> ShutdownReport {
        self.end(deadline)
    }

    fn end(&mut self, deadline: Duration) -> ShutdownReport {
        let mut threads = self.threads.take().expect("a runtime is shut down once");
        threads.close();
        if threads.is_inside() {
            return threads.stop_from_inside();
        }
        let deadline = Instant::now().checked_add(deadline);
        threads.drain(deadline);
        threads.stop(deadline)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if self.threads.is_some() {
            self.end(DROP_DEADLINE);
        }
    }
}

/// Runs `f` as the first coroutine of a default runtime, whose first worker is the calling thread,
/// and returns its value.
///
/// When `f` returns, the runtime ends: coroutines that are still alive are unwound as soon as none
/// is ready, or after a second, and closures that have not started are dropped. Within a coroutine of a runtime `f` is simply called. A panic of
/// `f` continues in the caller.
///
/// # Panics
///
/// If the runtime cannot be built, with the text of the [`BuildError`]; and when called from within
/// a generator or a hand-driven task on a plain thread, whose stack the worker would have to run on.
///
/// # Examples
///
/// ```
/// let mut log = Vec::new();
/// kcoro::run(|| {
///     let handle = kcoro::spawn(|| "from a coroutine");
///     log.push(handle.join().unwrap());
/// });
/// assert_eq!(log, ["from a coroutine"]);
/// ```
#[track_caller]
pub fn run<T>(f: impl FnOnce() -> T) -> T {
    if current_worker().is_some() {
        return f();
    }
    // `f` need not be `Send`, so it may hold what belongs to the stack it was called on, such as a
    // generator's yielder, and must not run on another one then.
    assert!(
        !crate::stack::is_on_coroutine_stack(),
        "kcoro::run cannot be called from within a generator or a hand-driven task: start the \
         runtime outside of it, or use Runtime::run"
    );
    let threads = Builder::default().config().and_then(|config| Threads::start(config, true));
    let mut threads = match threads {
        Ok(threads) => threads,
        Err(error) => panic!("cannot start a runtime: {error}"),
    };
    let result = threads.run_here(f);
    threads.stop(Instant::now().checked_add(DROP_DEADLINE));
    match result {
        Ok(value) => value,
        Err(payload) => resume_unwind(payload),
    }
}
