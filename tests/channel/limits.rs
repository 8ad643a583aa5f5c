//! The part of the suite in which something else than the channel may end a wait: deadlines, cancel
//! tokens, futures that are dropped.

/// A module of tests for the channel that `$make` makes.
macro_rules! limits {
    ($make:expr, $capacity:expr) => {
        mod limits {
            use std::thread;
            use std::time::{Duration, Instant};

            use futures::FutureExt;
            use futures::stream::{FusedStream, StreamExt};
            use kcoro::cancel::CancelToken;
            use kcoro::channel::{Receiver, Sender};
            use kcoro::coroutine::Task;
            use kcoro::error::*;

            use crate::support::*;

            const CAPACITY: Option<usize> = $capacity;

            fn make<T>() -> (Sender<T>, Receiver<T>) {
                $make()
            }

            /// Room without a receiver, but not more than a handful.
            fn room() -> usize {
                CAPACITY.unwrap_or(10)
            }

            #[test]
            fn timeout() {
                watched(|| {
                    let (tx, rx) = make();
                    let short = Duration::from_millis(3);
                    assert_eq!(rx.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
                    assert_eq!(rx.recv_timeout(short), Err(RecvTimeoutError::Timeout));
                    (0..room()).for_each(|n| tx.send_timeout(n, short).unwrap());
                    if CAPACITY.is_some() {
                        assert_eq!(tx.send_timeout(7, short), Err(SendTimeoutError::Timeout(7)));
                    }
                    (0..room()).for_each(|n| assert_eq!(rx.recv_timeout(short), Ok(n)));
                    // A wait that ended leaves nothing behind.
                    let receiver = {
                        let rx = rx.clone();
                        thread::spawn(move || rx.recv_timeout(Duration::MAX))
                    };
                    tx.send(42).unwrap();
                    assert_eq!(receiver.join().unwrap(), Ok(42));
                    drop(tx);
                    assert_eq!(rx.recv_timeout(short), Err(RecvTimeoutError::Closed));
                });
            }

            #[test]
            fn timeout_never_loses_a_value() {
                watched(|| {
                    let count = scaled(3_000);
                    let (tx, rx) = make();
                    let receiver = thread::spawn(move || {
                        let mut next = 0;
                        loop {
                            match rx.recv_timeout(Duration::from_micros(20)) {
                                Ok(n) => {
                                    assert_eq!(n, next);
                                    next += 1;
                                }
                                Err(RecvTimeoutError::Timeout) => {}
                                Err(_) => return next,
                            }
                        }
                    });
                    for n in 0..count {
                        let mut value = n;
                        while let Err(error) = tx.send_timeout(value, Duration::from_micros(20)) {
                            value = error.into_inner();
                            assert_eq!(value, n);
                        }
                    }
                    drop(tx);
                    assert_eq!(receiver.join().unwrap(), count);
                });
            }

            #[test]
            fn timeout_in_a_task() {
                watched(|| {
                    let (tx, rx) = make::<u8>();
                    let task = Task::new(move || {
                        let short = Duration::from_millis(5);
                        assert_eq!(rx.recv_timeout(short), Err(RecvTimeoutError::Timeout));
                        let late = Instant::now() - short;
                        assert_eq!(rx.recv_deadline(late), Err(RecvTimeoutError::Timeout));
                        drop(tx);
                        assert_eq!(rx.recv_timeout(short), Err(RecvTimeoutError::Closed));
                    });
                    drive(&[task]);
                });
            }

            #[test]
            fn cancel_returns_value() {
                watched(|| {
                    let (tx, rx) = make();
                    let token = CancelToken::new();
                    (0..room()).for_each(|n| tx.send_cancellable(n, &token).unwrap());
                    let sender = {
                        let (tx, token) = (tx.clone(), token.child());
                        thread::spawn(move || tx.send_cancellable(77, &token))
                    };
                    thread::sleep(Duration::from_millis(10));
                    token.cancel();
                    let sent = sender.join().unwrap();
                    if CAPACITY.is_some() {
                        assert_eq!(sent, Err(SendCancelError::Cancelled(77)));
                    }
                    let left = rx.try_iter().count();
                    assert_eq!(left, room() + usize::from(sent.is_ok()));
                    assert_eq!(rx.recv_cancellable(&token), Err(RecvCancelError::Cancelled));
                });
            }

            #[test]
            fn cancel_wakes_every_receiver_and_leaves_none() {
                watched(|| {
                    let (tx, rx) = make::<u8>();
                    let token = CancelToken::new();
                    let tasks: Vec<_> = (0..50)
                        .map(|_| {
                            let (rx, token) = (rx.clone(), token.child());
                            Task::new(move || {
                                let received = rx.recv_cancellable(&token);
                                assert_eq!(received, Err(RecvCancelError::Cancelled));
                            })
                        })
                        .collect();
                    for task in &tasks {
                        task.resume().unwrap();
                        assert!(task.is_parked());
                    }
                    token.cancel_with("test");
                    drive(&tasks);
                    assert!(CAPACITY != Some(0) || tx.try_send(1) == Err(TrySendError::Full(1)));
                });
            }

            #[test]
            fn cancel_loses_no_value() {
                watched(|| {
                    let count = scaled(2_000);
                    let (tx, rx) = make();
                    let receiver = thread::spawn(move || {
                        let mut received = Vec::new();
                        loop {
                            let token = CancelToken::new();
                            let canceller = {
                                let token = token.clone();
                                thread::spawn(move || token.cancel())
                            };
                            loop {
                                match rx.recv_cancellable(&token) {
                                    Ok(n) => received.push(n),
                                    Err(RecvCancelError::Cancelled) => break,
                                    Err(_) => {
                                        canceller.join().unwrap();
                                        return received;
                                    }
                                }
                            }
                            canceller.join().unwrap();
                        }
                    });
                    (0..count).for_each(|n| tx.send(n).unwrap());
                    drop(tx);
                    assert_eq!(receiver.join().unwrap(), (0..count).collect::<Vec<_>>());
                });
            }

            #[test]
            fn futures_smoke() {
                watched(|| {
                    let count = scaled(2_000);
                    let (tx, rx) = make();
                    let sender = async move {
                        for n in 0..count {
                            tx.send_async(n).await.unwrap();
                        }
                    };
                    let receiver = async move {
                        let mut stream = std::pin::pin!(rx.into_stream());
                        let mut next = 0;
                        while let Some(n) = stream.next().await {
                            assert_eq!(n, next);
                            next += 1;
                        }
                        assert_eq!(next, count);
                        assert!(stream.is_terminated());
                    };
                    futures::executor::block_on(async { futures::join!(sender, receiver) });
                });
            }

            #[test]
            fn dropped_future_leaves() {
                watched(|| {
                    let (tx, rx) = make();
                    {
                        let mut abandoned = std::pin::pin!(rx.recv_async());
                        assert!(abandoned.as_mut().now_or_never().is_none());
                        assert!(abandoned.as_mut().now_or_never().is_none());
                    }
                    (0..room()).for_each(|n| tx.try_send(n).unwrap());
                    if CAPACITY.is_some() {
                        let mut abandoned = std::pin::pin!(tx.send_async(99));
                        assert!(abandoned.as_mut().now_or_never().is_none());
                    }
                    drop(tx);
                    assert_eq!(rx.iter().collect::<Vec<_>>(), (0..room()).collect::<Vec<_>>());
                });
            }

            #[test]
            fn future_dropped_after_it_was_given_a_value_passes_it_on() {
                watched(|| {
                    let (tx, rx) = make();
                    let other = {
                        let mut first = std::pin::pin!(rx.recv_async());
                        assert!(first.as_mut().now_or_never().is_none());
                        let rx = rx.clone();
                        let mut other = Box::pin(async move { rx.recv_async().await });
                        assert!(other.as_mut().now_or_never().is_none());
                        tx.try_send(5).unwrap();
                        other
                    };
                    assert_eq!(other.now_or_never(), Some(Ok(5)));
                    {
                        let mut last = std::pin::pin!(rx.recv_async());
                        assert!(last.as_mut().now_or_never().is_none());
                        tx.try_send(6).unwrap();
                    }
                    assert_eq!(rx.try_recv(), Ok(6));
                });
            }

            #[test]
            fn closed_futures_are_ready() {
                watched(|| {
                    let (tx, rx) = make::<u8>();
                    let mut waiting = std::pin::pin!(rx.recv_async());
                    assert!(waiting.as_mut().now_or_never().is_none());
                    tx.close();
                    assert_eq!(waiting.now_or_never(), Some(Err(RecvError)));
                    assert_eq!(tx.send_async(1).now_or_never(), Some(Err(SendError::Closed(1))));
                });
            }
        }
    };
}
