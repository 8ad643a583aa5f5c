//! Spawning: a closure becomes a job, and a job becomes a coroutine when a worker starts it.
//!
//! # Who calls this, and what it may call
//!
//! Coroutines of a runtime. From other threads, [`Runtime::spawn`](crate::Runtime::spawn).

use core::panic::Location;
use std::sync::Arc;

use super::enter::with_entered;
use super::job::{Description, Job};
use super::join::{JoinHandle, LocalJoinHandle};
use super::scope::JobToken;
use super::shared::Shared;
use super::worker::{Worker, current_worker};
use crate::cancel::CancelToken;
use crate::coroutine::{Core, core_or_make, id_without_core, inherit};
use crate::error::SpawnError;
use crate::prim::Ordering;
use crate::stack::StackSize;

/// Spawns `f` as a coroutine of the running coroutine's runtime, or on a plain thread of the one
/// whose [`block_on`](crate::Runtime::block_on) runs there.
///
/// The closure may be started by any worker; from its first instruction on it stays there, so
/// nothing in it ever changes threads, and the call is safe although `f` may hold what is not
/// `Send` across its suspensions. Dropping the handle detaches the coroutine.
///
/// # Panics
///
/// Outside of a runtime; [`Builder::try_spawn`] reports that as an error.
///
/// # Examples
///
/// ```
/// let answer = kcoro::run(|| kcoro::spawn(|| 6 * 7).join().unwrap());
/// assert_eq!(answer, 42);
/// ```
///
/// What is moved into the coroutine must be `Send`:
///
/// ```compile_fail,E0277
/// let local = std::rc::Rc::new(1);
/// kcoro::run(|| kcoro::spawn(move || *local));
/// ```
#[track_caller]
#[inline]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let Some(worker) = current_worker() else { return spawn_entered(f) };
    let description = describe(None, worker.shared.config.stack_size, Location::caller());
    let (job, handle) = Job::make(description, f);
    worker.spawn(job);
    JoinHandle::new(handle)
}

/// Spawns `f` as a coroutine of this very worker: it need not be `Send`.
///
/// # Panics
///
/// Outside of a coroutine of a runtime; [`Builder::try_spawn_local`] reports that as an error.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
///
/// kcoro::run(|| {
///     let shared = Rc::new(5);
///     let inner = Rc::clone(&shared);
///     assert_eq!(kcoro::spawn_local(move || *inner + 1).join().unwrap(), 6);
/// });
/// ```
#[track_caller]
pub fn spawn_local<F, T>(f: F) -> LocalJoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    let Some(worker) = current_worker() else { no_runtime("kcoro::spawn_local") };
    let description = describe(None, worker.shared.config.stack_size, Location::caller());
    let (job, handle) = Job::make(description, f);
    worker.spawn_pinned(job);
    LocalJoinHandle::new(JoinHandle::new(handle))
}

/// `spawn` on a thread that is not a worker.
#[cold]
#[track_caller]
fn spawn_entered<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let location = Location::caller();
    with_entered(|shared| {
        let description = describe(None, shared?.config.stack_size, location);
        Some(submit(shared?, description, f))
    })
    .unwrap_or_else(|| no_runtime("kcoro::spawn"))
}

#[cold]
#[inline(never)]
#[track_caller]
fn no_runtime(what: &str) -> ! {
    panic!(
        "{what} needs a runtime: call it from within kcoro::run or a coroutine, or use Runtime::spawn"
    )
}

#[inline(always)]
pub(super) fn describe(
    name: Option<Arc<str>>,
    stack_size: StackSize,
    location: &'static Location<'static>,
) -> Description {
    let (id, inherited) = (next_id(), inherit());
    Description { id, name, location, stack_size, migratable: false, inherited, token: None }
}

/// As [`describe`], without the values that the caller's coroutine would pass on.
#[inline(always)]
pub(super) fn describe_bare(
    name: Option<Arc<str>>,
    stack_size: StackSize,
    location: &'static Location<'static>,
) -> Description {
    let id = next_id();
    let (inherited, token, migratable) = (None, None, false);
    Description { id, name, location, stack_size, migratable, inherited, token }
}

#[inline(always)]
fn next_id() -> u64 {
    core_or_make().map_or_else(id_without_core, Core::take_id)
}

/// Spawns a job on a runtime from wherever the caller is.
pub(super) fn submit<F, T>(shared: &Shared, description: Description, f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (job, handle) = Job::make(description, f);
    match current_worker() {
        Some(worker) if core::ptr::eq(&raw const *worker.shared, shared) => worker.spawn(job),
        _ => shared.inject(job),
    }
    JoinHandle::new(handle)
}

/// Sets up a coroutine: name and stack size.
///
/// # Examples
///
/// ```
/// kcoro::run(|| {
///     let handle = kcoro::Builder::new()
///         .name("adder")
///         .stack_size(64 * 1024)
///         .spawn(|| kcoro::current().unwrap().name().map(str::to_owned))?;
///     assert_eq!(handle.join().unwrap().as_deref(), Some("adder"));
///     Ok::<(), kcoro::error::SpawnError>(())
/// })?;
/// # Ok::<(), kcoro::error::SpawnError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Builder {
    name: Option<Arc<str>>,
    stack_size: Option<usize>,
    cancel: Option<CancelToken>,
    migratable: bool,
}

impl Builder {
    /// A coroutine without a name and with the runtime's stack size.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Names the coroutine, for reports.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Builder {
        self.name = Some(name.into());
        self
    }

    /// Reserves a stack of at least `bytes` bytes, guard included. Memory is used only for what is
    /// touched.
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.stack_size = Some(bytes);
        self
    }

    /// Makes the coroutine's own token ([`cancel_token`](crate::cancel_token)) a child of `parent`:
    /// cancelling that cancels it. The end of the runtime does so in any case.
    pub fn cancel_with(mut self, parent: &CancelToken) -> Builder {
        self.cancel = Some(parent.clone());
        self
    }

    /// Lets the coroutine go on on another worker after it has started: while several are ready on
    /// its worker and another worker has none, that one may take it over.
    ///
    /// Without this a coroutine stays on the thread that started it, which is what makes spawning
    /// safe. It has no effect on [`try_spawn_local`](Builder::try_spawn_local). Deadlines and
    /// descriptors of such a coroutine are watched by threads of their own instead of its worker,
    /// which costs some microseconds a wait.
    ///
    /// # Safety
    ///
    /// The caller vouches for the closure, and for everything it calls, that whenever it may
    /// suspend (in any wait, in [`yield_now`](crate::yield_now), in code that calls those):
    ///
    /// - Nothing is alive on the coroutine's stack, or among its coroutine-local values, whose type
    ///   is not `Send`: a lock guard that must be dropped by the thread that locked, an `Rc`, a
    ///   generator, a hand-driven task, a handle of `spawn_local`. What the library itself keeps there
    ///   while it waits, such as the arms of a `select!`, is made for it.
    /// - No reference or pointer into thread-local storage is alive there, whatever its type: the
    ///   closure of no `LocalKey::with` suspends.
    /// - No function on the stack that contains the suspension, after inlining, uses a thread-local
    ///   variable of Rust or C both before and after it: the compiler may compute the address once.
    ///   A function with `#[inline(never)]` that does not suspend is a safe place for such a use.
    ///   The library's own calls, and all of [`coroutine`](crate::coroutine), keep to that.
    ///
    /// # Examples
    ///
    /// ```
    /// let rt = kcoro::Runtime::builder().workers(2).build()?;
    /// // SAFETY: the closure holds numbers across its suspensions, and uses no thread-locals.
    /// let builder = unsafe { kcoro::Builder::new().migratable() };
    /// let counter = rt.spawn_with(builder, || {
    ///     (0..100).map(|step| { kcoro::yield_now(); step }).sum::<u32>()
    /// })?;
    /// assert_eq!(counter.join().unwrap(), 4950);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub unsafe fn migratable(mut self) -> Builder {
        self.migratable = true;
        self
    }

    /// Spawns `f`; the same as [`try_spawn`](Builder::try_spawn).
    ///
    /// # Errors
    ///
    /// As [`try_spawn`](Builder::try_spawn).
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.try_spawn(f)
    }

    /// Spawns `f` as a coroutine of the running coroutine's runtime.
    ///
    /// # Errors
    ///
    /// [`SpawnError`]: there is no runtime here, it is shutting down, or the stack size is out of
    /// range. A stack that cannot be had when the coroutine starts is reported by `join`.
    #[track_caller]
    pub fn try_spawn<F, T>(self, f: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let location = Location::caller();
        match current_worker() {
            Some(worker) => self.submit_to(&worker.shared, location, f),
            None => with_entered(|shared| {
                self.submit_to(shared.ok_or(SpawnError::NoRuntime)?, location, f)
            }),
        }
    }

    /// Spawns `f` as a coroutine of this very worker.
    ///
    /// # Errors
    ///
    /// As [`try_spawn`](Builder::try_spawn).
    #[track_caller]
    pub fn try_spawn_local<F, T>(self, f: F) -> Result<LocalJoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        let location = Location::caller();
        let worker: &Worker = current_worker().ok_or(SpawnError::NoRuntime)?;
        let stays = Builder { migratable: false, ..self };
        let description = stays.describe(&worker.shared, location)?;
        let (job, handle) = Job::make(description, f);
        worker.spawn_pinned(job);
        Ok(LocalJoinHandle::new(JoinHandle::new(handle)))
    }

    /// Spawns `f` on the runtime that `shared` belongs to, from any thread.
    pub(crate) fn submit_to<F, T>(
        self,
        shared: &Shared,
        location: &'static Location<'static>,
        f: F,
    ) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let description = self.describe(shared, location)?;
        Ok(submit(shared, description, f))
    }

    fn describe(
        self,
        shared: &Shared,
        location: &'static Location<'static>,
    ) -> Result<Description, SpawnError> {
        if shared.closed.load(Ordering::Acquire) {
            return Err(SpawnError::ShuttingDown);
        }
        let stack_size = match self.stack_size {
            Some(bytes) => StackSize::new(bytes)?,
            None => shared.config.stack_size,
        };
        let mut description = describe(self.name, stack_size, location);
        if self.migratable {
            shared.keep_time();
            description.migratable = true;
        }
        if let Some(parent) = self.cancel {
            description.token = Some(Box::new(JobToken::below(&parent, shared)));
        }
        Ok(description)
    }
}
