//! What a program has asked to be called at each switch of a scheduled coroutine.
//!
//! Whether there is something to call is one flag of the coroutine, which the switch looks at
//! anyway: without hooks nothing else happens.
//!
//! # Invariants
//!
//! 1. A coroutine is entered and left in turns, beginning with its first instruction and ending with
//!    its last.
//! 2. While a hook runs nobody is the running coroutine of the thread: what it calls cannot suspend,
//!    and would block the thread instead.
//! 3. A hook that panics has no say: the coroutine may already stand in a queue.
//!
//! # Who calls this, and what it may call
//!
//! The switch of scheduled coroutines, on their stack. Hooks are the program's code.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::control::ControlRef;
use super::core::core;

/// Called with the number of a coroutine.
pub(crate) type SwitchHook = dyn Fn(u64) + Send + Sync;

/// The hooks of a runtime.
#[derive(Clone, Default)]
pub(crate) struct SwitchHooks {
    pub(crate) enter: Option<Arc<SwitchHook>>,
    pub(crate) leave: Option<Arc<SwitchHook>>,
}

impl SwitchHooks {
    /// Whether there is nothing to call.
    pub(crate) fn is_empty(&self) -> bool {
        self.enter.is_none() && self.leave.is_none()
    }
}

/// `me` runs, from now on.
#[cold]
#[inline(never)]
pub(super) fn enter(me: ControlRef) {
    call(me, |hooks| hooks.enter.as_deref());
}

/// `me` is about to stop running.
#[cold]
#[inline(never)]
pub(super) fn leave(me: ControlRef) {
    call(me, |hooks| hooks.leave.as_deref());
}

fn call(me: ControlRef, pick: fn(&SwitchHooks) -> Option<&SwitchHook>) {
    let Some(core) = core() else { return };
    // SAFETY: null, or what the worker of this thread owns for as long as it runs.
    let hooks = unsafe { core.hooks.get().as_ref() };
    if let Some(hook) = hooks.and_then(pick) {
        // `me`, or already the one that runs after it.
        let running = core.current();
        core.set_current(None);
        let _ = catch_unwind(AssertUnwindSafe(|| hook(me.id())));
        core.set_current(running);
    }
}
