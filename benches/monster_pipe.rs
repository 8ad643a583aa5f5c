//! Pipes and wait states, unblocked: regression, not marketing. One operation per iteration unless
//! the name says more.
//!
//! The contract allows 1 us for a write or a read and for a signal, 10 us for a new wait state.

#![allow(missing_docs, reason = "criterion's macro writes an undocumented function")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kcoro::monster::{Monster, PipeId, RING_CAPACITY, Role, Sample, ShardId};
use std::hint::black_box;
use std::time::{Duration, Instant};

fn pipes(c: &mut Criterion) {
    let monster = Monster::new();
    let open = |role| monster.open(PipeId::new(0).expect("below 15"), role).expect("not closed");
    let (producer, consumer) = (open(Role::Producer), open(Role::Consumer));
    let sample = Sample::new(4711, 0);
    let mut group = c.benchmark_group("monster_pipe");
    group.throughput(Throughput::Elements(1));
    group.bench_function("write_read_pair", |b| {
        b.iter(|| {
            producer.write(black_box(sample), None).expect("there is room");
            consumer.read(None).expect("it was written")
        });
    });
    // A whole ring is written, then read; one of the two is timed.
    let whole_ring = |iterations: u64, writes_count: fn(Duration, Duration) -> Duration| {
        let mut total = Duration::ZERO;
        let mut left = iterations;
        while left > 0 {
            let now = left.min(RING_CAPACITY as u64);
            let begin = Instant::now();
            for _ in 0..now {
                producer.write(black_box(sample), None).expect("there is room");
            }
            let written = begin.elapsed();
            let begin = Instant::now();
            for _ in 0..now {
                black_box(consumer.read(None).expect("it was written"));
            }
            total += writes_count(written, begin.elapsed());
            left -= now;
        }
        total
    };
    group.bench_function("write", |b| b.iter_custom(|n| whole_ring(n, |written, _| written)));
    group.bench_function("read", |b| b.iter_custom(|n| whole_ring(n, |_, read| read)));
}

fn waits(c: &mut Criterion) {
    let monster = Monster::new();
    let shard = ShardId::new(5).expect("below 15");
    let mut group = c.benchmark_group("monster_wait");
    group.bench_function("create_drop", |b| b.iter(|| monster.wait_state(shard)));
    let state = monster.wait_state(shard).expect("there is room");
    group.bench_function("signal_and_take", |b| {
        b.iter(|| {
            state.signal_ready();
            state.wait_for_coord(None)
        });
    });
    group.bench_function("coordinate_nobody", |b| b.iter(|| monster.coordinate_shard(shard)));
}

criterion_group!(benches, pipes, waits);
criterion_main!(benches);
