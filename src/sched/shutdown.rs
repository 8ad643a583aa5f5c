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
use std::time::Duration;

/// How long a worker waits for coroutines whose frames others refer to, once all else has ended.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ends everything of this worker that is left; true: nothing is.
pub(super) fn wind_up(worker: &Worker, core: &Core) -> bool {
    let jobs = worker.waiting_jobs();
    if !jobs.is_empty() {
        jobs.into_iter().for_each(|job| abandon(worker, job));
        return false;
    }
    let live = core.live();
    let parked = live.iter().copied().filter(|c| c.state() == State::Parked);
    let Some(coroutine) = parked.clone().find(|c| !c.bound().get()) else {
        if parked.clone().next().is_none() {
            return core.ready_len() == 0 && worker.remote.inbox.is_empty();
        }
        // They wait for halves of theirs, which end on other workers, or here in a moment.
        if worker.wait_for_bound(PATIENCE) {
            return false;
        }
        for coroutine in parked {
            worker.shared.stuck.lock().push(StuckCoroutine::of(coroutine));
            // SAFETY: this is the root context; what it waits for refused to unwind and will never
            // end, so nobody continues it from here on.
            unsafe { core.give_up(coroutine) };
            bump(&worker.remote.counts.finished);
        }
        return false;
    };
    let mut stuck = StuckCoroutine::of(coroutine);
    // SAFETY: this is the root context; a parked coroutine of this thread with an empty ready queue
    // is suspended and in no queue, or on its way into the inbox, which its own unwinding awaits.
    stuck.unwound = unsafe { sched::force_unwind(core, coroutine) };
    if !stuck.unwound && coroutine.bound().get() {
        // Its unwinding has begun and goes on when the one that refers to its frame has ended.
        stuck.unwound = true;
    } else if !stuck.unwound && coroutine.state() == State::Parked {
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
