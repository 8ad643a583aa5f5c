//! The channel for one sender and one receiver.

#[path = "channel/support.rs"]
#[allow(dead_code, reason = "shared with the other channel tests")]
mod support;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use futures::StreamExt;
use futures::executor::block_on;
use kcoro::channel::spsc;
use kcoro::coroutine::Task;
use kcoro::error::*;
use proptest::prelude::*;
use support::*;

#[test]
fn smoke() {
    watched(|| {
        let (mut tx, mut rx) = spsc(3);
        assert_eq!((tx.capacity(), rx.capacity()), (3, 3));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        for n in 0..3 {
            tx.try_send(n).unwrap();
            assert_eq!((tx.len(), rx.len()), (n + 1, n + 1));
        }
        assert!(tx.is_full() && rx.is_full());
        assert_eq!(tx.try_send(9), Err(TrySendError::Full(9)));
        assert_eq!(rx.recv(), Ok(0));
        tx.send(3).unwrap();
        assert!(format!("{tx:?} {rx:?}").contains("len 3 of 3"));
        drop(tx);
        assert!(rx.is_closed());
        assert_eq!(rx.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(rx.recv(), Err(RecvError));
    });
}

#[test]
#[should_panic(expected = "room for a value")]
fn no_capacity() {
    let _ = spsc::<u8>(0);
}

#[test]
fn fifo() {
    for capacity in [1, 2, 7, 64, 1000] {
        watched(move || {
            let count = scaled(20_000);
            let (mut tx, rx) = spsc(capacity);
            let sender = thread::spawn(move || (0..count).for_each(|n| tx.send(n).unwrap()));
            assert!(rx.into_iter().eq(0..count));
            sender.join().unwrap();
        });
    }
}

#[test]
fn fifo_between_tasks() {
    for capacity in [1, 2, 64] {
        watched(move || {
            let (mut tx, mut rx) = spsc(capacity);
            let sender = Task::new(move || (0..500).for_each(|n| tx.send(n).unwrap()));
            let receiver = Task::new(move || assert!(rx.iter().eq(0..500)));
            drive(&[sender, receiver]);
        });
    }
}

#[test]
fn stress() {
    for workers in [1, 2, 3] {
        for capacity in [1, 3, 64, 16384] {
            watched(move || {
                let count = scaled(100_000);
                let rt = kcoro::Runtime::builder().workers(workers).build().unwrap();
                rt.run(move || {
                    let pairs: Vec<_> = (0..3)
                        .map(|_| {
                            let (mut tx, mut rx) = spsc(capacity);
                            let sender = kcoro::spawn(move || {
                                (0..count).for_each(|n| tx.send(n).unwrap());
                            });
                            let receiver = kcoro::spawn(move || assert!(rx.iter().eq(0..count)));
                            (sender, receiver)
                        })
                        .collect();
                    for (sender, receiver) in pairs {
                        sender.join().unwrap();
                        receiver.join().unwrap();
                    }
                });
            });
        }
    }
}

/// An end is used by one worker, by a thread, and by another worker.
#[test]
fn ends_move() {
    watched(|| {
        let rt = kcoro::Runtime::builder().workers(2).build().unwrap();
        let count = scaled(2_000);
        let (mut tx, mut rx) = spsc(4);
        let receiver = rt.spawn(move || assert!(rx.iter().eq(0..count)));
        let mut sent = 0;
        while sent < count {
            tx = rt
                .spawn(move || {
                    (sent..count).take(7).for_each(|n| tx.send(n).unwrap());
                    tx
                })
                .join()
                .unwrap();
            (sent + 7..count).take(3).for_each(|n| tx.send(n).unwrap());
            sent += 10;
        }
        drop(tx);
        receiver.join().unwrap();
    });
}

#[test]
fn chunks() {
    watched(|| {
        let count = scaled(50_000);
        let (mut tx, mut rx) = spsc(100);
        let sender = thread::spawn(move || {
            let mut next = 0;
            while next < count {
                let mut chunk = tx.write_chunk(1 + next % 64).unwrap();
                assert!(chunk.room() > 0);
                next += chunk.fill(next..count);
            }
        });
        let mut expected = 0;
        while let Ok(mut chunk) = rx.read_chunk(1 + expected % 50) {
            let (first, second) = chunk.as_slices();
            let seen = first.iter().chain(second).copied();
            assert!(seen.eq(expected..expected + chunk.len()));
            if expected % 3 == 0 {
                expected += chunk.len();
                chunk.consume();
            } else {
                // The rest stays.
                assert_eq!(chunk.next(), Some(expected));
                expected += 1;
            }
        }
        assert_eq!(expected, count);
        sender.join().unwrap();
    });
}

#[test]
fn chunk_that_is_leaked_or_short() {
    let census = Census::default();
    let (mut tx, mut rx) = spsc(4);
    let mut chunk = tx.write_chunk(9).unwrap();
    assert_eq!(chunk.room(), 4);
    chunk.push(census.value(0)).unwrap();
    chunk.push(census.value(1)).unwrap();
    std::mem::forget(chunk);
    assert!(rx.is_empty(), "not published");
    tx.send(census.value(2)).unwrap();
    let mut chunk = rx.read_chunk(2).unwrap();
    assert_eq!(chunk.next().unwrap().number, 0);
    chunk.as_mut_slices().0[0].number = 7;
    std::mem::forget(chunk);
    assert_eq!(rx.recv().unwrap().number, 7);
    assert!(matches!(tx.try_write_chunk(0), Err(TrySendError::Full(()))));
    drop((tx, rx));
    assert_eq!((census.dropped(), census.alive()), (3, 0));
}

#[test]
fn close_wakes_receivers() {
    watched(|| {
        let (mut tx, mut rx) = spsc::<u8>(2);
        thread::scope(|scope| {
            scope.spawn(move || {
                assert_eq!(rx.recv(), Err(RecvError));
                assert!(matches!(rx.try_read_chunk(1), Err(TryRecvError::Closed)));
            });
            thread::sleep(Duration::from_millis(20));
            assert!(tx.close() && !tx.close());
            assert_eq!(tx.send(1), Err(SendError::Closed(1)));
        });
        let (tx, mut rx) = spsc::<u8>(2);
        let task = Task::new(move || assert_eq!(rx.recv(), Err(RecvError)));
        task.resume().unwrap();
        assert!(task.is_parked());
        drop(tx);
        drive(&[task]);
    });
}

#[test]
fn close_gives_the_waiting_sender_its_value() {
    watched(|| {
        let (mut tx, mut rx) = spsc(1);
        tx.send(1).unwrap();
        let task = Task::new(move || {
            assert_eq!(tx.send(2), Err(SendError::Closed(2)));
            assert_eq!(tx.try_send(3), Err(TrySendError::Closed(3)));
            assert!(matches!(tx.write_chunk(1), Err(SendError::Closed(()))));
        });
        task.resume().unwrap();
        assert!(task.is_parked());
        rx.close();
        assert_eq!(rx.recv(), Ok(1));
        drive(&[task]);
        assert_eq!(rx.recv(), Err(RecvError));
    });
}

#[test]
fn timeout() {
    watched(|| {
        let (mut tx, mut rx) = spsc(1);
        let short = Duration::from_millis(5);
        assert_eq!(rx.recv_timeout(short), Err(RecvTimeoutError::Timeout));
        assert_eq!(rx.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
        tx.send_timeout(1, short).unwrap();
        assert_eq!(tx.send_timeout(2, short), Err(SendTimeoutError::Timeout(2)));
        assert_eq!(rx.recv_timeout(Duration::MAX), Ok(1));
        let (mut tx, mut rx) = kcoro::run(move || {
            assert_eq!(rx.recv_timeout(short), Err(RecvTimeoutError::Timeout));
            tx.send(3).unwrap();
            assert_eq!(tx.send_timeout(4, short), Err(SendTimeoutError::Timeout(4)));
            (tx, rx)
        });
        assert_eq!(rx.recv(), Ok(3));
        let late = thread::spawn(move || {
            thread::sleep(Duration::from_millis(10));
            tx.send(5).unwrap();
            tx.close();
            tx
        });
        assert_eq!(rx.recv_timeout(Duration::from_secs(60)), Ok(5));
        assert_eq!(rx.recv_timeout(Duration::from_secs(60)), Err(RecvTimeoutError::Closed));
        let mut tx = late.join().unwrap();
        assert_eq!(tx.send_timeout(6, short), Err(SendTimeoutError::Closed(6)));
    });
}

#[test]
fn unwound_while_waiting() {
    watched(|| {
        let (mut tx, mut rx) = spsc(1);
        let task = Task::new(move || rx.recv().map(|_: u8| ()).unwrap());
        task.resume().unwrap();
        drop(task);
        assert_eq!(tx.send(1), Err(SendError::Closed(1)));
        let (mut tx, mut rx) = spsc(1);
        tx.send(1).unwrap();
        let task = Task::new(move || tx.send(2).unwrap());
        task.resume().unwrap();
        assert_eq!(rx.recv(), Ok(1));
        // Woken, and dropped before it runs.
        drop(task);
        assert_eq!(rx.recv(), Err(RecvError));
    });
}

#[test]
fn drop_of_each_side() {
    let census = Census::default();
    let (mut tx, rx) = spsc(8);
    (0..5).for_each(|n| tx.send(census.value(n)).unwrap());
    drop(rx);
    assert_eq!(census.dropped(), 5);
    let back = tx.send(census.value(5)).unwrap_err().into_inner();
    assert_eq!(back.number, 5);
    drop((tx, back));
    assert_eq!(census.alive(), 0);
    let (mut tx, mut rx) = spsc(8);
    (0..5).for_each(|n| tx.send(census.value(n)).unwrap());
    drop(tx);
    assert_eq!(rx.recv().unwrap().number, 0);
    assert_eq!(rx.iter().count(), 4);
    assert_eq!(census.alive(), 0);
}

#[test]
fn drop_while_the_other_sends() {
    watched(|| {
        for round in 0..scaled(300) {
            let census = Census::default();
            let (mut tx, mut rx) = spsc(4);
            let counted = census.clone();
            let sender = thread::spawn(move || {
                let mut n = 0;
                while tx.send(counted.value(n)).is_ok() {
                    n += 1;
                }
            });
            rx.iter()
                .take(round % 20)
                .enumerate()
                .for_each(|(n, value)| assert_eq!(value.number, n));
            drop(rx);
            sender.join().unwrap();
            assert_eq!(census.alive(), 0);
        }
    });
}

#[test]
fn zero_sized() {
    let (mut tx, mut rx) = spsc(1 << 40);
    assert_eq!(tx.capacity(), 1 << 40);
    (0..1000).for_each(|_| tx.send(()).unwrap());
    assert_eq!(rx.read_chunk(10).unwrap().as_slices().0.len(), 10);
    drop(tx);
    assert_eq!(rx.into_iter().count(), 1000);
}

#[test]
fn large_values() {
    watched(|| {
        thread::Builder::new()
            .stack_size(64 << 20)
            .spawn(move || {
                let (mut tx, mut rx) = spsc(2);
                for n in 0..4_u8 {
                    tx.send([n; 1 << 20]).unwrap();
                    assert!(rx.recv().unwrap().iter().all(|byte| *byte == n));
                }
            })
            .unwrap()
            .join()
            .unwrap();
    });
}

#[derive(Debug)]
struct Bomb(Census, bool);

impl Drop for Bomb {
    fn drop(&mut self) {
        drop(self.0.value(0));
        assert!(!self.1, "bomb");
    }
}

#[test]
fn panicking_drop() {
    let census = Census::default();
    let (mut tx, rx) = spsc(8);
    (0..6).for_each(|n| tx.send(Bomb(census.clone(), n % 2 == 1)).unwrap());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(rx))).is_err());
    assert_eq!(census.dropped(), 6);
    assert!(tx.is_closed());
}

#[test]
fn futures() {
    watched(|| {
        let count = scaled(5_000);
        let (mut tx, mut rx) = spsc(3);
        let sender = thread::spawn(move || {
            block_on(async move {
                for n in 0..count {
                    tx.send_async(n).await.unwrap();
                }
            });
        });
        block_on(async {
            assert_eq!(rx.recv_async().await, Ok(0));
            assert!(rx.stream().collect::<Vec<_>>().await.into_iter().eq(1..count));
            assert_eq!(rx.recv_async().await, Err(RecvError));
        });
        sender.join().unwrap();
        // A future that is given up has done nothing.
        let (mut tx, mut rx) = spsc(1);
        tx.send(1).unwrap();
        assert!(futures::FutureExt::now_or_never(tx.send_async(2)).is_none());
        assert_eq!(rx.try_iter().collect::<Vec<_>>(), [1]);
        assert!(futures::FutureExt::now_or_never(rx.recv_async()).is_none());
        tx.send(3).unwrap();
        assert_eq!(rx.recv(), Ok(3));
    });
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Send,
    Recv,
    Write(usize, usize),
    Read(usize, usize),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Send),
        8 => Just(Step::Recv),
        4 => (1..9_usize, 0..9_usize).prop_map(|(max, count)| Step::Write(max, count)),
        4 => (1..9_usize, 0..9_usize).prop_map(|(max, count)| Step::Read(max, count)),
        1 => Just(Step::Close),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

    #[test]
    fn behaves_like_a_queue(capacity in 1..9_usize, steps in prop::collection::vec(step(), 0..80)) {
        let (mut tx, mut rx) = spsc(capacity);
        let (mut model, mut closed, mut next) = (VecDeque::new(), false, 0);
        for step in steps {
            match step {
                Step::Send => {
                    let sent = tx.try_send(next);
                    if closed {
                        prop_assert_eq!(sent, Err(TrySendError::Closed(next)));
                    } else if model.len() == capacity {
                        prop_assert_eq!(sent, Err(TrySendError::Full(next)));
                    } else {
                        prop_assert_eq!(sent, Ok(()));
                        model.push_back(next);
                    }
                    next += 1;
                }
                Step::Recv => {
                    let none = if closed { TryRecvError::Closed } else { TryRecvError::Empty };
                    prop_assert_eq!(rx.try_recv(), model.pop_front().ok_or(none));
                }
                Step::Write(max, count) => {
                    let Ok(mut chunk) = tx.try_write_chunk(max) else {
                        prop_assert!(closed || model.len() == capacity);
                        continue;
                    };
                    prop_assert_eq!(chunk.room(), max.min(capacity - model.len()));
                    let filled = chunk.fill((next..).take(count));
                    model.extend(next..next + filled);
                    next += filled;
                }
                Step::Read(max, count) => {
                    let Ok(chunk) = rx.try_read_chunk(max) else {
                        prop_assert!(model.is_empty());
                        continue;
                    };
                    prop_assert_eq!(chunk.len(), max.min(model.len()));
                    let count = count.min(chunk.len());
                    prop_assert!(chunk.take(count).eq(model.drain(..count)));
                }
                Step::Close => {
                    prop_assert_eq!(tx.close(), !closed);
                    closed = true;
                }
            }
            prop_assert_eq!((tx.len(), rx.len()), (model.len(), model.len()));
        }
    }
}
