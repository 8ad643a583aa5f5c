//! The channel for one sender and one receiver: regression, not marketing. Millions of values a
//! second, on one worker and across two.

#![allow(missing_docs, reason = "criterion's macro writes an undocumented function")]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kcoro::channel::spsc;
use kcoro::{Runtime, spawn};

/// Values of one sample; each sample runs on fresh coroutines.
const VALUES: u64 = 1 << 20;
const CHUNK: usize = 256;

/// Lets both sides begin together. They wait without giving way, so that with two workers each has
/// one of its own: whoever came second was taken by the other worker.
fn meet(gate: &AtomicUsize, parties: usize) {
    gate.fetch_add(1, Ordering::Relaxed);
    while gate.load(Ordering::Relaxed) < parties {
        std::hint::spin_loop();
    }
}

fn by_one(rt: &Runtime, workers: usize, capacity: usize, samples: u64) -> Duration {
    (0..samples)
        .map(|_| {
            rt.run(move || {
                let (mut tx, mut rx) = spsc::<u64>(capacity);
                let gate = Arc::new(AtomicUsize::new(0));
                let start = Instant::now();
                let (own, other) = (Arc::clone(&gate), gate);
                let sender = spawn(move || {
                    meet(&own, workers);
                    for n in 0..VALUES {
                        tx.send(n).unwrap();
                    }
                });
                let receiver = spawn(move || {
                    meet(&other, workers);
                    rx.iter().fold(0, |sum, n| black_box(sum ^ n))
                });
                sender.join().unwrap();
                receiver.join().unwrap();
                start.elapsed()
            })
        })
        .sum()
}

fn in_chunks(rt: &Runtime, workers: usize, capacity: usize, samples: u64) -> Duration {
    (0..samples)
        .map(|_| {
            rt.run(move || {
                let (mut tx, mut rx) = spsc::<u64>(capacity);
                let gate = Arc::new(AtomicUsize::new(0));
                let start = Instant::now();
                let (own, other) = (Arc::clone(&gate), gate);
                let sender = spawn(move || {
                    meet(&own, workers);
                    let mut next = 0;
                    while next < VALUES {
                        let left = usize::try_from(VALUES - next).unwrap();
                        let mut chunk = tx.write_chunk(CHUNK.min(left)).unwrap();
                        next += chunk.fill(next..) as u64;
                    }
                });
                let receiver = spawn(move || {
                    meet(&other, workers);
                    let mut sum = 0;
                    while let Ok(chunk) = rx.read_chunk(CHUNK) {
                        sum = chunk.fold(sum, |sum, n| sum ^ n);
                    }
                    black_box(sum)
                });
                sender.join().unwrap();
                receiver.join().unwrap();
                start.elapsed()
            })
        })
        .sum()
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("channel_spsc");
    group.throughput(Throughput::Elements(VALUES));
    for workers in [1, 2] {
        let rt = Runtime::builder().workers(workers).build().unwrap();
        for capacity in [64, 16384] {
            let name = format!("{workers}_workers");
            group.bench_function(BenchmarkId::new(format!("{name}/by_one"), capacity), |b| {
                b.iter_custom(|samples| by_one(&rt, workers, capacity, samples));
            });
            group.bench_function(BenchmarkId::new(format!("{name}/in_chunks"), capacity), |b| {
                b.iter_custom(|samples| in_chunks(&rt, workers, capacity, samples));
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = bench
}
criterion_main!(benches);
