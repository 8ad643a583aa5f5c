//! Four of the five long loops: waiters, cells, payloads, a thousand coroutines. The fifth, a soak, is
//! `channel_soak.rs`.
//!
//! Counts are those of the original in release, a fraction in debug.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kcoro::arena::Arena;
use kcoro::cancel::CancelToken;
use kcoro::channel;
use kcoro::error::{RecvCancelError, RecvTimeoutError, SendTimeoutError};
use kcoro::runtime::Runtime;

mod scale;
mod watchdog;
use watchdog::watchdog;

fn scaled(count: u64) -> u64 {
    scale::scaled((if cfg!(debug_assertions) { count / 50 } else { count }) as usize) as u64
}

fn runtime(workers: usize) -> Runtime {
    Runtime::builder().workers(workers).stack_size(64 * 1024).build().unwrap()
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }
}

/// 10^5 waiters that are matched, time out or are cancelled, all started at once: each ends exactly
/// once, and what was sent is received or comes back.
#[test]
fn waiter_life_cycle() {
    let _dog = watchdog("waiter_life_cycle");
    let rt = runtime(2);
    let waiters = scaled(100_000);
    // What the draws below make of each: two in five send their number.
    let sends = |&i: &u64| {
        let mut random = Random(i);
        random.next();
        random.next() % 5 < 2
    };
    let all: u64 = (0..waiters).filter(sends).sum();
    let (sent, received, lost) = rt.run(move || {
        let (tx, rx) = channel::rendezvous::<u64>();
        let token = CancelToken::new();
        let (sent, received, lost) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let counts = Arc::new((sent, received, lost));
        let mut all = Vec::new();
        for i in 0..waiters {
            let (tx, rx, token) = (tx.clone(), rx.clone(), token.child());
            let counts = Arc::clone(&counts);
            all.push(kcoro::spawn(move || {
                let mut random = Random(i);
                let moment = Duration::from_micros(random.next() % 200);
                match random.next() % 5 {
                    0 | 1 => match tx.send_timeout(i, moment) {
                        Ok(()) => counts.0.fetch_add(i, Ordering::Relaxed),
                        Err(SendTimeoutError::Timeout(v)) => {
                            counts.2.fetch_add(v, Ordering::Relaxed)
                        }
                        Err(error) => panic!("{error}"),
                    },
                    2 | 3 => match rx.recv_timeout(moment) {
                        Ok(v) => counts.1.fetch_add(v, Ordering::Relaxed),
                        Err(RecvTimeoutError::Timeout) => 0,
                        Err(error) => panic!("{error}"),
                    },
                    _ => {
                        let cancel = token.clone();
                        let canceller = kcoro::spawn(move || cancel.cancel());
                        let got = match rx.recv_cancellable(&token) {
                            Ok(v) => counts.1.fetch_add(v, Ordering::Relaxed),
                            Err(RecvCancelError::Cancelled) => 0,
                            Err(error) => panic!("{error}"),
                        };
                        canceller.join().unwrap();
                        got
                    }
                };
            }));
        }
        all.into_iter().for_each(|h| h.join().unwrap());
        assert_eq!((tx.len(), rx.is_empty()), (0, true));
        let get = |c: &AtomicU64| c.load(Ordering::Relaxed);
        (get(&counts.0), get(&counts.1), get(&counts.2))
    });
    assert_eq!(sent, received);
    assert!(sent > 0);
    assert_eq!(sent + lost, all);
}

/// 10^6 calls in random order on one rendezvous cell: nothing is lost, doubled or left behind.
#[test]
fn cell_state_machine() {
    let _dog = watchdog("cell_state_machine");
    let rt = runtime(2);
    let calls = scaled(1_000_000);
    rt.run(move || {
        let (tx, rx) = channel::rendezvous::<u64>();
        let balance = Arc::new(AtomicU64::new(0));
        let parties: Vec<_> = (0..4u64)
            .map(|party| {
                let (tx, rx, balance) = (tx.clone(), rx.clone(), Arc::clone(&balance));
                kcoro::spawn(move || {
                    let mut random = Random(party + 77);
                    for i in 0..calls / 4 {
                        let value = party << 32 | i;
                        let moment = Duration::from_micros(random.next() % 20);
                        match random.next() % 4 {
                            0 if tx.try_send(value).is_ok() => {
                                balance.fetch_add(value, Ordering::Relaxed);
                            }
                            1 if tx.send_timeout(value, moment).is_ok() => {
                                balance.fetch_add(value, Ordering::Relaxed);
                            }
                            2 => {
                                if let Ok(value) = rx.try_recv() {
                                    balance.fetch_sub(value, Ordering::Relaxed);
                                }
                            }
                            3 => {
                                if let Ok(value) = rx.recv_timeout(moment) {
                                    balance.fetch_sub(value, Ordering::Relaxed);
                                }
                            }
                            _ => kcoro::yield_now(),
                        }
                    }
                })
            })
            .collect();
        parties.into_iter().for_each(|h| h.join().unwrap());
        assert_eq!(balance.load(Ordering::Relaxed), 0);
        assert!(tx.is_empty());
    });
}

/// 10^5 hand-overs and cancellations of arena payloads: every reference is given back.
#[test]
fn payloads_are_retained_and_released_evenly() {
    let _dog = watchdog("payloads");
    let rt = runtime(2);
    let arena = Arena::builder().build();
    let shared = arena.clone();
    let rounds = scaled(100_000);
    rt.run(move || {
        let (tx, rx) = channel::bounded(4);
        let receiver = kcoro::spawn(move || {
            let mut bytes = 0u64;
            while let Ok(payload) = rx.recv() {
                let payload: kcoro::arena::Payload = payload;
                let held = payload.clone();
                drop(payload);
                bytes += held.len() as u64;
            }
            bytes
        });
        let mut random = Random(5);
        let mut sent = 0u64;
        for i in 0..rounds {
            let payload = shared.copy(&i.to_ne_bytes()).unwrap();
            let sent_it = match random.next() % 4 {
                0 => {
                    let limit = Duration::from_micros(random.next() % 30);
                    tx.send_timeout(payload, limit).is_ok()
                }
                1 => {
                    let token = CancelToken::new();
                    let canceller = {
                        let token = token.clone();
                        kcoro::spawn(move || token.cancel())
                    };
                    let sent = tx.send_cancellable(payload, &token);
                    canceller.join().unwrap();
                    sent.is_ok()
                }
                _ => tx.send(payload).is_ok(),
            };
            sent += u64::from(sent_it) * 8;
        }
        drop(tx);
        assert_eq!(receiver.join().unwrap(), sent);
    });
    drop(rt);
    assert_eq!(arena.stats().depth, 0, "{:?}", arena.stats());
}

/// 1,000 coroutines with 10,000 cycles each.
#[test]
fn a_thousand_coroutines() {
    let _dog = watchdog("a_thousand_coroutines");
    let rt = runtime(2);
    let cycles = scaled(10_000);
    let total = rt.run(move || {
        let (tx, rx) = channel::bounded::<u64>(64);
        let (back, done) = channel::unbounded::<u64>();
        for _ in 0..500 {
            let (tx, rx, back) = (tx.clone(), rx.clone(), back.clone());
            kcoro::spawn(move || {
                for i in 0..cycles {
                    tx.send(i).unwrap();
                }
            })
            .detach();
            kcoro::spawn(move || {
                let sum = (0..cycles).map(|_| rx.recv().unwrap()).sum();
                back.send(sum).unwrap();
            })
            .detach();
        }
        drop(back);
        done.iter().sum::<u64>()
    });
    assert_eq!(total, 500 * (cycles * (cycles - 1) / 2));
}
