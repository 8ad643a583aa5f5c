//! may: stackful coroutines that are stolen while they are suspended, hence its unsafe `spawn`.

use super::crowd::{Nap, is_up};
use super::fair::{Lateness, compute, due, turn};
use super::work::{self, BATCH, answer, bump, call, called, done, meet};
use ::may::coroutine::{self, JoinHandle, park, park_timeout, yield_now};
use kcoro_lab::versus::{Sample, elapsed};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn go<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    // SAFETY: nothing that runs here keeps a thread-local across a suspension, or recurses deeply.
    unsafe { coroutine::spawn(work) }
}

/// Runs `work` in a coroutine; the number of workers holds for the process.
fn within<T: Send + 'static>(workers: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    ::may::config().set_workers(workers);
    go(work).join().unwrap()
}

pub fn yields(sample: &mut Sample) {
    sample.steps(|count| {
        within(1, move || {
            let yielder = move || {
                go(move || {
                    for _ in 0..count / 2 {
                        yield_now();
                    }
                })
            };
            elapsed(|| {
                let (one, two) = (yielder(), yielder());
                one.join().unwrap();
                two.join().unwrap();
            })
        })
    });
}

pub fn life(sample: &mut Sample) {
    sample.steps(|count| {
        within(1, move || {
            elapsed(|| {
                for _ in 0..count {
                    go(bump).join().unwrap();
                }
            })
        })
    });
}

/// One parks, the other unparks it.
fn unparked(count: usize, bound: Option<Duration>) -> Duration {
    static PARKED: AtomicBool = AtomicBool::new(false);
    within(1, move || {
        let me = coroutine::current();
        let other = go(move || {
            for _ in 0..count {
                while !PARKED.swap(false, Ordering::Relaxed) {
                    yield_now();
                }
                me.unpark();
                yield_now();
            }
        });
        let taken = elapsed(|| {
            for _ in 0..count {
                PARKED.store(true, Ordering::Relaxed);
                match bound {
                    None => park(),
                    Some(bound) => park_timeout(bound),
                }
            }
        });
        other.join().unwrap();
        taken
    })
}

pub fn timer(sample: &mut Sample) {
    let without = sample.time(|count| unparked(count, None));
    let with = sample.time(|count| unparked(count, Some(Duration::from_secs(1))));
    sample.figure("without", without, "ns");
    sample.figure("with", with, "ns");
    sample.figure("arm+cancel", with - without, "ns");
}

pub fn batch(sample: &mut Sample) {
    let count = work::crowd(sample);
    let taken = within(2, move || {
        let mut handles = Vec::with_capacity(BATCH);
        let mut sum = 0;
        let taken = elapsed(|| {
            for _ in 0..count / BATCH {
                handles.extend((0..BATCH).map(|_| go(|| 1usize)));
                for handle in handles.drain(..) {
                    sum += handle.join().unwrap();
                }
            }
        });
        assert_eq!(sum, count);
        taken
    });
    done(sample, count, taken);
}

pub fn wake(sample: &mut Sample) {
    let count = work::calls(sample);
    ::may::config().set_workers(2);
    let sleeper = go(move || {
        meet();
        for at in 1..=count {
            while !called(at) {
                park();
            }
            answer(at);
        }
    });
    let other = sleeper.coroutine().clone();
    let all = go(move || {
        meet();
        call(count, || other.unpark())
    });
    let all = all.join().unwrap();
    sleeper.join().unwrap();
    work::latencies(sample, all);
}

pub fn parked(count: usize) {
    ::may::config().set_workers(2);
    for _ in 0..count {
        go(|| {
            is_up();
            loop {
                park();
            }
        });
    }
}

pub fn sleepers(count: usize, nap: Nap) {
    ::may::config().set_workers(2);
    for at in 0..count {
        go(move || {
            let duration = nap.duration(at);
            let until = Instant::now() + duration;
            coroutine::sleep(duration);
            nap.over(at, until);
        });
    }
}

pub fn equals(count: usize) {
    ::may::config().set_workers(1);
    for at in 0..count {
        go(move || {
            loop {
                turn(at);
                yield_now();
            }
        });
    }
}

pub fn beside_hog(mut lateness: Lateness) {
    ::may::config().set_workers(1);
    go(|| {
        loop {
            compute();
            yield_now();
        }
    });
    go(move || {
        loop {
            let due = due();
            coroutine::sleep(due.saturating_duration_since(Instant::now()));
            if !lateness.note(due) {
                break;
            }
        }
    });
}
