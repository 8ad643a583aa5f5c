//! Waiting for a coroutine to end.
//!
//! # Invariants
//!
//! 1. One party at a time waits for a job: `join` takes the handle, polling borrows it mutably.
//! 2. A wait that ends otherwise (deadline, unwinding) is withdrawn before its frame goes.
//!
//! # Who calls this, and what it may call
//!
//! Coroutines, threads and futures.

use core::fmt;
use core::marker::PhantomData;
use std::time::{Duration, Instant};

use super::job::{JobHandle, JobResult};
use crate::cancel::CancelToken;
use crate::coroutine::{WaitReason, current_waiter, here};
use crate::error::CancelReason;
use crate::timer;
use crate::token::{AsyncWait, Outcome, Wait};

/// A spawned coroutine, to be joined. Dropping it detaches the coroutine.
///
/// # Examples
///
/// ```
/// kcoro::run(|| {
///     let good = kcoro::spawn(|| 1);
///     let bad = kcoro::spawn(|| -> u32 { panic!("no") });
///     assert_eq!(good.join().unwrap(), 1);
///     assert!(bad.join().is_err());
/// });
/// ```
#[must_use = "dropping the handle detaches the coroutine; join it or call `detach`"]
pub struct JoinHandle<T> {
    job: Option<JobHandle<T>>,
    /// The wait of a handle that is polled as a future.
    pub(super) polling: Option<Box<AsyncWait>>,
}

// SAFETY: a handle moves the coroutine's result to whoever joins, hence `T: Send`; everything else
// behind it is synchronised by `completion.rs`.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: what a shared handle offers (`is_finished`, `id`, `name`) reads what never changes, or
// one atomic.
unsafe impl<T: Send> Sync for JoinHandle<T> {}

impl<T> Unpin for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    pub(super) fn new(job: JobHandle<T>) -> JoinHandle<T> {
        JoinHandle { job: Some(job), polling: None }
    }

    fn job(&self) -> &JobHandle<T> {
        self.job.as_ref().expect("a handle is used after it was polled to its end")
    }

    /// Waits until the coroutine has ended and returns its value.
    ///
    /// A coroutine parks meanwhile, a plain thread blocks.
    ///
    /// # Errors
    ///
    /// The payload of its panic; [`Aborted`](crate::runtime::Aborted) if the runtime shut down
    /// before it had ended; [`StackError`](crate::error::StackError) if there was no stack for it.
    #[inline(always)]
    pub fn join(mut self) -> JobResult<T> {
        if self.polling.is_some() {
            self.stop_polling();
        }
        self.job().wait_alone();
        self.take()
    }

    /// Waits until the coroutine has ended, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// The handle, if it has not ended by then.
    pub fn join_timeout(mut self, timeout: Duration) -> Result<JobResult<T>, JoinHandle<T>> {
        let deadline = Instant::now().checked_add(timeout);
        if self.wait(deadline.map(timer::deadline), None) { Ok(self.take()) } else { Err(self) }
    }

    /// Waits until the coroutine has ended, or `token` is cancelled. A result that is there is
    /// returned even so.
    ///
    /// # Errors
    ///
    /// The handle, if the token was cancelled first.
    pub fn join_cancellable(mut self, token: &CancelToken) -> Result<JobResult<T>, JoinHandle<T>> {
        if self.wait(None, Some(token)) { Ok(self.take()) } else { Err(self) }
    }

    /// Cancels the coroutine's own token: its cancellable waits end, and it may look at
    /// [`cancel_token`](crate::cancel_token) itself. Nothing is interrupted, and a coroutine that
    /// has not started will start and find the token cancelled.
    ///
    /// True if it had not ended and was not cancelled before.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// kcoro::run(|| {
    ///     let handle = kcoro::spawn(|| {
    ///         kcoro::sleep_cancellable(Duration::MAX, &kcoro::cancel_token()).is_err()
    ///     });
    ///     assert!(handle.cancel());
    ///     assert!(handle.join().unwrap());
    /// });
    /// ```
    pub fn cancel(&self) -> bool {
        self.cancel_with(CancelReason::Unspecified)
    }

    /// [`cancel`](JoinHandle::cancel), with a reason.
    pub fn cancel_with(&self, reason: impl Into<CancelReason>) -> bool {
        !self.is_finished() && self.job().header().token().cancel_with(reason)
    }

    /// Takes the result of a job that is done.
    #[inline]
    pub(super) fn take(&mut self) -> JobResult<T> {
        self.job.take().expect("not polled to its end").take()
    }

    /// Announces a future's wait; false: the result is there.
    pub(super) fn register(&self, wait: &AsyncWait) -> bool {
        let header = self.job().header();
        // SAFETY: the cell is the joiner's until `register` succeeds.
        unsafe { *header.waiter.get() = Some((wait.slot(), wait.generation())) };
        header.completion.register(0)
    }

    /// Takes the registration of a future back.
    #[cold]
    fn stop_polling(&mut self) {
        if let (Some(_wait), Some(job)) = (self.polling.take(), &self.job) {
            job.withdraw();
        }
    }

    /// True: it is done. False: the deadline has passed, or the token was cancelled.
    #[inline]
    fn wait(&mut self, deadline: Option<u64>, token: Option<&CancelToken>) -> bool {
        if self.polling.is_some() {
            self.stop_polling();
        }
        self.job().header().completion.is_done() || self.job().wait(deadline, token)
    }

    /// Whether the coroutine has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.job().header().completion.is_done()
    }

    /// A number that no other coroutine of the process has or had.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.job().header().id
    }

    /// The name it was given.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.job().header().name.as_deref()
    }

    /// Lets the coroutine go on by itself; its result is dropped, and a panic goes to the runtime's
    /// hook.
    pub fn detach(self) {}
}

impl<T> Drop for JoinHandle<T> {
    #[inline]
    fn drop(&mut self) {
        if self.polling.is_some() {
            self.stop_polling();
        }
    }
}

impl<T> JobHandle<T> {
    /// Waits for the job and nothing else. Planned out of line; parked in the caller's own frame.
    #[inline(always)]
    fn wait_alone(&self) {
        if self.header().completion.is_done() {
            return;
        }
        if let Some(wait) = self.plan() {
            let guard = Withdraw(self);
            let outcome = wait.park();
            guard.disarm();
            debug_assert_eq!(outcome, Outcome::Ready(0), "nothing but the job ends this wait");
        }
    }

    /// Registers a wait that only the job will end; `None`: the result is there.
    #[inline(never)]
    fn plan(&self) -> Option<Wait> {
        let header = self.header();
        let wait = Wait::begin_for(WaitReason::Join, header.id as usize);
        // SAFETY: the cell is the joiner's until `register` succeeds.
        unsafe { *header.waiter.get() = Some((wait.slot(), wait.generation())) };
        let here = if wait.is_coroutine() { here() } else { 0 };
        if header.completion.register(here) {
            return Some(wait);
        }
        if let Some(me) = current_waiter() {
            me.set_reason(WaitReason::None, 0);
        }
        retract(wait);
        None
    }

    #[inline(never)]
    fn wait(&self, deadline: Option<u64>, token: Option<&CancelToken>) -> bool {
        let header = self.header();
        let wait = Wait::begin();
        // SAFETY: the cell is the joiner's until `register` succeeds.
        unsafe { *header.waiter.get() = Some((wait.slot(), wait.generation())) };
        if !header.completion.register(0) {
            retract(wait);
            return true;
        }
        if let Some(me) = current_waiter() {
            me.set_reason(WaitReason::Join, header.id as usize);
        }
        // Taken back if the wait ends otherwise, by its deadline or by unwinding.
        let guard = Withdraw(self);
        let (slot, generation) = (wait.slot(), wait.generation());
        let registered = token.map(|token| token.end_wait(slot, generation));
        let outcome = match deadline {
            None => wait.park(),
            Some(at) => timer::park_deadline(wait, at),
        };
        drop(registered);
        guard.disarm();
        outcome == Outcome::Ready(0) || header.completion.withdraw()
    }

    fn withdraw(&self) {
        self.header().completion.withdraw();
    }
}

struct Withdraw<'a, T>(&'a JobHandle<T>);

impl<T> Withdraw<'_, T> {
    fn disarm(self) {
        core::mem::forget(self);
    }
}

impl<T> Drop for Withdraw<'_, T> {
    fn drop(&mut self) {
        self.0.withdraw();
    }
}

/// Ends a wait that nobody knows of.
fn retract(wait: Wait) {
    if let Err(claimed) = wait.retract() {
        // Nobody was told of it, so nobody can have claimed it.
        claimed.park();
    }
}

/// A coroutine spawned with [`spawn_local`](crate::spawn_local), to be joined on its own worker.
///
/// ```compile_fail,E0277
/// kcoro::run(|| {
///     let handle = kcoro::spawn_local(|| ());
///     std::thread::spawn(move || handle.join());
/// });
/// ```
#[must_use = "dropping the handle detaches the coroutine; join it or call `detach`"]
pub struct LocalJoinHandle<T> {
    inner: JoinHandle<T>,
    marker: PhantomData<*mut ()>,
}

impl<T> LocalJoinHandle<T> {
    pub(super) fn new(inner: JoinHandle<T>) -> LocalJoinHandle<T> {
        LocalJoinHandle { inner, marker: PhantomData }
    }

    /// Waits until the coroutine has ended and returns its value.
    ///
    /// # Errors
    ///
    /// As [`JoinHandle::join`].
    pub fn join(self) -> JobResult<T> {
        self.inner.join()
    }

    /// Waits until the coroutine has ended, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// The handle, if it has not ended by then.
    pub fn join_timeout(self, timeout: Duration) -> Result<JobResult<T>, LocalJoinHandle<T>> {
        self.inner.join_timeout(timeout).map_err(LocalJoinHandle::new)
    }

    /// Waits until the coroutine has ended, or `token` is cancelled. A result that is there is
    /// returned even so.
    ///
    /// # Errors
    ///
    /// The handle, if the token was cancelled first.
    pub fn join_cancellable(self, token: &CancelToken) -> Result<JobResult<T>, LocalJoinHandle<T>> {
        self.inner.join_cancellable(token).map_err(LocalJoinHandle::new)
    }

    /// Whether the coroutine has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }

    /// A number that no other coroutine of the process has or had.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.inner.id()
    }

    /// Cancels the coroutine's own token, as [`JoinHandle::cancel`] does.
    pub fn cancel(&self) -> bool {
        self.inner.cancel()
    }

    /// Lets the coroutine go on by itself.
    pub fn detach(self) {}
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.job {
            Some(job) => f
                .debug_struct("JoinHandle")
                .field("id", &job.header().id)
                .field("name", &job.header().name)
                .field("finished", &job.header().completion.is_done())
                .finish(),
            None => f.write_str("JoinHandle(taken)"),
        }
    }
}

impl<T> fmt::Debug for LocalJoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
