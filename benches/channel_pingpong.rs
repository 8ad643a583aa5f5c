//! Channels on one worker and across two: regression, not marketing.
//!
//! `biased` channels are used by one worker only; `shared` ones were touched by a plain thread first,
//! so that every entry takes the lock.

#![allow(missing_docs, reason = "criterion's macro makes a public function")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kcoro::Runtime;
use kcoro::channel::{self, Receiver, Sender};
use std::hint::black_box;
use std::time::{Duration, Instant};

type Ends = (Sender<usize>, Receiver<usize>);

fn make(capacity: Option<usize>, shared: bool) -> Ends {
    let ends = match capacity {
        Some(capacity) => channel::bounded(capacity),
        None => channel::unbounded(),
    };
    if shared {
        for _ in 0..100 {
            let _ = ends.1.try_recv();
        }
    }
    ends
}

/// `rounds` round trips between two coroutines.
fn pingpong(rt: &Runtime, rounds: u64, there: Ends, back: Ends) -> Duration {
    rt.run(move || {
        let (tx, rx) = (there.0, back.1);
        let echo = kcoro::spawn(move || {
            for value in there.1 {
                back.0.send(value).unwrap();
            }
        });
        for _ in 0..200 {
            tx.send(0).unwrap();
            rx.recv().unwrap();
        }
        let start = Instant::now();
        for round in 0..rounds as usize {
            tx.send(round).unwrap();
            assert_eq!(rx.recv(), Ok(round));
        }
        let took = start.elapsed();
        drop(tx);
        echo.join().unwrap();
        took
    })
}

/// `count` messages from one coroutine to another.
fn stream(rt: &Runtime, count: u64, (tx, rx): Ends) -> Duration {
    rt.run(move || {
        let sender = kcoro::spawn(move || {
            for n in 0..count as usize + 200 {
                tx.send(n).unwrap();
            }
        });
        for _ in 0..200 {
            rx.recv().unwrap();
        }
        let start = Instant::now();
        let mut last = 0;
        for value in rx {
            last = black_box(value);
        }
        let took = start.elapsed();
        assert_eq!(last, count as usize + 199);
        sender.join().unwrap();
        took
    })
}

fn one_worker(c: &mut Criterion) {
    let rt = Runtime::builder().workers(1).build().unwrap();
    let kinds = [("biased", false), ("shared", true)];
    let mut group = c.benchmark_group("pingpong_1_worker");
    for (name, shared) in kinds {
        for capacity in [0, 1] {
            group.bench_function(format!("{name}/{capacity}"), |b| {
                b.iter_custom(|rounds| {
                    pingpong(
                        &rt,
                        rounds,
                        make(Some(capacity), shared),
                        make(Some(capacity), shared),
                    )
                });
            });
        }
    }
    group.finish();
    let mut group = c.benchmark_group("stream_1_worker");
    group.throughput(Throughput::Elements(1));
    for (name, shared) in kinds {
        for capacity in [Some(0), Some(64), Some(16384), None] {
            let capacity_name = capacity.map_or("unbounded".into(), |n| n.to_string());
            group.bench_function(format!("{name}/{capacity_name}"), |b| {
                b.iter_custom(|count| stream(&rt, count, make(capacity, shared)));
            });
        }
    }
    group.finish();
}

fn two_threads(c: &mut Criterion) {
    let mut group = c.benchmark_group("stream_2_threads");
    group.throughput(Throughput::Elements(1));
    for capacity in [Some(0), Some(64), Some(16384)] {
        group.bench_function(format!("{}", capacity.unwrap()), |b| {
            b.iter_custom(|count| {
                let (tx, rx) = make(capacity, true);
                let start = Instant::now();
                let sender = std::thread::spawn(move || {
                    for n in 0..count as usize {
                        tx.send(n).unwrap();
                    }
                });
                assert_eq!(rx.iter().count() as u64, count);
                sender.join().unwrap();
                start.elapsed()
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800));
    targets = one_worker, two_threads
}
criterion_main!(benches);
