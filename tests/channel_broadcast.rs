//! The channel whose values go to all.

#[path = "channel/support.rs"]
#[allow(dead_code, reason = "shared with the other channel tests")]
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use futures::executor::block_on;
use kcoro::channel::broadcast;
use kcoro::coroutine::Task;
use kcoro::error::*;
use support::*;

#[test]
fn smoke() {
    let (tx, mut one) = broadcast(4);
    let mut two = one.clone();
    assert_eq!(one.try_recv(), Err(TryBroadcastError::Empty));
    assert_eq!(tx.send(1), Ok(2));
    assert_eq!(tx.send(2), Ok(2));
    assert_eq!((one.recv(), one.recv()), (Ok(1), Ok(2)));
    assert_eq!((tx.len(), two.len()), (2, 2));
    assert_eq!((two.recv(), two.try_recv()), (Ok(1), Ok(2)));
    assert!(tx.is_empty() && one.is_empty());
    assert!(format!("{tx:?} {one:?}").contains("2 subscribers"));
    drop(tx);
    assert_eq!(one.recv(), Err(BroadcastError::Closed));
    assert_eq!(two.try_recv(), Err(TryBroadcastError::Closed));
}

#[test]
fn late_subscribers_and_clones() {
    let (tx, one) = broadcast(4);
    tx.send(1).unwrap();
    let mut late = tx.subscribe();
    let mut clone = one.clone();
    tx.send(2).unwrap();
    assert_eq!(late.recv(), Ok(2));
    assert_eq!((clone.recv(), clone.recv()), (Ok(1), Ok(2)));
    drop((one, late, clone));
    assert_eq!(tx.send(3), Ok(0));
    let mut later = tx.subscribe();
    tx.send(4).unwrap();
    tx.close();
    assert_eq!(tx.send(5), Err(SendError::Closed(5)));
    assert_eq!((later.recv(), later.recv()), (Ok(4), Err(BroadcastError::Closed)));
}

#[test]
fn lag_is_reported() {
    let (tx, mut slow) = broadcast(3);
    let mut fast = tx.subscribe();
    for n in 0..10 {
        tx.send(n).unwrap();
        assert_eq!(fast.recv(), Ok(n));
    }
    assert_eq!(slow.len(), 3);
    assert_eq!(slow.recv(), Err(BroadcastError::Lagged(7)));
    assert_eq!((slow.recv(), slow.recv(), slow.recv()), (Ok(7), Ok(8), Ok(9)));
    (0..5).for_each(|n| assert_eq!(tx.send(n), Ok(2)));
    assert_eq!(slow.try_recv(), Err(TryBroadcastError::Lagged(2)));
    let error = fast.recv_timeout(Duration::ZERO).unwrap_err();
    assert_eq!(error, BroadcastTimeoutError::Lagged(2));
    assert!(error.to_string().contains("2 values"));
}

/// Whoever does not lag gets everything, in order, in every kind of party.
#[test]
fn fifo() {
    watched(|| {
        let count = scaled(5_000);
        let (tx, first) = broadcast(count);
        let mut parties: Vec<_> = (0..3)
            .map(|_| {
                let mut subscriber = first.clone();
                thread::spawn(move || {
                    (0..count).for_each(|n| assert_eq!(subscriber.recv(), Ok(n)));
                    assert_eq!(subscriber.recv(), Err(BroadcastError::Closed));
                })
            })
            .collect();
        let mut subscriber = first.clone();
        parties.push(thread::spawn(move || {
            block_on(async move {
                for n in 0..count {
                    assert_eq!(subscriber.recv_async().await, Ok(n));
                }
                assert_eq!(subscriber.recv_async().await, Err(BroadcastError::Closed));
            });
        }));
        let mut subscriber = first;
        let coroutines = thread::spawn(move || {
            kcoro::run(move || {
                (0..count).for_each(|n| assert_eq!(subscriber.recv(), Ok(n)));
                assert_eq!(subscriber.recv(), Err(BroadcastError::Closed));
            });
        });
        (0..count).for_each(|n| assert_eq!(tx.send(n), Ok(5)));
        drop(tx);
        parties.into_iter().chain([coroutines]).for_each(|party| party.join().unwrap());
    });
}

#[test]
fn close_wakes_receivers() {
    watched(|| {
        let (tx, first) = broadcast::<u8>(1);
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let mut subscriber = first.clone();
                Task::new(move || assert_eq!(subscriber.recv(), Err(BroadcastError::Closed)))
            })
            .collect();
        for task in &tasks {
            task.resume().unwrap();
            assert!(task.is_parked());
        }
        drop(tx.clone());
        assert!(tx.close() && !tx.close());
        drive(&tasks);
    });
}

#[test]
fn timeout() {
    watched(|| {
        let (tx, mut rx) = broadcast(1);
        let short = Duration::from_millis(5);
        assert_eq!(rx.recv_timeout(short), Err(BroadcastTimeoutError::Timeout));
        tx.send(1).unwrap();
        assert_eq!(rx.recv_timeout(short), Ok(1));
        kcoro::run(move || {
            assert_eq!(rx.recv_timeout(short), Err(BroadcastTimeoutError::Timeout));
            drop(tx);
            assert_eq!(rx.recv_timeout(short), Err(BroadcastTimeoutError::Closed));
        });
    });
}

#[test]
fn drop_of_each_side() {
    let census = std::sync::Arc::new(Census::default());
    let value = |n| std::sync::Arc::new(census.value(n));
    let (tx, mut one) = broadcast(8);
    let two = one.clone();
    (0..5).for_each(|n| assert!(tx.send(value(n)).is_ok()));
    drop(one.recv().unwrap());
    assert_eq!(census.dropped(), 0, "the other has not had it");
    drop(two);
    assert_eq!(census.dropped(), 1);
    drop(one);
    assert_eq!(census.dropped(), 5, "nobody wants the rest");
    tx.send(value(5)).unwrap();
    assert_eq!(census.alive(), 0);
}

#[test]
fn unwound_and_abandoned_while_waiting() {
    let (tx, mut rx) = broadcast(2);
    let mut other = rx.clone();
    let task = Task::new(move || assert!(other.recv().is_ok()));
    task.resume().unwrap();
    drop(task);
    assert!(futures::FutureExt::now_or_never(rx.recv_async()).is_none());
    assert_eq!(tx.send(1), Ok(1));
    assert_eq!(rx.recv(), Ok(1));
}

#[derive(Clone)]
struct Bomb(bool);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.0, "bomb");
    }
}

#[test]
fn panicking_drop_and_zero_sized() {
    let (tx, rx) = broadcast(2);
    tx.send(Bomb(true)).unwrap();
    tx.send(Bomb(false)).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| tx.send(Bomb(false)))).is_err());
    assert_eq!(rx.len(), 2);
    let (tx, mut rx) = broadcast(1);
    tx.send(()).unwrap();
    assert_eq!(rx.recv(), Ok(()));
}

#[test]
fn stress() {
    watched(|| {
        let count = scaled(3_000);
        let (tx, first) = broadcast(16);
        let parties: Vec<_> = (0..4)
            .map(|_| {
                let mut subscriber = first.clone();
                thread::spawn(move || {
                    let (mut next, mut lost) = (0, 0);
                    loop {
                        match subscriber.recv() {
                            Ok(n) => {
                                assert_eq!(n, next, "lost without a report");
                                next = n + 1;
                            }
                            Err(BroadcastError::Lagged(missed)) => {
                                next += missed;
                                lost += missed;
                            }
                            Err(_) => return (next, lost),
                        }
                    }
                })
            })
            .collect();
        drop(first);
        for n in 0..count as u64 {
            tx.send(n).unwrap();
            drop(tx.subscribe());
        }
        drop(tx);
        for party in parties {
            assert_eq!(party.join().unwrap().0, count as u64);
        }
    });
}
