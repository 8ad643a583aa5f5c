//! The runtime that a plain thread has entered, so that `spawn` works there.
//!
//! # Invariants
//!
//! 1. The core's word leads to a [`Shared`] that the frame which set it keeps alive, and is set
//!    back before that frame goes.
//! 2. Only a plain thread on its own stack enters a runtime: a coroutine or generator could leave
//!    the frame standing, let others see the word, and set it back out of turn.
//!
//! # Who calls this, and what it may call
//!
//! `Runtime::block_on`, and `spawn` where there is no worker.

use std::sync::Arc;

use super::shared::Shared;
use crate::coroutine::{Core, core, core_or_make};
use crate::stack::is_on_coroutine_stack;

/// While it lives, the runtime is entered on this thread.
#[derive(Debug)]
struct Entered<'a> {
    core: &'a Core,
    before: *const (),
}

/// Calls `f` with the runtime entered, if this is a plain thread on its own stack.
pub(crate) fn enter<T>(shared: &Arc<Shared>, f: impl FnOnce() -> T) -> T {
    let core = core_or_make().filter(|core| core.current().is_none() && !is_on_coroutine_stack());
    let _entered = core.map(|core| {
        let before = core.entered.replace(Arc::as_ptr(shared).cast());
        Entered { core, before }
    });
    f()
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.core.entered.set(self.before);
    }
}

/// Calls `f` with the runtime that this thread has entered.
pub(super) fn with_entered<T>(f: impl FnOnce(Option<&Shared>) -> T) -> T {
    let word = core().map_or(core::ptr::null(), |core| core.entered.get());
    // SAFETY: invariant 1; `f` runs below the frame of `enter` on this thread, so the runtime is
    // there until it returns.
    f(unsafe { word.cast::<Shared>().as_ref() })
}
