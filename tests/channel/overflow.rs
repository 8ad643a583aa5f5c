//! Overflow policies and the undelivered hook.

use std::sync::{Arc, Mutex};

use kcoro::channel::{self, Overflow, Receiver, Sender};
use kcoro::error::{SendError, TryRecvError, TrySendError};

use crate::support::watched;

type Seen = Arc<Mutex<Vec<u32>>>;

fn make(capacity: usize, overflow: Overflow) -> (Sender<u32>, Receiver<u32>, Seen) {
    let seen = Seen::default();
    let hook = Arc::clone(&seen);
    let (tx, rx) = channel::builder()
        .capacity(capacity)
        .overflow(overflow)
        .on_undelivered(move |n| hook.lock().unwrap().push(n))
        .name("overflow")
        .build();
    (tx, rx, seen)
}

#[test]
fn drop_oldest_keeps_the_newest() {
    let (tx, rx, seen) = make(2, Overflow::DropOldest);
    (0..5).for_each(|n| tx.send(n).unwrap());
    assert_eq!(*seen.lock().unwrap(), [0, 1, 2]);
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn drop_latest_keeps_the_oldest() {
    let (tx, rx, seen) = make(2, Overflow::DropLatest);
    (0..5).for_each(|n| tx.send(n).unwrap());
    assert_eq!(*seen.lock().unwrap(), [2, 3, 4]);
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn fail_gives_the_value_back() {
    let (tx, rx, seen) = make(1, Overflow::Fail);
    tx.send(0).unwrap();
    assert_eq!(tx.send(1), Err(SendError::Full(1)));
    assert_eq!(tx.try_send(2), Err(TrySendError::Full(2)));
    assert_eq!(rx.recv(), Ok(0));
    assert!(seen.lock().unwrap().is_empty());
}

#[test]
fn without_capacity_there_is_no_oldest() {
    for overflow in [Overflow::DropOldest, Overflow::DropLatest] {
        let (tx, rx, seen) = make(0, overflow);
        tx.send(7).unwrap();
        assert_eq!(*seen.lock().unwrap(), [7]);
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    }
}

#[test]
fn conflated_has_the_latest() {
    let (tx, rx) = channel::conflated();
    assert_eq!(tx.capacity(), Some(1));
    (0..10).for_each(|n| tx.send(n).unwrap());
    assert_eq!((rx.len(), rx.recv()), (1, Ok(9)));
    drop(tx);
    assert!(rx.recv().is_err());
}

#[test]
fn hook_gets_what_the_last_receiver_leaves() {
    let (tx, rx, seen) = make(8, Overflow::Suspend);
    (0..5).for_each(|n| tx.send(n).unwrap());
    assert_eq!(rx.recv(), Ok(0));
    tx.close();
    assert!(seen.lock().unwrap().is_empty(), "a closed channel can still be drained");
    drop(rx);
    assert_eq!(*seen.lock().unwrap(), [1, 2, 3, 4]);
    assert_eq!(tx.send(9), Err(SendError::Closed(9)));
    assert_eq!(seen.lock().unwrap().len(), 4);
}

#[test]
fn panicking_hook_loses_no_other() {
    watched(|| {
        let seen = Seen::default();
        let hook = Arc::clone(&seen);
        let (tx, rx) = channel::builder()
            .capacity(8)
            .on_undelivered(move |n: u32| {
                hook.lock().unwrap().push(n);
                if n % 2 == 1 {
                    // The lock is not held any more here, so it is not poisoned.
                    panic!("hook");
                }
            })
            .build();
        (0..6).for_each(|n| tx.send(n).unwrap());
        assert!(std::thread::spawn(move || drop(rx)).join().is_err());
        let seen = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        assert_eq!(*seen, [0, 1, 2, 3, 4, 5]);
        assert!(tx.send(1).is_err());
    });
}

#[test]
fn hook_may_use_the_channel() {
    let (tx, rx) = channel::builder().capacity(1).overflow(Overflow::DropOldest).build();
    let (log, logged) = channel::unbounded();
    let (tx2, rx2) = channel::builder()
        .capacity(1)
        .overflow(Overflow::DropOldest)
        .on_undelivered(move |n: u32| {
            tx.send(n).unwrap();
            log.send(n).unwrap();
        })
        .build();
    (0..4).for_each(|n| tx2.send(n).unwrap());
    assert_eq!(rx2.recv(), Ok(3));
    assert_eq!(rx.recv(), Ok(2));
    assert_eq!(logged.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn capacity_extremes() {
    let (tx, rx) = channel::bounded(usize::MAX);
    (0..1000).for_each(|n| tx.try_send(n).unwrap());
    assert_eq!(rx.try_iter().count(), 1000);
    let (tx, rx) = channel::bounded(usize::MAX);
    (0..1000).for_each(|_| tx.try_send(()).unwrap());
    assert_eq!(rx.try_iter().count(), 1000);
    for capacity in [1, 2, 3, 5, 9, 17, 100] {
        let (tx, _rx) = channel::bounded(capacity);
        assert_eq!((0..).take_while(|n| tx.try_send(*n).is_ok()).count(), capacity);
    }
}
