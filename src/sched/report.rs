//! What a runtime says about itself: what is stuck, and what its workers have done.

use core::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::coroutine::{ControlRef, State, WaitReason};

/// A coroutine that did not end in time.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StuckCoroutine {
    /// Its number.
    pub id: u64,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// Where it was spawned.
    pub spawned_at: &'static Location<'static>,
    /// Where it stood.
    pub state: State,
    /// What it waited for.
    pub reason: WaitReason,
    /// Whether its stack was unwound; otherwise the stack is leaked.
    pub unwound: bool,
}

impl StuckCoroutine {
    pub(super) fn of(coroutine: ControlRef) -> StuckCoroutine {
        StuckCoroutine {
            id: coroutine.id(),
            name: coroutine.name(),
            spawned_at: coroutine.location(),
            state: coroutine.state(),
            reason: coroutine.reason().0,
            unwound: false,
        }
    }
}

impl fmt::Display for StuckCoroutine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "coroutine {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " \"{name}\"")?;
        }
        write!(f, " (spawned at {}) {}", self.spawned_at, self.state)?;
        if self.reason != WaitReason::None {
            write!(f, ", waiting: {:?}", self.reason)?;
        }
        Ok(())
    }
}

/// How a shutdown went.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Coroutines that had ended by themselves, over the runtime's life.
    pub finished: u64,
    /// Closures that never started; they were dropped, and whoever joins them is told.
    pub never_started: u64,
    /// Coroutines that were still there at the deadline.
    pub stuck: Vec<StuckCoroutine>,
}

impl ShutdownReport {
    /// Whether everything had ended by itself.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.stuck.is_empty() && self.never_started == 0
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} finished, {} never started, {} stuck",
            self.finished,
            self.never_started,
            self.stuck.len()
        )?;
        for stuck in &self.stuck {
            write!(f, "\n  {stuck}")?;
        }
        Ok(())
    }
}

/// What the workers of a runtime have done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuntimeMetrics {
    /// Worker threads.
    pub workers: usize,
    /// Coroutines spawned.
    pub spawned: u64,
    /// Coroutines ended, panicked ones included.
    pub finished: u64,
    /// Rounds of the workers' loops.
    pub rounds: u64,
    /// Batches of closures taken from another worker.
    pub steals: u64,
    /// Times that a worker went to sleep.
    pub sleeps: u64,
    /// Panics of coroutines whose handle was dropped.
    pub detached_panics: u64,
}
