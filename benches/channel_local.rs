//! Channels of one thread: regression, not marketing. Values of a sample go between two coroutines.

#![allow(missing_docs, reason = "criterion's macro writes an undocumented function")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kcoro::channel::local;
use kcoro::{Runtime, spawn_local};

const VALUES: u64 = 1 << 20;
const ROUNDS: u64 = 1 << 18;

fn stream(capacity: Option<usize>) -> Duration {
    let (tx, rx) = match capacity {
        Some(capacity) => local::bounded::<u64>(capacity),
        None => local::unbounded(),
    };
    let start = Instant::now();
    let sender = spawn_local(move || (0..VALUES).for_each(|n| tx.send(n).unwrap()));
    let receiver = spawn_local(move || rx.iter().fold(0, |sum, n| black_box(sum ^ n)));
    sender.join().unwrap();
    receiver.join().unwrap();
    start.elapsed()
}

fn ping_pong() -> Duration {
    let (ping, pinged) = local::rendezvous::<u64>();
    let (pong, ponged) = local::rendezvous::<u64>();
    let start = Instant::now();
    let first = spawn_local(move || {
        for n in 0..ROUNDS {
            ping.send(n).unwrap();
            assert_eq!(ponged.recv(), Ok(n));
        }
    });
    let second = spawn_local(move || pinged.iter().for_each(|n| pong.send(n).unwrap()));
    first.join().unwrap();
    second.join().unwrap();
    start.elapsed()
}

fn bench(c: &mut Criterion) {
    let rt = Runtime::builder().workers(1).build().unwrap();
    let mut group = c.benchmark_group("channel_local");
    group.throughput(Throughput::Elements(VALUES));
    for (name, capacity) in [("64", Some(64)), ("16384", Some(16384)), ("unbounded", None)] {
        group.bench_function(BenchmarkId::new("stream", name), |b| {
            b.iter_custom(|n| (0..n).map(|_| rt.run(move || stream(capacity))).sum());
        });
    }
    group.throughput(Throughput::Elements(ROUNDS));
    group.bench_function("rendezvous_round_trip", |b| {
        b.iter_custom(|n| (0..n).map(|_| rt.run(ping_pong)).sum());
    });
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
