//! A coroutine that is driven by hand: made, resumed, parked and woken without a scheduler.
//!
//! # Invariants
//!
//! 1. While a task runs, the `resume` that runs it is on the stack of its driver; the task's
//!    record of its driver points there.
//! 2. `yield_to` hands the driver on: whoever finishes or gives way next returns to it.
//!
//! # Who calls this, and what it may call
//!
//! Threads and coroutines; a task stays on the thread that made it.

use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use core::panic::Location;
use std::sync::Arc;

use super::control::{Body, ControlRef, Driver, UNWIND};
use super::core::{core_or_make, id_without_core};
use super::entry;
use super::park::{Unwinding, arrive_fp, leave_fp, may_unwind, unwind};
use super::state::State;
use super::unparker::Unparker;
use crate::arch;
use crate::error::{ResumeError, StackError};
use crate::stack::{StackCache, StackSize};
use crate::sys::fiber::{self, Fiber};

/// A coroutine without a scheduler: its owner resumes it, it gives way with
/// [`yield_now`](super::yield_now), [`park`](super::park) or [`yield_to`], and waits of all kinds
/// (tickets, channels) park it until the owner resumes it after the wake-up.
///
/// It belongs to the thread that made it: neither `Send` nor `Sync`; its [`Unparker`] goes
/// anywhere. Resuming a parked task is allowed: `park` returns early, other waits go on waiting.
///
/// Dropping a task that has started unwinds its stack, so that every destructor runs once. If that
/// cannot be (the thread is panicking, the body catches the unwinding), its stack is leaked and
/// counted.
///
/// # Examples
///
/// ```
/// use kcoro::coroutine::{self, State, Task};
///
/// let task = Task::builder().name("counter").stack_size(64 * 1024).build(|| {
///     coroutine::yield_now();
///     coroutine::park();
/// })?;
/// assert_eq!(task.state(), State::Created);
/// assert_eq!(task.resume().unwrap(), State::Suspended);
/// assert_eq!(task.resume().unwrap(), State::Parked);
/// task.unpark();
/// assert_eq!(task.state(), State::Ready);
/// assert_eq!(task.resume().unwrap(), State::Finished);
/// assert!(task.resume().is_err());
/// # Ok::<(), kcoro::error::StackError>(())
/// ```
///
/// ```compile_fail,E0277
/// let task = kcoro::coroutine::Task::new(|| ());
/// std::thread::spawn(move || drop(task));
/// ```
///
/// ```compile_fail,E0277
/// let task = kcoro::coroutine::Task::new(|| ());
/// std::thread::scope(|s| { s.spawn(|| task.resume().is_ok()); });
/// ```
pub struct Task {
    control: ControlRef,
    /// How to drop the body, until it starts.
    unstarted: Cell<Option<Body>>,
    marker: PhantomData<*mut ()>,
}

/// Closures up to this size lie on the task's own stack, below its control block; larger ones on
/// the heap. In bytes.
const IN_PLACE: usize = 1024;

/// Sets up a [`Task`]: name, stack size, floating-point control.
#[derive(Debug, Clone)]
#[must_use]
pub struct TaskBuilder {
    name: Option<Arc<str>>,
    stack_size: usize,
    save_fp: bool,
}

impl TaskBuilder {
    /// Names the task, for reports.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> TaskBuilder {
        self.name = Some(name.into());
        self
    }

    /// Reserves a stack of at least `bytes` bytes, guard included. Default: 256 KiB. Memory is used
    /// only for what is touched.
    pub fn stack_size(mut self, bytes: usize) -> TaskBuilder {
        self.stack_size = bytes;
        self
    }

    /// Gives the task floating-point control words of its own (rounding, masks), for bodies that
    /// call foreign code which changes them. Costs a few nanoseconds a switch.
    pub fn save_fp_control(mut self) -> TaskBuilder {
        self.save_fp = true;
        self
    }

    /// Makes the task; `body` runs at the first resume.
    ///
    /// # Errors
    ///
    /// [`StackError`] if the size is out of range or the system refuses another stack.
    #[track_caller]
    pub fn build(self, body: impl FnOnce() + 'static) -> Result<Task, StackError> {
        let location = Location::caller();
        let size = StackSize::new(self.stack_size)?;
        let (stack, id) = match core_or_make() {
            Some(core) => (core.cache().acquire(size)?, core.take_id()),
            None => (StackCache::new().acquire(size)?, id_without_core()),
        };
        let control = ControlRef::create(stack, id, self.name, location);
        if self.save_fp {
            control.set_save_fp(true);
        }
        let drop_body = place_body(control, body);
        Ok(Task { control, unstarted: Cell::new(Some(drop_body)), marker: PhantomData })
    }
}

/// Puts the body where it waits for its start and lays the first frame; returns how to drop it.
#[inline]
fn place_body<F: FnOnce() + 'static>(control: ControlRef, body: F) -> Body {
    if size_of::<F>() <= IN_PLACE && align_of::<F>() <= 64 {
        let at = (control.frame_top() - size_of::<F>()) & !63;
        let place = at as *mut F;
        // SAFETY: the place lies on the task's own unused stack, far above its bottom, aligned.
        unsafe { place.write(body) };
        control.body().set((Some(run_in_place::<F>), place.cast()));
        entry::prepare_below(control, at);
        drop_in_place::<F>
    } else {
        let place = Box::into_raw(Box::new(body));
        control.body().set((Some(run_boxed::<F>), place.cast()));
        entry::prepare(control);
        drop_boxed::<F>
    }
}

/// # Safety
///
/// - `data` is the address of an `F` that is given away.
unsafe fn run_in_place<F: FnOnce()>(data: *mut ()) {
    // SAFETY: by the contract.
    let body = unsafe { data.cast::<F>().read() };
    body();
}

/// # Safety
///
/// - As [`run_in_place`].
unsafe fn drop_in_place<F>(data: *mut ()) {
    // SAFETY: by the contract.
    unsafe { data.cast::<F>().drop_in_place() }
}

/// # Safety
///
/// - `data` came from `Box::into_raw` of a `Box<F>` and is given away.
unsafe fn run_boxed<F: FnOnce()>(data: *mut ()) {
    // SAFETY: by the contract.
    let body = unsafe { Box::from_raw(data.cast::<F>()) };
    body();
}

/// # Safety
///
/// - As [`run_boxed`].
unsafe fn drop_boxed<F>(data: *mut ()) {
    // SAFETY: by the contract.
    drop(unsafe { Box::from_raw(data.cast::<F>()) });
}

impl Task {
    /// Makes a task with a stack of the default size; `body` runs at the first resume.
    ///
    /// # Panics
    ///
    /// If the system refuses another stack; [`Task::builder`] reports that as an error.
    #[track_caller]
    pub fn new(body: impl FnOnce() + 'static) -> Task {
        match Task::builder().build(body) {
            Ok(task) => task,
            Err(error) => panic!("cannot make a task: {error}"),
        }
    }

    /// Sets up a task with a name or another stack size.
    pub fn builder() -> TaskBuilder {
        TaskBuilder { name: None, stack_size: StackSize::DEFAULT.bytes(), save_fp: false }
    }

    /// Runs the task until it gives way, parks or ends; returns the state it is in then.
    ///
    /// # Errors
    ///
    /// [`ResumeError`]: it has finished, it is running, it panicked (the payload is handed on), or
    /// this thread is unwinding from a panic.
    #[inline]
    pub fn resume(&self) -> Result<State, ResumeError> {
        match self.control.state() {
            State::Finished => return Err(ResumeError::Finished),
            State::Running => return Err(ResumeError::Running),
            _ if std::thread::panicking() => return Err(ResumeError::Panicking),
            _ => {}
        }
        // SAFETY: suspended or fresh, and the thread is not panicking.
        unsafe { self.enter(0) }
    }

    /// # Safety
    ///
    /// - The task is suspended or fresh, and the thread is not panicking.
    #[inline]
    unsafe fn enter(&self, value: usize) -> Result<State, ResumeError> {
        let Some(core) = core_or_make() else { return Err(ResumeError::Panicking) };
        let me = self.control;
        self.unstarted.set(None);
        let mut driver =
            Driver { sp: 0, fiber: Fiber::here(), previous: core.current(), panic: None };
        let record = &raw mut driver;
        me.set_driver(record);
        let to = me.enter(core);
        // SAFETY: `to` is suspended and used once; the record lies on this frame, which stands
        // still until somebody switches to it. It is reached only through `record` meanwhile.
        unsafe {
            fiber::leave(&(*record).fiber, me.fiber());
            let arrival = arch::switch(&raw mut (*record).sp, to, value, 0);
            fiber::arrive(&(*record).fiber);
            arch::arrive(arrival);
            match (*record).panic.take() {
                None => Ok(me.state()),
                Some(payload) => Err(ResumeError::Panicked(payload)),
            }
        }
    }

    /// Ends the current or the next [`park`](super::park) of this task.
    pub fn unpark(&self) {
        if self.control.state() != State::Finished {
            self.unparker().unpark();
        }
    }

    /// A handle that ends the task's parks from anywhere.
    #[must_use]
    pub fn unparker(&self) -> Unparker {
        Unparker::of(self.control)
    }

    /// Where the task stands in its life.
    #[must_use]
    pub fn state(&self) -> State {
        self.control.state()
    }

    /// Whether it waits to be woken.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        self.state() == State::Parked
    }

    /// Whether its body has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.state() == State::Finished
    }

    /// A number that no other coroutine of the process has or had.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.control.id()
    }

    /// The name it was given.
    #[must_use]
    pub fn name(&self) -> Option<Arc<str>> {
        self.control.name()
    }

    /// Where it was made.
    #[must_use]
    pub fn created_at(&self) -> &'static Location<'static> {
        self.control.location()
    }

    /// Bytes of its stack that were ever touched, as far as the system can tell.
    #[must_use]
    pub fn stack_high_water(&self) -> usize {
        self.control.stack_high_water()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let me = self.control;
        // Whatever ends below, by return or by panic, the block is taken apart after it.
        let _end = Dismantle(me);
        if let Some(drop_body) = self.unstarted.take() {
            let (_, data) = me.body().replace((None, core::ptr::null_mut()));
            // SAFETY: never started, so the body is still where `place_body` put it.
            return unsafe { drop_body(data) };
        }
        if !me.state().is_resumable() || !may_unwind() {
            return;
        }
        let unwinding = Unwinding::begin();
        // SAFETY: suspended. Where the thread is panicking, it is unwinding a dropped coroutine,
        // whose frames stand still until this one has ended.
        let result = unsafe { self.enter(UNWIND) };
        drop(unwinding);
        if let Err(ResumeError::Panicked(payload)) = result
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(payload);
        }
    }
}

/// Takes the block apart, or leaks it if frames on its stack are alive.
struct Dismantle(ControlRef);

impl Drop for Dismantle {
    fn drop(&mut self) {
        match self.0.state() {
            State::Created | State::Finished => self.0.dismantle(core_or_make()),
            _ => self.0.leak(),
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("state", &self.state())
            .field("created_at", &format_args!("{}", self.created_at()))
            .finish_non_exhaustive()
    }
}

/// Suspends the running task and continues `target` in its place, without a detour over the driver:
/// when `target` gives way or ends, the driver of the caller goes on.
///
/// Called outside of a task it is [`Task::resume`].
///
/// # Errors
///
/// [`ResumeError`] as for [`Task::resume`]; the caller keeps running then. A panic of `target` goes
/// to the driver.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use kcoro::coroutine::{yield_to, State, Task};
///
/// let second = Rc::new(Task::new(|| ()));
/// let first = Task::new({
///     let second = Rc::clone(&second);
///     move || yield_to(&second).map(drop).unwrap()
/// });
/// assert_eq!(first.resume().unwrap(), State::Suspended);
/// assert_eq!(second.state(), State::Finished);
/// assert_eq!(first.resume().unwrap(), State::Finished);
/// ```
pub fn yield_to(target: &Task) -> Result<State, ResumeError> {
    let running = core_or_make().and_then(|core| Some((core, core.current()?)));
    let Some((core, me)) = running.filter(|(_, me)| !me.is_scheduled()) else {
        return target.resume();
    };
    match target.state() {
        State::Finished => return Err(ResumeError::Finished),
        State::Running => return Err(ResumeError::Running),
        _ if std::thread::panicking() => return Err(ResumeError::Panicking),
        _ => {}
    }
    let to = target.control;
    target.unstarted.set(None);
    to.set_driver(me.driver());
    me.set_state(State::Suspended);
    if me.has_extra() {
        leave_fp(me);
    }
    let sp = to.enter(core);
    // SAFETY: `to` is suspended or fresh and used once; `me` is continued by a later resume; the
    // driver's record stays on its frame until one of the two returns to it.
    let value = unsafe {
        fiber::leave(me.fiber(), to.fiber());
        let arrival = arch::switch(me.sp().as_ptr(), sp, 0, 0);
        fiber::arrive(me.fiber());
        arch::arrive(arrival)
    };
    if me.has_extra() {
        arrive_fp(me);
    }
    if value == UNWIND {
        unwind();
    }
    Ok(target.state())
}
