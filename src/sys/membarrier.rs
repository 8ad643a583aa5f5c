//! A fence whose cost one side pays for both.
//!
//! Two threads that each write one word and then read the other's need a full fence between the
//! two, on both sides. Where one side is hot (queue work, look whether anybody sleeps) and the other
//! is about to sleep anyway, the sleeper can interrupt every running thread of the process instead:
//! then the hot side needs no instruction at all, only an order the compiler keeps.
//!
//! # Invariants
//!
//! 1. `light` on one side and `heavy` on the other order like two `fence(SeqCst)`.
//!
//! # Who calls this, and what it may call
//!
//! Any thread. `heavy` is a system call of some microseconds.
//!
//! Source: membarrier(2), MEMBARRIER_CMD_PRIVATE_EXPEDITED.

use crate::prim::{AtomicU8, Ordering, compiler_fence, fence};

const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

const UNKNOWN: u8 = 0;
const YES: u8 = 1;
const NO: u8 = 2;

static AVAILABLE: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Whether the kernel offers the asymmetric fence; asks once.
pub(crate) fn available() -> bool {
    match AVAILABLE.load(Ordering::Relaxed) {
        YES => true,
        NO => false,
        _ => register(),
    }
}

#[cold]
fn register() -> bool {
    // A tool that does not follow the kernel's fence must see one it knows.
    let ok = !cfg!(any(kcoro_tsan, kcoro_valgrind)) && call(REGISTER_PRIVATE_EXPEDITED) == 0;
    AVAILABLE.store(if ok { YES } else { NO }, Ordering::Relaxed);
    ok
}

fn call(command: libc::c_int) -> libc::c_long {
    // SAFETY: the call has no pointers.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) }
}

/// The hot side's fence. Pairs with [`heavy`].
#[inline(always)]
pub(crate) fn light() {
    if AVAILABLE.load(Ordering::Relaxed) == YES {
        compiler_fence(Ordering::SeqCst);
    } else {
        // Pairs with the fence in `heavy` (also while nobody has asked the kernel yet: then the
        // other side fences and, in addition, interrupts).
        fence(Ordering::SeqCst);
    }
}

/// The fence of the side that can wait. Pairs with [`light`].
#[inline]
pub(crate) fn heavy() {
    // Pairs with the fence in `light`.
    fence(Ordering::SeqCst);
    if available() && call(PRIVATE_EXPEDITED) != 0 {
        // Registered, so it cannot fail; if it does, nothing would order the light side any more.
        std::process::abort();
    }
}

/// Returns when every thread of the process has passed a full memory barrier, the caller included.
/// Only where it is [`available`].
///
/// # Panics
///
/// If the kernel refuses although it had accepted the registration.
#[cold]
pub(crate) fn all_threads() {
    let done = call(PRIVATE_EXPEDITED) == 0 || register();
    assert!(done, "membarrier was registered and is refused now");
}
