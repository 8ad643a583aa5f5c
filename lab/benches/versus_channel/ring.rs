//! One sender and one receiver on two CPUs, with a queue made for just that.

use super::coroutines::ours;
use super::threads;
use kcoro_lab::versus::{Case, Cpus, OWN, Sample, pin_to};
use std::hint::black_box;
use std::time::{Duration, Instant};

const CAPACITY: usize = 16384;

pub fn cases() -> Vec<Case> {
    let step = "message, one sender and one receiver on 2 workers, room for 16,384";
    vec![
        Case::new("ring", step, Cpus::All)
            .peer(OWN, |sample| {
                ours::through(sample, 2, || {
                    let (tx, rx) = kcoro::channel::bounded(CAPACITY);
                    (vec![tx], vec![rx])
                });
            })
            .peer("rtrb, threads", |sample| rtrb(sample, one_by_one))
            .peer("rtrb, threads, chunks", |sample| rtrb(sample, chunks))
            .peer("std, threads", |sample| {
                threads::through(sample, || {
                    let (tx, rx) = std::sync::mpsc::sync_channel(CAPACITY);
                    (vec![tx], vec![rx])
                });
            }),
    ]
}

/// rtrb has no way to wait: looks again, and lets others have the CPU when that does not help.
fn again(tries: &mut u32) {
    *tries += 1;
    if tries.is_multiple_of(64) {
        std::thread::yield_now();
    } else {
        std::hint::spin_loop();
    }
}

type Moves = fn(usize, rtrb::Producer<usize>, rtrb::Consumer<usize>) -> Duration;

fn rtrb(sample: &mut Sample, moves: Moves) {
    sample.rate(|count| {
        let (tx, rx) = rtrb::RingBuffer::new(CAPACITY);
        moves(count, tx, rx)
    });
}

fn one_by_one(
    count: usize,
    mut tx: rtrb::Producer<usize>,
    mut rx: rtrb::Consumer<usize>,
) -> Duration {
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            pin_to(1);
            let mut tries = 0;
            for number in 0..count {
                while tx.push(number).is_err() {
                    again(&mut tries);
                }
            }
        });
        scope.spawn(move || {
            pin_to(0);
            let mut tries = 0;
            for number in 0..count {
                loop {
                    match rx.pop() {
                        Ok(got) => break assert_eq!(got, number),
                        Err(_) => again(&mut tries),
                    }
                }
            }
        });
    });
    start.elapsed()
}

fn chunks(count: usize, mut tx: rtrb::Producer<usize>, mut rx: rtrb::Consumer<usize>) -> Duration {
    const CHUNK: usize = 256;
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            pin_to(1);
            let (mut tries, mut sent) = (0, 0);
            while sent < count {
                match tx.write_chunk_uninit(CHUNK.min(count - sent)) {
                    Ok(chunk) => sent += chunk.fill_from_iter(sent..),
                    Err(_) => again(&mut tries),
                }
            }
        });
        scope.spawn(move || {
            pin_to(0);
            let (mut tries, mut got) = (0, 0);
            while got < count {
                match rx.slots().min(CHUNK) {
                    0 => again(&mut tries),
                    ready => {
                        let chunk = rx.read_chunk(ready).expect("they are ready");
                        for number in chunk {
                            black_box(number);
                        }
                        got += ready;
                    }
                }
            }
        });
    });
    start.elapsed()
}
