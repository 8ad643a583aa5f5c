//! Our own side.

use super::crowd::{Nap, is_up};
use super::fair::{Lateness, compute, due, turn};
use super::work::{
    self, BATCH, answer, bump, call, called, depth, done, meet, piece, speed_up, warm_depth,
};
use ::kcoro::token::{self, Payload, Ticket};
use ::kcoro::{Runtime, channel, spawn, spawn_local, yield_now};
use kcoro_lab::versus::{Sample, elapsed};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

fn runtime(workers: usize) -> Runtime {
    Runtime::builder().workers(workers).build().unwrap_or_else(|error| panic!("{error}"))
}

/// Runs `work` in a coroutine of a runtime with so many workers.
fn within<T: Send + 'static>(workers: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    runtime(workers).run(work)
}

pub fn yields(sample: &mut Sample) {
    let rt = runtime(1);
    sample.steps(|count| {
        rt.run(move || {
            let go = move || {
                spawn(move || {
                    for _ in 0..count / 2 {
                        yield_now();
                    }
                })
            };
            elapsed(|| {
                let (one, two) = (go(), go());
                one.join().unwrap();
                two.join().unwrap();
            })
        })
    });
}

pub fn life(sample: &mut Sample) {
    let rt = runtime(1);
    sample.steps(|count| {
        rt.run(move || {
            elapsed(|| {
                for _ in 0..count {
                    spawn(bump).join().unwrap();
                }
            })
        })
    });
}

pub fn life_local(sample: &mut Sample) {
    let rt = runtime(1);
    sample.steps(|count| {
        rt.run(move || {
            elapsed(|| {
                for _ in 0..count {
                    spawn_local(bump).join().unwrap();
                }
            })
        })
    });
}

/// Nobody suspends: the bookkeeping alone.
pub fn ticket(sample: &mut Sample) {
    let rt = runtime(1);
    sample.steps(|count| {
        rt.run(move || {
            elapsed(|| {
                for _ in 0..count {
                    let ticket = token::publish();
                    ticket.complete(Payload::empty()).unwrap();
                    token::wait(ticket).unwrap();
                }
            })
        })
    });
}

/// One waits for a ticket after the other, a second coroutine completes them.
fn completed(rt: &Runtime, count: usize, bound: Option<Duration>) -> Duration {
    static OPEN: AtomicU64 = AtomicU64::new(0);
    rt.run(move || {
        let other = spawn(move || {
            for _ in 0..count {
                let mut raw = OPEN.load(Ordering::Relaxed);
                while raw == 0 {
                    yield_now();
                    raw = OPEN.load(Ordering::Relaxed);
                }
                OPEN.store(0, Ordering::Relaxed);
                Ticket::from_raw(raw).complete(Payload::empty()).unwrap();
                yield_now();
            }
        });
        let taken = elapsed(|| match bound {
            None => {
                for _ in 0..count {
                    let ticket = token::publish();
                    OPEN.store(ticket.into_raw(), Ordering::Relaxed);
                    token::wait(ticket).unwrap();
                }
            }
            Some(bound) => {
                for _ in 0..count {
                    let ticket = token::publish();
                    OPEN.store(ticket.into_raw(), Ordering::Relaxed);
                    token::wait_timeout(ticket, bound).unwrap();
                }
            }
        });
        other.join().unwrap();
        taken
    })
}

pub fn ticket_pair(sample: &mut Sample) {
    let rt = runtime(1);
    sample.steps(|count| completed(&rt, count, None));
}

/// One waits for a message after the other, a second coroutine sends them.
fn received(rt: &Runtime, count: usize, bound: Option<Duration>) -> Duration {
    rt.run(move || {
        let (tx, rx) = channel::bounded(1);
        let other = spawn(move || {
            for _ in 0..count {
                tx.send(()).unwrap();
                yield_now();
            }
        });
        let taken = elapsed(|| match bound {
            None => (0..count).for_each(|_| rx.recv().unwrap()),
            Some(bound) => (0..count).for_each(|_| rx.recv_timeout(bound).unwrap()),
        });
        other.join().unwrap();
        taken
    })
}

fn timers(sample: &mut Sample, work: fn(&Runtime, usize, Option<Duration>) -> Duration) {
    let rt = runtime(1);
    let without = sample.time(|count| work(&rt, count, None));
    let with = sample.time(|count| work(&rt, count, Some(Duration::from_secs(1))));
    sample.figure("without", without, "ns");
    sample.figure("with", with, "ns");
    sample.figure("arm+cancel", with - without, "ns");
}

pub fn timer(sample: &mut Sample) {
    timers(sample, received);
}

pub fn timer_of_ticket(sample: &mut Sample) {
    timers(sample, completed);
}

/// Spawns `count` that do nothing, and joins them by the `batch`.
fn crowd(count: usize, batch: usize) -> Duration {
    let mut handles = Vec::with_capacity(batch);
    let mut sum = 0;
    let taken = elapsed(|| {
        for _ in 0..count / batch {
            handles.extend((0..batch).map(|_| spawn(|| 1usize)));
            for handle in handles.drain(..) {
                sum += handle.join().unwrap();
            }
        }
    });
    assert_eq!(sum, count);
    taken
}

pub fn flat(sample: &mut Sample) {
    let count = work::crowd(sample);
    done(sample, count, within(2, move || crowd(count, count)));
}

pub fn batch(sample: &mut Sample) {
    let count = work::crowd(sample);
    done(sample, count, within(2, move || crowd(count, BATCH)));
}

fn fork(depth: u32) -> usize {
    if depth == 0 {
        return 1;
    }
    let (left, right) = ::kcoro::join(|| fork(depth - 1), || fork(depth - 1));
    left + right
}

fn fork_by_spawn(depth: u32) -> usize {
    if depth == 0 {
        return 1;
    }
    let left = spawn(move || fork_by_spawn(depth - 1));
    let right = fork_by_spawn(depth - 1);
    left.join().unwrap() + right
}

fn leaves(sample: &mut Sample, fork: fn(u32) -> usize) {
    let (warm, depth) = (warm_depth(sample), depth(sample));
    let taken = within(2, move || {
        fork(warm);
        elapsed(|| assert_eq!(fork(depth), 1 << depth))
    });
    done(sample, 1 << depth, taken);
}

pub fn tree(sample: &mut Sample) {
    leaves(sample, fork);
}

pub fn tree_by_spawn(sample: &mut Sample) {
    leaves(sample, fork_by_spawn);
}

pub fn skew(sample: &mut Sample) {
    speed_up(sample, |workers, pieces| {
        within(workers, move || {
            elapsed(|| {
                let handles: Vec<_> = (0..pieces).map(|at| spawn(move || piece(at))).collect();
                for handle in handles {
                    handle.join().unwrap();
                }
            })
        })
    });
}

pub fn wake(sample: &mut Sample) {
    let count = work::calls(sample);
    let rt = runtime(2);
    let (tell, told) = mpsc::channel();
    let sleeper = rt.spawn(move || {
        tell.send(::kcoro::unparker()).unwrap();
        meet();
        for at in 1..=count {
            while !called(at) {
                ::kcoro::park();
            }
            answer(at);
        }
    });
    let unparker = told.recv().unwrap();
    let all = rt.spawn(move || {
        meet();
        call(count, || unparker.unpark())
    });
    let all = all.join().unwrap();
    sleeper.join().unwrap();
    work::latencies(sample, all);
}

pub fn parked(count: usize) {
    let rt = Box::leak(Box::new(runtime(2)));
    for _ in 0..count {
        rt.spawn(|| {
            is_up();
            loop {
                ::kcoro::park();
            }
        })
        .detach();
    }
}

pub fn sleepers(count: usize, nap: Nap) {
    let rt = Box::leak(Box::new(runtime(2)));
    for at in 0..count {
        rt.spawn(move || {
            let until = Instant::now() + nap.duration(at);
            ::kcoro::sleep_until(until);
            nap.over(at, until);
        })
        .detach();
    }
}

pub fn equals(count: usize) {
    let rt = Box::leak(Box::new(runtime(1)));
    for at in 0..count {
        rt.spawn(move || {
            loop {
                turn(at);
                yield_now();
            }
        })
        .detach();
    }
}

pub fn beside_hog(mut lateness: Lateness) {
    let rt = Box::leak(Box::new(runtime(1)));
    rt.spawn(|| {
        loop {
            compute();
            yield_now();
        }
    })
    .detach();
    rt.spawn(move || {
        loop {
            let due = due();
            ::kcoro::sleep_until(due);
            if !lateness.note(due) {
                break;
            }
        }
    })
    .detach();
}
