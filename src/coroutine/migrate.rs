//! Coroutines that may change threads: how one is taken off its core and put on another.
//!
//! A started coroutine stays on its thread unless its spawner has promised that it may leave
//! ([`Builder::migratable`](crate::Builder::migratable)). Such a one changes threads only while it
//! is ready and its worker is on the root context. Then nobody waits for it or refers to it but the
//! queue it stands in, and it has left its stack: the worker could not be on the root otherwise. So
//! a waker needs no more handshake with it than with any other.
//!
//! # Invariants
//!
//! 1. A [`Migrant`] is on no core: in no queue, on no list of live coroutines, and nobody's home
//!    names it. It has left its stack.
//! 2. Whatever hands a migrant from thread to thread orders what the one did before what the other
//!    does after: its block is plain memory.
//! 3. Home and scheduler are changed only while it is a migrant. A waker reads them after it has won
//!    a wait, which the coroutine began later, on its present home.
//!
//! # Who calls this, and what it may call
//!
//! The worker, on its own thread and its root context.

use std::sync::Arc;

use super::control::ControlRef;
use super::core::{Core, Schedule};

/// Coroutines at the head of the queue that are looked at in one go.
const DEPTH: usize = 32;

/// A ready coroutine between two workers. It must be taken in somewhere, or it never ends.
#[must_use = "a coroutine that no worker takes in never ends"]
#[derive(Debug)]
pub(crate) struct Migrant(ControlRef);

impl Migrant {
    /// The coroutine, to be looked at by whoever holds the migrant.
    pub(crate) fn coroutine(&self) -> ControlRef {
        self.0
    }
}

impl Core {
    /// Takes at most `most` ready coroutines that may leave off this core, those that would run
    /// soonest; the one whose turn it is stays.
    ///
    /// # Safety
    ///
    /// - The caller runs on the root context of the core's thread.
    pub(crate) unsafe fn take_migrants(&self, most: usize, mut each: impl FnMut(Migrant)) {
        let (mut at, mut left) = (usize::from(!self.has_next()), most);
        while left > 0 && at < DEPTH {
            let Some(coroutine) = self.ready_at(at) else { break };
            if !coroutine.is_migratable() {
                at += 1;
                continue;
            }
            self.remove_ready(at);
            self.strike(coroutine);
            coroutine.leave_home();
            each(Migrant(coroutine));
            left -= 1;
        }
    }

    /// Makes this core the home of a migrant, and returns it: in no queue, to be run.
    ///
    /// # Safety
    ///
    /// - The caller runs on the root context of the core's thread, whose worker is `schedule`.
    pub(crate) unsafe fn take_in(
        &self,
        schedule: &Arc<dyn Schedule>,
        migrant: Migrant,
    ) -> ControlRef {
        let Migrant(coroutine) = migrant;
        coroutine.set_home(self, schedule);
        self.enlist(coroutine);
        self.migrates.set(true);
        coroutine
    }
}
