//! Threads for calls that block: one pool for each runtime, elastic and bounded.
//!
//! A job goes to the thread that became idle last, whose caches are warmest, so that the others age
//! and end. Without an idle thread a new one starts, up to the limit; beyond it jobs queue.
//!
//! # Invariants
//!
//! 1. A seat is in `idle` exactly while its thread waits for a job that nobody has handed it.
//! 2. A job that was taken runs to its end, whether or not its coroutine still waits.
//! 3. No job waits in the queue while a thread is idle or another may be started.
//! 4. The closure and its result are dropped, and run, with no lock held.
//!
//! # Who calls this, and what it may call
//!
//! Coroutines submit and suspend. `close` and `stop` belong to the runtime's end.

#![forbid(unsafe_code)]

use core::panic::Location;
use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread::JoinHandle as ThreadHandle;
use std::time::{Duration, Instant};

use super::job::JobResult;
use super::report::StuckCall;
use super::worker::current_worker;
use crate::cancel::CancelToken;
use crate::coroutine::{WaitReason, current_waiter};
use crate::error::Cancelled;
use crate::prim::{Condvar, Mutex, MutexGuard};
use crate::token::{Outcome, SlotRef, Wait};

/// Threads that a pool may have if the builder does not say otherwise.
pub(crate) const DEFAULT_LIMIT: usize = 512;

/// How long a thread without a job stays.
const LINGER: Duration = Duration::from_secs(5);

/// Runs `f` on a thread that may block, while the calling coroutine is parked and its worker runs
/// others; returns what `f` returns. A panic of `f` continues here.
///
/// The threads belong to the runtime ([`Builder::blocking_threads`](crate::runtime::Builder)). If
/// the coroutine is unwound meanwhile, `f` runs to its end all the same and its result is dropped.
/// Outside of a runtime's coroutines `f` is simply called.
///
/// # Examples
///
/// ```
/// let text = kcoro::run(|| {
///     kcoro::blocking(|| std::fs::read_to_string("/proc/self/comm"))
/// })?;
/// assert!(!text.is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn blocking<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match call(f, None, Location::caller()) {
        Some(value) => value,
        None => unreachable!("a call without a token is not cancelled"),
    }
}

/// [`blocking`], unless `token` is cancelled first.
///
/// A call that has not started by then is dropped; one that runs goes on to its end, and its result
/// is dropped. Outside of a runtime's coroutines `f` is called unless the token is cancelled.
///
/// # Errors
///
/// [`Cancelled`]: before, or while the call was waited for.
///
/// # Examples
///
/// ```
/// use kcoro::cancel::CancelToken;
///
/// let token = CancelToken::new();
/// kcoro::run(|| {
///     assert_eq!(kcoro::blocking_cancellable(&token, || 1).unwrap(), 1);
///     token.cancel();
///     assert!(kcoro::blocking_cancellable(&token, || 1).is_err());
/// });
/// ```
#[track_caller]
pub fn blocking_cancellable<F, T>(token: &CancelToken, f: F) -> Result<T, Cancelled>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let reason = || Cancelled(token.reason().unwrap_or_default());
    if token.is_cancelled() {
        return Err(reason());
    }
    call(f, Some(token), Location::caller()).ok_or_else(reason)
}

/// Has the pool call `f`; `None`: the token was cancelled first.
fn call<F, T>(f: F, token: Option<&CancelToken>, location: &'static Location<'static>) -> Option<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (Some(worker), Some(me)) = (current_worker(), current_waiter()) else { return Some(f()) };
    let pool = Arc::clone(&worker.shared.pool);
    let wait = Wait::begin_for(WaitReason::Blocking, core::ptr::from_ref(location) as usize);
    let waiter = (wait.slot(), wait.generation());
    let call = Arc::new(Call { stage: Mutex::new(Stage::Waiting(f)), waiter });
    let job = Job { coroutine: me.id(), location, work: Arc::clone(&call) as Arc<dyn Work> };
    if pool.submit(job) {
        let registered = token.map(|token| token.end_wait(waiter.0, waiter.1));
        let outcome = wait.park();
        drop(registered);
        if outcome == Outcome::Cancelled {
            call.abandon();
            return None;
        }
    } else {
        // The pool is closed, or has no thread and gets none: better slow than never.
        let retracted = wait.retract();
        debug_assert!(retracted.is_ok(), "a job that was refused cannot end");
        call.run();
    }
    match call.take() {
        Ok(value) => Some(value),
        Err(payload) => resume_unwind(payload),
    }
}

/// What the pool needs to know of a job.
trait Work: Send + Sync {
    /// Runs the closure and ends the wait.
    fn run(&self);
    /// Drops the closure, or the result.
    fn abandon(&self);
}

struct Call<F, T> {
    stage: Mutex<Stage<F, T>>,
    waiter: (SlotRef, u32),
}

enum Stage<F, T> {
    Waiting(F),
    Taken,
    Done(JobResult<T>),
}

impl<F, T> Call<F, T> {
    fn swap(&self, stage: Stage<F, T>) -> Stage<F, T> {
        core::mem::replace(&mut *self.stage.lock(), stage)
    }

    fn take(&self) -> JobResult<T> {
        match self.swap(Stage::Taken) {
            Stage::Done(result) => result,
            _ => unreachable!("a call is woken when its result is there"),
        }
    }
}

impl<F, T> Work for Call<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    fn run(&self) {
        let Stage::Waiting(f) = self.swap(Stage::Taken) else { return };
        let result = catch_unwind(AssertUnwindSafe(f));
        self.swap(Stage::Done(result));
        let (slot, generation) = self.waiter;
        if let Some(claim) = slot.claim(generation, Outcome::Ready(0)) {
            claim.wake();
        }
    }

    fn abandon(&self) {
        drop(self.swap(Stage::Taken));
    }
}

struct Job {
    coroutine: u64,
    location: &'static Location<'static>,
    work: Arc<dyn Work>,
}

impl Job {
    fn describe(&self) -> StuckCall {
        StuckCall { coroutine: self.coroutine, called_at: self.location }
    }
}

/// Where a thread waits for its next job.
struct Seat {
    /// The number of its thread.
    number: u64,
    handed: Mutex<Handed>,
    bell: Condvar,
}

enum Handed {
    Nothing,
    Job(Job),
    Dismissal,
}

impl Seat {
    /// The caller has taken the seat out of `idle`.
    fn hand(&self, what: Handed) {
        *self.handed.lock() = what;
        self.bell.notify_one();
    }
}

/// The threads of one runtime that may block.
pub(crate) struct Pool {
    name: Arc<str>,
    limit: usize,
    state: Mutex<State>,
    /// Rung when a job has ended after the pool was closed.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    idle: Vec<Arc<Seat>>,
    threads: HashMap<u64, ThreadHandle<()>>,
    running: HashMap<u64, StuckCall>,
    /// Threads that were started, and so the next one's number.
    started: u64,
    peak: usize,
    jobs: u64,
    closed: bool,
}

/// What the pool has done and is doing.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolCounts {
    pub(super) threads: usize,
    pub(super) idle: usize,
    pub(super) peak: usize,
    pub(super) queued: usize,
    pub(super) jobs: u64,
}

impl core::fmt::Debug for Pool {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Pool").field("limit", &self.limit).field("counts", &self.counts()).finish()
    }
}

impl Pool {
    pub(super) fn new(name: Arc<str>, limit: usize) -> Arc<Pool> {
        Arc::new(Pool { name, limit, state: Mutex::default(), ended: Condvar::new() })
    }

    /// Has a thread run the job; false: there is none and there will be none.
    fn submit(self: &Arc<Pool>, job: Job) -> bool {
        let mut state = self.state.lock();
        if state.closed {
            return false;
        }
        state.jobs += 1;
        if let Some(seat) = state.idle.pop() {
            // It counts as running from here on, so that the end does not join its thread.
            state.running.insert(seat.number, job.describe());
            drop(state);
            seat.hand(Handed::Job(job));
            return true;
        }
        let may_wait = !state.threads.is_empty();
        state.queue.push_back(job);
        if state.threads.len() < self.limit && !self.start_thread(&mut state) && !may_wait {
            let _ = state.queue.pop_back();
            state.jobs -= 1;
            return false;
        }
        true
    }

    fn start_thread(self: &Arc<Pool>, state: &mut State) -> bool {
        let number = state.started;
        let pool = Arc::clone(self);
        let thread = std::thread::Builder::new()
            .name(format!("{}-blocking-{number}", self.name))
            .spawn(move || pool.work(number));
        let Ok(handle) = thread else { return false };
        state.started += 1;
        state.threads.insert(number, handle);
        state.peak = state.peak.max(state.threads.len());
        true
    }

    /// The thread.
    fn work(self: Arc<Pool>, number: u64) {
        let (handed, bell) = (Mutex::new(Handed::Nothing), Condvar::new());
        let seat = Arc::new(Seat { number, handed, bell });
        let mut state = self.state.lock();
        loop {
            let job = match state.queue.pop_front() {
                Some(job) => job,
                None if state.closed => break,
                None => {
                    state.idle.push(Arc::clone(&seat));
                    drop(state);
                    let handed = self.wait(&seat);
                    state = self.state.lock();
                    match handed {
                        Some(job) => job,
                        None if state.closed || state.queue.is_empty() => break,
                        None => continue,
                    }
                }
            };
            state.running.insert(number, job.describe());
            MutexGuard::unlocked(&mut state, || {
                job.work.run();
                // If nobody waits any more, this drops the result: a destructor of the user's.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(job)));
            });
            state.running.remove(&number);
            if state.closed {
                self.ended.notify_all();
            }
        }
        // Its own handle: detached if nobody has taken it to join it.
        drop(state.threads.remove(&number));
    }

    /// Waits in the seat; `None`: nothing came for a while, or the pool was closed.
    fn wait(&self, seat: &Arc<Seat>) -> Option<Job> {
        let mut until = Some(Instant::now() + LINGER);
        let mut handed = seat.handed.lock();
        loop {
            match core::mem::replace(&mut *handed, Handed::Nothing) {
                Handed::Job(job) => return Some(job),
                Handed::Dismissal => return None,
                Handed::Nothing => {}
            }
            match until {
                Some(at) if seat.bell.wait_until(&mut handed, at).timed_out() => {
                    let mut state = self.state.lock();
                    if let Some(place) = state.idle.iter().position(|s| Arc::ptr_eq(s, seat)) {
                        state.idle.remove(place);
                        return None;
                    }
                    // Somebody has taken the seat off the list and is about to hand something.
                    until = None;
                }
                Some(_) => {}
                None => seat.bell.wait(&mut handed),
            }
        }
    }

    pub(super) fn counts(&self) -> PoolCounts {
        let state = self.state.lock();
        PoolCounts {
            threads: state.threads.len(),
            idle: state.idle.len(),
            peak: state.peak,
            queued: state.queue.len(),
            jobs: state.jobs,
        }
    }

    /// Takes no more jobs and drops those that have not started; returns them described.
    pub(super) fn close(&self) -> Vec<StuckCall> {
        let (queue, idle) = {
            let mut state = self.state.lock();
            state.closed = true;
            (core::mem::take(&mut state.queue), core::mem::take(&mut state.idle))
        };
        idle.iter().for_each(|seat| seat.hand(Handed::Dismissal));
        let described = queue.iter().map(Job::describe).collect();
        for job in queue {
            let _ = catch_unwind(AssertUnwindSafe(|| job.work.abandon()));
        }
        described
    }

    /// Closes, waits until `deadline` for what runs, and joins the threads that are through.
    /// Returns what had not started and what still runs; its threads end when it does.
    pub(super) fn stop(&self, deadline: Option<Instant>) -> (Vec<StuckCall>, Vec<StuckCall>) {
        let never_started = self.close();
        let mut state = self.state.lock();
        while !state.running.is_empty() {
            match deadline {
                None => self.ended.wait(&mut state),
                Some(at) if self.ended.wait_until(&mut state, at).timed_out() => break,
                Some(_) => {}
            }
        }
        let running = core::mem::take(&mut state.running);
        let threads = core::mem::take(&mut state.threads);
        drop(state);
        for (number, handle) in threads {
            if !running.contains_key(&number) {
                // Jobs are caught, so the thread does not panic; if it did, it is gone all the same.
                let _: Result<(), Box<dyn Any + Send>> = handle.join();
            }
        }
        (never_started, running.into_values().collect())
    }
}
