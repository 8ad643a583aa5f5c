//! Payloads by descriptor and by copy.
//!
//! "zref": the sender takes a payload from the arena, writes a word into it and sends the descriptor;
//! the receiver reads the word and gives the payload back. The logical rate is by the payload's
//! length, the real one by the sixteen bytes that are touched. "bytes": the sender copies a message in,
//! the receiver copies it out, as two plain copies of the same length do.

use super::coroutines::{mays, run_ours};
use super::tasks;
use super::work::{IN_FLIGHT, Touch};
use kcoro::arena::Arena;
use kcoro::channel::{bytes_in, zref};
use kcoro_lab::versus::{Bound, Case, Cpus, OWN, Sample, elapsed};
use std::hint::black_box;

const LENGTHS: [usize; 3] = [1024, 4096, 65536];

pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for length in LENGTHS {
        let step = "payload one way and recycled, 8 bytes touched, 1 worker";
        let boxed = move || vec![0; length].into_boxed_slice();
        let mut case = Case::new(format!("zref-{length}"), step, Cpus::One)
            .peer(OWN, move |sample| descriptors(sample, length))
            .peer("may, boxes there and back", move |sample| {
                mays::hand(sample, length, Touch::Word, may::sync::spsc::channel, boxed);
            })
            .peer("kanal, boxes there and back", move |sample| {
                tasks::hand(sample, length, Touch::Word, || kanal::bounded_async(IN_FLIGHT));
            })
            .goal("logical", Bound::Ahead);
        if length == 4096 {
            case = case.goal("logical", Bound::Here(200.0));
        }
        all.push(case);
    }
    for length in LENGTHS {
        let step = "message copied in and out, 1 worker";
        let case = Case::new(format!("bytes-{length}"), step, Cpus::One)
            .peer(OWN, move |sample| copies(sample, length))
            .peer("two memcpys", move |sample| two_memcpys(sample, length))
            .peer("kanal, a vector each", move |sample| vectors(sample, length));
        all.push(match length {
            65536 => case.goal("copied", Bound::Of("two memcpys", 0.8)),
            _ => case.goal("copied", Bound::Of("kanal, a vector each", 1.0)),
        });
    }
    all
}

fn descriptors(sample: &mut Sample, length: usize) {
    let arena = Arena::new();
    let time = sample.time(|count| {
        let arena = arena.clone();
        run_ours(1, move || {
            let (tx, rx) = zref(IN_FLIGHT);
            elapsed(|| {
                let sender = kcoro::spawn(move || {
                    for number in 0..count {
                        let mut payload = arena.alloc(length).expect("there is room");
                        payload[..8].copy_from_slice(&number.to_ne_bytes());
                        tx.send(payload.freeze()).unwrap();
                    }
                });
                for number in 0..count {
                    let payload = rx.recv().unwrap();
                    assert_eq!(payload[..8], number.to_ne_bytes());
                }
                sender.join().unwrap();
            })
        })
    });
    sample.figure("time", time, "ns");
    sample.figure("logical", length as f64 / time, "GB/s");
    sample.figure("real", 16.0 / time, "GB/s");
}

/// Writes down what copying a message in and out costs.
fn copied(sample: &mut Sample, length: usize, time: f64) {
    sample.figure("time", time, "ns");
    sample.figure("copied", length as f64 / time, "GB/s");
}

fn copies(sample: &mut Sample, length: usize) {
    // Its pages are touched once, as those of the plain copies are.
    let arena = Arena::new();
    let time = sample.time(|count| {
        let arena = arena.clone();
        run_ours(1, move || {
            let (tx, rx) = bytes_in(&arena, IN_FLIGHT, length);
            elapsed(|| {
                let sender = kcoro::spawn(move || {
                    let message = vec![7; length];
                    (0..count).for_each(|_| tx.send(black_box(&message)).unwrap());
                });
                let mut buffer = Vec::with_capacity(length);
                for _ in 0..count {
                    assert_eq!(rx.recv_into(&mut buffer), Ok(length));
                    black_box(&mut buffer);
                }
                sender.join().unwrap();
            })
        })
    });
    copied(sample, length, time);
}

/// What a message is copied through: as many places as are in flight.
fn two_memcpys(sample: &mut Sample, length: usize) {
    let message = vec![7_u8; length];
    let mut places = vec![vec![0_u8; length]; IN_FLIGHT];
    let mut buffer = vec![0_u8; length];
    let time = sample.time(|count| {
        elapsed(|| {
            let mut left = count;
            while left > 0 {
                let round = left.min(IN_FLIGHT);
                for place in &mut places[..round] {
                    place.copy_from_slice(black_box(&message));
                }
                for place in &places[..round] {
                    buffer.copy_from_slice(black_box(place));
                    black_box(&mut buffer);
                }
                left -= round;
            }
        })
    });
    copied(sample, length, time);
}

/// A channel of vectors: one is made for each message.
fn vectors(sample: &mut Sample, length: usize) {
    let rt = tasks::runtime(1);
    let time = sample.time(|count| {
        tasks::within(&rt, async move {
            let (tx, rx) = kanal::bounded_async::<Vec<u8>>(IN_FLIGHT);
            let start = std::time::Instant::now();
            let sender = tokio::spawn(async move {
                let message = vec![7; length];
                for _ in 0..count {
                    tx.send(black_box(&message).clone()).await.unwrap();
                }
            });
            let mut buffer = Vec::with_capacity(length);
            for _ in 0..count {
                let got = rx.recv().await.unwrap();
                buffer.clear();
                buffer.extend_from_slice(&got);
                black_box(&mut buffer);
            }
            sender.await.unwrap();
            start.elapsed()
        })
    });
    copied(sample, length, time);
}
