//! tokio: the current-thread runtime where one worker is asked for, otherwise the multi-thread one.

use super::crowd::{Nap, is_up};
use super::fair::{Lateness, compute, due, turn};
use super::work::{
    self, BATCH, answer, bump, call, called, depth, done, meet, piece, speed_up, warm_depth,
};
use ::tokio::runtime::{Builder, Runtime};
use ::tokio::sync::{Notify, oneshot};
use ::tokio::task::yield_now;
use ::tokio::time::{sleep_until, timeout};
use ::tokio::{self as tk, spawn};
use kcoro_lab::versus::Sample;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn multi_thread(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).enable_time().build().unwrap()
}

/// Runs `work` as a task of the runtime and waits for it.
fn within<T: Send + 'static>(rt: &Runtime, work: impl Future<Output = T> + Send + 'static) -> T {
    rt.block_on(async { spawn(work).await.unwrap() })
}

pub fn yields(sample: &mut Sample) {
    let rt = current_thread();
    sample.steps(|count| {
        within(&rt, async move {
            let go = || {
                spawn(async move {
                    for _ in 0..count / 2 {
                        yield_now().await;
                    }
                })
            };
            let start = Instant::now();
            let (one, two) = (go(), go());
            one.await.unwrap();
            two.await.unwrap();
            start.elapsed()
        })
    });
}

fn lives(sample: &mut Sample, rt: &Runtime) {
    sample.steps(|count| {
        within(rt, async move {
            let start = Instant::now();
            for _ in 0..count {
                spawn(async { bump() }).await.unwrap();
            }
            start.elapsed()
        })
    });
}

pub fn life(sample: &mut Sample) {
    lives(sample, &current_thread());
}

pub fn life_multi(sample: &mut Sample) {
    lives(sample, &multi_thread(1));
}

/// The nearest to a ticket: a channel for one value.
pub fn oneshot(sample: &mut Sample) {
    let rt = current_thread();
    sample.steps(|count| {
        within(&rt, async move {
            let start = Instant::now();
            for _ in 0..count {
                let (tx, rx) = oneshot::channel::<()>();
                tx.send(()).unwrap();
                rx.await.unwrap();
            }
            start.elapsed()
        })
    });
}

thread_local! {
    /// The channel whose receiver is waited for.
    static OPEN: RefCell<Option<oneshot::Sender<()>>> = const { RefCell::new(None) };
}

/// One waits for a value after the other, a second task sends them.
fn completed(rt: &Runtime, count: usize, bound: Option<Duration>) -> Duration {
    within(rt, async move {
        let other = spawn(async move {
            for _ in 0..count {
                let tx = loop {
                    match OPEN.take() {
                        Some(tx) => break tx,
                        None => yield_now().await,
                    }
                };
                tx.send(()).unwrap();
                yield_now().await;
            }
        });
        let start = Instant::now();
        match bound {
            None => {
                for _ in 0..count {
                    let (tx, rx) = oneshot::channel();
                    OPEN.set(Some(tx));
                    rx.await.unwrap();
                }
            }
            Some(bound) => {
                for _ in 0..count {
                    let (tx, rx) = oneshot::channel();
                    OPEN.set(Some(tx));
                    timeout(bound, rx).await.unwrap().unwrap();
                }
            }
        }
        let taken = start.elapsed();
        other.await.unwrap();
        taken
    })
}

pub fn oneshot_pair(sample: &mut Sample) {
    let rt = current_thread();
    sample.steps(|count| completed(&rt, count, None));
}

pub fn timer(sample: &mut Sample) {
    let rt = current_thread();
    let without = sample.time(|count| completed(&rt, count, None));
    let with = sample.time(|count| completed(&rt, count, Some(Duration::from_secs(1))));
    sample.figure("without", without, "ns");
    sample.figure("with", with, "ns");
    sample.figure("arm+cancel", with - without, "ns");
}

async fn crowd(count: usize, batch: usize) -> Duration {
    let mut handles = Vec::with_capacity(batch);
    let mut sum = 0;
    let start = Instant::now();
    for _ in 0..count / batch {
        handles.extend((0..batch).map(|_| spawn(async { 1usize })));
        for handle in handles.drain(..) {
            sum += handle.await.unwrap();
        }
    }
    assert_eq!(sum, count);
    start.elapsed()
}

pub fn flat(sample: &mut Sample) {
    let count = work::crowd(sample);
    done(sample, count, within(&multi_thread(2), crowd(count, count)));
}

pub fn batch(sample: &mut Sample) {
    let count = work::crowd(sample);
    done(sample, count, within(&multi_thread(2), crowd(count, BATCH)));
}

fn fork(depth: u32) -> Pin<Box<dyn Future<Output = usize> + Send>> {
    Box::pin(async move {
        if depth == 0 {
            return 1;
        }
        let left = spawn(fork(depth - 1));
        let right = fork(depth - 1).await;
        left.await.unwrap() + right
    })
}

pub fn tree(sample: &mut Sample) {
    let (warm, depth) = (warm_depth(sample), depth(sample));
    let taken = within(&multi_thread(2), async move {
        fork(warm).await;
        let start = Instant::now();
        assert_eq!(fork(depth).await, 1 << depth);
        start.elapsed()
    });
    done(sample, 1 << depth, taken);
}

pub fn skew(sample: &mut Sample) {
    speed_up(sample, |workers, pieces| {
        within(&multi_thread(workers), async move {
            let start = Instant::now();
            let handles: Vec<_> = (0..pieces).map(|at| spawn(async move { piece(at) })).collect();
            for handle in handles {
                handle.await.unwrap();
            }
            start.elapsed()
        })
    });
}

/// Two runtimes: within one, whoever is woken goes to the slot of the waker's worker from which
/// nobody steals, and would wait until the caller gives way.
pub fn wake(sample: &mut Sample) {
    let count = work::calls(sample);
    let note = Arc::new(Notify::new());
    let waited = Arc::clone(&note);
    let sleeper = std::thread::spawn(move || {
        within(&current_thread(), async move {
            meet();
            for at in 1..=count {
                while !called(at) {
                    waited.notified().await;
                }
                answer(at);
            }
        });
    });
    let all = within(&current_thread(), async move {
        meet();
        call(count, || note.notify_one())
    });
    sleeper.join().unwrap();
    work::latencies(sample, all);
}

pub fn parked(count: usize) {
    let rt = Box::leak(Box::new(multi_thread(2)));
    let note: &'static Notify = Box::leak(Box::default());
    for _ in 0..count {
        rt.spawn(async move {
            is_up();
            note.notified().await;
        });
    }
}

pub fn sleepers(count: usize, nap: Nap) {
    let rt = Box::leak(Box::new(multi_thread(2)));
    for at in 0..count {
        rt.spawn(async move {
            let until = Instant::now() + nap.duration(at);
            sleep_until(tk::time::Instant::from_std(until)).await;
            nap.over(at, until);
        });
    }
}

/// A runtime with one worker that stays when this returns.
fn staying() -> &'static Runtime {
    Box::leak(Box::new(multi_thread(1)))
}

pub fn equals(count: usize) {
    let rt = staying();
    for at in 0..count {
        rt.spawn(async move {
            loop {
                turn(at);
                yield_now().await;
            }
        });
    }
}

pub fn beside_hog(mut lateness: Lateness) {
    let rt = staying();
    rt.spawn(async {
        loop {
            compute();
            yield_now().await;
        }
    });
    rt.spawn(async move {
        loop {
            let due = due();
            sleep_until(tk::time::Instant::from_std(due)).await;
            if !lateness.note(due) {
                break;
            }
        }
    });
}
