//! The end of a job: the result reaches the joiner, and the job is freed exactly once.

use super::{Completed, Completion};
use crate::prim::{Arc, AtomicBool, AtomicUsize, Ordering};
use loom::cell::UnsafeCell;
use loom::thread;

struct Job {
    completion: Completion,
    result: UnsafeCell<u32>,
    waiter: UnsafeCell<u32>,
    woken: AtomicBool,
    freed: AtomicUsize,
}

// SAFETY: what the model is to show: the completion hands the cells from side to side, and loom checks.
unsafe impl Send for Job {}
// SAFETY: as above.
unsafe impl Sync for Job {}

fn job() -> Arc<Job> {
    Arc::new(Job {
        completion: Completion::new(),
        result: UnsafeCell::new(0),
        waiter: UnsafeCell::new(0),
        woken: AtomicBool::new(false),
        freed: AtomicUsize::new(0),
    })
}

/// Numbers of threads.
const ONE: u32 = 16;
const TWO: u32 = 32;

fn worker(job: &Job, order: Ordering) {
    worker_on(0, job, Ordering::Acquire, order);
}

fn worker_on(here: u32, job: &Job, look: Ordering, order: Ordering) {
    // SAFETY: the job is not complete, so the result is the worker's; loom checks.
    job.result.with_mut(|p| unsafe { *p = 7 });
    match job.completion.complete_with(here, look, order) {
        Completed::Left => {}
        Completed::WakeHere => {
            // SAFETY: registered and not withdrawn, so it is the worker's; loom checks.
            assert_eq!(job.waiter.with(|p| unsafe { *p }), 1);
            job.woken.store(true, Ordering::Relaxed);
        }
        Completed::Wake => {
            // SAFETY: the waiter was registered and not withdrawn, so it is the worker's; loom checks.
            assert_eq!(job.waiter.with(|p| unsafe { *p }), 1);
            job.completion.release();
            job.woken.store(true, Ordering::Release);
        }
        Completed::Free => free(job),
    }
}

fn free(job: &Job) {
    // SAFETY: the caller came last, so the job is its own; loom checks.
    job.result.with_mut(|p| unsafe { *p = 0 });
    // SAFETY: as above.
    job.waiter.with_mut(|p| unsafe { *p = 0 });
    job.freed.fetch_add(1, Ordering::Relaxed);
}

fn take(job: &Job) {
    // SAFETY: the job is complete, so the result is the joiner's; loom checks.
    assert_eq!(job.result.with(|p| unsafe { *p }), 7);
    free(job);
}

fn joined(order: Ordering) {
    loom::model(move || {
        let job = job();
        let other = Arc::clone(&job);
        let thread = thread::spawn(move || worker(&other, order));
        // SAFETY: not registered yet, so the waiter is the joiner's; loom checks.
        job.waiter.with_mut(|p| unsafe { *p = 1 });
        if job.completion.register(0) {
            while !job.woken.load(Ordering::Acquire) {
                thread::yield_now();
            }
        }
        take(&job);
        thread.join().unwrap();
        assert_eq!(job.freed.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn join_sees_the_result() {
    joined(Ordering::AcqRel);
}

#[test]
#[should_panic]
fn a_relaxed_completion_is_caught() {
    joined(Ordering::Relaxed);
}

#[test]
fn abandoned_or_done_is_freed_once() {
    loom::model(|| {
        let job = job();
        let other = Arc::clone(&job);
        let thread = thread::spawn(move || worker(&other, Ordering::AcqRel));
        if job.completion.abandon(0) {
            free(&job);
        }
        thread.join().unwrap();
        assert_eq!(job.freed.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_wait_that_times_out_is_withdrawn() {
    loom::model(|| {
        let job = job();
        let other = Arc::clone(&job);
        let thread = thread::spawn(move || worker(&other, Ordering::AcqRel));
        // SAFETY: not registered yet, so the waiter is the joiner's; loom checks.
        job.waiter.with_mut(|p| unsafe { *p = 1 });
        if !job.completion.register(0) || job.completion.withdraw() {
            take(&job);
        } else {
            // The cell is ours again.
            // SAFETY: the wait was withdrawn; loom checks.
            job.waiter.with_mut(|p| unsafe { *p = 2 });
            if job.completion.abandon(0) {
                free(&job);
            }
        }
        thread.join().unwrap();
        assert_eq!(job.freed.load(Ordering::Relaxed), 1);
    });
}

/// The joiner is a coroutine of thread ONE, the job runs on TWO.
#[test]
fn a_joiner_elsewhere_is_no_joiner_here() {
    loom::model(|| {
        let job = job();
        let other = Arc::clone(&job);
        let thread =
            thread::spawn(move || worker_on(TWO, &other, Ordering::Acquire, Ordering::AcqRel));
        // SAFETY: not registered yet, so the waiter is the joiner's; loom checks.
        job.waiter.with_mut(|p| unsafe { *p = 1 });
        if !job.completion.register(ONE) || job.completion.withdraw() {
            take(&job);
        } else if job.completion.abandon(ONE) {
            free(&job);
        }
        thread.join().unwrap();
        assert_eq!(job.freed.load(Ordering::Relaxed), 1);
    });
}

/// The job is pinned to ONE; its handle is joined, withdrawn and dropped on `handle`.
fn pinned(handle: u32, look: Ordering) {
    loom::model(move || {
        let job = job();
        job.completion.pin(ONE);
        let other = Arc::clone(&job);
        let thread = thread::spawn(move || worker_on(ONE, &other, look, Ordering::AcqRel));
        // SAFETY: not registered yet, so the waiter is the joiner's; loom checks.
        job.waiter.with_mut(|p| unsafe { *p = 1 });
        if job.completion.abandon(handle) {
            free(&job);
        }
        thread.join().unwrap();
        assert_eq!(job.freed.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_pinned_job_is_abandoned_elsewhere() {
    pinned(TWO, Ordering::Acquire);
}

#[test]
#[should_panic]
fn a_relaxed_look_is_caught() {
    pinned(TWO, Ordering::Relaxed);
}

/// Whoever says that it is on ONE and is not, races with the one that is.
#[test]
#[should_panic]
fn a_pretender_is_caught() {
    pinned(ONE, Ordering::Acquire);
}

#[test]
fn a_pinned_job_is_joined_elsewhere() {
    loom::model(|| {
        let job = job();
        job.completion.pin(ONE);
        let other = Arc::clone(&job);
        let thread =
            thread::spawn(move || worker_on(ONE, &other, Ordering::Acquire, Ordering::AcqRel));
        // SAFETY: not registered yet, so the waiter is the joiner's; loom checks.
        job.waiter.with_mut(|p| unsafe { *p = 1 });
        if !job.completion.register(TWO) || job.completion.withdraw() {
            take(&job);
        } else if job.completion.abandon(TWO) {
            free(&job);
        }
        thread.join().unwrap();
        assert_eq!(job.freed.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn one_thread_needs_no_lock() {
    loom::model(|| {
        let job = job();
        job.completion.pin(ONE);
        // SAFETY: not registered yet, so the waiter is the joiner's; loom checks.
        job.waiter.with_mut(|p| unsafe { *p = 1 });
        assert!(job.completion.register(ONE));
        worker_on(ONE, &job, Ordering::Acquire, Ordering::AcqRel);
        assert!(job.woken.load(Ordering::Relaxed));
        take(&job);
        assert!(job.completion.is_done());
    });
}
