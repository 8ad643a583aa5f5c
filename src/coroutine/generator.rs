//! A generator: a coroutine below the one that resumes it, with values in both directions.
//!
//! The handle keeps the stack pointer, the block on the stack keeps the link to the parent. A
//! resume is a `call` and a suspension a `ret`, so the pair costs about what an empty call does.
//! Values are read from the other side's frame, which stands still meanwhile.
//!
//! # Invariants
//!
//! 1. `sp` is 0 if and only if the body has returned, panicked or was never to run.
//! 2. The body starts at most once; its closure lies in the block until it starts.
//! 3. Memory of a stack on which frames are alive is never used again: dropping a suspended
//!    generator unwinds it, and if that is refused the stack is leaked and counted.
//!
//! # Who calls this, and what it may call
//!
//! Anybody, on any thread; handle and body stay on the thread that made them. The body may park:
//! then the scheduled coroutine or task that resumed the generator parks as a whole.

use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::panic::Location;
use core::ptr::NonNull;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use super::core::{core_or_make, id_without_core};
use super::park::{ForcedUnwind, Unwinding, may_unwind, unwind};
use crate::arch::{self, StackPointer};
use crate::error::{FinishedError, StackError};
use crate::stack::{Stack, StackCache, StackSize};
use crate::sys::fiber::{self, Fiber};

/// The closure takes at most this part of the stack: without optimisation it is moved a few times
/// on its way into the body.
const MOVES: usize = 4;

/// What a generator does next, as seen by the one that resumes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CoroutineState<Yield, Return> {
    /// It suspended with a value and may be resumed.
    Yielded(Yield),
    /// It returned.
    Complete(Return),
}

/// What lies at the top of a generator's stack. The link comes first: assembly knows its address.
#[repr(C)]
struct Block {
    link: Cell<StackPointer>,
    started: Cell<bool>,
    name: UnsafeCell<Option<Arc<str>>>,
    fiber: UnsafeCell<Fiber>,
    parent: UnsafeCell<Fiber>,
    drop_body: unsafe fn(*mut Block),
}

/// The block followed by what the body needs before it starts and after it ended.
#[repr(C)]
struct BlockOf<F, R> {
    block: Block,
    slot: UnsafeCell<Slot<F, R>>,
}

union Slot<F, R> {
    body: ManuallyDrop<F>,
    outcome: ManuallyDrop<Result<R, Box<dyn Any + Send>>>,
}

/// What a handle or a yielder takes part in: neither `Send` nor `Sync`, whatever the values are,
/// and invariant, because values go in on one side and come out on the other.
type Held<Input, Yield, Return> = *mut (Input, Yield, Return);

/// A coroutine that is resumed with an `Input`, suspends with a `Yield` and ends with a `Return`.
///
/// It belongs to the thread that made it: neither `Send` nor `Sync`. Its types and its body are
/// `'static`, because a suspended generator can be forgotten, and whatever its frames borrow must
/// then stay where it is.
///
/// Dropping a suspended generator unwinds its stack, so that every destructor runs. If the thread
/// is panicking, or if the body catches the unwinding and suspends again, the stack is leaked
/// instead and counted ([`stack_stats`](super::stack_stats)). A destructor that suspends while it
/// is run by an unwinding ends the process.
///
/// # Examples
///
/// ```
/// use kcoro::coroutine::{Coroutine, CoroutineState};
///
/// let mut squares = Coroutine::new(|y, first: u32| {
///     let mut n = first;
///     while n != 0 {
///         n = y.suspend(n * n);
///     }
///     "done"
/// });
/// assert_eq!(squares.resume(3), CoroutineState::Yielded(9));
/// assert_eq!(squares.resume(4), CoroutineState::Yielded(16));
/// assert_eq!(squares.resume(0), CoroutineState::Complete("done"));
/// ```
///
/// It stays on its thread:
///
/// ```compile_fail,E0277
/// let generator = kcoro::coroutine::Coroutine::<(), (), ()>::new(|_, ()| ());
/// std::thread::spawn(move || drop(generator));
/// ```
///
/// ```compile_fail,E0277
/// let generator = kcoro::coroutine::Coroutine::<(), (), ()>::new(|_, ()| ());
/// std::thread::scope(|s| { s.spawn(|| generator.is_finished()); });
/// ```
///
/// It borrows nothing that could go away while it is suspended:
///
/// ```compile_fail,E0597
/// let text = String::new();
/// let generator = kcoro::coroutine::Coroutine::<(), (), ()>::new(|_, ()| drop(&text));
/// ```
pub struct Coroutine<Input: 'static, Yield: 'static, Return: 'static> {
    sp: StackPointer,
    block: NonNull<Block>,
    stack: ManuallyDrop<Stack>,
    marker: PhantomData<Held<Input, Yield, Return>>,
}

/// The generator's own end: what its body suspends with.
///
/// ```compile_fail,E0277
/// use kcoro::coroutine::{Coroutine, Yielder};
/// let generator = Coroutine::<(), (), ()>::new(|y: &Yielder<(), ()>, ()| {
///     std::thread::scope(|s| { s.spawn(|| y.suspend(())); });
/// });
/// ```
///
/// Its types are the generator's own, not sub- or supertypes: what comes out of
/// [`suspend`](Yielder::suspend) is what went into the resume.
///
/// ```compile_fail,E0308
/// use kcoro::coroutine::{Coroutine, Yielder};
/// let generator = Coroutine::<fn(&'static str), (), ()>::new(|y, _first: fn(&'static str)| {
///     let loosened: &Yielder<for<'a> fn(&'a str), ()> = y;
///     loosened.suspend(())(&String::from("short-lived"));
/// });
/// ```
pub struct Yielder<Input, Yield> {
    block: NonNull<Block>,
    marker: PhantomData<Held<Input, Yield, ()>>,
}

impl<Input, Yield> fmt::Debug for Yielder<Input, Yield> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yielder").finish_non_exhaustive()
    }
}

/// Sets up a [`Coroutine`]: name and stack size.
///
/// # Examples
///
/// ```
/// use kcoro::coroutine::{Coroutine, CoroutineState};
///
/// let mut hello = Coroutine::<(), (), u8>::builder()
///     .name("hello")
///     .stack_size(64 * 1024)
///     .build(|_, ()| 7)?;
/// assert_eq!(hello.resume(()), CoroutineState::Complete(7));
/// # Ok::<(), kcoro::error::StackError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct CoroutineBuilder<Input, Yield, Return> {
    name: Option<Arc<str>>,
    stack_size: usize,
    marker: PhantomData<fn(Input, Yield, Return)>,
}

impl<Input: 'static, Yield: 'static, Return: 'static> CoroutineBuilder<Input, Yield, Return> {
    /// Names the generator, for reports.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Reserves a stack of at least `bytes` bytes, guard included. Default: 256 KiB. Memory is used
    /// only for what is touched.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = bytes;
        self
    }

    /// Makes the generator; `body` runs at the first resume.
    ///
    /// # Errors
    ///
    /// [`StackError`] if the size is out of range or the system refuses another stack.
    #[track_caller]
    pub fn build<F>(self, body: F) -> Result<Coroutine<Input, Yield, Return>, StackError>
    where
        F: FnOnce(&Yielder<Input, Yield>, Input) -> Return + 'static,
    {
        Coroutine::make(StackSize::new(self.stack_size)?, self.name, Location::caller(), body)
    }
}

impl<Input: 'static, Yield: 'static, Return: 'static> Coroutine<Input, Yield, Return> {
    /// Makes a generator with a stack of the default size; `body` runs at the first resume.
    ///
    /// # Panics
    ///
    /// If the system refuses another stack; [`Coroutine::builder`] reports that as an error.
    #[track_caller]
    #[inline]
    pub fn new<F>(body: F) -> Coroutine<Input, Yield, Return>
    where
        F: FnOnce(&Yielder<Input, Yield>, Input) -> Return + 'static,
    {
        match Coroutine::make(StackSize::DEFAULT, None, Location::caller(), body) {
            Ok(coroutine) => coroutine,
            Err(error) => panic!("cannot make a generator: {error}"),
        }
    }

    /// Sets up a generator with a name or another stack size.
    pub fn builder() -> CoroutineBuilder<Input, Yield, Return> {
        CoroutineBuilder { name: None, stack_size: StackSize::DEFAULT.bytes(), marker: PhantomData }
    }

    #[inline]
    fn make<F>(
        stack_size: StackSize,
        name: Option<Arc<str>>,
        location: &'static Location<'static>,
        body: F,
    ) -> Result<Self, StackError>
    where
        F: FnOnce(&Yielder<Input, Yield>, Input) -> Return + 'static,
    {
        let (stack, id) = match core_or_make() {
            Some(core) => (core.cache().acquire(stack_size)?, core.take_id()),
            None => (StackCache::new().acquire(stack_size)?, id_without_core()),
        };
        let size = size_of::<BlockOf<F, Return>>();
        let align = align_of::<BlockOf<F, Return>>().max(64);
        if size + align + arch::FIRST_FRAME > stack.usable() / MOVES {
            let minimum = MOVES * (size + align + arch::FIRST_FRAME) + StackSize::OVERHEAD;
            return Err(StackError::TooSmall { requested: stack_size.bytes(), minimum });
        }
        stack.set_label(id, name.as_deref(), location);
        let at = (stack.top().as_ptr() as usize - size) & !(align - 1);
        let place = at as *mut BlockOf<F, Return>;
        // SAFETY:
        // - The place lies on the new stack, aligned, below its top and far above its bottom.
        // - The first frame goes below it; `root` is made for this very block.
        let sp = unsafe {
            place.write(BlockOf {
                block: Block {
                    link: Cell::new(0),
                    started: Cell::new(false),
                    name: UnsafeCell::new(name),
                    fiber: UnsafeCell::new(Fiber::new(stack.bottom().as_ptr(), stack.usable())),
                    parent: UnsafeCell::new(Fiber::here()),
                    drop_body: drop_body::<F, Return>,
                },
                slot: UnsafeCell::new(Slot { body: ManuallyDrop::new(body) }),
            });
            arch::init_linked(at, root::<F, Input, Yield, Return>, at)
        };
        // SAFETY: an address inside a stack is not null.
        let block = unsafe { NonNull::new_unchecked(place.cast::<Block>()) };
        Ok(Coroutine { sp, block, stack: ManuallyDrop::new(stack), marker: PhantomData })
    }

    /// Runs the generator until it suspends or returns.
    ///
    /// A panic of the body continues in the caller; the generator has finished then.
    ///
    /// # Panics
    ///
    /// If it has finished; [`try_resume`](Coroutine::try_resume) reports that as an error.
    #[inline(always)]
    pub fn resume(&mut self, input: Input) -> CoroutineState<Yield, Return> {
        if self.sp == 0 {
            cannot_resume();
        }
        // SAFETY: not finished.
        unsafe { self.run(input) }
    }

    /// Runs the generator until it suspends or returns.
    ///
    /// # Errors
    ///
    /// [`FinishedError`] with the input if it has finished.
    #[inline(always)]
    pub fn try_resume(
        &mut self,
        input: Input,
    ) -> Result<CoroutineState<Yield, Return>, FinishedError<Input>> {
        if self.sp == 0 {
            return Err(FinishedError(input));
        }
        // SAFETY: not finished.
        Ok(unsafe { self.run(input) })
    }

    /// Whether the body has returned, has panicked or was unwound.
    #[inline]
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.sp == 0
    }

    /// Bytes of its stack that were ever touched, as far as the system can tell.
    #[must_use]
    pub fn stack_high_water(&self) -> usize {
        self.stack.high_water()
    }

    /// # Safety
    ///
    /// - `self.sp` is not 0.
    #[inline(always)]
    unsafe fn run(&mut self, input: Input) -> CoroutineState<Yield, Return> {
        let input = ManuallyDrop::new(input);
        // SAFETY: suspended, by the contract; the other side moves the input out of our frame.
        let (value, sp) = unsafe { enter(self.block, self.sp, (&raw const input) as usize) };
        self.sp = sp;
        if sp == 0 {
            return self.complete(value);
        }
        // SAFETY: a suspension passes the address of a `Yield` on its own frame, which stands
        // still and gives the value away.
        CoroutineState::Yielded(unsafe { (value as *const Yield).read() })
    }

    #[inline]
    fn complete(&mut self, outcome: usize) -> CoroutineState<Yield, Return> {
        // SAFETY: `root` returned the address of the outcome in the block, which is read once.
        let outcome = unsafe { (outcome as *const Result<Return, Box<dyn Any + Send>>).read() };
        match outcome {
            Ok(value) => CoroutineState::Complete(value),
            Err(payload) => resume_unwind(payload),
        }
    }

    /// Unwinds a suspended body; if it refuses, `sp` stays as it was.
    #[cold]
    fn force_unwind(&mut self) {
        if !may_unwind() {
            return;
        }
        let unwinding = Unwinding::begin();
        // SAFETY: suspended; an input of 0 asks it to unwind.
        let (value, sp) = unsafe { enter(self.block, self.sp, 0) };
        drop(unwinding);
        if sp != 0 {
            return;
        }
        self.sp = 0;
        // SAFETY: as in `complete`.
        let outcome = unsafe { (value as *const Result<Return, Box<dyn Any + Send>>).read() };
        match outcome {
            Err(payload) if !payload.is::<ForcedUnwind>() && !std::thread::panicking() => {
                resume_unwind(payload)
            }
            other => drop(other),
        }
    }

    #[cold]
    #[inline(never)]
    fn drop_suspended(&mut self) {
        // Frees the stack whether the destructors below return or panic, once nothing on it lives.
        struct Free<'a, I: 'static, Y: 'static, R: 'static>(&'a mut Coroutine<I, Y, R>);
        impl<I, Y, R> Drop for Free<'_, I, Y, R> {
            fn drop(&mut self) {
                if self.0.sp == 0 {
                    self.0.free();
                } else {
                    // SAFETY: taken once; the frames stay alive on it for ever.
                    unsafe { ManuallyDrop::take(&mut self.0.stack) }.leak();
                }
            }
        }
        let this = Free(self);
        // SAFETY: the block is valid as long as the stack is ours.
        let block = unsafe { this.0.block.as_ref() };
        if block.started.get() {
            this.0.force_unwind();
        } else {
            this.0.sp = 0;
            // SAFETY: never started, so the closure still lies in the block.
            unsafe { (block.drop_body)(this.0.block.as_ptr()) }
        }
    }

    /// Gives the stack back: nothing on it is alive.
    #[inline]
    fn free(&mut self) {
        // SAFETY: runs once, from `drop`, or before the unwinding that replaces its end; the name
        // and the fiber are not used afterwards, and the stack is taken once.
        let stack = unsafe {
            let block = self.block.as_ref();
            (*block.fiber.get()).retire();
            *block.name.get() = None;
            ManuallyDrop::take(&mut self.stack)
        };
        match core_or_make() {
            Some(core) => core.cache().release(stack),
            None => drop(stack),
        }
    }
}

impl<Input: 'static, Yield: 'static, Return: 'static> Drop for Coroutine<Input, Yield, Return> {
    #[inline]
    fn drop(&mut self) {
        if self.sp != 0 {
            return self.drop_suspended();
        }
        self.free();
    }
}

impl<Input, Yield, Return> fmt::Debug for Coroutine<Input, Yield, Return> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coroutine")
            .field("finished", &(self.sp == 0))
            .field("stack", &*self.stack)
            .finish_non_exhaustive()
    }
}

impl<Input, Yield> Yielder<Input, Yield> {
    /// Suspends the generator with `value`; returns the input of the next resume.
    ///
    /// If the generator is dropped meanwhile, the call does not return: the stack unwinds.
    ///
    /// # Panics
    ///
    /// If the thread is unwinding from a panic, in the body or around it: a stack cannot be left
    /// half unwound.
    #[inline(always)]
    pub fn suspend(&self, value: Yield) -> Input {
        if std::thread::panicking() {
            refuse_while_panicking();
        }
        let value = ManuallyDrop::new(value);
        // SAFETY: a yielder exists only on its generator's stack while the body runs: it is
        // neither Send nor Sync nor 'static.
        let input = unsafe {
            let block = self.block.as_ref();
            fiber::leave(&*block.fiber.get(), &*block.parent.get());
            let input = arch::suspend(self.block.as_ptr().cast(), (&raw const value) as usize);
            fiber::arrive(&*block.fiber.get());
            input
        };
        if input == 0 {
            unwind();
        }
        // SAFETY: the address of the input on the frame of `run`, which gives it away.
        unsafe { (input as *const Input).read() }
    }
}

/// Switches to the generator and back.
///
/// # Safety
///
/// - `sp` is the stack pointer of the suspended generator of `block`; the thread is its own.
#[inline(always)]
unsafe fn enter(block: NonNull<Block>, sp: StackPointer, value: usize) -> (usize, StackPointer) {
    // SAFETY: by the contract; the link is the first word of the block.
    unsafe {
        let here = Fiber::here();
        fiber::leave(&here, &*block.as_ref().fiber.get());
        *block.as_ref().parent.get() = here;
        let back = arch::resume(sp, block.as_ptr().cast(), value);
        fiber::arrive(&*block.as_ref().parent.get());
        back
    }
}

/// The first frame of a generator.
///
/// # Safety
///
/// - `argument` is the address of a `BlockOf<F, Return>` with a body, on whose stack this runs.
/// - `value` is 0 or the address of an `Input` that is given away.
unsafe extern "C" fn root<F, Input, Yield, Return>(argument: usize, value: usize) -> usize
where
    F: FnOnce(&Yielder<Input, Yield>, Input) -> Return,
{
    let place = argument as *mut BlockOf<F, Return>;
    // SAFETY: the caller vouches for the block and the value; the body is moved out once, here,
    // and the outcome takes its place when it has ended.
    unsafe {
        let block = &(*place).block;
        fiber::arrive_first(&*block.fiber.get());
        block.started.set(true);
        let yielder = Yielder { block: NonNull::from(block), marker: PhantomData };
        // Taken inside, so that large ones are not moved through the frames of `catch_unwind`.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let body = ManuallyDrop::take(&mut (*(*place).slot.get()).body);
            body(&yielder, (value as *const Input).read())
        }));
        (*(*place).slot.get()).outcome = ManuallyDrop::new(outcome);
        fiber::leave_for_good(&*block.fiber.get(), &*block.parent.get());
        (&raw const (*(*place).slot.get()).outcome) as usize
    }
}

/// # Safety
///
/// - `block` is a `BlockOf<F, Return>` whose body has not started and is never used again.
unsafe fn drop_body<F, Return>(block: *mut Block) {
    let place = block.cast::<BlockOf<F, Return>>();
    // SAFETY: by the contract.
    unsafe { ManuallyDrop::drop(&mut (*(*place).slot.get()).body) }
}

#[cold]
#[inline(never)]
fn cannot_resume() -> ! {
    panic!("cannot resume a generator that has finished")
}

#[cold]
#[inline(never)]
fn refuse_while_panicking() -> ! {
    panic!("a generator cannot suspend while its body is unwinding from a panic")
}
