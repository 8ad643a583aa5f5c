//! The timing wheel: regression, not marketing. One operation per iteration unless the name says more.

#![allow(missing_docs, reason = "criterion's macro writes an undocumented function")]

#[allow(dead_code, reason = "the bench uses a part of the wheel")]
#[path = "../src/timer/wheel.rs"]
mod wheel;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use wheel::Wheel;

const MS: u64 = 1_000_000;

fn filled(count: u64) -> Wheel {
    let mut wheel = Wheel::new(0);
    for n in 0..count {
        wheel.insert(MS + n * 7_919 % (60_000 * MS), n);
    }
    wheel
}

fn timer_wheel(c: &mut Criterion) {
    for pending in [0, 10_000] {
        let mut group = c.benchmark_group(format!("timer_wheel/{pending}_pending"));
        let mut wheel = filled(pending);
        group.bench_function("insert_cancel_last", |b| {
            b.iter(|| {
                let key = wheel.insert(black_box(5_000 * MS), 1);
                key.and_then(|key| wheel.cancel(key))
            });
        });
        let mut ring = [const { None }; 1024];
        let mut at = 0;
        group.bench_function("insert_cancel_fifo", |b| {
            b.iter(|| {
                at = (at + 1) % ring.len();
                let wait = 5_000 * MS + at as u64 * 100_000;
                let old = ring[at].replace(wheel.insert(wait, 1));
                old.flatten().and_then(|key| wheel.cancel(key))
            });
        });
        group.bench_function("next_deadline_bound", |b| b.iter(|| wheel.next_deadline_bound()));
        group.finish();
    }
    c.bench_function("timer_wheel/insert_1000", |b| {
        b.iter_batched_ref(
            || filled(1_000).also_emptied(),
            |wheel| {
                for n in 0..1_000 {
                    black_box(wheel.insert(u64::MAX / 2 + n * 50_000, n));
                }
            },
            BatchSize::SmallInput,
        );
    });
    let mut now = 0;
    let mut wheel = Wheel::new(0);
    c.bench_function("timer_wheel/insert_fire_1ms", |b| {
        b.iter(|| {
            wheel.insert(now + MS, 7);
            now += MS;
            wheel.advance(now, |payload| {
                black_box(payload);
            })
        });
    });
}

trait AlsoEmptied {
    fn also_emptied(self) -> Self;
}

impl AlsoEmptied for Wheel {
    /// The same wheel with every timer fired: its nodes are allocated and free.
    fn also_emptied(mut self) -> Wheel {
        self.advance(u64::MAX / 4, |_| ());
        self
    }
}

criterion_group!(benches, timer_wheel);
criterion_main!(benches);
