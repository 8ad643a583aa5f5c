//! What a program written for Go's channels expects of them, with coroutines in place of goroutines.
//!
//! Go's nil channel, on which nothing ever happens, is here a channel whose other end is kept and
//! never used.

#![allow(clippy::disallowed_types, reason = "a test has no loom build")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kcoro::channel::{self, Arm, Receiver, Select, Sender};
use kcoro::error::{RecvError, TryRecvError, TrySendError};
use kcoro::{Runtime, select, spawn, yield_now};

#[path = "channel/support.rs"]
#[allow(dead_code, reason = "each program uses its own share")]
mod support;
use support::{scaled, watched};

/// Runs `body` as a coroutine of one worker, then of three.
fn on_workers(body: impl Fn() + Clone + Send + 'static) {
    watched(move || {
        for workers in [1, 3] {
            let body = body.clone();
            Runtime::builder().workers(workers).build().unwrap().run(body);
        }
    });
}

/// A channel on which nothing happens, and what keeps it so.
fn never<T>() -> (Receiver<T>, Sender<T>) {
    let (tx, rx) = channel::bounded(1);
    (rx, tx)
}

/// Lets others run for long enough that whoever is going to wait does.
fn settle() {
    (0..20).for_each(|_| yield_now());
    kcoro::sleep(Duration::from_millis(1));
}

#[test]
fn an_empty_channel_blocks_receivers_and_no_try() {
    on_workers(|| {
        for capacity in [0, 1, 2, 10] {
            let (tx, rx) = channel::bounded::<usize>(capacity);
            let got = Arc::new(AtomicUsize::new(0));
            let waiting: Vec<_> = [(); 2]
                .map(|()| {
                    let (rx, got) = (rx.clone(), Arc::clone(&got));
                    spawn(move || {
                        let value = rx.recv();
                        got.fetch_add(1, Ordering::SeqCst);
                        value
                    })
                })
                .into();
            settle();
            assert_eq!(got.load(Ordering::SeqCst), 0);
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            let tried = select! {
                _ = rx.recv() => true,
                default => false,
            };
            assert!(!tried);
            tx.send(1).unwrap();
            tx.send(2).unwrap();
            let mut values: Vec<_> =
                waiting.into_iter().map(|one| one.join().unwrap().unwrap()).collect();
            values.sort_unstable();
            assert_eq!(values, [1, 2]);
        }
    });
}

#[test]
fn a_full_channel_blocks_senders_and_no_try() {
    on_workers(|| {
        for capacity in [0, 1, 2, 10] {
            let (tx, rx) = channel::bounded(capacity);
            (0..capacity).for_each(|n| tx.try_send(n).unwrap());
            let sent = Arc::new(AtomicUsize::new(0));
            let waiting = {
                let (tx, sent) = (tx.clone(), Arc::clone(&sent));
                spawn(move || {
                    tx.send(100).unwrap();
                    sent.store(1, Ordering::SeqCst);
                })
            };
            settle();
            assert_eq!(sent.load(Ordering::SeqCst), 0);
            assert_eq!(tx.try_send(200), Err(TrySendError::Full(200)));
            let value = 300;
            let back = select! {
                _ = tx.send(value) => None,
                default => Some(value),
            };
            assert_eq!(back, Some(300));
            for expected in (0..capacity).chain([100]) {
                assert_eq!(rx.recv(), Ok(expected));
            }
            waiting.join().unwrap();
            assert_eq!((sent.load(Ordering::SeqCst), rx.try_recv().is_err()), (1, true));
        }
    });
}

#[test]
fn a_closed_channel_drains_and_then_answers_at_once() {
    on_workers(|| {
        for capacity in [0, 1, 5] {
            let (tx, rx) = channel::bounded(capacity);
            (0..capacity).for_each(|n| tx.send(n).unwrap());
            assert!(tx.close());
            assert!(!tx.close() && !rx.close(), "closing twice is said, not punished");
            assert_eq!(rx.iter().collect::<Vec<_>>(), (0..capacity).collect::<Vec<_>>());
            for _ in 0..3 {
                assert_eq!(rx.recv(), Err(RecvError));
                assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
                select! {
                    value = rx.recv() => assert_eq!(value, Err(RecvError)),
                    default => panic!("a closed channel is ready"),
                }
            }
            assert!(tx.send(1).is_err());
        }
    });
}

#[test]
fn a_range_over_a_channel_ends_with_the_close() {
    on_workers(|| {
        for capacity in [0, 3] {
            let (tx, rx) = channel::bounded(capacity);
            let count = scaled(1_000);
            let sender = spawn(move || (0..count).for_each(|n| tx.send(n).unwrap()));
            assert!(rx.iter().eq(0..count));
            sender.join().unwrap();
        }
    });
}

/// Each of many coroutines takes from its left and gives one more to its right.
#[test]
fn a_chain_of_coroutines() {
    on_workers(|| {
        let links = scaled(5_000);
        let (leftmost, mut rx) = channel::rendezvous::<usize>();
        for _ in 0..links {
            let (right, next) = channel::rendezvous();
            let left = std::mem::replace(&mut rx, next);
            spawn(move || right.send(left.recv().unwrap() + 1).unwrap()).detach();
        }
        leftmost.send(0).unwrap();
        assert_eq!(rx.recv(), Ok(links));
    });
}

/// Coroutines that wait for each other in a row end in that row, buffered or not.
#[test]
fn order_of_a_row_of_waits() {
    on_workers(|| {
        for capacity in [0, 10] {
            let (tx, rx) = channel::bounded(capacity);
            let (first, mut before) = channel::bounded::<()>(1);
            let mut all = Vec::new();
            for n in 0..10 {
                let (done, after) = channel::bounded(1);
                let turn = std::mem::replace(&mut before, after);
                let rx = rx.clone();
                all.push(spawn(move || {
                    turn.recv().unwrap();
                    assert_eq!(rx.recv(), Ok(n));
                    done.send(()).unwrap();
                }));
            }
            let sender = spawn(move || (0..10).for_each(|n| tx.send(n).unwrap()));
            first.send(()).unwrap();
            all.into_iter().for_each(|one| one.join().unwrap());
            sender.join().unwrap();
        }
    });
}

/// The numbers that no smaller one divides, by one filter for each.
#[test]
fn a_sieve_of_coroutines() {
    on_workers(|| {
        for capacity in [0, 4] {
            let (tx, mut numbers) = channel::bounded(capacity);
            spawn(move || (2_u32..).try_for_each(|n| tx.send(n))).detach();
            let mut primes = Vec::new();
            for _ in 0..40 {
                let prime = numbers.recv().unwrap();
                primes.push(prime);
                let (tx, passed) = channel::bounded(capacity);
                let all = std::mem::replace(&mut numbers, passed);
                spawn(move || all.iter().filter(|n| n % prime != 0).try_for_each(|n| tx.send(n)))
                    .detach();
            }
            assert_eq!((primes[..6].to_vec(), primes[39]), (vec![2, 3, 5, 7, 11, 13], 173));
        }
    });
}

/// A sender that has the same channel in several arms sends each value once.
#[test]
fn doubled_arms_send_once() {
    on_workers(|| {
        for capacity in [0, 1, 10] {
            let count = scaled(5_000);
            let (tx, rx) = channel::bounded(capacity);
            let (other, other_rx) = channel::bounded(capacity);
            let sender = spawn(move || {
                for n in 0..count {
                    select! {
                        r = tx.send(n) => r.unwrap(),
                        r = other.send(n) => r.unwrap(),
                        r = tx.send(n) => r.unwrap(),
                        r = other.send(n) => r.unwrap(),
                    }
                }
            });
            let (all, merged) = channel::unbounded();
            for rx in [rx, other_rx] {
                let all = all.clone();
                spawn(move || rx.iter().for_each(|n| all.send(n).unwrap())).detach();
            }
            drop(all);
            let mut got: Vec<_> = merged.iter().collect();
            got.sort_unstable();
            assert!(got.into_iter().eq(0..count));
            sender.join().unwrap();
        }
    });
}

/// Two coroutines that both offer to send and to receive on one channel: nobody meets itself, and
/// each value that leaves arrives.
#[test]
fn selects_on_both_sides_of_one_channel() {
    on_workers(|| {
        for capacity in [0, 10] {
            let rounds = scaled(2_000);
            let (tx, rx) = channel::bounded(capacity);
            let parties: Vec<_> = (0..2)
                .map(|me| {
                    let (tx, rx) = (tx.clone(), rx.clone());
                    spawn(move || {
                        let (mut sent, mut received) = (0, 0);
                        // Each goes on until it has both sent and received so many.
                        while sent < rounds || received < rounds {
                            select! {
                                r = tx.send(me) => {
                                    r.unwrap();
                                    sent += 1;
                                }
                                v = rx.recv() => {
                                    assert!(capacity > 0 || v == Ok(1 - me), "met itself");
                                    received += 1;
                                }
                                _ = after(Duration::from_millis(20)) => break,
                            }
                        }
                        (sent, received)
                    })
                })
                .collect();
            let counts: Vec<_> = parties.into_iter().map(|one| one.join().unwrap()).collect();
            let sum = |f: fn(&(usize, usize)) -> usize| counts.iter().map(f).sum::<usize>();
            assert_eq!(sum(|c| c.0), sum(|c| c.1) + rx.len());
        }
    });
}

/// Arms are switched off and on by putting a channel in their place on which nothing happens.
#[test]
fn arms_that_are_off() {
    on_workers(|| {
        let (nothing, _keep) = never::<usize>();
        let (full, _rx) = channel::bounded(1);
        full.send(0).unwrap();
        let (tx, rx) = channel::bounded(1);
        let count = scaled(1_000);
        let (mut sent, mut received) = (0, 0);
        while received < count {
            let source = if rx.is_empty() { &nothing } else { &rx };
            let sink = if tx.is_full() || sent == count { &full } else { &tx };
            select! {
                r = sink.send(sent) => {
                    r.unwrap();
                    sent += 1;
                }
                v = source.recv() => {
                    assert_eq!(v, Ok(received));
                    received += 1;
                }
            }
        }
        assert_eq!(sent, count);
    });
}

/// With no arm that can ever go on, only the default does, or the time.
#[test]
fn selects_of_dead_arms() {
    on_workers(|| {
        let (nothing, _keep) = never::<u8>();
        let (full, _rx) = channel::rendezvous::<u8>();
        let reached = select! {
            _ = nothing.recv() => 0,
            _ = full.send(1) => 1,
            default => 2,
        };
        assert_eq!(reached, 2);
        let reached = select! {
            _ = nothing.recv() => 0,
            _ = full.send(1) => 1,
            _ = after(Duration::from_millis(2)) => 2,
        };
        assert_eq!(reached, 2);
        let mut arm = nothing.arm();
        let mut select = Select::new();
        select.add(&mut arm);
        assert_eq!(select.try_wait(), None);
        assert_eq!(select.wait_timeout(Duration::from_millis(1)), None);
        assert_eq!(Select::new().try_wait(), None);
    });
}

/// Which operations wait and which do not, alone and as the only arm of a select.
#[test]
fn what_waits_and_what_does_not() {
    on_workers(|| {
        let ready = |make: fn() -> (Sender<u8>, Receiver<u8>), send: bool| {
            let (tx, rx) = make();
            let select_now = if send {
                select! { _ = tx.send(1) => true, default => false }
            } else {
                select! { _ = rx.recv() => true, default => false }
            };
            let (tx, rx) = make();
            let (done, end) = channel::bounded(1);
            let alone = {
                let (tx, rx) = (tx.clone(), rx.clone());
                spawn(move || {
                    if send {
                        _ = tx.send(1)
                    } else {
                        _ = rx.recv()
                    }
                    done.send(()).unwrap();
                })
            };
            let ended = end.recv_timeout(Duration::from_millis(5)).is_ok();
            tx.close();
            alone.join().unwrap();
            assert_eq!(ended, select_now, "alone as in a select");
            ended
        };
        assert!(!ready(channel::rendezvous, true) && !ready(channel::rendezvous, false));
        assert!(ready(|| channel::bounded(1), true) && !ready(|| channel::bounded(1), false));
        let full = || {
            let pair = channel::bounded(1);
            pair.0.send(0).unwrap();
            pair
        };
        assert!(!ready(full, true) && ready(full, false));
        let shut = || {
            let pair = channel::bounded(1);
            pair.0.close();
            pair
        };
        assert!(ready(shut, true) && ready(shut, false));
    });
}

/// Four producers into four channels, one consumer that selects, and back: nothing stops.
#[test]
fn a_stress_of_selects() {
    on_workers(|| {
        let count = scaled(2_000);
        let channels: Vec<_> = [0, 0, 2, 3].map(channel::bounded::<usize>).into();
        let mut parties = Vec::new();
        // Plain senders and receivers on every channel.
        for (tx, rx) in &channels {
            let (tx, rx) = (tx.clone(), rx.clone());
            parties.push(spawn(move || (0..count).for_each(|n| tx.send(n).unwrap())));
            parties.push(spawn(move || (0..count).for_each(|_| _ = rx.recv().unwrap())));
        }
        // One that sends into all of them, and one that receives from all of them.
        let senders: Vec<_> = channels.iter().map(|(tx, _)| tx.clone()).collect();
        parties.push(spawn(move || {
            let mut left = [count; 4];
            while left != [0; 4] {
                let mut arms: Vec<_> =
                    (0..4).filter(|&at| left[at] > 0).map(|at| (at, senders[at].arm(at))).collect();
                let mut select = Select::new();
                let numbers: Vec<_> = arms.iter().map(|(at, _)| *at).collect();
                arms.iter_mut().for_each(|(_, arm)| _ = select.add(arm));
                let chosen = select.wait();
                arms[chosen].1.take().unwrap();
                left[numbers[chosen]] -= 1;
            }
        }));
        let receivers: Vec<_> = channels.iter().map(|(_, rx)| rx.clone()).collect();
        parties.push(spawn(move || {
            let mut left = [count; 4];
            while left != [0; 4] {
                let open: Vec<_> = (0..4).filter(|&at| left[at] > 0).collect();
                let mut arms: Vec<_> = open.iter().map(|&at| receivers[at].arm()).collect();
                let mut select = Select::new();
                arms.iter_mut().for_each(|arm| _ = select.add(arm));
                let chosen = select.wait();
                arms[chosen].take().unwrap();
                left[open[chosen]] -= 1;
            }
        }));
        parties.into_iter().for_each(|one| one.join().unwrap());
        assert!(channels.iter().all(|(tx, rx)| tx.is_empty() && rx.try_recv().is_err()));
    });
}

/// Of two arms that are always ready, neither starves.
#[test]
fn a_select_is_fair() {
    on_workers(|| {
        let rounds = scaled(10_000);
        let (tx, rx) = channel::bounded(1);
        let (tx2, rx2) = channel::bounded(1);
        for tx in [tx, tx2] {
            spawn(move || while tx.send(()).is_ok() {}).detach();
        }
        let mut first = 0;
        for _ in 0..rounds {
            while rx.is_empty() || rx2.is_empty() {
                kcoro::yield_now();
            }
            first += select! {
                _ = rx.recv() => 1,
                _ = rx2.recv() => 0,
            };
        }
        assert!((rounds / 10..=rounds * 9 / 10).contains(&first), "{first} of {rounds}");
    });
}

/// Both outcomes of a choice between equals come up.
#[test]
fn equal_arms_are_drawn_by_lot() {
    on_workers(|| {
        for capacity in [1, 100] {
            let (tx, rx) = channel::bounded(capacity);
            let sender = spawn(move || {
                for _ in 0..200 {
                    select! {
                        r = tx.send(0) => r.unwrap(),
                        r = tx.send(1) => r.unwrap(),
                    }
                }
            });
            let ones = rx.iter().sum::<usize>();
            assert!((20..=180).contains(&ones), "{ones} of 200");
            sender.join().unwrap();
        }
    });
}

/// A try that races with the close of its channel finds the value or the end, never emptiness for
/// ever.
#[test]
fn a_try_races_with_a_close() {
    on_workers(|| {
        for _ in 0..scaled(500) {
            let (tx, rx) = channel::bounded(1);
            tx.send(1).unwrap();
            let closer = spawn(move || _ = tx.close());
            assert_eq!(rx.try_recv(), Ok(1));
            closer.join().unwrap();
            assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
        }
    });
}

/// A select with a default against a partner that makes the second channel ready before it takes
/// from the first: one of the two is seen.
#[test]
fn a_default_does_not_hide_what_is_there() {
    on_workers(|| {
        for _ in 0..scaled(500) {
            let (tx, rx) = channel::bounded::<u8>(1);
            let (tx2, rx2) = channel::bounded::<u8>(1);
            tx.send(1).unwrap();
            let mine = rx.clone();
            let other = spawn(move || {
                let seen = select! {
                    _ = rx.recv() => true,
                    _ = rx2.recv() => true,
                    default => false,
                };
                assert!(seen, "one of the two was ready at every moment");
                (rx, rx2)
            });
            tx2.try_send(1).unwrap();
            let _ = mine.try_recv();
            other.join().unwrap();
        }
    });
}

/// Many senders, a stage in the middle, one receiver: the sum comes through.
#[test]
fn many_workers_between_two_queues() {
    on_workers(|| {
        let count = scaled(20_000);
        let (queue, work) = channel::bounded(10);
        let (results, sum) = channel::bounded(10);
        for _ in 0..23 {
            let (work, results) = (work.clone(), results.clone());
            spawn(move || {
                for (turn, n) in work.iter().enumerate() {
                    if turn % 7 == 0 {
                        yield_now();
                    }
                    results.send(n).unwrap();
                }
            })
            .detach();
        }
        drop((work, results));
        let feeder = spawn(move || (0..count).for_each(|n| queue.send(n).unwrap()));
        assert_eq!(sum.iter().sum::<usize>(), count * (count - 1) / 2);
        feeder.join().unwrap();
    });
}

/// A wait goes on while its coroutine's neighbours grow and end, and its frame stays valid.
#[test]
fn a_frame_stays_where_its_waiter_is() {
    #[inline(never)]
    fn deep(left: usize, rx: &Receiver<[usize; 16]>) -> [usize; 16] {
        let here = [left; 16];
        let got = if left == 0 { rx.recv().unwrap() } else { deep(left - 1, rx) };
        assert_eq!(std::hint::black_box(here), [left; 16]);
        got
    }
    on_workers(|| {
        let (tx, rx) = channel::rendezvous();
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let rx = rx.clone();
                spawn(move || deep(20, &rx)[3])
            })
            .collect();
        settle();
        for n in 0..20 {
            spawn(move || drop(std::hint::black_box(vec![n; 100]))).join().unwrap();
            tx.send([n; 16]).unwrap();
        }
        let sum: usize = waiting.into_iter().map(|one| one.join().unwrap()).sum();
        assert_eq!(sum, 190);
    });
}

/// The same channel in many arms of one select that is woken, again and again, leaves nothing behind.
#[test]
fn duplicate_arms_leave_nothing() {
    on_workers(|| {
        let rounds = scaled(2_000);
        let (tx, rx) = channel::rendezvous::<usize>();
        let (back, answers) = channel::rendezvous();
        let other = spawn(move || {
            for _ in 0..rounds {
                let got = select! {
                    v = rx.recv() => v,
                    v = rx.recv() => v,
                    v = rx.recv() => v,
                };
                back.send(got.unwrap()).unwrap();
            }
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        });
        for n in 0..rounds {
            tx.send(n).unwrap();
            assert_eq!(answers.recv(), Ok(n));
        }
        other.join().unwrap();
        assert!(tx.try_send(0).is_err());
    });
}

/// Values without size are counted like others.
#[test]
fn nothing_is_a_value() {
    on_workers(|| {
        let (tx, rx) = channel::bounded(3);
        (0..3).for_each(|_| tx.try_send(()).unwrap());
        assert_eq!((tx.try_send(()).is_err(), rx.len()), (true, 3));
        drop(tx);
        assert_eq!(rx.iter().count(), 3);
    });
}
