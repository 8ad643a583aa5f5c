//! A barrier that every thread of the process passes, so that one side of a pair needs none.
//!
//! `membarrier(PRIVATE_EXPEDITED)` interrupts the processors on which threads of this process run,
//! and returns when each of them has passed a full memory barrier. A process registers once.

use crate::prim::{AtomicU8, Ordering};

const UNKNOWN: u8 = 0;
const YES: u8 = 1;
const NO: u8 = 2;

static AVAILABLE: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Whether [`all_threads`] works here. The first call registers the process.
pub(crate) fn available() -> bool {
    match AVAILABLE.load(Ordering::Relaxed) {
        YES => true,
        NO => false,
        _ => register(),
    }
}

#[cold]
fn register() -> bool {
    let registered = call(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
        && call(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    AVAILABLE.store(if registered { YES } else { NO }, Ordering::Relaxed);
    registered
}

/// Returns when every thread of the process has passed a full memory barrier, the caller included.
///
/// # Panics
///
/// If the kernel refuses although it had accepted the registration.
#[cold]
pub(crate) fn all_threads() {
    let done = call(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED) || register();
    assert!(done, "membarrier was registered and is refused now");
}

fn call(command: libc::c_int) -> bool {
    // SAFETY: the call takes two numbers and touches no memory of the caller.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0_u32, 0_i32) == 0 }
}

#[cfg(test)]
mod tests {
    #[test]
    fn barrier_after_registration() {
        if super::available() {
            super::all_threads();
        }
    }
}
