//! Fault signals: one observer in front of whatever handled them before, and the stacks it runs on.
//!
//! The observer sees every fault of the kernel's making and either ends the process or returns.
//! If it returns, and for a SIGSEGV or SIGBUS that somebody sent, the previous handler decides as
//! if it were installed alone: with its mask, its flags, and the default action if that is what
//! was there. So std's own report of a thread's overflow, a language runtime's null checks and a
//! debugger's traps go on working.
//!
//! # Invariants
//!
//! 1. `PREVIOUS` holds the earlier action of a signal before the handler here can run for it.
//! 2. The handler takes no lock, allocates nothing and leaves `errno` alone.
//!
//! # Who calls this, and what it may call
//!
//! The stack layer, once per process for the handler and once per thread for the alternate stack.
//!
//! Source: sigaction(2), sigaltstack(2), signal-safety(7).

use super::Errno;
use crate::prim::{AtomicPtr, Ordering};
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

/// The signals of a bad access: what a guard raises depends on the system.
const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// The action each of [`SIGNALS`] had before; null stands for the default action.
static PREVIOUS: [AtomicPtr<libc::sigaction>; 2] =
    [AtomicPtr::new(ptr::null_mut()), AtomicPtr::new(ptr::null_mut())];

static OBSERVER: OnceLock<fn(&Fault)> = OnceLock::new();

/// A bad access.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// What was accessed.
    pub(crate) address: usize,
    /// The stack pointer at the access.
    pub(crate) stack_pointer: usize,
}

/// What `sa_sigaction` of libc holds: the default, nothing, or one of two kinds of function.
#[derive(Clone, Copy)]
union Handler {
    word: libc::sighandler_t,
    plain: extern "C" fn(c_int),
    detailed: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void),
}

/// Lets `observer` see every fault before the handlers installed so far. Only the first call counts.
///
/// The observer runs in a signal handler: it must be async-signal-safe.
///
/// # Errors
///
/// The kernel's; then some fault signals stay unobserved.
pub(crate) fn observe_faults(observer: fn(&Fault)) -> Result<(), Errno> {
    if OBSERVER.set(observer).is_err() {
        return Ok(());
    }
    SIGNALS.iter().zip(&PREVIOUS).try_for_each(|(&signal, previous)| chain(signal, previous))
}

fn chain(signal: c_int, previous: &AtomicPtr<libc::sigaction>) -> Result<(), Errno> {
    // SAFETY: an all-zero `sigaction` is the default action with an empty mask.
    let (mut before, mut ours): (libc::sigaction, libc::sigaction) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    ours.sa_sigaction = Handler { detailed: on_fault }.word();
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: `before` is valid for writes.
    if unsafe { libc::sigaction(signal, ptr::null(), &raw mut before) } != 0 {
        return Err(Errno::last());
    }
    remember(previous, before);
    let expected = before;
    // SAFETY: `ours` names a handler of the type its flags say; it is async-signal-safe.
    if unsafe { libc::sigaction(signal, &raw const ours, &raw mut before) } != 0 {
        return Err(Errno::last());
    }
    if before.sa_sigaction != expected.sa_sigaction {
        // Another thread installed its handler between the two calls.
        remember(previous, before);
    }
    Ok(())
}

/// Publishes an action for the handler. It lives for ever: a handler may be reading it.
fn remember(previous: &AtomicPtr<libc::sigaction>, action: libc::sigaction) {
    // Release: pairs with the Acquire in `pass_on`.
    previous.store(Box::into_raw(Box::new(action)), Ordering::Release);
}

impl Handler {
    fn word(self) -> libc::sighandler_t {
        // SAFETY: every member is one word, and any word is a `sighandler_t`.
        unsafe { self.word }
    }
}

extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let errno = Errno::last();
    // SAFETY: the kernel calls with a valid `info` and, for `SA_SIGINFO`, a valid `context`.
    let (by_kernel, address, stack_pointer) =
        unsafe { ((*info).si_code > 0, (*info).si_addr().addr(), stack_pointer(context.cast())) };
    // A signal that somebody sent has a sender in the place of the address.
    if by_kernel && let Some(observer) = OBSERVER.get() {
        observer(&Fault { address, stack_pointer });
    }
    pass_on(signal, by_kernel, info, context);
    // SAFETY: the location of this thread's `errno`.
    unsafe { *libc::__errno_location() = errno.0 };
}

/// # Safety
///
/// `context` is what the kernel gave to a handler.
unsafe fn stack_pointer(context: *const libc::ucontext_t) -> usize {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: passed on to the caller.
    unsafe {
        (*context).uc_mcontext.gregs[libc::REG_RSP as usize] as usize
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: passed on to the caller.
    unsafe {
        (*context).uc_mcontext.sp as usize
    }
}

/// Does what would have happened without the handler here.
fn pass_on(signal: c_int, by_kernel: bool, info: *mut libc::siginfo_t, context: *mut c_void) {
    let Some(previous) = SIGNALS.iter().position(|&known| known == signal) else { return };
    let previous = &PREVIOUS[previous];
    // Acquire: pairs with the Release in `remember`.
    // SAFETY: null, or an action that `remember` published and nobody frees.
    let Some(action) = (unsafe { previous.load(Ordering::Acquire).as_ref() }) else {
        return die_of(signal, by_kernel);
    };
    match action.sa_sigaction {
        libc::SIG_DFL => return die_of(signal, by_kernel),
        // The kernel does not let a process ignore a fault of its own making.
        libc::SIG_IGN if by_kernel => return die_of(signal, by_kernel),
        libc::SIG_IGN => return,
        _ => {}
    }
    if action.sa_flags & libc::SA_RESETHAND != 0 {
        previous.store(ptr::null_mut(), Ordering::Relaxed);
    }
    let handler = Handler { word: action.sa_sigaction };
    // SAFETY:
    // - The masks are valid; returning from the signal restores the interrupted code's.
    // - The word is neither of the two special values, so that it is the function that whoever
    //   installed it gave, of the type the flags say; it gets what the kernel would give it.
    unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const action.sa_mask, ptr::null_mut());
        if action.sa_flags & libc::SA_NODEFER != 0 {
            let mut own: libc::sigset_t = std::mem::zeroed();
            libc::sigaddset(&raw mut own, signal);
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const own, ptr::null_mut());
        }
        if action.sa_flags & libc::SA_SIGINFO != 0 {
            (handler.detailed)(signal, info, context);
        } else {
            (handler.plain)(signal);
        }
    }
}

/// Takes the default action once the handler returns.
fn die_of(signal: c_int, by_kernel: bool) {
    // SAFETY: an all-zero `sigaction` is the default action; both calls are async-signal-safe.
    unsafe {
        let default: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, &raw const default, ptr::null_mut());
        if !by_kernel {
            // A fault happens again by itself, a signal that was sent does not. It stays pending
            // until the handler returns.
            libc::raise(signal);
        }
    }
}

/// Where a thread's handlers run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AlternateStack {
    /// The lowest address.
    pub(crate) base: *mut u8,
    /// The length in bytes.
    pub(crate) bytes: usize,
}

/// The alternate stack of this thread, if it has one.
pub(crate) fn alternate_stack() -> Option<AlternateStack> {
    let mut stack = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: 0, ss_size: 0 };
    // SAFETY: `stack` is valid for writes.
    let result = unsafe { libc::sigaltstack(ptr::null(), &raw mut stack) };
    (result == 0 && stack.ss_flags & libc::SS_DISABLE == 0)
        .then_some(AlternateStack { base: stack.ss_sp.cast(), bytes: stack.ss_size })
}

/// Sets or removes the alternate stack of this thread.
///
/// # Safety
///
/// The memory stays valid, and is used for nothing else, until another one is set.
///
/// # Errors
///
/// The kernel's: the stack is too small for this CPU's registers, or the thread is on the old one.
pub(crate) unsafe fn set_alternate_stack(stack: Option<AlternateStack>) -> Result<(), Errno> {
    let stack = match stack {
        Some(AlternateStack { base, bytes }) => {
            libc::stack_t { ss_sp: base.cast(), ss_flags: 0, ss_size: bytes }
        }
        None => libc::stack_t {
            ss_sp: ptr::null_mut(),
            ss_flags: libc::SS_DISABLE,
            ss_size: libc::SIGSTKSZ,
        },
    };
    // SAFETY: passed on to the caller.
    match unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(Errno::last()),
    }
}

/// Writes `parts` to standard error, in one piece if possible. Async-signal-safe.
///
/// Only the kernel reads the memory, so that a part may be a stale address: the other parts are
/// still written.
pub(crate) fn write_error(parts: &[(*const u8, usize)]) {
    const PARTS: usize = 4;
    let mut vectors = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; PARTS];
    for (vector, &(base, bytes)) in vectors.iter_mut().zip(parts) {
        *vector = libc::iovec { iov_base: base.cast_mut().cast(), iov_len: bytes };
    }
    let count = parts.len().min(PARTS) as c_int;
    // SAFETY: the vectors are valid; the kernel checks what they point to.
    let written = unsafe { libc::writev(libc::STDERR_FILENO, vectors.as_ptr(), count) };
    // A bad part makes it stop before or at that part; the rest is written piece by piece.
    let mut done = usize::try_from(written).unwrap_or(0);
    for &(base, bytes) in parts {
        let skip = done.min(bytes);
        done -= skip;
        if skip < bytes {
            let rest = base.wrapping_add(skip).cast();
            // SAFETY: the kernel checks what the part points to.
            unsafe { libc::write(libc::STDERR_FILENO, rest, bytes - skip) };
        }
    }
}
