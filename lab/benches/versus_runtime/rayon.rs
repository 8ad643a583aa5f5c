//! rayon: its jobs cannot wait, so it takes part where nobody does.

use super::work::{self, BATCH, depth, done, piece, speed_up, warm_depth};
use ::rayon::ThreadPoolBuilder;
use kcoro_lab::versus::{Sample, elapsed};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn within<T: Send>(workers: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = ThreadPoolBuilder::new().num_threads(workers).build();
    pool.unwrap_or_else(|error| panic!("{error}")).install(work)
}

fn crowd(count: usize, batch: usize) -> Duration {
    let sum = AtomicUsize::new(0);
    let taken = elapsed(|| {
        for _ in 0..count / batch {
            ::rayon::scope(|scope| {
                for _ in 0..batch {
                    scope.spawn(|_| {
                        sum.fetch_add(1, Ordering::Relaxed);
                    });
                }
            });
        }
    });
    assert_eq!(sum.into_inner(), count);
    taken
}

pub fn flat(sample: &mut Sample) {
    let count = work::crowd(sample);
    done(sample, count, within(2, || crowd(count, count)));
}

pub fn batch(sample: &mut Sample) {
    let count = work::crowd(sample);
    done(sample, count, within(2, || crowd(count, BATCH)));
}

fn fork(depth: u32) -> usize {
    if depth == 0 {
        return 1;
    }
    let (left, right) = ::rayon::join(|| fork(depth - 1), || fork(depth - 1));
    left + right
}

pub fn tree(sample: &mut Sample) {
    let (warm, depth) = (warm_depth(sample), depth(sample));
    let taken = within(2, || {
        fork(warm);
        elapsed(|| assert_eq!(fork(depth), 1 << depth))
    });
    done(sample, 1 << depth, taken);
}

pub fn skew(sample: &mut Sample) {
    speed_up(sample, |workers, pieces| {
        within(workers, || {
            elapsed(|| {
                ::rayon::scope(|scope| {
                    for at in 0..pieces {
                        scope.spawn(move |_| {
                            piece(at);
                        });
                    }
                });
            })
        })
    });
}
