//! What the workers of one runtime share, and what each shows to the others.
//!
//! # Invariants
//!
//! 1. Work that is posted here is followed by a light fence and a look at the sleepers (P2-P4 of
//!    `parker.rs`).
//! 2. `searchers` counts workers that look for work in other workers' queues (`search.rs`). One that
//!    was the last and finds something wakes the next.
//!
//! # Who calls this, and what it may call
//!
//! Any thread. Nothing here suspends.

use crossbeam_deque::{Injector, Stealer};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::blocking::Pool;
use super::dump::Questions;
use super::held_up::HeldUp;
use super::inbox::{Inbox, Linked};
use super::job::JobRef;
use super::migrate::Migrants;
use super::monitor::{Monitor, StallHook};
use super::parker::{NOTIFIED, Sleep};
use super::report::StuckCoroutine;
use super::search::Searchers;
use crate::cancel::CancelToken;
use crate::coroutine::{ControlRef, Core, Schedule, SwitchHooks, Watch};
use crate::prim::{AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering};
use crate::stack::StackSize;
use crate::sys::poller::Interrupt;
use crate::sys::{futex, membarrier};
use crate::token::{Kernel, KernelGuard};

impl Linked for ControlRef {
    fn address(self) -> usize {
        ControlRef::address(self)
    }
    fn at(address: usize) -> ControlRef {
        ControlRef::from_address(address)
    }
    fn link(&self) -> &AtomicUsize {
        ControlRef::link(*self)
    }
}

/// Called for panics that no `join` will see.
pub(crate) type PanicHook = dyn Fn(&PanicReport<'_>) + Send + Sync;

/// A panic of a coroutine whose handle was dropped.
#[derive(Debug)]
#[non_exhaustive]
pub struct PanicReport<'a> {
    /// The coroutine's number.
    pub id: u64,
    /// Its name, if it has one.
    pub name: Option<&'a str>,
    /// Where it was spawned.
    pub spawned_at: &'static std::panic::Location<'static>,
}

/// Called with the number of a worker.
pub(crate) type ThreadHook = dyn Fn(usize) + Send + Sync;

/// How a runtime was set up.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) name: Arc<str>,
    pub(crate) workers: usize,
    pub(crate) stack_size: StackSize,
    pub(crate) panic_hook: Option<Arc<PanicHook>>,
    /// Threads that the pool for blocking calls may have.
    pub(crate) blocking_threads: usize,
    /// Workers beyond `workers` that stand in while some are held up.
    pub(crate) spare_workers: usize,
    /// How long a worker may stand still before it is reported.
    pub(crate) stall_after: Option<Duration>,
    pub(crate) stall_hook: Option<Arc<StallHook>>,
    /// Switches before a worker looks at its other work, and hand-offs before its queue's turn.
    pub(crate) switch_budget: u32,
    pub(crate) handoff_budget: u32,
    /// Nanoseconds between two looks at descriptors while there is other work.
    pub(crate) poll_interval: u64,
    pub(crate) switch_hooks: SwitchHooks,
    pub(crate) thread_start: Option<Arc<ThreadHook>>,
    pub(crate) thread_stop: Option<Arc<ThreadHook>>,
}

impl core::fmt::Debug for Config {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Config")
            .field("name", &self.name)
            .field("workers", &self.workers)
            .field("stack_size", &self.stack_size)
            .finish_non_exhaustive()
    }
}

/// One worker as the others see it.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(super) inbox: Inbox,
    pub(super) questions: Questions,
    pub(super) sleep: Sleep,
    /// Whether the worker sleeps in its poller; otherwise on the word itself.
    pub(super) polls: AtomicBool,
    pub(super) interrupt: Mutex<Option<Arc<Interrupt>>>,
    pub(super) stealer: Stealer<JobRef>,
    /// The worker's core, for the monitor, while the worker runs.
    pub(super) watch: Mutex<Option<Watch>>,
    /// Calls of `block_in_place` that began here and are under way.
    pub(super) in_place: AtomicUsize,
    /// Written by the worker alone, read by anybody.
    pub(super) counts: Counts,
}

/// What a worker has done; plain counters of one writer.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) spawned: AtomicU64,
    pub(super) finished: AtomicU64,
    pub(super) ticks: AtomicU64,
    pub(super) steals: AtomicU64,
    pub(super) migrations: AtomicU64,
    pub(super) sleeps: AtomicU64,
}

/// Adds to a counter that only this thread writes.
#[inline(always)]
pub(super) fn bump(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// The shared part of a runtime.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(super) remotes: Box<[Arc<Remote>]>,
    pub(super) injector: Injector<JobRef>,
    /// Started coroutines that any worker may go on with.
    pub(super) migrants: Migrants,
    /// Keeps the time of coroutines that may migrate; started with the first of them.
    pub(super) timekeeper: OnceLock<Option<KernelGuard>>,
    pub(super) sleepers: AtomicUsize,
    pub(super) searchers: Searchers,
    /// Spawned from outside of the workers.
    pub(super) spawned: AtomicU64,
    pub(super) panics: AtomicU64,
    pub(super) never_started: AtomicU64,
    /// Above the tokens of all coroutines of the runtime; cancelled when it ends.
    pub(super) token: CancelToken,
    pub(super) closed: AtomicBool,
    pub(super) stopping: AtomicBool,
    pub(super) draining: AtomicBool,
    pub(super) drained: (Mutex<()>, crate::prim::Condvar),
    pub(super) stuck: Mutex<Vec<StuckCoroutine>>,
    pub(super) pool: Arc<Pool>,
    /// Workers that are held up; while it is not 0 spares may look for work. The monitor writes it.
    pub(super) held_up: HeldUp,
    pub(super) monitor: Option<Monitor>,
}

impl Remote {
    pub(super) fn new(stealer: Stealer<JobRef>) -> Remote {
        Remote {
            inbox: Inbox::new(),
            questions: Questions::default(),
            sleep: Sleep::new(),
            polls: AtomicBool::new(false),
            interrupt: Mutex::new(None),
            stealer,
            watch: Mutex::new(None),
            in_place: AtomicUsize::new(0),
            counts: Counts::default(),
        }
    }

    /// Gets the worker up if it sleeps. The caller has posted something for it before.
    #[inline]
    pub(super) fn wake(&self) {
        membarrier::light();
        if self.sleep.notify(NOTIFIED) {
            self.ring();
        }
    }

    #[cold]
    pub(super) fn ring(&self) {
        // `polls` was written before SLEEPING, which `notify` has read: the order of the two is
        // kept by the heavy fence in between.
        if self.polls.load(Ordering::Relaxed) {
            let interrupt = self.interrupt.lock().clone();
            if let Some(interrupt) = interrupt {
                interrupt.ring();
            }
        } else {
            futex::wake(self.sleep.word());
        }
    }
}

impl Schedule for Remote {
    fn ready_remote(&self, coroutine: ControlRef) {
        self.inbox.push(coroutine);
        self.wake();
    }

    #[inline(always)]
    fn collect(&self, core: &Core) {
        self.inbox.take(|coroutine: ControlRef| {
            // One that was given up stays where it is, whoever wakes it.
            if coroutine.is_at_home(core) {
                core.push_back(coroutine);
            }
        });
    }
}

impl Shared {
    /// Posts a job that any worker may take, from outside of the workers.
    pub(super) fn inject(&self, job: JobRef) {
        self.spawned.fetch_add(1, Ordering::Relaxed);
        self.injector.push(job);
        self.wake_one();
    }

    /// Wakes a worker if one sleeps and none is looking for work. The caller has posted before.
    #[inline(always)]
    pub(super) fn wake_one(&self) {
        membarrier::light();
        if self.sleepers.load(Ordering::Relaxed) != 0 && self.searchers.count() == 0 {
            self.wake_one_slow();
        }
    }

    #[cold]
    #[inline(never)]
    fn wake_one_slow(&self) {
        let takers = &self.remotes[..self.takers()];
        if let Some(index) = self.searchers.summon(takers.iter().map(|r| &r.sleep)) {
            takers[index].ring();
        }
    }

    /// How many of the workers, from the first, may take work that they did not start.
    fn takers(&self) -> usize {
        if self.held_up.is_any() { self.remotes.len() } else { self.config.workers }
    }

    /// Whether that worker may take work from others.
    #[inline(always)]
    pub(super) fn may_take(&self, index: usize) -> bool {
        index < self.config.workers || self.held_up.is_any()
    }

    /// Whether a worker looks for work, or sleeps for lack of it.
    #[inline(always)]
    pub(super) fn is_anybody_hungry(&self) -> bool {
        self.searchers.count() + self.sleepers.load(Ordering::Relaxed) != 0
    }

    /// Whether another worker is up or about to be, and may produce work. One that was told to get
    /// up counts as up: it is among the sleepers until the kernel has let it run.
    pub(super) fn is_another_up(&self, me: usize) -> bool {
        let workers = self.config.workers;
        workers > self.sleepers.load(Ordering::Relaxed) + 1
            || (0..workers).any(|i| i != me && !self.remotes[i].sleep.is_sleeping())
    }

    /// Wakes every worker, to look at a flag.
    pub(super) fn wake_all(&self) {
        for remote in &self.remotes {
            remote.wake();
        }
    }

    /// The workers that have a thread: all but spares that were never called.
    pub(super) fn started(&self) -> &[Arc<Remote>] {
        let spares = self.monitor.as_ref().map_or(0, |m| m.spares.load(Ordering::Relaxed));
        &self.remotes[..(self.config.workers + spares).min(self.remotes.len())]
    }

    /// Jobs and coroutines that were spawned and have not ended.
    pub(crate) fn alive(&self) -> u64 {
        // Finished first: every job that counts as finished counts as spawned in the second sum.
        let finished: u64 =
            self.remotes.iter().map(|r| r.counts.finished.load(Ordering::Acquire)).sum();
        let spawned: u64 = self.spawned.load(Ordering::Acquire)
            + self.remotes.iter().map(|r| r.counts.spawned.load(Ordering::Acquire)).sum::<u64>();
        spawned.saturating_sub(finished)
    }

    /// Whether there is work that any worker may take. Exact after the heavy fence.
    pub(super) fn has_stealable(&self) -> bool {
        !self.injector.is_empty()
            || !self.migrants.is_empty()
            || self.remotes.iter().any(|r| !r.stealer.is_empty())
    }

    /// Keeps the kernel's thread running for the deadlines of coroutines that may migrate: a
    /// worker's own timers are for those that stay. Without a thread each deadline tries again.
    #[cold]
    pub(super) fn keep_time(&self) {
        self.timekeeper.get_or_init(|| Kernel::start().ok());
    }

    /// A coroutine has panicked and nobody will join it.
    pub(super) fn report_panic(&self, report: &PanicReport<'_>) {
        self.panics.fetch_add(1, Ordering::Relaxed);
        if let Some(hook) = &self.config.panic_hook {
            // A hook that panics in turn has no say here: the caller may be unwinding, or freeing.
            let _ = catch_unwind(AssertUnwindSafe(|| hook(report)));
        }
    }
}

/// What a forced end is reported as, where a result is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aborted;

impl core::fmt::Display for Aborted {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the runtime shut down before the coroutine had ended")
    }
}

impl std::error::Error for Aborted {}

/// The payload that stands for [`Aborted`] in a join result.
pub(super) fn aborted() -> Box<dyn Any + Send> {
    Box::new(Aborted)
}
