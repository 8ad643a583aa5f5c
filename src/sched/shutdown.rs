//! The end of a runtime: what has not started is dropped, what is suspended is unwound.
//!
//! # Invariants
//!
//! 1. Forced unwinding happens on the coroutine's own worker, while that thread still works.
//! 2. A stack that refuses to unwind is leaked and reported, never used again.
//!
//! # Who calls this, and what it may call
//!
//! Each worker, on its root context, when the runtime stops and nothing is ready, or something has
//! been for too long.

use super::job::{self, JobRef};
use super::report::StuckCoroutine;
use super::shared::{aborted, bump};
use super::worker::Worker;
use crate::coroutine::{ControlRef, Core, State, sched};
use crate::prim::Ordering;
use std::time::Duration;

/// How long a worker waits for coroutines whose frames others refer to, once all else has ended.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long, in nanoseconds, a worker lets those run on that are ready when the runtime stops.
pub(super) const GRACE: u64 = 1_000_000_000;

/// Ends everything of this worker that is left; true: nothing is.
pub(super) fn wind_up(worker: &Worker, core: &Core) -> bool {
    // Also by a spare that may not take work: nobody else may be left.
    if abandon_jobs(worker) || worker.run_migrant(core) {
        return false;
    }
    if let Some(coroutine) = core.find_live(may_end) {
        end(worker, core, coroutine);
        return false;
    }
    if core.find_live(is_parked).is_none() {
        // Who is live all the same has been woken, and is in the queue or on its way here.
        return core.find_live(|_| true).is_none() && worker.remote.inbox.is_empty();
    }
    // They wait for halves of theirs, which end on other workers, or here in a moment.
    if worker.wait_for_bound(PATIENCE) {
        return false;
    }
    while let Some(coroutine) = core.find_live(is_parked) {
        worker.shared.stuck.lock().push(StuckCoroutine::of(coroutine));
        // SAFETY: this is the root context; what it waits for refused to unwind and will never
        // end, so nobody continues it from here on.
        unsafe { core.give_up(coroutine) };
        bump(&worker.remote.counts.finished);
    }
    false
}

/// Takes one away from those that keep this worker from ever coming to rest.
pub(super) fn hurry(worker: &Worker, core: &Core) {
    if abandon_jobs(worker) {
        return;
    }
    if let Some(coroutine) = core.find_live(may_end) {
        return end(worker, core, coroutine);
    }
    // Those that only give way stand in the queue.
    match core.pop() {
        Some(coroutine) if coroutine.state() == State::Suspended => end(worker, core, coroutine),
        // SAFETY: this is the root context, and the coroutine came out of its queue.
        Some(coroutine) => unsafe { sched::run(core, coroutine) },
        None => {}
    }
}

fn is_parked(coroutine: ControlRef) -> bool {
    coroutine.state() == State::Parked
}

fn may_end(coroutine: ControlRef) -> bool {
    is_parked(coroutine) && !coroutine.bound().get()
}

/// Unwinds a coroutine that is parked, or that gave way and was taken out of the queue.
fn end(worker: &Worker, core: &Core, coroutine: ControlRef) {
    let mut stuck = StuckCoroutine::of(coroutine);
    // SAFETY: this is the root context; a parked coroutine of this thread is suspended and in no
    // queue, or on its way into the inbox, which its own unwinding awaits.
    stuck.unwound = unsafe { sched::force_unwind(core, coroutine) };
    if !stuck.unwound && coroutine.bound().get() {
        // Its unwinding has begun and goes on when the one that refers to its frame has ended.
        stuck.unwound = true;
    } else if !stuck.unwound && coroutine.state() == State::Parked {
        // SAFETY: as above; it refused, and nobody continues it from here on. Without forks, nobody
        // else refers to its frames.
        unsafe {
            core.give_up(coroutine);
            if coroutine.forks().get().1.is_null() {
                job::give_up(coroutine, aborted());
            }
        }
        bump(&worker.remote.counts.finished);
    }
    worker.shared.stuck.lock().push(stuck);
}

/// Drops what has not started; false: there was nothing.
fn abandon_jobs(worker: &Worker) -> bool {
    let jobs = worker.waiting_jobs();
    let any = !jobs.is_empty();
    jobs.into_iter().for_each(|job| abandon(worker, job));
    any
}

fn abandon(worker: &Worker, job: JobRef) {
    job.fail(aborted());
    worker.shared.never_started.fetch_add(1, Ordering::Relaxed);
    bump(&worker.remote.counts.finished);
}
