//! The worker: a thread that runs coroutines.
//!
//! One round of the loop: letters first, then timers and descriptors when they are due, then a
//! coroutine that is ready (which runs on into whoever is next, up to the switch budget), then one
//! job that has not started. So nothing waits for more than a bounded number of switches, whatever
//! a pair of coroutines does to keep each other running.
//!
//! # Invariants
//!
//! 1. The loop runs on the root context of the thread's core; coroutines come back to it.
//! 2. A worker sleeps only by the protocol of `parker.rs`, and never while anything is ready here.
//! 3. A job is started by exactly one worker, and its coroutine stays there unless it may migrate.
//!
//! # Who calls this, and what it may call
//!
//! [`Worker::run`] is the thread. The rest is called from coroutines of this worker.

use core::cell::{Cell, RefCell};
use crossbeam_deque::{Steal, Worker as Deque};
use std::sync::Arc;

use super::io::Descriptors;
use super::job::JobRef;
use super::monitor::Shown;
use super::pace::Pace;
use super::parker::{SLEEPING, SUMMONED};
use super::patience::Patience;
use super::shared::{Remote, Shared, bump};
use super::tidy::Surplus;
use crate::coroutine::sched::{self, Launch};
use crate::coroutine::{Core, Schedule, Watch, core, core_or_make, here};
use crate::prim::Ordering;
use crate::sys::{clock, cpu, futex, membarrier, poller};
use crate::timer::Timers;

/// Rounds between two looks at the injector while there is local work.
const INJECTOR_INTERVAL: u32 = 31;

/// Rounds with work between two looks at whether the runtime's end is overdue.
const HURRY_INTERVAL: u32 = 16;

/// Nanoseconds between two looks at file descriptors while there is work, in whole rounds, unless
/// the builder says otherwise.
pub(crate) const POLL_INTERVAL: u64 = 50_000;

/// Pauses between two looks for work of a worker that has none.
const PAUSES: u32 = 8;

/// One worker. It lives on its thread's stack; coroutines reach it through the core.
pub(crate) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) index: usize,
    pub(super) remote: Arc<Remote>,
    schedule: Arc<dyn Schedule>,
    deque: Deque<JobRef>,
    pub(super) timers: Timers,
    pub(super) descriptors: RefCell<Descriptors>,
    polled_at: Cell<u64>,
    tick: Cell<u32>,
    pace: Pace,
    patience: Patience,
    pub(super) surplus: Surplus,
    searching: Cell<bool>,
    random: Cell<u64>,
    /// When it saw, in the middle of work, that the runtime stops.
    stopping_since: Cell<Option<u64>>,
    /// Naps taken while the runtime ends.
    naps: Cell<u32>,
    /// Jobs spawned here that stay here: they may not travel, or there is nobody to travel to.
    pinned: RefCell<std::collections::VecDeque<JobRef>>,
    /// Whether the runtime has no other worker, nor a spare.
    alone: bool,
}

impl core::fmt::Debug for Worker {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Worker").field("index", &self.index).finish_non_exhaustive()
    }
}

/// The worker that runs on this thread.
#[inline(always)]
pub(crate) fn current_worker<'a>() -> Option<&'a Worker> {
    let core = core()?;
    // SAFETY: set by `Worker::run` for as long as it runs, on this thread; callers let no
    // reference outlive the call stack they run on.
    unsafe { core.worker.get().cast::<Worker>().as_ref() }
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, index: usize, deque: Deque<JobRef>) -> Worker {
        let remote = Arc::clone(&shared.remotes[index]);
        let alone = shared.remotes.len() == 1;
        let pace = Pace::new(shared.config.switch_budget);
        Worker {
            schedule: Arc::clone(&remote) as Arc<dyn Schedule>,
            shared,
            index,
            remote,
            deque,
            timers: Timers::new(),
            descriptors: RefCell::new(Descriptors::new()),
            polled_at: Cell::new(0),
            tick: Cell::new(0),
            pace,
            surplus: Surplus::default(),
            patience: Patience::new(cpu::affinity().unwrap_or(1)),
            searching: Cell::new(false),
            stopping_since: Cell::new(None),
            naps: Cell::new(0),
            random: Cell::new(0x9E37_79B9_7F4A_7C15 ^ (index as u64 + 1)),
            pinned: RefCell::default(),
            alone,
        }
    }

    /// Runs coroutines on this thread until `done` says so, or the runtime stops.
    pub(super) fn run(&self, done: &dyn Fn() -> bool) {
        let core = core_or_make().expect("a worker's thread is not shutting down");
        let before = (core.worker.get(), core.timers.get(), core.hooks.get());
        let handoffs = core.handoff_budget.replace(self.shared.config.handoff_budget);
        let hooks = &self.shared.config.switch_hooks;
        core.hooks.set(if hooks.is_empty() { core::ptr::null() } else { hooks });
        core.worker.set(core::ptr::from_ref(self).cast());
        core.timers.set(core::ptr::from_ref(&self.timers).cast());
        core.on_park.set(super::fork::offer_all);
        let _shown = Shown::new(&self.remote, Watch::of(core));
        poller::sharpen_timers();
        while !done() {
            if self.round(core) {
                if self.tick.get().is_multiple_of(HURRY_INTERVAL) && self.is_overdue() {
                    super::shutdown::hurry(self, core);
                }
                continue;
            }
            if self.shared.stopping.load(Ordering::Acquire) && self.wind_up(core) {
                break;
            }
            self.idle(core, done);
        }
        core.worker.set(before.0);
        core.timers.set(before.1);
        core.hooks.set(before.2);
        core.handoff_budget.set(handoffs);
    }

    /// One round; false: there was nothing to do.
    fn round(&self, core: &Core) -> bool {
        let tick = self.tick.get().wrapping_add(1);
        self.tick.set(tick);
        bump(&self.remote.counts.ticks);
        core.refill(self.pace.budget());
        self.remote.collect(core);
        self.offer_migrants(core);
        if !self.timers.is_empty() {
            self.timers.advance(clock::now());
        }
        if self.remote.questions.asked.load(Ordering::Relaxed) {
            let offered = || self.shared.migrants.describe();
            let elsewhere = if self.index == 0 { offered() } else { Vec::new() };
            self.remote.questions.answer(core, &elsewhere);
        }
        if self.descriptors.borrow().is_active() {
            let now = clock::now();
            if now.saturating_sub(self.polled_at.get()) >= self.shared.config.poll_interval {
                self.polled_at.set(now);
                self.poll(Some(0));
            }
        }
        let mut worked = false;
        if let Some(ready) = core.pop() {
            self.found_work();
            // SAFETY: this is the root context, and the coroutine came out of its queue.
            unsafe { sched::run(core, ready) }
            self.pace.note(core.is_spent());
            worked = true;
        }
        if let Some(job) = self.next_job(tick) {
            self.found_work();
            core.has_jobs.set(self.has_own_jobs());
            self.start(core, job);
            worked = true;
        } else {
            core.has_jobs.set(false);
        }
        if (!worked || tick.is_multiple_of(INJECTOR_INTERVAL))
            && !self.shared.migrants.is_empty()
            && self.shared.may_take(self.index)
        {
            worked |= self.run_migrant(core);
        }
        worked
    }

    fn poll(&self, timeout: Option<u64>) {
        let claims = self.descriptors.borrow_mut().poll(timeout);
        for claim in claims {
            claim.wake();
        }
    }

    /// A job that has not started: own ones in order, now and then those from outside first.
    fn next_job(&self, tick: u32) -> Option<JobRef> {
        if tick.is_multiple_of(INJECTOR_INTERVAL)
            && let Some(job) = self.take_injected()
        {
            return Some(job);
        }
        // In turns, so that neither kind can starve the other.
        let pinned = || self.pinned.borrow_mut().pop_front();
        let own = match tick.is_multiple_of(2) {
            true => pinned().or_else(|| self.deque.pop()),
            false => self.deque.pop().or_else(pinned),
        };
        own.or_else(|| self.take_injected())
    }

    fn has_own_jobs(&self) -> bool {
        !self.deque.is_empty() || !self.pinned.borrow().is_empty()
    }

    fn take_injected(&self) -> Option<JobRef> {
        if self.shared.injector.is_empty() || !self.shared.may_take(self.index) {
            return None;
        }
        loop {
            match self.shared.injector.steal_batch_and_pop(&self.deque) {
                Steal::Success(job) => {
                    // More may have come along. On their way from one queue to the other they were
                    // in neither, and a worker that looked just then sleeps. A searcher's promise
                    // covers them; others look here, as if they had posted them.
                    let more = !self.deque.is_empty() || !self.shared.injector.is_empty();
                    if !self.searching.get() && more {
                        self.shared.wake_one();
                    }
                    return Some(job);
                }
                Steal::Empty => return None,
                Steal::Retry => {}
            }
        }
    }

    /// Gives a job a stack and runs it, and whoever becomes ready.
    fn start(&self, core: &Core, job: JobRef) {
        let header = job.header();
        let (name, location, id, stack_size, migratable) =
            (header.name.clone(), header.location, header.id, header.stack_size, header.migratable);
        if let (Some(name), Some(monitor)) = (&name, &self.shared.monitor) {
            monitor.enter_name(id, name);
        }
        let data = job.into_raw();
        let launch = Launch { id, name, location, stack_size, migratable, body: run_job, data };
        match sched::launch(core, &self.schedule, launch) {
            // SAFETY: this is the root context, and the coroutine is fresh.
            Ok(coroutine) => unsafe { sched::run(core, coroutine) },
            Err(error) => {
                // SAFETY: `launch` failed, so the right to run the job is still ours.
                let job = unsafe { JobRef::from_raw(data) };
                self.strike_name(job.header().name.is_some().then_some(id));
                job.fail(Box::new(error));
                bump(&self.remote.counts.finished);
                self.note_drained();
            }
        }
    }

    /// Looks for work elsewhere, waits awake for as long as that pays, then sleeps until there is
    /// some.
    fn idle(&self, core: &Core, done: &dyn Fn() -> bool) {
        // At most half of the workers search at a time: the others would only get in the way.
        if !self.searching.get()
            && 2 * self.shared.searchers.count() < self.shared.config.workers
            && self.shared.may_take(self.index)
        {
            self.shared.searchers.begin();
            self.searching.set(true);
        }
        match self.look_around(done) {
            Found::Job(job) => {
                self.found_work();
                return self.start(core, job);
            }
            // What is here goes through the loop, which ends the search with `found_work`.
            Found::Something => return,
            Found::Nothing => {}
        }
        if self.searching.replace(false) {
            // Not a searcher any more before the last look below: see `search.rs`.
            self.shared.searchers.end();
        }
        self.sleep(core, done);
    }

    /// Until the worker's patience is at its end.
    fn look_around(&self, done: &dyn Fn() -> bool) -> Found {
        let mut until = None;
        loop {
            if self.searching.get()
                && let Some(job) = self.steal()
            {
                return Found::Job(job);
            }
            let offered = self.searching.get() && !self.shared.migrants.is_empty();
            if offered || !self.remote.inbox.is_empty() || self.has_own_jobs() {
                return Found::Something;
            }
            if done() || self.shared.stopping.load(Ordering::Relaxed) {
                return Found::Nothing;
            }
            let now = clock::now();
            let until = *until.get_or_insert_with(|| {
                let wait = now + self.patience.wait(self.shared.is_another_up(self.index));
                self.timers.next_deadline().map_or(wait, |due| due.min(wait))
            });
            if now >= until || self.remote.questions.asked.load(Ordering::Relaxed) {
                return Found::Nothing;
            }
            for _ in 0..PAUSES {
                crate::prim::spin_loop();
            }
        }
    }

    /// The last one that searched has found something: whoever posted meanwhile has left the waking
    /// to it.
    #[cold]
    #[inline(never)]
    fn keep_promise(&self) {
        // (G) of `search.rs`.
        membarrier::light();
        if self.shared.sleepers.load(Ordering::Relaxed) != 0 {
            // (F) of `search.rs`.
            membarrier::heavy();
            if self.shared.has_stealable() {
                self.shared.wake_one();
            }
        }
    }

    pub(super) fn found_work(&self) {
        if self.searching.replace(false) && self.shared.searchers.end() {
            self.keep_promise();
        }
    }

    fn steal(&self) -> Option<JobRef> {
        if let Some(job) = self.take_injected() {
            return Some(job);
        }
        let remotes = &self.shared.remotes;
        let start = self.next_random() as usize % remotes.len();
        for offset in 0..remotes.len() {
            let victim = (start + offset) % remotes.len();
            if victim == self.index {
                continue;
            }
            loop {
                match remotes[victim].stealer.steal_batch_and_pop(&self.deque) {
                    Steal::Success(job) => {
                        bump(&self.remote.counts.steals);
                        return Some(job);
                    }
                    Steal::Empty => break,
                    Steal::Retry => {}
                }
            }
        }
        None
    }

    /// What wakes the coroutines that live here.
    pub(super) fn schedule(&self) -> &Arc<dyn Schedule> {
        &self.schedule
    }

    /// A coroutine that another worker had started goes on here.
    pub(super) fn note_migration(&self) {
        bump(&self.remote.counts.migrations);
    }

    fn next_random(&self) -> u64 {
        // xorshift64, G. Marsaglia, "Xorshift RNGs", 2003.
        let mut x = self.random.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random.set(x);
        x
    }

    /// W1 to W4 of `parker.rs`.
    fn sleep(&self, core: &Core, done: &dyn Fn() -> bool) {
        let remote = &*self.remote;
        let polls = self.descriptors.borrow().is_active();
        if polls && !remote.polls.load(Ordering::Relaxed) {
            *remote.interrupt.lock() = self.descriptors.borrow().interrupt();
            remote.polls.store(true, Ordering::Relaxed);
        }
        let takes = self.shared.may_take(self.index);
        remote.sleep.prepare();
        // A spare that may not take work is no sleeper that somebody with work could wake.
        self.shared.sleepers.fetch_add(usize::from(takes), Ordering::Relaxed);
        membarrier::heavy();
        let stealable = takes && self.shared.has_stealable();
        let stay_up = stealable
            || core.ready_len() != 0
            || !remote.inbox.is_empty()
            || takes != self.shared.may_take(self.index)
            || !self.deque.is_empty()
            || remote.questions.asked.load(Ordering::Relaxed)
            || self.shared.stopping.load(Ordering::Relaxed)
            || done();
        let mut slept = None;
        if !stay_up {
            bump(&remote.counts.sleeps);
            let began = clock::now();
            let deadlines = [self.timers.next_deadline(), self.tidy_at(core, began)];
            let deadline = deadlines.into_iter().flatten().min();
            if remote.polls.load(Ordering::Relaxed) {
                let timeout = deadline.map(|at| at.saturating_sub(began));
                self.poll(timeout);
            } else {
                let until = deadline.and_then(clock::to_instant);
                while remote.sleep.is_sleeping()
                    && futex::wait(remote.sleep.word(), SLEEPING, until)
                {}
            }
            let now = clock::now();
            slept = Some(now.saturating_sub(began));
            self.tidy(core, now);
        }
        self.shared.sleepers.fetch_sub(usize::from(takes), Ordering::Relaxed);
        let told = remote.sleep.cancel();
        if told == SUMMONED {
            debug_assert!(!self.searching.get());
            self.searching.set(true);
        } else if stealable {
            // It may be more than this worker takes, posted while it still counted as searching:
            // so its promise goes on (`search.rs`).
            self.shared.searchers.begin();
            self.searching.set(true);
        }
        match slept {
            Some(slept) if told != SLEEPING => self.patience.woken_after(slept),
            Some(_) => self.patience.tire(),
            None => {}
        }
        if let Some(monitor) = &self.shared.monitor {
            monitor.rouse();
        }
    }

    /// Whether the runtime stops, but this worker has not come to rest for a while.
    fn is_overdue(&self) -> bool {
        if !self.shared.stopping.load(Ordering::Acquire) {
            return false;
        }
        let now = clock::now();
        let since = self.stopping_since.get().unwrap_or(now);
        self.stopping_since.set(Some(since));
        now - since >= super::shutdown::GRACE
    }

    /// The runtime stops and there is nothing left to run: true, unless something came up.
    fn wind_up(&self, core: &Core) -> bool {
        super::shutdown::wind_up(self, core)
    }

    /// Lets a moment pass for others to end; false: that went on for longer than `patience`.
    pub(super) fn wait_for_bound(&self, patience: std::time::Duration) -> bool {
        const NAP: std::time::Duration = std::time::Duration::from_micros(100);
        let naps = self.naps.get() + 1;
        self.naps.set(naps);
        std::thread::sleep(NAP);
        NAP * naps < patience
    }

    /// Queues a job that any worker may take.
    #[inline]
    pub(crate) fn spawn(&self, job: JobRef) {
        if self.alone {
            return self.spawn_pinned(job);
        }
        bump(&self.remote.counts.spawned);
        self.deque.push(job);
        note_jobs();
        self.shared.wake_one();
    }

    /// Queues a job that must stay here.
    #[inline]
    pub(crate) fn spawn_pinned(&self, job: JobRef) {
        job.header().completion.pin(here());
        bump(&self.remote.counts.spawned);
        self.pinned.borrow_mut().push_back(job);
        note_jobs();
    }

    /// Jobs of this worker that have not started.
    pub(super) fn waiting_jobs(&self) -> Vec<JobRef> {
        let mut jobs: Vec<JobRef> = self.pinned.borrow_mut().drain(..).collect();
        jobs.extend(std::iter::from_fn(|| self.deque.pop()));
        jobs.extend(std::iter::from_fn(|| self.take_injected()));
        jobs
    }

    /// Has the monitor forget the name of a coroutine.
    #[inline]
    fn strike_name(&self, named: Option<u64>) {
        if let (Some(id), Some(monitor)) = (named, &self.shared.monitor) {
            monitor.strike_name(id);
        }
    }

    pub(super) fn note_drained(&self) {
        if self.shared.draining.load(Ordering::Relaxed) {
            let (lock, condvar) = &self.shared.drained;
            drop(lock.lock());
            condvar.notify_all();
        }
    }
}

/// A coroutine that gives way must let the worker start a job.
#[inline(always)]
fn note_jobs() {
    if let Some(core) = core() {
        core.has_jobs.set(true);
    }
}

/// What a worker that looked around has found.
enum Found {
    /// A job of somebody else's.
    Job(JobRef),
    /// Something in its own queues.
    Something,
    /// Nothing, for as long as it was worth while to look.
    Nothing,
}

/// The body of a scheduled coroutine.
///
/// # Safety
///
/// - `data` came out of `JobRef::into_raw` and is given away.
unsafe fn run_job(data: *mut ()) {
    // SAFETY: by the contract.
    let job = unsafe { JobRef::from_raw(data) };
    let named = job.header().name.is_some().then_some(job.header().id);
    let _account = Account { named };
    job.run();
}

/// Counts a job as finished when it goes, even if the joiner's waker panics.
struct Account {
    /// Its number, if it has a name.
    named: Option<u64>,
}

impl Drop for Account {
    #[inline]
    fn drop(&mut self) {
        if let Some(worker) = current_worker() {
            worker.strike_name(self.named);
            bump(&worker.remote.counts.finished);
            worker.note_drained();
        }
    }
}
