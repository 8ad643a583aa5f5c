//! The known defects of the C library, one test each, that kcoro is free of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kcoro::cancel::CancelToken;
use kcoro::channel::{self, Overflow};
use kcoro::coroutine::{Coroutine, Task};
use kcoro::error::{RecvTimeoutError, TryRecvError, TrySendError};
use kcoro::runtime::Runtime;

mod scale;
mod watchdog;
use watchdog::watchdog;

fn runtime(workers: usize) -> Runtime {
    Runtime::builder().workers(workers).build().unwrap()
}

/// The x86_64 switch leaked eight bytes of stack each time and entered misaligned.
#[test]
fn switches_leak_no_stack() {
    let mut where_am_i = Coroutine::<(), usize, ()>::builder()
        .stack_size(16 * 1024)
        .build(|y, ()| {
            loop {
                let here = std::hint::black_box(0u8);
                y.suspend(std::ptr::from_ref(&here) as usize);
            }
        })
        .unwrap();
    let first = where_am_i.resume(());
    for _ in 0..100_000 {
        assert_eq!(where_am_i.resume(()), first);
    }
}

/// A waker that saw its target still running dropped the wake-up: ping-pong on two workers stalled.
#[test]
fn no_wake_up_is_lost_between_workers() {
    let _dog = watchdog("no_wake_up_is_lost_between_workers");
    let rounds = scale::scaled(if cfg!(debug_assertions) { 20_000 } else { 300_000 }) as u32;
    let rt = runtime(2);
    let (there, from_here) = channel::rendezvous::<u32>();
    let (back, from_there) = channel::rendezvous::<u32>();
    // Both start before either can go on, so each has a worker of its own.
    let gate = Arc::new(AtomicU64::new(0));
    let meet = move |gate: &AtomicU64| {
        gate.fetch_add(1, Ordering::AcqRel);
        while gate.load(Ordering::Acquire) < 2 {
            std::hint::spin_loop();
        }
    };
    let other = Arc::clone(&gate);
    let echo = rt.spawn(move || {
        meet(&other);
        for value in from_here {
            back.send(value + 1).unwrap();
        }
    });
    let ping = rt.spawn(move || {
        meet(&gate);
        for i in 0..rounds {
            there.send(i).unwrap();
            assert_eq!(from_there.recv().unwrap(), i + 1);
        }
    });
    ping.join().unwrap();
    echo.join().unwrap();
}

/// Every kind of wait but one was a loop of yields: 16,000 queue entries and a busy core for one
/// blocked receiver.
#[test]
fn waits_do_not_poll() {
    let _dog = watchdog("waits_do_not_poll");
    let rt = runtime(1);
    let (tx, rx) = channel::bounded::<u32>(4);
    let token = CancelToken::new();
    let stop = token.clone();
    let (limited, cancelled) = (rx.clone(), rx.clone());
    let hour = Duration::from_secs(3600);
    let waits = [
        rt.spawn(move || rx.recv().is_ok()),
        rt.spawn(move || limited.recv_timeout(hour).is_ok()),
        rt.spawn(move || cancelled.recv_cancellable(&token).is_ok()),
    ];
    while rt.metrics().sleeps == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(20));
    let before = rt.metrics().rounds;
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(rt.metrics().rounds, before, "the worker slept all the time");
    tx.send(1).unwrap();
    tx.send(2).unwrap();
    stop.cancel();
    let got = waits.into_iter().map(|w| w.join().unwrap());
    assert_eq!(got.filter(|ok| *ok).count(), 2);
}

/// A receive that does not wait, on a rendezvous with a waiting sender, woke the sender and lost the
/// value.
#[test]
fn try_recv_takes_a_waiting_senders_value() {
    let (tx, rx) = channel::rendezvous();
    let sender = Task::new(move || tx.send(5).unwrap());
    sender.resume().unwrap();
    assert!(sender.is_parked());
    assert_eq!(rx.try_recv(), Ok(5));
    sender.resume().unwrap();
    assert!(sender.is_finished());
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
}

/// Timeout, cancellation and close came as numbers that collided between headers.
#[test]
fn ends_of_a_wait_are_told_apart() {
    let (tx, rx) = channel::bounded::<u32>(1);
    let moment = Duration::from_millis(1);
    assert_eq!(rx.recv_timeout(moment), Err(RecvTimeoutError::Timeout));
    let token = CancelToken::new();
    token.cancel();
    assert_eq!(
        rx.recv_cancellable(&token),
        Err(kcoro::error::RecvCancelError::Cancelled),
        "a cancelled token comes first"
    );
    drop(tx);
    assert_eq!(rx.recv_timeout(moment), Err(RecvTimeoutError::Closed));
}

/// Unlimited channels overwrote values past the first 64; bounded ones rounded their capacity up.
#[test]
fn capacities_are_what_was_asked_for() {
    let (tx, rx) = channel::unbounded();
    (0..10_000u32).for_each(|i| tx.send(i).unwrap());
    (0..10_000).for_each(|i| assert_eq!(rx.recv(), Ok(i)));
    for capacity in [1, 3, 5, 100] {
        let (tx, _rx) = channel::bounded(capacity);
        assert_eq!(tx.capacity(), Some(capacity));
        (0..capacity).for_each(|i| tx.try_send(i).unwrap());
        assert_eq!(tx.try_send(0), Err(TrySendError::Full(0)));
    }
}

/// A close woke four waiters; the others slept for ever.
#[test]
fn close_wakes_every_waiter() {
    let _dog = watchdog("close_wakes_every_waiter");
    let rt = runtime(2);
    for waiters in [6u32, 200] {
        let (tx, rx) = channel::rendezvous::<u32>();
        let all: Vec<_> = (0..waiters)
            .map(|i| {
                let (tx, rx) = (tx.clone(), rx.clone());
                let receives = i % 2 == 0;
                rt.spawn(move || if receives { rx.recv().is_ok() } else { tx.send(i).is_ok() })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(5));
        tx.close();
        let done = all.into_iter().map(|w| w.join().unwrap());
        assert_eq!(done.filter(|ok| *ok).count() % 2, 0, "sends and receives in pairs");
    }
}

/// An infinite hand-off of descriptors never woke the parked sender.
#[test]
fn four_senders_and_four_receivers_finish() {
    let _dog = watchdog("four_senders_and_four_receivers");
    for workers in [1, 2] {
        let rt = runtime(workers);
        let sum = rt.run(|| {
            let (tx, rx) = channel::rendezvous::<u64>();
            let senders: Vec<_> = (0..4)
                .map(|_| {
                    let tx = tx.clone();
                    kcoro::spawn(move || (0..1000).for_each(|i| tx.send(i).unwrap()))
                })
                .collect();
            let receivers: Vec<_> = (0..4)
                .map(|_| {
                    let rx = rx.clone();
                    kcoro::spawn(move || rx.iter().sum::<u64>())
                })
                .collect();
            senders.into_iter().for_each(|s| s.join().unwrap());
            drop(tx);
            receivers.into_iter().map(|r| r.join().unwrap()).sum::<u64>()
        });
        assert_eq!(sum, 4 * 499_500);
    }
}

/// Channel calls outside of a coroutine ended the process.
#[test]
fn every_party_may_call() {
    let _dog = watchdog("every_party_may_call");
    let (tx, rx) = channel::bounded(1);
    tx.send(1).unwrap();
    assert_eq!(rx.recv(), Ok(1));
    let task = Task::new({
        let (tx, rx) = (tx.clone(), rx.clone());
        move || {
            tx.send(2).unwrap();
            assert_eq!(rx.recv(), Ok(2));
        }
    });
    task.resume().unwrap();
    assert!(task.is_finished());
    let rt = runtime(1);
    let receiver = rt.spawn(move || rx.recv().unwrap());
    std::thread::spawn(move || tx.send(3).unwrap()).join().unwrap();
    assert_eq!(receiver.join().unwrap(), 3);
}

/// Hooks ran under the lock, and not for values that were overwritten or left behind.
#[test]
fn every_undelivered_value_reaches_the_hook() {
    let (seen, hook) = std::sync::mpsc::channel();
    let seen = std::sync::Mutex::new(seen);
    let (tx, rx) = channel::builder()
        .capacity(2)
        .overflow(Overflow::DropOldest)
        .on_undelivered(move |value: u32| seen.lock().unwrap().send(value).unwrap())
        .build();
    (1..=5).for_each(|i| tx.send(i).unwrap());
    drop(rx);
    assert_eq!(hook.try_iter().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

/// Waiting for zero time with a parked coroutine hung each time.
#[test]
fn an_expired_deadline_is_an_answer() {
    let _dog = watchdog("an_expired_deadline_is_an_answer");
    let rt = runtime(1);
    rt.run(|| {
        let (_tx, rx) = channel::bounded::<u32>(1);
        for _ in 0..1000 {
            assert_eq!(rx.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
            kcoro::sleep(Duration::ZERO);
        }
    });
}
