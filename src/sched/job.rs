//! A spawned closure: one allocation that holds the closure first and its result afterwards.
//!
//! Until it starts a job is a pointer in a queue, which any worker may take. It gets a stack when it
//! starts; from then on it stays where it is.
//!
//! # Invariants
//!
//! 1. The slot holds the closure until `run` takes it, then nothing, then the result.
//! 2. A job is freed once, by its handle or by the worker: `completion.rs` says which.
//! 3. A [`JobRef`] in a queue owns the right to run the job.
//!
//! # Who calls this, and what it may call
//!
//! `spawn` makes jobs, workers run them. `run` calls the user's closure, on the coroutine's stack.

use core::cell::UnsafeCell;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::panic::Location;
use core::ptr::NonNull;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use super::completion::{Completed, Completion};
use super::scope::JobToken;
use super::shared::{Aborted, PanicReport, Shared, aborted};
use super::worker::current_worker;
use crate::coroutine::{ControlRef, Core, Inherited, adopt, core, here, is_forced_unwind};
use crate::stack::StackSize;
use crate::token::{Outcome, SlotRef};

/// What a coroutine ended with.
pub(crate) type JobResult<T> = Result<T, Box<dyn Any + Send>>;

/// What every job begins with.
#[derive(Debug)]
pub(super) struct Header {
    vtable: &'static Vtable,
    pub(super) completion: Completion,
    pub(super) waiter: UnsafeCell<Option<(SlotRef, u32)>>,
    pub(super) id: u64,
    pub(super) name: Option<Arc<str>>,
    pub(super) location: &'static Location<'static>,
    pub(super) stack_size: StackSize,
    /// Its coroutine may change workers after it has started.
    pub(super) migratable: bool,
    inherited: UnsafeCell<Option<Inherited>>,
    /// The coroutine's cancel token, made when somebody asks for it.
    pub(super) token: OnceLock<Box<JobToken>>,
}

#[derive(Debug)]
struct Vtable {
    run: unsafe fn(NonNull<Header>),
    fail: unsafe fn(NonNull<Header>, Box<dyn Any + Send>),
    give_up: unsafe fn(NonNull<Header>, Box<dyn Any + Send>),
    take: unsafe fn(NonNull<Header>, *mut ()),
    free: unsafe fn(NonNull<Header>),
}

/// A job of known type.
#[repr(C)]
pub(super) struct Job<F, T> {
    header: Header,
    slot: UnsafeCell<Slot<F, T>>,
}

union Slot<F, T> {
    closure: ManuallyDrop<F>,
    result: ManuallyDrop<JobResult<T>>,
}

/// What a job is made with, besides its closure.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) id: u64,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) location: &'static Location<'static>,
    pub(crate) stack_size: StackSize,
    pub(crate) migratable: bool,
    pub(crate) inherited: Option<Inherited>,
    pub(super) token: Option<Box<JobToken>>,
}

/// A job that has not run: whoever holds it runs it.
#[derive(Debug)]
pub(crate) struct JobRef(NonNull<Header>);

// SAFETY: a job that may travel is made only of closures that are `Send`, or is kept by the worker it was spawned
// on (`spawn_local`); its header is shared by the rules of `completion.rs`.
unsafe impl Send for JobRef {}

/// A handle's view of a job: it may wait for the result and take it.
pub(super) struct JobHandle<T> {
    header: NonNull<Header>,
    marker: core::marker::PhantomData<T>,
}

impl<F, T> Job<F, T>
where
    F: FnOnce() -> T,
{
    const VTABLE: &'static Vtable = &Vtable {
        run: Job::<F, T>::run,
        fail: Job::<F, T>::fail,
        give_up: Job::<F, T>::give_up,
        take: Job::<F, T>::take,
        free: Job::<F, T>::free,
    };

    /// Boxes a closure; returns the two ends.
    ///
    /// The fields are written where they belong, one by one: put together first and then moved as a
    /// whole, what has just been written in pieces would be read in larger ones, for which the
    /// processor waits.
    #[inline(always)]
    pub(super) fn make(description: Description, closure: F) -> (JobRef, JobHandle<T>) {
        let Description { id, name, location, stack_size, migratable, inherited, token } =
            description;
        let job: *mut Job<F, T> = Box::leak(Box::new_uninit()).as_mut_ptr();
        // SAFETY: the box was made just now. Each field is written before the job is given out, and
        // nothing in between unwinds.
        unsafe {
            let header = &raw mut (*job).header;
            (&raw mut (*header).vtable).write(Self::VTABLE);
            (&raw mut (*header).completion).write(Completion::new());
            (&raw mut (*header).waiter).write(UnsafeCell::new(None));
            (&raw mut (*header).id).write(id);
            (&raw mut (*header).name).write(name);
            (&raw mut (*header).location).write(location);
            (&raw mut (*header).stack_size).write(stack_size);
            (&raw mut (*header).migratable).write(migratable);
            (&raw mut (*header).inherited).write(UnsafeCell::new(inherited));
            (&raw mut (*header).token).write(OnceLock::new());
            if let Some(token) = token {
                // A lock that is new takes the value.
                let _ = (*header).token.set(token);
            }
            let closure = ManuallyDrop::new(closure);
            (&raw mut (*job).slot).write(UnsafeCell::new(Slot::<F, T> { closure }));
            let header = NonNull::new_unchecked(header);
            (JobRef(header), JobHandle { header, marker: core::marker::PhantomData })
        }
    }

    /// # Safety
    ///
    /// - `header` begins a `Job<F, T>` that has not run, and the caller owns the right to run it.
    unsafe fn run(header: NonNull<Header>) {
        let job = header.cast::<Job<F, T>>().as_ptr();
        // SAFETY: by the contract: the closure is moved out once, the slot is the worker's until
        // the result is announced.
        unsafe {
            if let Some(inherited) = (*(*job).header.inherited.get()).take() {
                adopt(inherited);
            }
            let closure = ManuallyDrop::take(&mut (*(*job).slot.get()).closure);
            let me = core().and_then(Core::current);
            if let Some(me) = me {
                me.job().set(header.as_ptr().cast());
            }
            let result = catch_unwind(AssertUnwindSafe(closure));
            // The job may be gone after `finish`, which also runs destructors of the user's.
            if let Some(me) = me {
                me.job().set(core::ptr::null());
            }
            Job::<F, T>::finish(header, result);
        }
    }

    /// # Safety
    ///
    /// - As [`run`](Job::run).
    unsafe fn fail(header: NonNull<Header>, payload: Box<dyn Any + Send>) {
        let job = header.cast::<Job<F, T>>().as_ptr();
        // SAFETY: as in `run`. A destructor or waker that panics is not allowed to take the worker
        // along.
        unsafe {
            let closure = ManuallyDrop::take(&mut (*(*job).slot.get()).closure);
            let _ = catch_unwind(AssertUnwindSafe(|| drop(closure)));
            Job::<F, T>::give_up(header, payload);
        }
    }

    /// # Safety
    ///
    /// - `header` begins a `Job<F, T>` whose closure has been taken, and whoever runs it, if
    ///   anybody, never comes back to the job.
    unsafe fn give_up(header: NonNull<Header>, payload: Box<dyn Any + Send>) {
        // SAFETY: by the contract: the caller stands for the one who ran it.
        let finish = || unsafe { Job::<F, T>::finish(header, Err(payload)) };
        let _ = catch_unwind(AssertUnwindSafe(finish));
    }

    /// # Safety
    ///
    /// - `header` begins a `Job<F, T>` whose closure has been taken, and the caller ran it.
    #[inline]
    unsafe fn finish(header: NonNull<Header>, result: JobResult<T>) {
        let job = header.cast::<Job<F, T>>().as_ptr();
        // SAFETY: the slot is the worker's until `complete`; after `complete` (Left) or `release`
        // nothing of the job is touched, unless the answer is that it is ours to free.
        unsafe {
            let result = result.map_err(Panicked::wrap);
            (*(*job).slot.get()).result = ManuallyDrop::new(result);
            match (*job).header.completion.complete(here()) {
                Completed::Left => {}
                Completed::WakeHere => {
                    // Nobody but this thread can end that wait, nor take it back (`completion.rs`).
                    if let Some((slot, generation)) = (*(*job).header.waiter.get()).take()
                        && let Some(claim) = slot.claim_exclusive(generation, Outcome::Ready(0))
                    {
                        claim.wake();
                    }
                }
                Completed::Wake => {
                    let waiter = (*(*job).header.waiter.get()).take();
                    (*job).header.completion.release();
                    if let Some((slot, generation)) = waiter
                        && let Some(claim) = slot.claim(generation, Outcome::Ready(0))
                    {
                        claim.wake();
                    }
                }
                Completed::Free => {
                    // A value's destructor that panics must not take the worker along.
                    let _ = catch_unwind(AssertUnwindSafe(|| Job::<F, T>::free(header)));
                }
            }
        }
    }

    /// # Safety
    ///
    /// - `header` begins a `Job<F, T>` with a result, which nobody else will touch.
    /// - `out` is valid for a write of a `JobResult<T>`.
    unsafe fn take(header: NonNull<Header>, out: *mut ()) {
        // SAFETY: by the contract.
        unsafe {
            let mut job = Box::from_raw(header.cast::<Job<F, T>>().as_ptr());
            let result = ManuallyDrop::take(&mut job.slot.get_mut().result);
            out.cast::<JobResult<T>>().write(result.map_err(Panicked::unwrap));
        }
    }

    /// # Safety
    ///
    /// - `header` begins a `Job<F, T>` with a result, which nobody else will touch.
    unsafe fn free(header: NonNull<Header>) {
        // SAFETY: by the contract.
        let (job, result) = unsafe {
            let mut job = Box::from_raw(header.cast::<Job<F, T>>().as_ptr());
            let result = ManuallyDrop::take(&mut job.slot.get_mut().result);
            (job, result)
        };
        if let Err(payload) = &result
            && let Some(panicked) = payload.downcast_ref::<Panicked>()
        {
            panicked.report(&job.header);
        }
    }
}

/// Calls `f` with the job that the running coroutine runs.
pub(super) fn with_current<R>(f: impl FnOnce(Option<&Header>) -> R) -> R {
    let word = core().and_then(Core::current).map_or(core::ptr::null(), |me| me.job().get());
    // SAFETY: set by `run`, and cleared before the job can go; `f` runs within the closure of `run`.
    f(unsafe { word.cast::<Header>().as_ref() })
}

/// A panic that nobody has seen yet: what a job keeps in place of the payload.
struct Panicked {
    payload: Box<dyn Any + Send>,
    runtime: Arc<Shared>,
}

impl Panicked {
    /// On the worker that ran the job. What the runtime's own end did is no panic.
    #[cold]
    fn wrap(payload: Box<dyn Any + Send>) -> Box<dyn Any + Send> {
        if is_forced_unwind(&*payload) {
            return aborted();
        }
        match current_worker() {
            Some(worker) if !payload.is::<Aborted>() => {
                Box::new(Panicked { payload, runtime: Arc::clone(&worker.shared) })
            }
            _ => payload,
        }
    }

    #[cold]
    fn unwrap(payload: Box<dyn Any + Send>) -> Box<dyn Any + Send> {
        match payload.downcast::<Panicked>() {
            Ok(panicked) => panicked.payload,
            Err(payload) => payload,
        }
    }

    #[cold]
    fn report(&self, header: &Header) {
        self.runtime.report_panic(&PanicReport {
            id: header.id,
            name: header.name.as_deref(),
            spawned_at: header.location,
        });
    }
}

/// Announces the failure of the job that `coroutine` runs, in its place.
///
/// # Safety
///
/// - `coroutine` is suspended on this thread and is never continued.
/// - Nobody but itself refers to its frames: what it borrows may go once its job has ended.
pub(super) unsafe fn give_up(coroutine: ControlRef, payload: Box<dyn Any + Send>) {
    let word = coroutine.job().replace(core::ptr::null());
    if let Some(header) = NonNull::new(word.cast_mut().cast::<Header>()) {
        // SAFETY: the word is set while the closure runs, so the job has not ended; by the contract
        // it will not do so by itself.
        unsafe { (header.as_ref().vtable.give_up)(header, payload) }
    }
}

impl JobRef {
    /// What the job was made with.
    pub(super) fn header(&self) -> &Header {
        // SAFETY: a job lives until it has run, and this is the right to run it.
        unsafe { self.0.as_ref() }
    }

    /// The pointer, for a trip through a coroutine's data word.
    pub(super) fn into_raw(self) -> *mut () {
        self.0.as_ptr().cast()
    }

    /// # Safety
    ///
    /// - `raw` came out of [`into_raw`](JobRef::into_raw), once.
    pub(super) unsafe fn from_raw(raw: *mut ()) -> JobRef {
        // SAFETY: by the contract.
        JobRef(unsafe { NonNull::new_unchecked(raw.cast()) })
    }

    /// Runs the closure and announces the result. On the stack of the job's coroutine.
    #[inline(always)]
    pub(super) fn run(self) {
        // SAFETY: this is the right to run it, and it is used up.
        unsafe { (self.header().vtable.run)(self.0) }
    }

    /// Drops the closure and announces a failure.
    pub(super) fn fail(self, payload: Box<dyn Any + Send>) {
        // SAFETY: this is the right to run it, and it is used up.
        unsafe { (self.header().vtable.fail)(self.0, payload) }
    }
}

impl<T> JobHandle<T> {
    pub(super) fn header(&self) -> &Header {
        // SAFETY: the job is not freed before its handle has gone.
        unsafe { self.header.as_ref() }
    }

    /// Takes the result of a job that is done, and frees the job.
    #[inline]
    pub(super) fn take(self) -> JobResult<T> {
        debug_assert!(self.header().completion.is_done());
        let this = ManuallyDrop::new(self);
        let mut result = MaybeUninit::<JobResult<T>>::uninit();
        // SAFETY: done, so the job is the handle's alone; `take` writes the result, whose type is
        // that of the handle, and frees the job.
        unsafe {
            (this.header.as_ref().vtable.take)(this.header, result.as_mut_ptr().cast());
            result.assume_init()
        }
    }
}

impl<T> Drop for JobHandle<T> {
    fn drop(&mut self) {
        if self.header().completion.abandon(here()) {
            // Dropping the result may run the user's destructor: on the dropper's stack.
            // SAFETY: done and abandoned, so the job is ours to free.
            unsafe { (self.header().vtable.free)(self.header) }
        }
    }
}
