//! The control block of a coroutine that can be parked: hand-driven or scheduled.
//!
//! It lies at the top of the coroutine's own stack, on the page that the first frames touch
//! anyway, so that a parked coroutine costs one page and a resume touches few lines.
//!
//! # Invariants
//!
//! 1. While `sp` is not 0 the coroutine is suspended in the build's form of the switch, and `sp` is
//!    consumed by exactly one switch.
//! 2. Except for `state`, `woken` and what never changes, only the thread that runs the coroutine
//!    touches the block.
//! 3. The block is valid from [`ControlRef::create`] to [`ControlRef::dismantle`].
//!
//! # Who calls this, and what it may call
//!
//! The coroutine layer, and the scheduler for its own coroutines.

use core::cell::{Cell, UnsafeCell};
use core::mem::ManuallyDrop;
use core::panic::Location;
use core::ptr::NonNull;
use std::any::Any;
use std::sync::Arc;

use super::core::{Core, Schedule, core};
use super::state::{State, WaitReason};
use super::unparker::Permit;
use crate::arch::{self, Hook, StackPointer};
use crate::prim::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use crate::stack::{Stack, StackSize};
use crate::sys::fiber::Fiber;

/// The value of a switch that tells the arriving coroutine to unwind its stack.
pub(super) const UNWIND: usize = 1;

/// Who continues when a hand-driven coroutine stops: a record on the driver's own frame.
pub(super) struct Driver {
    pub(super) sp: StackPointer,
    pub(super) fiber: Fiber,
    pub(super) previous: Option<ControlRef>,
    pub(super) panic: Option<Box<dyn Any + Send>>,
}

/// What a coroutine runs: called once, on its stack, inside the panic boundary.
pub(crate) type Body = unsafe fn(*mut ());

/// The control block.
#[repr(C)]
pub(crate) struct Control {
    sp: Cell<StackPointer>,
    state: AtomicU8,
    woken: AtomicBool,
    reason: AtomicU8,
    /// A switch has something else to do: see [`has_extra`](ControlRef::has_extra).
    extra: Cell<bool>,
    /// It waits for someone who refers to its frame, and may not be unwound.
    bound: Cell<bool>,
    /// Its spawner has promised that it may go on on another thread.
    migratable: Cell<bool>,
    fp: Cell<u64>,
    /// For a hand-driven coroutine that runs: its driver. Null for a scheduled one.
    driver: Cell<*mut Driver>,
    /// For a scheduled coroutine: the core it lives on, never followed by another thread.
    home: AtomicPtr<Core>,
    schedule: UnsafeCell<Option<Arc<dyn Schedule>>>,
    wait_slot: Cell<*const ()>,
    free_slot: Cell<Option<fn(*const ())>>,
    on: AtomicU64,
    body: Cell<(Option<Body>, *mut ())>,
    id: Cell<u64>,
    name: UnsafeCell<Option<Arc<str>>>,
    location: Cell<&'static Location<'static>>,
    permit: UnsafeCell<Option<Arc<Permit>>>,
    /// Coroutine-local values; made on first use.
    locals: UnsafeCell<Option<Box<super::local::Locals>>>,
    fiber: UnsafeCell<Fiber>,
    hook: UnsafeCell<Hook>,
    /// Chains it in its home worker's inbox.
    link: AtomicUsize,
    /// Its place among the live coroutines of its core.
    place: Cell<usize>,
    /// What the scheduler runs in it, while it runs it.
    job: Cell<*const ()>,
    /// The forks on its frames that wait for a taker: the oldest and the newest.
    forks: Cell<(*const (), *const ())>,
    stack: UnsafeCell<ManuallyDrop<Stack>>,
}

/// A handle of a live control block: a plain address, owned by whoever the state says.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ControlRef(NonNull<Control>);

// SAFETY: the address may travel; invariant 2 says what may be done with it elsewhere.
unsafe impl Send for ControlRef {}
// SAFETY: as above.
unsafe impl Sync for ControlRef {}

impl core::fmt::Debug for ControlRef {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "ControlRef({:p}, {})", self.0, self.state())
    }
}

impl ControlRef {
    /// Puts a control block on `stack`, in state CREATED, without a body.
    pub(super) fn create(
        stack: Stack,
        id: u64,
        name: Option<Arc<str>>,
        location: &'static Location<'static>,
    ) -> ControlRef {
        let top = stack.top().as_ptr() as usize;
        let at = (top - size_of::<Control>()) & !63;
        stack.set_label(id, name.as_deref(), location);
        // SAFETY: the bytes from `bottom` up to `usable` are mapped and belong to the stack, which
        // belongs to the new block from here on.
        let fiber = unsafe { Fiber::new(stack.bottom().as_ptr(), stack.usable()) };
        let control = at as *mut Control;
        // SAFETY: the place lies on the stack's own top page, aligned to 64, and is unused.
        unsafe {
            control.write(Control {
                sp: Cell::new(0),
                state: AtomicU8::new(State::Created as u8),
                woken: AtomicBool::new(false),
                reason: AtomicU8::new(WaitReason::None as u8),
                extra: Cell::new(false),
                bound: Cell::new(false),
                migratable: Cell::new(false),
                fp: Cell::new(0),
                driver: Cell::new(core::ptr::null_mut()),
                home: AtomicPtr::new(core::ptr::null_mut()),
                schedule: UnsafeCell::new(None),
                wait_slot: Cell::new(core::ptr::null()),
                free_slot: Cell::new(None),
                on: AtomicU64::new(0),
                body: Cell::new((None, core::ptr::null_mut())),
                id: Cell::new(id),
                name: UnsafeCell::new(name),
                location: Cell::new(location),
                permit: UnsafeCell::new(None),
                locals: UnsafeCell::new(None),
                fiber: UnsafeCell::new(fiber),
                hook: UnsafeCell::new(Hook { run: no_hook }),
                link: AtomicUsize::new(0),
                place: Cell::new(0),
                job: Cell::new(core::ptr::null()),
                forks: Cell::new((core::ptr::null(), core::ptr::null())),
                stack: UnsafeCell::new(ManuallyDrop::new(stack)),
            });
            ControlRef(NonNull::new_unchecked(control))
        }
    }

    #[inline(always)]
    fn get<'a>(self) -> &'a Control {
        // SAFETY: invariant 3; references made here do not outlive the calls in this file.
        unsafe { self.0.as_ref() }
    }

    /// The address of the block: stable, and unique among live coroutines.
    pub(crate) fn address(self) -> usize {
        self.0.as_ptr() as usize
    }

    /// The word that chains it in an inbox; it belongs to the inbox meanwhile.
    pub(crate) fn link<'a>(self) -> &'a AtomicUsize {
        &self.get().link
    }

    /// Whether its wait must end by itself: somebody else refers to its frame.
    #[inline]
    pub(crate) fn bound<'a>(self) -> &'a Cell<bool> {
        &self.get().bound
    }

    /// Whether it may go on on another thread.
    #[inline(always)]
    pub(crate) fn is_migratable(self) -> bool {
        self.get().migratable.get()
    }

    #[inline(always)]
    pub(super) fn set_migratable(self, migratable: bool) {
        self.get().migratable.set(migratable);
    }

    /// The chain of its forks, for the scheduler; it is the running coroutine's own affair.
    #[inline(always)]
    pub(crate) fn forks<'a>(self) -> &'a Cell<(*const (), *const ())> {
        &self.get().forks
    }

    #[inline(always)]
    pub(super) fn place<'a>(self) -> &'a Cell<usize> {
        &self.get().place
    }

    /// The scheduler's word for what the coroutine runs; null while it runs nothing of that kind.
    #[inline(always)]
    pub(crate) fn job<'a>(self) -> &'a Cell<*const ()> {
        &self.get().job
    }

    /// The handle whose [`address`](ControlRef::address) that is, of a block that is still live.
    #[inline(always)]
    pub(crate) fn from_address(address: usize) -> ControlRef {
        ControlRef(NonNull::new(address as *mut Control).expect("a control block has an address"))
    }

    /// A word for a cell that holds a handle or none, and back.
    #[inline(always)]
    pub(super) fn to_ptr(this: Option<ControlRef>) -> *mut Control {
        this.map_or(core::ptr::null_mut(), |me| me.0.as_ptr())
    }

    #[inline(always)]
    pub(super) fn from_ptr(control: *mut Control) -> Option<ControlRef> {
        NonNull::new(control).map(ControlRef)
    }

    /// The top of the stack that holds the block, which need not be live any more.
    pub(super) fn stack_top_of(control: NonNull<Control>) -> NonNull<u8> {
        const BLOCK: usize = size_of::<Control>().next_multiple_of(64);
        control.cast::<u8>().map_addr(|at| at.saturating_add(BLOCK))
    }

    /// The number that no other coroutine of the process has or had.
    #[inline(always)]
    pub(crate) fn id(self) -> u64 {
        self.get().id.get()
    }

    /// The name it was given.
    pub(crate) fn name(self) -> Option<Arc<str>> {
        // SAFETY: set while the coroutine is not running, read on its own thread.
        unsafe { (*self.get().name.get()).clone() }
    }

    /// Where it was created or spawned.
    pub(crate) fn location(self) -> &'static Location<'static> {
        self.get().location.get()
    }

    /// Where it stands in its life.
    ///
    /// A waker leaves the byte of a hand-driven coroutine alone, because the coroutine may be
    /// running on its own thread meanwhile (a spurious resume); its mark makes PARKED read as READY.
    #[inline(always)]
    pub(crate) fn state(self) -> State {
        let control = self.get();
        match State::from_byte(control.state.load(Ordering::Relaxed)) {
            // Acquire pairs with the Release in `make_ready`: a driver that sees READY sees what
            // the waker wrote.
            State::Parked if control.woken.load(Ordering::Acquire) => State::Ready,
            state => state,
        }
    }

    #[inline(always)]
    pub(super) fn set_state(self, state: State) {
        self.get().state.store(state as u8, Ordering::Relaxed);
    }

    /// The word in which the ticket layer keeps the coroutine's slot.
    #[inline(always)]
    pub(crate) fn wait_slot<'a>(self) -> &'a Cell<*const ()> {
        &self.get().wait_slot
    }

    /// Says how the word of [`wait_slot`](ControlRef::wait_slot) is given back.
    pub(crate) fn set_free_slot(self, free: fn(*const ())) {
        self.get().free_slot.set(Some(free));
    }

    /// Records why and on what it waits, for reports.
    #[inline(always)]
    pub(crate) fn set_reason(self, reason: WaitReason, on: usize) {
        let control = self.get();
        control.reason.store(reason as u8, Ordering::Relaxed);
        control.on.store(on as u64, Ordering::Relaxed);
    }

    /// Why and on what it waits.
    pub(crate) fn reason(self) -> (WaitReason, u64) {
        const ALL: [WaitReason; 13] = [
            WaitReason::None,
            WaitReason::Park,
            WaitReason::Ticket,
            WaitReason::Join,
            WaitReason::Send,
            WaitReason::Recv,
            WaitReason::Select,
            WaitReason::Sleep,
            WaitReason::Readable,
            WaitReason::Writable,
            WaitReason::Blocking,
            WaitReason::Future,
            WaitReason::Cancel,
        ];
        let control = self.get();
        let reason = usize::from(control.reason.load(Ordering::Relaxed));
        (ALL.get(reason).copied().unwrap_or(WaitReason::None), control.on.load(Ordering::Relaxed))
    }

    /// The permit of `park`, made by `make` on first use. Only on the coroutine's own thread.
    pub(super) fn permit(self, make: impl FnOnce() -> Arc<Permit>) -> Arc<Permit> {
        // SAFETY: own thread only, and `make` does not come back here.
        let slot = unsafe { &mut *self.get().permit.get() };
        Arc::clone(slot.get_or_insert_with(|| {
            let permit = make();
            permit.bind(self);
            permit
        }))
    }

    pub(super) fn locals<'a>(self) -> &'a UnsafeCell<Option<Box<super::local::Locals>>> {
        &self.get().locals
    }

    #[inline(always)]
    pub(super) fn driver(self) -> *mut Driver {
        self.get().driver.get()
    }

    #[inline(always)]
    pub(super) fn set_driver(self, driver: *mut Driver) {
        self.get().driver.set(driver);
    }

    /// Whether a worker runs it, rather than a driver by hand.
    #[inline(always)]
    pub(crate) fn is_scheduled(self) -> bool {
        !self.get().home.load(Ordering::Relaxed).is_null()
    }

    /// Whether the thread of `core` is its home, and it has not been given up.
    #[inline(always)]
    pub(crate) fn is_at_home(self, core: &Core) -> bool {
        core::ptr::eq(self.get().home.load(Ordering::Relaxed), core)
    }

    pub(super) fn body(self) -> &'static Cell<(Option<Body>, *mut ())> {
        // SAFETY: as in `get`; the cell is used within the calling expression only.
        unsafe { &(*self.0.as_ptr()).body }
    }

    #[inline(always)]
    pub(super) fn sp<'a>(self) -> &'a Cell<StackPointer> {
        &self.get().sp
    }

    pub(super) fn set_save_fp(self, save: bool) {
        self.get().extra.set(save);
        self.get().fp.set(arch::fp_control());
    }

    /// Whether a switch has something else to do. For one that is driven by hand: it has
    /// floating-point control words of its own. For a scheduled one: its runtime has switch hooks.
    #[inline(always)]
    pub(super) fn has_extra(self) -> bool {
        self.get().extra.get()
    }

    /// Says whether the runtime of a scheduled coroutine has switch hooks.
    #[inline(always)]
    pub(super) fn set_hooked(self, hooked: bool) {
        self.get().extra.set(hooked);
    }

    /// Its control words while it is suspended, those of the one that runs it while it runs.
    pub(super) fn fp<'a>(self) -> &'a Cell<u64> {
        &self.get().fp
    }

    #[inline(always)]
    pub(super) fn fiber<'a>(self) -> &'a Fiber {
        // SAFETY: set at creation and never replaced; what a tool keeps in it is its own affair.
        unsafe { &*self.get().fiber.get() }
    }

    /// Makes it a coroutine of the worker on this thread. It is fresh, or on no core.
    #[inline(always)]
    pub(super) fn set_home(self, home: &Core, schedule: &Arc<dyn Schedule>) {
        let control = self.get();
        control.home.store(core::ptr::from_ref(home).cast_mut(), Ordering::Relaxed);
        // SAFETY: it does not run and waits for nothing, so nobody else looks (invariant 2).
        let slot = unsafe { &mut *control.schedule.get() };
        match slot {
            Some(old) if Arc::ptr_eq(old, schedule) => {}
            _ => *slot = Some(Arc::clone(schedule)),
        }
    }

    /// Takes its home away until it is given another one: nobody is at home there.
    pub(super) fn leave_home(self) {
        self.get().home.store(core::ptr::dangling_mut(), Ordering::Relaxed);
    }

    /// Marks it as running on `core`; returns where to switch to.
    #[inline(always)]
    pub(super) fn enter(self, core: &Core) -> StackPointer {
        self.set_state(State::Running);
        core.set_current(Some(self));
        self.sp().get()
    }

    /// Makes a parked coroutine runnable. Any thread; exactly once for each wait, by whoever
    /// completed it.
    #[inline(always)]
    pub(crate) fn make_ready(self) {
        let control = self.get();
        let home = control.home.load(Ordering::Relaxed);
        if home.is_null() {
            // Release pairs with the Acquire in `take_woken`: what the waker wrote is visible.
            control.woken.store(true, Ordering::Release);
        } else if let Some(core) = core()
            && core::ptr::eq(core, home)
        {
            self.set_state(State::Ready);
            core.push_woken(self);
        } else {
            self.set_state(State::Ready);
            self.make_ready_remote();
        }
    }

    #[cold]
    #[inline(never)]
    fn make_ready_remote(self) {
        // SAFETY: `schedule` is written before the coroutine first runs and stays while it waits;
        // the clone keeps the scheduler alive even if the coroutine runs on and ends meanwhile.
        let schedule = unsafe { (*self.get().schedule.get()).clone() };
        schedule.expect("a scheduled coroutine has a scheduler").ready_remote(self);
    }

    /// Has its scheduler queue what other threads have woken. On its own thread.
    #[cold]
    pub(super) fn collect(self, core: &Core) {
        // SAFETY: written before the coroutine first ran, and this is its own thread.
        if let Some(schedule) = unsafe { &*self.get().schedule.get() } {
            schedule.collect(core);
        }
    }

    /// Takes the mark that [`make_ready`](ControlRef::make_ready) left on a hand-driven coroutine.
    pub(super) fn take_woken(self) -> bool {
        let control = self.get();
        // Acquire pairs with the Release in `make_ready`.
        if control.woken.load(Ordering::Acquire) {
            control.woken.store(false, Ordering::Relaxed);
            return true;
        }
        false
    }

    /// Whether its stack has the default size.
    #[inline]
    pub(super) fn is_default_size(self) -> bool {
        self.with_stack(|stack| stack.size() == StackSize::DEFAULT.bytes())
    }

    /// Puts a hook into the block and returns its address, as a switch carries it.
    pub(super) fn set_hook(self, hook: Hook) -> usize {
        let place = self.get().hook.get();
        // SAFETY: own thread only; no hook of this block is under way.
        unsafe { *place = hook };
        place as usize
    }

    /// The block that holds this hook.
    pub(super) fn of_hook(hook: *mut Hook) -> ControlRef {
        ControlRef::from_address(hook as usize - core::mem::offset_of!(Control, hook))
    }

    /// Bytes of the stack that were ever touched since it was last cold.
    pub(crate) fn stack_high_water(self) -> usize {
        self.with_stack(Stack::high_water)
    }

    /// Bytes of stack that a body may use.
    pub(crate) fn stack_size(self) -> usize {
        self.with_stack(Stack::usable)
    }

    fn with_stack<R>(self, f: impl FnOnce(&Stack) -> R) -> R {
        // SAFETY: the stack stays with the block until `dismantle`.
        f(unsafe { &*self.get().stack.get() })
    }

    /// Gives a finished block of a worker a new life with another body.
    #[inline(always)]
    pub(super) fn relabel(
        self,
        id: u64,
        name: Option<Arc<str>>,
        location: &'static Location<'static>,
    ) {
        let control = self.get();
        control.id.set(id);
        control.location.set(location);
        self.set_state(State::Created);
        self.with_stack(|stack| stack.set_label(id, name.as_deref(), location));
        // SAFETY: it does not run, so nobody looks at the name or the permit. An `Unparker` of the
        // former coroutine keeps its own permit, which leads nowhere any more.
        unsafe {
            *control.name.get() = name;
            *control.permit.get() = None;
        }
    }

    /// Where the first frame goes: below the block.
    #[inline(always)]
    pub(super) fn frame_top(self) -> usize {
        self.address()
    }

    /// Takes the block apart and gives the stack back to `core`'s cache, or to the shared pool.
    /// The coroutine is finished or never ran.
    pub(super) fn dismantle(self, core: Option<&Core>) {
        let stack = self.take_apart();
        match core {
            Some(core) => core.cache().release(stack),
            None => drop(stack),
        }
    }

    /// Takes the block apart and leaves the stack as it is for ever: its frames are alive.
    ///
    /// Somebody may still complete what it waited for. Its home is gone or will be, and another
    /// thread's core could come to lie at the same address: so it gets a home that nobody has. A
    /// late wake-up goes to the inbox of its worker, which drops it while it still looks there.
    pub(super) fn leak(self) {
        if self.is_scheduled() {
            self.leave_home();
        }
        // The frames may still lead to the block, so it stays; only the stack is accounted for.
        // SAFETY: the stack is taken once, here; nothing uses the block's copy afterwards.
        let stack = unsafe { ManuallyDrop::take(&mut *self.get().stack.get()) };
        stack.leak();
    }

    fn take_apart(self) -> Stack {
        let control = self.get();
        let slot = control.wait_slot.replace(core::ptr::null());
        if let (false, Some(free)) = (slot.is_null(), control.free_slot.get()) {
            free(slot);
        }
        // SAFETY: the coroutine never runs again, so each field is taken for the last time; the
        // fiber is retired while it is not the running one; the stack outlives the fields because
        // it is taken first and given back last.
        unsafe {
            let stack = ManuallyDrop::take(&mut *control.stack.get());
            (*control.fiber.get()).retire();
            self.0.as_ptr().drop_in_place();
            stack
        }
    }
}

/// The hook of a block that has none under way.
///
/// # Safety
///
/// - It has no conditions: it does nothing.
unsafe fn no_hook(_: *mut Hook) {}
