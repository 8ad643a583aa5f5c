//! One sender and one receiver, with a queue made for just that: on two CPUs, in chunks, on one.

use super::coroutines::{meet, ours, run_ours};
use super::work::{drain, pour};
use super::{tasks, threads};
use kcoro::channel::spsc::{Receiver, Sender};
use kcoro_lab::versus::{Bound, Case, Cpus, OWN, Sample, pin_to};
use std::hint::black_box;
use std::time::{Duration, Instant};

const CAPACITY: usize = 16384;

/// Values of a chunk.
const CHUNK: usize = 256;

pub fn cases() -> Vec<Case> {
    let step = "message, one sender and one receiver on 2 workers, room for 16,384";
    vec![
        Case::new("ring", step, Cpus::All)
            .peer(OWN, |sample| spsc(sample, pour, drain))
            .peer("kcoro, any number of parties", |sample| {
                ours::through(sample, 2, || {
                    let (tx, rx) = kcoro::channel::bounded(CAPACITY);
                    (vec![tx], vec![rx])
                });
            })
            .peer("rtrb, threads", |sample| rtrb(sample, one_by_one))
            .peer("std, threads", |sample| {
                threads::through(sample, || {
                    let (tx, rx) = std::sync::mpsc::sync_channel(CAPACITY);
                    (vec![tx], vec![rx])
                });
            })
            .goal("rate", Bound::Here(70.0))
            .goal("rate", Bound::Of("rtrb, threads", 1.0)),
        Case::new("ring-chunks", "message in chunks of 256, the same", Cpus::All)
            .peer(OWN, |sample| spsc(sample, pour_chunks, drain_chunks))
            .peer("rtrb, threads", |sample| rtrb(sample, chunks))
            .goal("rate", Bound::Here(120.0))
            .goal("rate", Bound::Of("rtrb, threads", 1.0)),
        Case::new("ring-1", "message, one sender and one receiver on 1 worker", Cpus::One)
            .peer(OWN, |sample| {
                ours::through(sample, 1, || {
                    let (tx, rx) = kcoro::channel::spsc(CAPACITY);
                    (vec![tx], vec![rx])
                });
            })
            .peer("kcoro, any number of parties", |sample| {
                ours::through(sample, 1, || {
                    let (tx, rx) = kcoro::channel::bounded(CAPACITY);
                    (vec![tx], vec![rx])
                });
            })
            .peer("crossfire", |sample| {
                crossfire::detect_backoff_cfg();
                tasks::through(sample, 1, || {
                    let (tx, rx) = crossfire::spsc::bounded_async(CAPACITY);
                    (vec![tx], vec![rx])
                });
            })
            .goal("rate", Bound::Ahead),
    ]
}

/// Our ring, each side on a worker of its own.
fn spsc(sample: &mut Sample, put: fn(usize, Sender<usize>), take: fn(Receiver<usize>) -> usize) {
    let mut round = 0;
    sample.rate(|count| {
        round += 1;
        run_ours(2, move || {
            let (tx, rx) = kcoro::channel::spsc(CAPACITY);
            let other = kcoro::spawn(move || {
                meet(round);
                put(count, tx);
            });
            meet(round);
            let start = Instant::now();
            assert_eq!(take(rx), count);
            other.join().unwrap();
            start.elapsed()
        })
    });
}

fn pour_chunks(count: usize, mut tx: Sender<usize>) {
    let mut sent = 0;
    while sent < count {
        let mut chunk = tx.write_chunk(CHUNK.min(count - sent)).expect("the receiver is there");
        sent += chunk.fill(sent..);
    }
}

fn drain_chunks(mut rx: Receiver<usize>) -> usize {
    let mut got = 0;
    while let Ok(chunk) = rx.read_chunk(CHUNK) {
        for number in chunk {
            black_box(number);
            got += 1;
        }
    }
    got
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
