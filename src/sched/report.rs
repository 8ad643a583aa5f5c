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

/// A call on a thread that may block ([`blocking`](crate::blocking)) that did not end in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StuckCall {
    /// The number of the coroutine that made the call.
    pub coroutine: u64,
    /// Where it made the call.
    pub called_at: &'static Location<'static>,
}

impl fmt::Display for StuckCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "blocking call of coroutine {} at {}", self.coroutine, self.called_at)
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
    /// Blocking calls that no thread had taken up at the deadline; their closures were dropped.
    pub calls_never_started: Vec<StuckCall>,
    /// Blocking calls that were running at the deadline. Each keeps its thread until it returns.
    pub calls_running: Vec<StuckCall>,
}

impl ShutdownReport {
    /// Whether everything had ended by itself.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.stuck.is_empty()
            && self.never_started == 0
            && self.calls_never_started.is_empty()
            && self.calls_running.is_empty()
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
        for call in &self.calls_never_started {
            write!(f, "\n  {call}: never started")?;
        }
        for call in &self.calls_running {
            write!(f, "\n  {call}: still running")?;
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
    /// Started coroutines taken over from another worker ([`Builder::migratable`](crate::Builder)).
    pub migrations: u64,
    /// Times that a worker went to sleep.
    pub sleeps: u64,
    /// Panics of coroutines whose handle was dropped.
    pub detached_panics: u64,
    /// Workers that are held up by a coroutine, as the monitor saw it last; counted only where
    /// spare workers are allowed.
    pub held_up_workers: usize,
    /// Spare workers that have been started.
    pub spare_workers: usize,
    /// Stalls reported.
    pub stalls: u64,
    /// Threads for blocking calls that exist now.
    pub blocking_threads: usize,
    /// Those of them that wait for a call.
    pub blocking_idle: usize,
    /// The most of them that there were at a time.
    pub blocking_peak: usize,
    /// Blocking calls that wait for a thread.
    pub blocking_queued: usize,
    /// Blocking calls made.
    pub blocking_calls: u64,
}
