//! Payload channels: regression, not marketing. One worker; bytes are logical ones, by length.

#![allow(missing_docs, reason = "criterion's macro writes an undocumented function")]

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kcoro::arena::Arena;
use kcoro::channel::{bytes, zref};
use kcoro::{Runtime, spawn};

const MESSAGES: u64 = 1 << 18;
const COPIED: u64 = 1 << 13;
const CAPACITY: usize = 64;

/// Payloads are taken from the arena and given back: it recycles them.
fn descriptors(length: usize) -> Duration {
    let arena = Arena::new();
    let (tx, rx) = zref(CAPACITY);
    let start = Instant::now();
    let sender = spawn(move || {
        for _ in 0..MESSAGES {
            tx.send(arena.alloc(length).unwrap().freeze()).unwrap();
        }
    });
    let receiver = spawn(move || rx.iter().for_each(drop));
    sender.join().unwrap();
    receiver.join().unwrap();
    start.elapsed()
}

/// Copied in and out.
fn copies(length: usize) -> Duration {
    let (tx, rx) = bytes(CAPACITY, length);
    let start = Instant::now();
    let sender = spawn(move || {
        let message = vec![7; length];
        (0..COPIED).for_each(|_| tx.send(&message).unwrap());
    });
    let receiver = spawn(move || {
        let mut buffer = Vec::with_capacity(length);
        while rx.recv_into(&mut buffer).is_ok() {}
    });
    sender.join().unwrap();
    receiver.join().unwrap();
    start.elapsed()
}

/// What the copies must be compared with.
fn two_memcpys(length: usize) -> Duration {
    let message = vec![7_u8; length];
    let (mut first, mut second) = (vec![0; length], vec![0; length]);
    let start = Instant::now();
    for _ in 0..COPIED {
        first.copy_from_slice(std::hint::black_box(&message));
        second.copy_from_slice(std::hint::black_box(&first));
        std::hint::black_box(&mut second);
    }
    start.elapsed()
}

fn bench(c: &mut Criterion) {
    let rt = Runtime::builder().workers(1).build().unwrap();
    let mut group = c.benchmark_group("channel_zref");
    for length in [1 << 10, 4 << 10, 64 << 10] {
        group.throughput(Throughput::Bytes(MESSAGES * length as u64));
        group.bench_function(BenchmarkId::new("descriptors", length), |b| {
            b.iter_custom(|n| (0..n).map(|_| rt.run(move || descriptors(length))).sum());
        });
        group.throughput(Throughput::Bytes(COPIED * length as u64));
        group.bench_function(BenchmarkId::new("copies", length), |b| {
            b.iter_custom(|n| (0..n).map(|_| rt.run(move || copies(length))).sum());
        });
        group.bench_function(BenchmarkId::new("two_memcpys", length), |b| {
            b.iter_custom(|n| (0..n).map(|_| two_memcpys(length)).sum());
        });
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
