//! Batches, one-shots, figures, and channels between coroutines on one and on several workers.

use std::thread;
use std::time::Duration;

use kcoro::cancel::CancelToken;
use kcoro::channel::{self, Overflow};
use kcoro::error::{RecvError, SendError};

use crate::support::{Census, scaled, watched};

#[test]
fn batches_keep_order() {
    watched(|| {
        for capacity in [Some(0), Some(1), Some(7), Some(100), None] {
            let count = scaled(5_000);
            let (tx, rx) = match capacity {
                Some(capacity) => channel::bounded(capacity),
                None => channel::unbounded(),
            };
            let sender = thread::spawn(move || tx.send_many(0..count));
            let mut all = Vec::new();
            while let Ok(got) = rx.recv_many(&mut all, 33) {
                assert!((1..=33).contains(&got));
            }
            assert_eq!(all, (0..count).collect::<Vec<_>>());
            assert_eq!(sender.join().unwrap(), Ok(count));
        }
    });
}

#[test]
fn batches_give_back_what_was_not_sent() {
    watched(|| {
        let (tx, rx) = channel::bounded(3);
        let mut values = 0..100;
        let sender = thread::spawn(move || (tx.send_many(&mut values), values));
        thread::sleep(Duration::from_millis(10));
        rx.close();
        let (sent, values) = sender.join().unwrap();
        assert_eq!(sent, Err(SendError::Closed((3..32).collect())));
        assert_eq!(values, 32..100);
        let mut got = Vec::new();
        assert_eq!((rx.recv_many(&mut got, 0), rx.recv_many(&mut got, 10)), (Ok(0), Ok(3)));
        assert_eq!(rx.recv_many(&mut got, 10), Err(RecvError));
    });
}

#[test]
fn long_queues_come_and_go() {
    let (tx, rx) = channel::unbounded();
    let mut expected = 0;
    let mut next = 0;
    for round in 0..40_usize {
        let count = (round * 7919) % 3000;
        (0..count).for_each(|_| {
            tx.send(next).unwrap();
            next += 1;
        });
        for n in rx.try_iter().take((round * 104_729) % 3500) {
            assert_eq!(n, expected);
            expected += 1;
        }
        assert_eq!(rx.len(), next - expected);
    }
    assert_eq!(rx.try_iter().last(), Some(next - 1));
}

#[test]
fn oneshot() {
    watched(|| {
        let (tx, rx) = channel::oneshot();
        assert!(rx.try_recv().is_err());
        tx.send(1).unwrap();
        assert_eq!(rx.recv(), Ok(1));
        let (tx, rx) = channel::oneshot::<u8>();
        drop(tx);
        assert_eq!(rx.recv(), Err(RecvError));
        let (tx, rx) = channel::oneshot();
        drop(rx);
        assert_eq!((tx.is_closed(), tx.send(2)), (true, Err(SendError::Closed(2))));
        let census = Census::default();
        let (tx, rx) = channel::oneshot();
        tx.send(census.value(1)).unwrap();
        drop(rx);
        assert_eq!(census.alive(), 0);
        let (tx, rx) = channel::oneshot();
        let sender = thread::spawn(move || tx.send(3));
        assert_eq!(futures::executor::block_on(rx.recv_async()), Ok(3));
        sender.join().unwrap().unwrap();
    });
}

#[test]
fn figures_count_everything() {
    watched(|| {
        let (tx, rx) = channel::builder().capacity(2).metrics(true).name("counted").build();
        let off = channel::bounded::<u8>(1).0.snapshot();
        assert!(!off.counted);
        tx.send(1_u32).unwrap();
        tx.send(2).unwrap();
        assert!(tx.try_send(3).is_err());
        assert!(tx.send_timeout(3, Duration::from_millis(1)).is_err());
        let token = CancelToken::new();
        let cancelled = {
            let (tx, token) = (tx.clone(), token.clone());
            thread::spawn(move || tx.send_cancellable(3, &token))
        };
        thread::sleep(Duration::from_millis(20));
        token.cancel();
        assert!(cancelled.join().unwrap().is_err());
        assert_eq!((rx.recv(), rx.recv()), (Ok(1), Ok(2)));
        assert!(rx.try_recv().is_err());
        assert!(rx.recv_timeout(Duration::ZERO).is_err());
        let before = tx.snapshot();
        assert_eq!((before.sends, before.recvs, before.high_water, before.depth), (2, 2, 2, 0));
        assert_eq!((before.bytes_sent, before.bytes_received), (8, 8));
        assert_eq!((before.full, before.send_timeouts, before.send_cancelled), (1, 1, 1));
        assert_eq!((before.empty, before.recv_timeouts), (1, 1));
        assert!((1..=3).contains(&before.cancelled_waiters));
        assert!(before.first_operation <= before.last_operation && before.counted);
        let receiver = {
            let rx = rx.clone();
            thread::spawn(move || rx.recv())
        };
        thread::sleep(Duration::from_millis(20));
        tx.send(4).unwrap();
        assert_eq!(receiver.join().unwrap(), Ok(4));
        tx.close();
        assert!(tx.send(5).is_err() && rx.recv().is_err());
        let now = rx.snapshot();
        assert_eq!((now.sends, now.recvs, now.matches), (3, 3, 1));
        assert_eq!((now.send_closed, now.recv_closed, now.closed), (1, 1, true));
        let rate = now.rate_since(&before);
        assert!(rate.sends > 0.0 && rate.bytes_received > 0.0 && !rate.to_string().is_empty());

        let (tx, rx) =
            channel::builder().capacity(1).overflow(Overflow::DropOldest).metrics(true).build();
        (0..3).for_each(|n| tx.send(n).unwrap());
        drop(rx);
        let last = tx.snapshot();
        assert_eq!((last.sends, last.drops, last.undelivered, last.depth), (3, 2, 3, 0));
    });
}

#[test]
fn rendezvous_counts_each_match_once() {
    watched(|| {
        let count = scaled(2_000) as u64;
        let (tx, rx) = channel::builder().capacity(0).metrics(true).build();
        let sender = thread::spawn(move || (0..count).for_each(|n| tx.send(n).unwrap()));
        assert_eq!(rx.iter().count() as u64, count);
        sender.join().unwrap();
        let figures = rx.snapshot();
        assert_eq!((figures.sends, figures.recvs, figures.matches), (count, count, count));
        assert_eq!(figures.bytes_sent, figures.bytes_received);
    });
}

#[test]
fn between_coroutines_on_any_number_of_workers() {
    watched(|| {
        for workers in [1, 2, 4] {
            for capacity in [0, 1, 64] {
                let count = scaled(20_000);
                let rt = kcoro::Runtime::builder().workers(workers).build().unwrap();
                let total = rt.run(move || {
                    let (tx, rx) = channel::bounded(capacity);
                    let senders: Vec<_> = (0..4)
                        .map(|_| {
                            let tx = tx.clone();
                            kcoro::spawn(move || (0..count).for_each(|n| tx.send(n).unwrap()))
                        })
                        .collect();
                    let receivers: Vec<_> = (0..4)
                        .map(|_| {
                            let rx = rx.clone();
                            kcoro::spawn(move || rx.iter().sum::<usize>())
                        })
                        .collect();
                    drop((tx, rx));
                    senders.into_iter().for_each(|handle| handle.join().unwrap());
                    receivers.into_iter().map(|handle| handle.join().unwrap()).sum::<usize>()
                });
                assert_eq!(total, 4 * (0..count).sum::<usize>());
            }
        }
    });
}

#[test]
fn a_biased_channel_is_taken_over_by_other_parties() {
    watched(|| {
        for _ in 0..scaled(200) {
            let rt = kcoro::Runtime::builder().workers(1).build().unwrap();
            let (tx, rx) = channel::bounded(4);
            let (back, replies) = channel::bounded(4);
            let echo = rt.spawn(move || {
                let (one, two) = channel::bounded(2);
                for n in 0..100 {
                    one.send(n).unwrap();
                    two.recv().unwrap();
                }
                // Biased by now; another thread comes, while this worker goes on using it.
                let other = thread::spawn({
                    let (one, two) = (one.clone(), two.clone());
                    move || {
                        (0..100).for_each(|n| {
                            one.send(n).unwrap();
                            two.recv().unwrap();
                        })
                    }
                });
                for n in 0..100 {
                    one.send(n).unwrap();
                    two.recv().unwrap();
                }
                other.join().unwrap();
                for value in rx {
                    back.send(value).unwrap();
                }
            });
            (0..100).for_each(|n| {
                tx.send(n).unwrap();
                assert_eq!(replies.recv(), Ok(n));
            });
            drop(tx);
            echo.join().unwrap();
        }
    });
}

#[test]
fn deadlines_of_coroutines() {
    watched(|| {
        kcoro::run(|| {
            let (tx, rx) = channel::rendezvous::<u8>();
            assert!(rx.recv_timeout(Duration::from_millis(3)).is_err());
            assert!(tx.send_timeout(1, Duration::from_millis(3)).is_err());
            let sender = kcoro::spawn(move || {
                kcoro::sleep(Duration::from_millis(2));
                tx.send(2)
            });
            assert_eq!(rx.recv_timeout(Duration::from_secs(3600)), Ok(2));
            sender.join().unwrap().unwrap();
        });
    });
}
