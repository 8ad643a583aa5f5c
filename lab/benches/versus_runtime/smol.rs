//! smol: its local executor where one worker is asked for, otherwise threads around a shared one.

use super::crowd::{Nap, is_up};
use super::fair::{Lateness, compute, due, turn};
use super::work::{
    self, BATCH, answer, bump, call, called, depth, done, meet, piece, speed_up, warm_depth,
};
use ::smol::Timer;
use ::smol::future::{or, pending, yield_now};
use async_executor::{Executor, LocalExecutor};
use kcoro_lab::versus::Sample;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

type Pool = &'static Executor<'static>;

/// An executor with so many threads, as its documentation shows it. It stays.
fn pool(workers: usize) -> Pool {
    let pool: Pool = Box::leak(Box::default());
    for _ in 0..workers {
        std::thread::spawn(move || ::smol::block_on(pool.run(pending::<()>())));
    }
    pool
}

fn within<T: Send + 'static>(pool: Pool, work: impl Future<Output = T> + Send + 'static) -> T {
    ::smol::block_on(pool.spawn(work))
}

pub fn yields(sample: &mut Sample) {
    sample.steps(|count| {
        let local = LocalExecutor::new();
        ::smol::block_on(local.run(async {
            let go = || {
                local.spawn(async move {
                    for _ in 0..count / 2 {
                        yield_now().await;
                    }
                })
            };
            let start = Instant::now();
            let (one, two) = (go(), go());
            one.await;
            two.await;
            start.elapsed()
        }))
    });
}

pub fn life(sample: &mut Sample) {
    sample.steps(|count| {
        let local = LocalExecutor::new();
        ::smol::block_on(local.run(async {
            let start = Instant::now();
            for _ in 0..count {
                local.spawn(async { bump() }).await;
            }
            start.elapsed()
        }))
    });
}

/// One waits for a message after the other, a second task sends them.
fn completed(count: usize, bound: Option<Duration>) -> Duration {
    let local = LocalExecutor::new();
    ::smol::block_on(local.run(async {
        let (tx, rx) = async_channel::bounded::<()>(1);
        let other = local.spawn(async move {
            for _ in 0..count {
                tx.send(()).await.unwrap();
                yield_now().await;
            }
        });
        let start = Instant::now();
        for _ in 0..count {
            match bound {
                None => rx.recv().await.unwrap(),
                Some(bound) => {
                    let late = async {
                        Timer::after(bound).await;
                        panic!("a second has passed")
                    };
                    or(async { rx.recv().await.unwrap() }, late).await;
                }
            }
        }
        let taken = start.elapsed();
        other.await;
        taken
    }))
}

pub fn timer(sample: &mut Sample) {
    let without = sample.time(|count| completed(count, None));
    let with = sample.time(|count| completed(count, Some(Duration::from_secs(1))));
    sample.figure("without", without, "ns");
    sample.figure("with", with, "ns");
    sample.figure("arm+cancel", with - without, "ns");
}

async fn crowd(pool: Pool, count: usize, batch: usize) -> Duration {
    let mut tasks = Vec::with_capacity(batch);
    let mut sum = 0;
    let start = Instant::now();
    for _ in 0..count / batch {
        tasks.extend((0..batch).map(|_| pool.spawn(async { 1usize })));
        for task in tasks.drain(..) {
            sum += task.await;
        }
    }
    assert_eq!(sum, count);
    start.elapsed()
}

pub fn flat(sample: &mut Sample) {
    let (count, pool) = (work::crowd(sample), pool(2));
    done(sample, count, within(pool, crowd(pool, count, count)));
}

pub fn batch(sample: &mut Sample) {
    let (count, pool) = (work::crowd(sample), pool(2));
    done(sample, count, within(pool, crowd(pool, count, BATCH)));
}

fn fork(pool: Pool, depth: u32) -> Pin<Box<dyn Future<Output = usize> + Send>> {
    Box::pin(async move {
        if depth == 0 {
            return 1;
        }
        let left = pool.spawn(fork(pool, depth - 1));
        let right = fork(pool, depth - 1).await;
        left.await + right
    })
}

pub fn tree(sample: &mut Sample) {
    let (warm, depth, pool) = (warm_depth(sample), depth(sample), pool(2));
    let taken = within(pool, async move {
        fork(pool, warm).await;
        let start = Instant::now();
        assert_eq!(fork(pool, depth).await, 1 << depth);
        start.elapsed()
    });
    done(sample, 1 << depth, taken);
}

pub fn skew(sample: &mut Sample) {
    let pools = [pool(1), pool(2)];
    speed_up(sample, |workers, pieces| {
        let pool = pools[workers - 1];
        within(pool, async move {
            let start = Instant::now();
            let tasks: Vec<_> =
                (0..pieces).map(|at| pool.spawn(async move { piece(at) })).collect();
            for task in tasks {
                task.await;
            }
            start.elapsed()
        })
    });
}

pub fn wake(sample: &mut Sample) {
    let (count, pool) = (work::calls(sample), pool(2));
    let (tx, rx) = async_channel::bounded::<()>(1);
    let sleeper = pool.spawn(async move {
        meet();
        for at in 1..=count {
            while !called(at) {
                rx.recv().await.unwrap();
            }
            answer(at);
        }
        rx
    });
    let all = pool.spawn(async move {
        meet();
        call(count, || {
            let _ = tx.try_send(());
        })
    });
    let all = ::smol::block_on(all);
    ::smol::block_on(sleeper);
    work::latencies(sample, all);
}

pub fn parked(count: usize) {
    let pool = pool(2);
    for _ in 0..count {
        pool.spawn(async {
            is_up();
            pending::<()>().await;
        })
        .detach();
    }
}

pub fn sleepers(count: usize, nap: Nap) {
    let pool = pool(2);
    for at in 0..count {
        pool.spawn(async move {
            let until = Instant::now() + nap.duration(at);
            Timer::at(until).await;
            nap.over(at, until);
        })
        .detach();
    }
}

pub fn equals(count: usize) {
    let pool = pool(1);
    for at in 0..count {
        pool.spawn(async move {
            loop {
                turn(at);
                yield_now().await;
            }
        })
        .detach();
    }
}

pub fn beside_hog(mut lateness: Lateness) {
    let pool = pool(1);
    pool.spawn(async {
        loop {
            compute();
            yield_now().await;
        }
    })
    .detach();
    pool.spawn(async move {
        loop {
            let due = due();
            Timer::at(due).await;
            if !lateness.note(due) {
                break;
            }
        }
    })
    .detach();
}
