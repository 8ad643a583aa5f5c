//! The end of a runtime: what has not started is dropped, what is suspended is unwound.
//!
//! # Invariants
//!
//! 1. Forced unwinding happens on the coroutine's own worker, while that thread still works.
//! 2. A stack that refuses to unwind is leaked and reported, never used again.
//!
//! # Who calls this, and what it may call
//!
//! Each worker, on its root context, when the runtime stops and nothing is ready.

use super::job::JobRef;
use super::report::StuckCoroutine;
use super::shared::{aborted, bump};
use super::worker::Worker;
use crate::coroutine::{Core, State, sched};
use crate::prim::Ordering;

/// Ends everything of this worker that is left; true: nothing is.
pub(super) fn wind_up(worker: &Worker, core: &Core) -> bool {
    let jobs = worker.waiting_jobs();
    if !jobs.is_empty() {
        jobs.into_iter().for_each(|job| abandon(worker, job));
        return false;
    }
    let suspended = core.live().into_iter().find(|c| c.state() == State::Parked);
    let Some(coroutine) = suspended else {
        return core.ready_len() == 0 && worker.remote.inbox.is_empty();
    };
    let mut stuck = StuckCoroutine::of(coroutine);
    // SAFETY: this is the root context; a parked coroutine of this thread with an empty ready queue
    // is suspended and in no queue, or on its way into the inbox, which its own unwinding awaits.
    stuck.unwound = unsafe { sched::force_unwind(core, coroutine) };
    if !stuck.unwound && coroutine.state() == State::Parked {
        // SAFETY: as above; it refused, and nobody continues it from here on.
        unsafe { core.give_up(coroutine) };
        bump(&worker.remote.counts.finished);
    }
    worker.shared.stuck.lock().push(stuck);
    false
}

fn abandon(worker: &Worker, job: JobRef) {
    job.fail(aborted());
    worker.shared.never_started.fetch_add(1, Ordering::Relaxed);
    bump(&worker.remote.counts.finished);
}
