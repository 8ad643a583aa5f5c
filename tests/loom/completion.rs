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

unsafe impl Send for Job {}
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

fn worker(job: &Job, order: Ordering) {
    job.result.with_mut(|p| unsafe { *p = 7 });
    match job.completion.complete_with(order) {
        Completed::Left => {}
        Completed::Wake => {
            assert_eq!(job.waiter.with(|p| unsafe { *p }), 1);
            job.completion.release();
            job.woken.store(true, Ordering::Release);
        }
        Completed::Free => free(job),
    }
}

fn free(job: &Job) {
    job.result.with_mut(|p| unsafe { *p = 0 });
    job.freed.fetch_add(1, Ordering::Relaxed);
}

fn take(job: &Job) {
    assert_eq!(job.result.with(|p| unsafe { *p }), 7);
    free(job);
}

fn joined(order: Ordering) {
    loom::model(move || {
        let job = job();
        let other = Arc::clone(&job);
        let thread = thread::spawn(move || worker(&other, order));
        job.waiter.with_mut(|p| unsafe { *p = 1 });
        if job.completion.register() {
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
        if job.completion.abandon() {
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
        job.waiter.with_mut(|p| unsafe { *p = 1 });
        if !job.completion.register() || job.completion.withdraw() {
            take(&job);
        } else {
            // The cell is ours again.
            job.waiter.with_mut(|p| unsafe { *p = 2 });
            if job.completion.abandon() {
                free(&job);
            }
        }
        thread.join().unwrap();
        assert_eq!(job.freed.load(Ordering::Relaxed), 1);
    });
}
