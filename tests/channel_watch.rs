//! The latest value of something.

#[path = "channel/support.rs"]
#[allow(dead_code, reason = "shared with the other channel tests")]
mod support;

use std::thread;
use std::time::Duration;

use futures::executor::block_on;
use kcoro::channel::watch;
use kcoro::coroutine::Task;
use kcoro::error::*;
use support::*;

#[test]
fn smoke() {
    let (tx, mut rx) = watch(1);
    assert!(!rx.has_changed());
    assert_eq!(*tx.send(2).unwrap(), 1);
    tx.send(3).unwrap();
    assert!(rx.has_changed());
    assert_eq!((*rx.borrow(), rx.has_changed()), (3, true));
    rx.changed().unwrap();
    assert_eq!((*rx.borrow_and_update(), rx.has_changed()), (3, false));
    let late = tx.subscribe();
    assert!(!late.has_changed());
    assert!(format!("{tx:?} {rx:?}").contains("version 2"));
    tx.send(4).unwrap();
    drop(tx);
    assert_eq!((rx.changed(), rx.changed()), (Ok(()), Err(RecvError)));
    assert_eq!(*late.borrow(), 4);
    assert!(rx.is_closed());
}

#[test]
fn what_is_borrowed_stays() {
    let (tx, rx) = watch(vec![1]);
    let before = rx.borrow();
    tx.send(vec![2]).unwrap();
    assert_eq!((&before[..], &rx.borrow()[..]), (&[1][..], &[2][..]));
}

#[test]
fn send_if_modified() {
    watched(|| {
        let count = scaled(2_000);
        let (tx, rx) = watch(0);
        assert!(!tx.send_if_modified(|_| false));
        assert!(!rx.has_changed());
        let parties: Vec<_> = (0..4)
            .map(|_| {
                let tx = tx.clone();
                thread::spawn(move || {
                    for _ in 0..count {
                        assert!(tx.send_if_modified(|n| {
                            *n += 1;
                            true
                        }));
                    }
                })
            })
            .collect();
        parties.into_iter().for_each(|party| party.join().unwrap());
        assert_eq!(*rx.borrow(), 4 * count);
        tx.close();
        assert!(!tx.send_if_modified(|_| true));
        assert!(matches!(tx.send(7), Err(SendError::Closed(7))));
    });
}

/// Every kind of party sees the end, and values only grow.
#[test]
fn stress() {
    watched(|| {
        let count = scaled(5_000);
        let (tx, rx) = watch(0);
        let mut parties: Vec<_> = (0..2)
            .map(|_| {
                let mut rx = rx.clone();
                thread::spawn(move || {
                    let mut last = 0;
                    while rx.changed().is_ok() {
                        let now = *rx.borrow();
                        assert!(now >= last);
                        last = now;
                    }
                    last
                })
            })
            .collect();
        let mut waiting = rx.clone();
        parties.push(thread::spawn(move || {
            kcoro::run(move || *waiting.wait_for(|n| *n == count).unwrap())
        }));
        let mut future = rx;
        parties.push(thread::spawn(move || {
            block_on(async move {
                while future.changed_async().await.is_ok() {}
                *future.borrow()
            })
        }));
        (1..=count).for_each(|n| drop(tx.send(n).unwrap()));
        drop(tx);
        parties.into_iter().for_each(|party| assert_eq!(party.join().unwrap(), count));
    });
}

#[test]
fn close_wakes_receivers() {
    watched(|| {
        let (tx, rx) = watch(());
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let mut rx = rx.clone();
                Task::new(move || assert_eq!(rx.changed(), Err(RecvError)))
            })
            .collect();
        for task in &tasks {
            task.resume().unwrap();
            assert!(task.is_parked());
        }
        assert!(tx.close() && !tx.close());
        drive(&tasks);
    });
}

#[test]
fn timeout() {
    watched(|| {
        let (tx, mut rx) = watch(1);
        let short = Duration::from_millis(5);
        assert_eq!(rx.changed_timeout(short), Err(RecvTimeoutError::Timeout));
        tx.send(2).unwrap();
        assert_eq!(rx.changed_timeout(short), Ok(()));
        kcoro::run(move || {
            assert_eq!(rx.changed_timeout(short), Err(RecvTimeoutError::Timeout));
            drop(tx);
            assert_eq!(rx.changed_timeout(short), Err(RecvTimeoutError::Closed));
            assert!(rx.wait_for(|n| *n == 3).is_err());
        });
    });
}

#[test]
fn drop_of_each_side() {
    let census = Census::default();
    let (tx, mut rx) = watch(census.value(0));
    drop(tx.send(census.value(1)).unwrap());
    assert_eq!(census.dropped(), 1);
    let task = {
        let mut rx = rx.clone();
        Task::new(move || {
            rx.changed().unwrap();
            rx.changed().unwrap();
        })
    };
    task.resume().unwrap();
    drop(task);
    assert_eq!(rx.changed(), Ok(()));
    assert!(futures::FutureExt::now_or_never(rx.changed_async()).is_none());
    drop(rx);
    drop(tx.send(census.value(2)).unwrap());
    drop(tx);
    assert_eq!(census.alive(), 0);
}
