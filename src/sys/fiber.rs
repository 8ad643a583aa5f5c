//! What sanitizers and valgrind must be told about a stack that is not a thread's own.
//!
//! A tool that shadows the stack loses its way when the stack pointer jumps to another one:
//! AddressSanitizer reports overflows that are none, ThreadSanitizer unwinds a call stack that
//! belongs to someone else, memcheck takes the jump for one enormous frame. Each has calls that
//! announce the jump. A [`Fiber`] is what those calls need to know about one context, and
//! [`leave`]/[`arrive`] are placed around every switch.
//!
//! The tool is chosen by a cfg of the whole build (`kcoro_asan`, `kcoro_tsan`, `kcoro_valgrind`),
//! set together with the compiler's own flag by the scripts under `ci/`. In an ordinary build
//! `Fiber` has no size and every function here is empty.
//!
//! # Invariants
//!
//! 1. Every switch is `leave`, the jump, `arrive`, in this order and on the same thread. The first
//!    function of a context begins with [`arrive_first`] and ends with [`leave_for_good`].
//! 2. A fiber made by [`Fiber::new`] is retired exactly once, while it is not the running one.
//! 3. `leave` is inlined into the function that jumps: ThreadSanitizer counts the calls and returns
//!    of the fiber it was told of last, so a frame may not be left between the two. A context that
//!    ends does leave frames after its announcement, so there the arriving side makes the change.
//!
//! # Who calls this, and what it may call
//!
//! The code around each switch in `coroutine`. Nothing here suspends or takes a lock.
//!
//! Source: `sanitizer/common_interface_defs.h`, `sanitizer/tsan_interface.h` and `valgrind.h`.

/// One context as the tools see it: a coroutine's stack, or the one a thread came with.
#[derive(Debug)]
pub(crate) struct Fiber {
    #[cfg(kcoro_asan)]
    asan: asan::Context,
    #[cfg(kcoro_tsan)]
    tsan: tsan::Context,
    #[cfg(all(kcoro_valgrind, target_arch = "x86_64"))]
    valgrind: valgrind::Context,
}

impl Fiber {
    /// A context about to run on the stack that begins at `bottom`, its lowest usable address,
    /// and has `size` bytes.
    ///
    /// # Safety
    ///
    /// - `bottom..bottom + size` is mapped, readable and writable, and holds nothing alive but
    ///   what the caller put there as plain memory.
    /// - It stays so until [`retire`](Fiber::retire).
    #[inline(always)]
    #[allow(unused_variables, reason = "an ordinary build has nothing to register")]
    pub(crate) unsafe fn new(bottom: *const u8, size: usize) -> Fiber {
        Fiber {
            #[cfg(kcoro_asan)]
            // SAFETY: the caller vouches for the range.
            asan: unsafe { asan::Context::new(bottom, size) },
            #[cfg(kcoro_tsan)]
            tsan: tsan::Context::new(),
            #[cfg(all(kcoro_valgrind, target_arch = "x86_64"))]
            valgrind: valgrind::Context::new(bottom, size),
        }
    }

    /// The context the caller runs on, a thread's own stack or a coroutine's: what a switch away
    /// from it passes as `from`, and a switch back as `to`. Borrowed: never retired.
    #[inline(always)]
    pub(crate) fn here() -> Fiber {
        Fiber {
            #[cfg(kcoro_asan)]
            asan: asan::Context::here(),
            #[cfg(kcoro_tsan)]
            tsan: tsan::Context::here(),
            #[cfg(all(kcoro_valgrind, target_arch = "x86_64"))]
            valgrind: valgrind::Context::unregistered(),
        }
    }

    /// Forgets the context, before its stack is reused or unmapped.
    ///
    /// # Safety
    ///
    /// - The fiber came from [`new`](Fiber::new), is not retired yet and is not the running one.
    #[inline(always)]
    pub(crate) unsafe fn retire(&self) {
        #[cfg(kcoro_asan)]
        self.asan.retire();
        #[cfg(kcoro_tsan)]
        // SAFETY: the caller's two conditions are those of the call.
        unsafe {
            self.tsan.retire();
        }
        #[cfg(all(kcoro_valgrind, target_arch = "x86_64"))]
        self.valgrind.retire();
    }
}

/// Announces that the running context, `from`, jumps to `to` and expects to be continued.
///
/// # Safety
///
/// - The caller runs on `from`, and jumps to `to` before it returns (invariant 3).
/// - `from` stays where it is until it is continued.
#[inline(always)]
#[allow(unused_variables, reason = "an ordinary build has nothing to announce")]
pub(crate) unsafe fn leave(from: &Fiber, to: &Fiber) {
    #[cfg(kcoro_asan)]
    // SAFETY: the caller runs on `from` and jumps to `to` next.
    unsafe {
        asan::leave(&from.asan, &to.asan);
    }
    #[cfg(kcoro_tsan)]
    // SAFETY: the caller jumps to `to` next.
    unsafe {
        to.tsan.enter();
    }
}

/// Announces that the running context, `from`, ends with a jump to `to`. Frames that only return
/// on the way to the jump may follow. The fiber may be entered again from its beginning.
///
/// # Safety
///
/// - The caller runs on `from`, whose stack is left for `to` without any other switch between.
#[inline(always)]
#[allow(unused_variables, reason = "an ordinary build has nothing to announce")]
pub(crate) unsafe fn leave_for_good(from: &Fiber, to: &Fiber) {
    #[cfg(kcoro_asan)]
    // SAFETY: the caller's condition. The side stack is kept, not freed, because the frames that
    // are still to return have locals there.
    unsafe {
        asan::leave(&from.asan, &to.asan);
    }
}

/// Announces that the jump is done: the first thing after a switch that returns.
///
/// # Safety
///
/// - The caller runs on `at`, which the matching [`leave`] or [`leave_for_good`] named as `to`.
#[inline(always)]
#[allow(unused_variables, reason = "an ordinary build has nothing to announce")]
pub(crate) unsafe fn arrive(at: &Fiber) {
    #[cfg(kcoro_asan)]
    // SAFETY: the caller runs on `at`.
    unsafe {
        asan::arrive(&at.asan);
    }
    #[cfg(kcoro_tsan)]
    // SAFETY: the caller runs on `at`, in the function that left it.
    unsafe {
        at.tsan.arrive();
    }
}

/// As [`arrive`], for the first function of a context: its first statement.
///
/// # Safety
///
/// - As [`arrive`]; the calling function is the outermost of the context.
#[inline(always)]
#[allow(unused_variables, reason = "an ordinary build has nothing to announce")]
pub(crate) unsafe fn arrive_first(at: &Fiber) {
    #[cfg(kcoro_asan)]
    // SAFETY: the caller runs on `at`.
    unsafe {
        asan::arrive(&at.asan);
    }
    #[cfg(kcoro_tsan)]
    // SAFETY: the caller is the outermost function of `at`.
    unsafe {
        at.tsan.arrive_first();
    }
}

#[cfg(kcoro_asan)]
mod asan {
    //! The tool follows the bounds of the running stack and, for each context, a side stack on
    //! which it places the locals whose use after return it wants to see.

    use core::cell::Cell;
    use core::ffi::c_void;
    use core::ptr;

    // SAFETY: as the tool's `common_interface_defs.h`, `asan_interface.h` and `lsan_interface.h` declare
    // them.
    unsafe extern "C" {
        fn __sanitizer_start_switch_fiber(save: *mut *mut c_void, bottom: *const u8, size: usize);
        fn __sanitizer_finish_switch_fiber(
            fake: *mut c_void,
            old_bottom: *mut *const u8,
            old_size: *mut usize,
        );
        fn __asan_unpoison_memory_region(start: *const u8, size: usize);
        fn __lsan_register_root_region(start: *const u8, size: usize);
        fn __lsan_unregister_root_region(start: *const u8, size: usize);
    }

    thread_local! {
        /// The bounds of the stack this thread runs on now; empty until the first switch.
        static RUNNING: Cell<Option<(*const u8, usize)>> = const { Cell::new(None) };
    }

    #[derive(Debug)]
    pub(super) struct Context {
        bottom: *const u8,
        size: usize,
        /// The side stack while the context is not running; null before its first entry.
        fake: Cell<*mut c_void>,
    }

    impl Context {
        /// # Safety
        ///
        /// - The range is mapped and no longer in use as a stack.
        pub(super) unsafe fn new(bottom: *const u8, size: usize) -> Context {
            // The frames of an earlier owner that never returned left their red zones behind. What
            // only a suspended stack refers to is no leak.
            // SAFETY: the caller vouches for the range.
            unsafe {
                __asan_unpoison_memory_region(bottom, size);
                __lsan_register_root_region(bottom, size);
            }
            Context { bottom, size, fake: Cell::new(ptr::null_mut()) }
        }

        pub(super) fn retire(&self) {
            let fake = self.fake.replace(ptr::null_mut());
            let mut own = ptr::null_mut();
            let (mut bottom, mut size) = (ptr::null(), 0);
            // A side stack can only be freed by its own context when it ends: pose as it.
            // SAFETY:
            // - The range is still mapped (invariant 2), and nothing runs on it.
            // - The two switches cancel out, and nothing else happens between them.
            unsafe {
                __asan_unpoison_memory_region(self.bottom, self.size);
                __lsan_unregister_root_region(self.bottom, self.size);
                if !fake.is_null() {
                    __sanitizer_start_switch_fiber(&raw mut own, self.bottom, self.size);
                    __sanitizer_finish_switch_fiber(fake, &raw mut bottom, &raw mut size);
                    __sanitizer_start_switch_fiber(ptr::null_mut(), bottom, size);
                    __sanitizer_finish_switch_fiber(own, ptr::null_mut(), ptr::null_mut());
                }
            }
        }

        pub(super) fn here() -> Context {
            let (bottom, size) = running();
            Context { bottom, size, fake: Cell::new(ptr::null_mut()) }
        }
    }

    /// Never inlined: a thread-local's address must not be kept across a switch.
    #[inline(never)]
    fn running() -> (*const u8, usize) {
        RUNNING.get().unwrap_or_else(thread_bounds)
    }

    #[inline(never)]
    fn set_running(bounds: (*const u8, usize)) {
        RUNNING.set(Some(bounds));
    }

    /// The bounds of the stack that the system gave this thread.
    fn thread_bounds() -> (*const u8, usize) {
        let mut attr = core::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
        let mut bottom = ptr::null_mut();
        let mut size = 0;
        // SAFETY:
        // - `attr` is written by the first call, and read only if that succeeded.
        // - The out pointers are valid for writes.
        // - `attr` is destroyed once.
        unsafe {
            let code = libc::pthread_getattr_np(libc::pthread_self(), attr.as_mut_ptr());
            assert_eq!(code, 0, "cannot read the attributes of this thread");
            libc::pthread_attr_getstack(attr.as_ptr(), &raw mut bottom, &raw mut size);
            libc::pthread_attr_destroy(attr.as_mut_ptr());
        }
        (bottom.cast(), size)
    }

    /// # Safety
    ///
    /// - As [`leave`](super::leave).
    #[inline(always)]
    pub(super) unsafe fn leave(from: &Context, to: &Context) {
        // SAFETY: the cell is valid for a write; the bounds are those of `to`.
        unsafe { __sanitizer_start_switch_fiber(from.fake.as_ptr(), to.bottom, to.size) };
    }

    /// # Safety
    ///
    /// - As [`arrive`](super::arrive).
    #[inline(always)]
    pub(super) unsafe fn arrive(at: &Context) {
        // SAFETY: the side stack is the one that `leave` saved for `at`, or null at first entry.
        unsafe {
            __sanitizer_finish_switch_fiber(at.fake.get(), ptr::null_mut(), ptr::null_mut());
        }
        set_running((at.bottom, at.size));
    }
}

#[cfg(kcoro_tsan)]
mod tsan {
    //! The tool keeps a call stack and a vector clock for each fiber. A switch with flags 0 orders
    //! what came before it on the old fiber before what follows on the new one, as it does for
    //! real on one thread.

    use core::ffi::{c_uint, c_void};

    // SAFETY: as the tool's runtime declares them.
    unsafe extern "C" {
        fn __tsan_get_current_fiber() -> *mut c_void;
        fn __tsan_create_fiber(flags: c_uint) -> *mut c_void;
        fn __tsan_destroy_fiber(fiber: *mut c_void);
        fn __tsan_switch_to_fiber(fiber: *mut c_void, flags: c_uint);
        fn __tsan_func_entry(caller: *const c_void);
        fn __tsan_func_exit();
    }

    #[derive(Debug)]
    pub(super) struct Context(*mut c_void);

    impl Context {
        #[inline(always)]
        pub(super) fn new() -> Context {
            // SAFETY: has no conditions.
            Context(unsafe { __tsan_create_fiber(0) })
        }

        #[inline(always)]
        pub(super) fn here() -> Context {
            // SAFETY: has no conditions.
            Context(unsafe { __tsan_get_current_fiber() })
        }

        /// # Safety
        ///
        /// - The fiber came from `new`, is not retired yet and is not the running one.
        #[inline(always)]
        pub(super) unsafe fn retire(&self) {
            // SAFETY: the caller's conditions.
            unsafe { __tsan_destroy_fiber(self.0) };
        }

        /// # Safety
        ///
        /// - The calling function jumps to this context before it returns.
        #[inline(always)]
        pub(super) unsafe fn enter(&self) {
            // SAFETY: the caller's condition, and the fiber is not retired (invariant 2).
            unsafe { __tsan_switch_to_fiber(self.0, 0) };
        }

        /// Takes over from a context that ended, if one did.
        ///
        /// # Safety
        ///
        /// - The caller runs on this context, in the function that left it.
        #[inline(always)]
        pub(super) unsafe fn arrive(&self) {
            // SAFETY: the caller's condition.
            unsafe {
                if __tsan_get_current_fiber() != self.0 {
                    __tsan_switch_to_fiber(self.0, 0);
                }
            }
        }

        /// As [`arrive`](Context::arrive). The calling function was counted for the context that
        /// ended: the entry moves over.
        ///
        /// # Safety
        ///
        /// - The caller is the outermost function of this context.
        #[inline(always)]
        pub(super) unsafe fn arrive_first(&self) {
            // SAFETY: the caller's condition; it is an instrumented function, counted once.
            unsafe {
                if __tsan_get_current_fiber() != self.0 {
                    __tsan_func_exit();
                    __tsan_switch_to_fiber(self.0, 0);
                    __tsan_func_entry(core::ptr::null());
                }
            }
        }
    }
}

#[cfg(all(kcoro_valgrind, target_arch = "x86_64"))]
mod valgrind {
    //! The tool recognises a jump between registered stacks by itself; they only have to be made
    //! known. A request is a rotation that changes nothing followed by an exchange that changes
    //! nothing, which the tool knows by its shape and the processor runs as written.

    use core::arch::asm;

    const STACK_REGISTER: u64 = 0x1501;
    const STACK_DEREGISTER: u64 = 0x1502;
    /// Memcheck's: the range may be written, and read once it was.
    const MAKE_MEM_UNDEFINED: u64 = 0x4d43_0001;

    #[derive(Debug)]
    pub(super) struct Context(u64);

    impl Context {
        #[inline(always)]
        pub(super) fn new(bottom: *const u8, size: usize) -> Context {
            let bottom = bottom as u64;
            // What an earlier owner's frames left when they returned counts as out of bounds, yet
            // the caller may write there from another stack.
            request([MAKE_MEM_UNDEFINED, bottom, size as u64, 0, 0, 0]);
            Context(request([STACK_REGISTER, bottom, bottom + size as u64 - 1, 0, 0, 0]))
        }

        #[inline(always)]
        pub(super) fn unregistered() -> Context {
            Context(0)
        }

        #[inline(always)]
        pub(super) fn retire(&self) {
            request([STACK_DEREGISTER, self.0, 0, 0, 0, 0]);
        }
    }

    #[inline(always)]
    fn request(arguments: [u64; 6]) -> u64 {
        let mut result = 0_u64;
        // SAFETY:
        // - The four rotations add up to 128 bits: rdi is what it was; the exchange of rbx with
        //   itself is none. Outside valgrind nothing happens and the result stays 0.
        // - Valgrind reads the six words behind rax and answers in rdx; the flags are clobbered.
        unsafe {
            asm!(
                "rol rdi, 3",
                "rol rdi, 13",
                "rol rdi, 61",
                "rol rdi, 51",
                "xchg rbx, rbx",
                in("rax") arguments.as_ptr(),
                inout("rdx") result,
                out("rdi") _,
                options(nostack),
            );
        }
        result
    }
}
