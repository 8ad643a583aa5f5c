//! Has idle stacks give their pages back while there are many, on the kernel's thread.
//!
//! A million coroutines that end leave a million warm stacks. The pool asks for this work when it
//! has too many; it is done about once a second until the pool is within its bound, and costs
//! nothing, not even a thread, before and after.
//!
//! # Invariants
//!
//! 1. While `ASKED`, a chore is due within [`PERIOD`] and holds the kernel up.
//!
//! # Who calls this, and what it may call
//!
//! The stack pool, from any thread and with no lock held; and the kernel's thread.

#![forbid(unsafe_code)]

use std::time::Duration;

use crate::prim::{AtomicBool, Ordering};
use crate::stack;
use crate::token::{Kernel, KernelGuard};

/// A stack that was not needed for so long is idle.
const PERIOD: Duration = Duration::from_millis(500);

static ASKED: AtomicBool = AtomicBool::new(false);

/// Sees to it that idle stacks are dealt with from now on.
pub(super) fn install() {
    stack::set_decay(ask);
}

/// Starts the chore unless it is under way; false: there is no thread to do it.
fn ask() -> bool {
    if ASKED.load(Ordering::Relaxed) || ASKED.swap(true, Ordering::Relaxed) {
        return true;
    }
    match Kernel::start() {
        Ok(guard) => {
            plan(guard);
            true
        }
        Err(_) => {
            ASKED.store(false, Ordering::Relaxed);
            false
        }
    }
}

fn plan(guard: KernelGuard) {
    let guard = crate::prim::Mutex::new(Some(guard));
    Kernel::later(PERIOD, move || {
        let guard = guard.lock().take();
        if stack::decay() {
            if let Some(guard) = guard {
                plan(guard);
            }
        } else {
            ASKED.store(false, Ordering::Relaxed);
            // Who put stacks back in the meantime has seen ASKED and relied on it. The pool's lock
            // orders the two: either that stack is seen here, or ASKED is seen as false there.
            if stack::is_over() {
                ask();
            }
        }
    });
}
