//! The suite that every kind passes.

/// One module of tests for the channel that `$make` makes.
macro_rules! suite {
    ($name:ident, $make:expr, $capacity:expr) => {
        mod $name {
            limits!($make, $capacity);

            use std::panic::{AssertUnwindSafe, catch_unwind};
            use std::sync::Arc;
            use std::sync::atomic::{AtomicUsize, Ordering};
            use std::thread;
            use std::time::Duration;

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
            fn smoke() {
                watched(|| {
                    let (tx, rx) = make();
                    assert_eq!((tx.capacity(), rx.capacity()), (CAPACITY, CAPACITY));
                    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
                    for n in 0..room() {
                        tx.try_send(n).unwrap();
                        assert_eq!(rx.len(), n + 1);
                    }
                    if CAPACITY.is_some() {
                        assert!(tx.is_full());
                        assert_eq!(tx.try_send(99), Err(TrySendError::Full(99)));
                    }
                    for n in 0..room() {
                        assert_eq!(rx.try_recv(), Ok(n));
                    }
                    assert!(rx.is_empty() && !rx.is_closed());
                    drop(tx);
                    assert!(rx.is_closed());
                    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
                    assert_eq!(rx.recv(), Err(RecvError));
                });
            }

            #[test]
            fn same_channel() {
                let (tx, rx) = make::<u8>();
                let (other_tx, other_rx) = make::<u8>();
                assert!(tx.same_channel(&tx.clone()) && rx.same_channel(&rx.clone()));
                assert!(!tx.same_channel(&other_tx) && !rx.same_channel(&other_rx));
                assert!(format!("{tx:?} {rx:?}").contains("1 senders"));
            }

            #[test]
            fn fifo() {
                watched(|| {
                    let count = scaled(20_000);
                    let (tx, rx) = make();
                    let sender =
                        thread::spawn(move || (0..count).for_each(|n| tx.send(n).unwrap()));
                    for (expected, n) in rx.into_iter().enumerate() {
                        assert_eq!(n, expected);
                    }
                    sender.join().unwrap();
                });
            }

            #[test]
            fn fifo_between_tasks() {
                watched(|| {
                    let (tx, rx) = make();
                    let sender = Task::new(move || (0..500).for_each(|n| tx.send(n).unwrap()));
                    let receiver = Task::new(move || {
                        for (expected, n) in rx.iter().enumerate() {
                            assert_eq!(n, expected);
                        }
                    });
                    drive(&[sender, receiver]);
                });
            }

            #[test]
            fn waiting_senders_are_served_in_order() {
                watched(|| {
                    let (tx, rx) = make();
                    let tasks: Vec<_> = (0..20)
                        .map(|n| {
                            let tx = tx.clone();
                            Task::new(move || tx.send(n).unwrap())
                        })
                        .collect();
                    for task in &tasks {
                        task.resume().unwrap();
                    }
                    assert_eq!(rx.iter().take(20).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
                    drive(&tasks);
                });
            }

            #[test]
            fn waiting_receivers_are_served_in_order() {
                watched(|| {
                    let (tx, rx) = make();
                    let tasks: Vec<_> = (0..20)
                        .map(|n| {
                            let rx = rx.clone();
                            Task::new(move || assert_eq!(rx.recv(), Ok(n)))
                        })
                        .collect();
                    for task in &tasks {
                        task.resume().unwrap();
                        assert!(task.is_parked());
                    }
                    (0..20).for_each(|n| tx.send(n).unwrap());
                    drive(&tasks);
                });
            }

            #[test]
            fn close_wakes_receivers() {
                watched(|| {
                    let (tx, rx) = make::<u8>();
                    let rx = &rx;
                    thread::scope(|scope| {
                        for _ in 0..6 {
                            scope.spawn(move || assert_eq!(rx.recv(), Err(RecvError)));
                        }
                        thread::sleep(Duration::from_millis(20));
                        assert!(tx.close());
                        assert!(!tx.close());
                    });
                    let tasks: Vec<_> = (0..70)
                        .map(|_| {
                            let (_tx, rx) = make::<u8>();
                            drop(_tx);
                            Task::new(move || assert_eq!(rx.recv(), Err(RecvError)))
                        })
                        .collect();
                    drive(&tasks);
                });
            }

            #[test]
            fn close_wakes_every_one_of_many() {
                watched(|| {
                    let (tx, rx) = make::<u8>();
                    let tasks: Vec<_> = (0..100)
                        .map(|_| {
                            let rx = rx.clone();
                            Task::new(move || assert_eq!(rx.recv(), Err(RecvError)))
                        })
                        .collect();
                    for task in &tasks {
                        task.resume().unwrap();
                        assert!(task.is_parked());
                    }
                    rx.close();
                    assert_eq!(tx.send(1), Err(SendError::Closed(1)));
                    drive(&tasks);
                });
            }

            #[test]
            fn close_gives_waiting_senders_their_values() {
                watched(|| {
                    let (tx, rx) = make();
                    for n in 0..room() {
                        tx.send(n).unwrap();
                    }
                    let tasks: Vec<_> = (100..140)
                        .map(|n| {
                            let tx = tx.clone();
                            Task::new(move || {
                                let sent = tx.send(n);
                                assert!(CAPACITY.is_none() || sent == Err(SendError::Closed(n)));
                            })
                        })
                        .collect();
                    for task in &tasks {
                        task.resume().unwrap();
                    }
                    rx.close();
                    drive(&tasks);
                    assert_eq!(tx.try_send(7), Err(TrySendError::Closed(7)));
                    for n in 0..room() {
                        assert_eq!(rx.recv(), Ok(n));
                    }
                    assert!(CAPACITY.is_none() || rx.recv() == Err(RecvError));
                });
            }

            #[test]
            fn last_receiver_closes_and_drops_what_is_left() {
                watched(|| {
                    let census = Census::default();
                    let (tx, rx) = make();
                    let second = rx.clone();
                    for n in 0..room() {
                        tx.send(census.value(n)).unwrap();
                    }
                    drop(rx);
                    assert!(!tx.is_closed());
                    drop(second);
                    assert_eq!(census.alive(), 0);
                    let back = tx.send(census.value(7)).unwrap_err().into_inner();
                    assert_eq!((back.number, census.alive()), (7, 1));
                });
            }

            #[test]
            fn last_sender_closes_and_receivers_drain() {
                watched(|| {
                    let (tx, rx) = make();
                    let second = tx.clone();
                    (0..room()).for_each(|n| tx.send(n).unwrap());
                    drop(tx);
                    assert!(!rx.is_closed());
                    drop(second);
                    assert_eq!(rx.iter().count(), room());
                });
            }

            #[test]
            fn unwound_waiters_leave() {
                watched(|| {
                    let census = Census::default();
                    let (tx, rx) = make::<Counted>();
                    let waiting = {
                        let rx = rx.clone();
                        Task::new(move || assert!(rx.recv().is_ok()))
                    };
                    waiting.resume().unwrap();
                    assert!(waiting.is_parked());
                    drop(waiting);
                    for n in 0..room() {
                        tx.send(census.value(n)).unwrap();
                    }
                    let waiting = {
                        let (tx, value) = (tx.clone(), census.value(77));
                        Task::new(move || drop(tx.send(value)))
                    };
                    waiting.resume().unwrap();
                    let sent = waiting.is_finished();
                    drop(waiting);
                    drop(tx);
                    let numbers: Vec<_> = rx.iter().map(|value| value.number).collect();
                    assert_eq!(numbers.contains(&77), sent);
                    assert_eq!((numbers.len() - usize::from(sent), census.alive()), (room(), 0));
                });
            }

            #[test]
            fn woken_and_unwound_receiver_passes_the_value_on() {
                watched(|| {
                    let (tx, rx) = make();
                    let waiting = {
                        let rx = rx.clone();
                        Task::new(move || assert!(rx.recv().is_ok()))
                    };
                    waiting.resume().unwrap();
                    tx.send(1).unwrap();
                    drop(waiting);
                    assert_eq!(rx.try_recv(), Ok(1));
                });
            }

            #[test]
            fn zero_sized() {
                watched(|| {
                    let count = scaled(5_000);
                    let (tx, rx) = make();
                    thread::scope(|scope| {
                        scope.spawn(move || (0..count).for_each(|_| tx.send(()).unwrap()));
                        assert_eq!(rx.iter().count(), count);
                    });
                });
            }

            #[test]
            fn large_values() {
                watched(|| {
                    let body = move || {
                        let (tx, rx) = make();
                        thread::scope(|scope| {
                            let send = move || {
                                for n in 0..4_u8 {
                                    tx.send([n; 1 << 20]).unwrap();
                                }
                            };
                            let builder = thread::Builder::new().stack_size(64 << 20);
                            builder.spawn_scoped(scope, send).unwrap();
                            for (n, value) in rx.iter().enumerate() {
                                assert!(value.iter().all(|&byte| usize::from(byte) == n));
                            }
                        });
                    };
                    thread::Builder::new()
                        .stack_size(64 << 20)
                        .spawn(body)
                        .unwrap()
                        .join()
                        .unwrap();
                });
            }

            #[test]
            fn panicking_drop_loses_no_other() {
                struct Grumpy(#[allow(dead_code)] Counted);
                impl Drop for Grumpy {
                    fn drop(&mut self) {
                        if !thread::panicking() {
                            panic!("dropped");
                        }
                    }
                }
                watched(|| {
                    let census = Census::default();
                    let (tx, rx) = make();
                    for n in 0..room() {
                        tx.send(Grumpy(census.value(n))).unwrap();
                    }
                    let outcome = thread::spawn(move || drop(rx)).join();
                    assert_eq!(outcome.is_err(), room() != 0);
                    assert_eq!(census.alive(), 0);
                    assert!(tx.is_closed());
                    let refused = tx.send(Grumpy(census.value(9)));
                    let outcome = catch_unwind(AssertUnwindSafe(|| drop(refused)));
                    assert!(outcome.is_err() && census.alive() == 0);
                });
            }

            #[test]
            fn mixed_parties() {
                watched(|| {
                    let count = scaled(2_000);
                    let sum = Arc::new(AtomicUsize::new(0));
                    let (tx, rx) = make();
                    thread::scope(|scope| {
                        for base in 0..2 {
                            let send = {
                                let tx = tx.clone();
                                move || (0..count).for_each(|n| tx.send(2 * n + base).unwrap())
                            };
                            let recv = {
                                let (rx, sum) = (rx.clone(), Arc::clone(&sum));
                                move || {
                                    rx.iter().for_each(|n| {
                                        sum.fetch_add(n, Ordering::Relaxed);
                                    });
                                }
                            };
                            let (send_too, recv_too) = (send.clone(), recv.clone());
                            let (tx, rx) = (tx.clone(), rx.clone());
                            let send_async = async move {
                                for n in 0..count {
                                    tx.send_async(2 * n + base).await.unwrap();
                                }
                            };
                            let total = Arc::clone(&sum);
                            let recv_async = async move {
                                while let Ok(n) = rx.recv_async().await {
                                    total.fetch_add(n, Ordering::Relaxed);
                                }
                            };
                            scope.spawn(move || futures::executor::block_on(send_async));
                            scope.spawn(move || futures::executor::block_on(recv_async));
                            scope.spawn(send);
                            scope.spawn(recv);
                            scope.spawn(move || drive(&[Task::new(send_too)]));
                            scope.spawn(move || drive(&[Task::new(recv_too)]));
                        }
                        drop((tx, rx));
                    });
                    let each: usize = (0..2 * count).sum();
                    assert_eq!(sum.load(Ordering::Relaxed), 3 * each);
                });
            }

            #[test]
            fn stress() {
                watched(|| {
                    let count = scaled(20_000);
                    let census = Census::default();
                    let (tx, rx) = make();
                    thread::scope(|scope| {
                        for _ in 0..3 {
                            let (tx, census) = (tx.clone(), census.clone());
                            scope.spawn(move || {
                                for n in 0..count {
                                    if tx.send(census.value(n)).is_err() {
                                        break;
                                    }
                                }
                            });
                            let rx = rx.clone();
                            scope.spawn(move || {
                                assert!(rx.iter().take(count / 2).count() <= count / 2)
                            });
                        }
                        drop((tx, rx));
                    });
                    assert_eq!(census.alive(), 0);
                });
            }
        }
    };
}
