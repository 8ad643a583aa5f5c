//! Channels between coroutines of one thread.

#[path = "channel/support.rs"]
#[allow(dead_code, reason = "shared with the other channel tests")]
mod support;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use kcoro::channel::local::{self, Receiver, Sender};
use kcoro::coroutine::Task;
use kcoro::error::*;
use proptest::prelude::*;
use support::*;

type Ends = (Sender<usize>, Receiver<usize>);

/// Every kind that waits, with its room.
fn kinds() -> [(Ends, usize); 4] {
    [
        (local::rendezvous(), 0),
        (local::bounded(1), 1),
        (local::bounded(5), 5),
        (local::unbounded(), 10),
    ]
}

/// Runs each until it waits.
fn start(tasks: &[Task]) {
    for task in tasks {
        task.resume().unwrap();
    }
}

#[test]
fn smoke() {
    for ((tx, rx), room) in kinds() {
        let bounded = tx.capacity().is_some();
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        for n in 0..room {
            tx.try_send(n).unwrap();
            assert_eq!((tx.len(), rx.len()), (n + 1, n + 1));
        }
        assert_eq!(tx.is_full() && rx.is_full(), bounded);
        if bounded {
            assert_eq!(tx.try_send(9), Err(TrySendError::Full(9)));
        }
        assert!(format!("{tx:?} {rx:?}").contains("1 senders"));
        assert!(tx.same_channel(&tx.clone()) && rx.same_channel(&rx.clone()));
        drop(tx);
        assert!(rx.is_closed());
        assert!(rx.try_iter().eq(0..room));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(rx.recv(), Err(RecvError));
    }
}

#[test]
fn conflated() {
    let (tx, rx) = local::conflated();
    (0..5).for_each(|n| tx.send(n).unwrap());
    assert_eq!((rx.len(), rx.recv()), (1, Ok(4)));
}

#[test]
fn fifo() {
    for ((tx, rx), _) in kinds() {
        let sender = Task::new(move || (0..500).for_each(|n| tx.send(n).unwrap()));
        let receiver = Task::new(move || assert!(rx.iter().eq(0..500)));
        drive(&[sender, receiver]);
    }
}

#[test]
fn between_coroutines() {
    watched(|| {
        let count = scaled(50_000);
        kcoro::run(move || {
            for ((tx, rx), _) in kinds() {
                let sender =
                    kcoro::spawn_local(move || (0..count).for_each(|n| tx.send(n).unwrap()));
                let receiver = kcoro::spawn_local(move || assert!(rx.into_iter().eq(0..count)));
                sender.join().unwrap();
                receiver.join().unwrap();
            }
        });
    });
}

#[test]
fn stress() {
    watched(|| {
        let count = scaled(5_000);
        kcoro::run(move || {
            for ((tx, rx), _) in kinds() {
                let sum = Rc::new(Cell::new(0));
                let parties: Vec<_> = (0..4)
                    .flat_map(|_| {
                        let (tx, rx, sum) = (tx.clone(), rx.clone(), Rc::clone(&sum));
                        let sender = kcoro::spawn_local(move || {
                            for n in 0..count {
                                tx.send(n).unwrap();
                                if n % 7 == 0 {
                                    kcoro::yield_now();
                                }
                            }
                        });
                        let receiver = kcoro::spawn_local(move || {
                            rx.iter().for_each(|n| sum.set(sum.get() + n));
                        });
                        [sender, receiver]
                    })
                    .collect();
                drop((tx, rx));
                parties.into_iter().for_each(|party| party.join().unwrap());
                assert_eq!(sum.get(), 4 * count * (count - 1) / 2);
            }
        });
    });
}

#[test]
fn waiting_parties_are_served_in_order() {
    for ((tx, rx), room) in kinds() {
        let tasks: Vec<_> = (0..20)
            .map(|n| {
                let tx = tx.clone();
                Task::new(move || tx.send(n).unwrap())
            })
            .collect();
        start(&tasks);
        assert!(rx.try_iter().eq(0..20));
        drive(&tasks);
        let served = Rc::new(RefCell::new(Vec::new()));
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (rx, served) = (rx.clone(), Rc::clone(&served));
                Task::new(move || {
                    let value = rx.recv().unwrap();
                    served.borrow_mut().push(value);
                })
            })
            .collect();
        start(&tasks);
        (0..20).for_each(|n| tx.try_send(n).unwrap());
        drive(&tasks);
        assert_eq!(*served.borrow(), (0..20).collect::<Vec<_>>(), "room {room}");
    }
}

#[test]
fn close_wakes_receivers() {
    for ((tx, rx), _) in kinds() {
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let rx = rx.clone();
                Task::new(move || assert_eq!(rx.recv(), Err(RecvError)))
            })
            .collect();
        for task in &tasks {
            task.resume().unwrap();
            assert!(task.is_parked());
        }
        assert!(tx.close() && !tx.close());
        drive(&tasks);
        assert_eq!(tx.send(1), Err(SendError::Closed(1)));
    }
}

#[test]
fn close_gives_waiting_senders_their_values() {
    let (tx, rx) = local::bounded(1);
    tx.send(0).unwrap();
    let tasks: Vec<_> = (1..5)
        .map(|n| {
            let tx = tx.clone();
            Task::new(move || assert_eq!(tx.send(n), Err(SendError::Closed(n))))
        })
        .collect();
    start(&tasks);
    rx.close();
    drive(&tasks);
    assert_eq!((rx.recv(), rx.recv()), (Ok(0), Err(RecvError)));
    assert_eq!(tx.try_send(7), Err(TrySendError::Closed(7)));
}

#[test]
fn timeout() {
    watched(|| {
        let short = Duration::from_millis(5);
        let test = move || {
            let (tx, rx) = local::bounded(1);
            assert_eq!(rx.recv_timeout(short), Err(RecvTimeoutError::Timeout));
            assert_eq!(rx.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
            tx.send_timeout(1, short).unwrap();
            assert_eq!(tx.send_timeout(2, short), Err(SendTimeoutError::Timeout(2)));
            assert_eq!((rx.len(), rx.recv_timeout(short)), (1, Ok(1)));
            rx.close();
            assert_eq!(rx.recv_timeout(short), Err(RecvTimeoutError::Closed));
            assert_eq!(tx.send_timeout(2, short), Err(SendTimeoutError::Closed(2)));
        };
        test();
        kcoro::run(move || {
            test();
            let (tx, rx) = local::rendezvous();
            let sender = kcoro::spawn_local(move || {
                kcoro::sleep(Duration::from_millis(5));
                assert_eq!(tx.send_timeout(1, Duration::from_secs(60)), Ok(()));
                tx.close()
            });
            assert_eq!(rx.recv_timeout(Duration::from_secs(60)), Ok(1));
            assert_eq!(rx.recv_timeout(Duration::from_secs(60)), Err(RecvTimeoutError::Closed));
            assert!(sender.join().unwrap());
        });
    });
}

#[test]
#[should_panic(expected = "waits only in a coroutine")]
fn a_plain_thread_cannot_wait() {
    let (_tx, rx) = local::bounded::<u8>(1);
    let _ = rx.recv();
}

#[test]
fn unwound_while_waiting() {
    let census = Census::default();
    let (tx, rx) = local::bounded(1);
    let receiver = {
        let rx = rx.clone();
        Task::new(move || drop(rx.recv()))
    };
    receiver.resume().unwrap();
    drop(receiver);
    tx.try_send(census.value(0)).unwrap();
    assert_eq!(rx.try_recv().unwrap().number, 0);
    // It has been given a value and is dropped before it runs: the value goes on to the next.
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let rx = rx.clone();
            Task::new(move || assert_eq!(rx.recv().unwrap().number, 1))
        })
        .collect();
    start(&tasks);
    tx.try_send(census.value(1)).unwrap();
    let mut tasks = tasks.into_iter();
    drop(tasks.next());
    drive(&tasks.collect::<Vec<_>>());
    let sender = {
        let (tx, census) = (tx.clone(), census.clone());
        tx.try_send(census.value(2)).unwrap();
        Task::new(move || drop(tx.send(census.value(3))))
    };
    sender.resume().unwrap();
    drop(sender);
    assert_eq!(rx.try_iter().map(|value| value.number).collect::<Vec<_>>(), [2]);
    assert_eq!(census.alive(), 0);
}

/// A future's waker is code of the user's: its panic is the receiver's, and loses no value.
#[test]
fn panicking_waker() {
    struct Panics;
    impl std::task::Wake for Panics {
        fn wake(self: std::sync::Arc<Self>) {
            panic!("woken");
        }
    }
    let waker = std::task::Waker::from(std::sync::Arc::new(Panics));
    let mut context = std::task::Context::from_waker(&waker);
    for capacity in [0, 1] {
        let (tx, rx) = local::bounded(capacity);
        (0..capacity).for_each(|n| tx.try_send(n).unwrap());
        let mut sending = std::pin::pin!(tx.send_async(7));
        assert!(sending.as_mut().poll(&mut context).is_pending());
        let outcome = catch_unwind(AssertUnwindSafe(|| rx.try_recv()));
        assert!(outcome.is_err());
        assert!(sending.as_mut().poll(&mut context).is_ready());
        assert_eq!(rx.try_iter().collect::<Vec<_>>(), (0..capacity).chain([7]).collect::<Vec<_>>());
    }
}

#[test]
fn drop_of_each_side() {
    let census = Census::default();
    let (tx, rx) = local::bounded(8);
    (0..5).for_each(|n| tx.try_send(census.value(n)).unwrap());
    drop(rx.clone());
    assert_eq!(census.dropped(), 0);
    drop(rx);
    assert_eq!(census.dropped(), 5);
    assert_eq!(tx.send(census.value(5)).unwrap_err().into_inner().number, 5);
    let (tx, rx) = local::unbounded();
    (0..5).for_each(|n| tx.try_send(census.value(n)).unwrap());
    drop(tx);
    assert_eq!(rx.into_iter().count(), 5);
    assert_eq!(census.alive(), 0);
}

#[test]
fn zero_sized_and_large_values() {
    watched(|| {
        let (tx, rx) = local::bounded(1000);
        (0..1000).for_each(|_| tx.try_send(()).unwrap());
        assert_eq!(rx.try_iter().count(), 1000);
        std::thread::Builder::new()
            .stack_size(32 << 20)
            .spawn(|| {
                let (tx, rx) = local::bounded(2);
                tx.try_send([7_u8; 1 << 20]).unwrap();
                assert!(rx.try_recv().unwrap().iter().all(|byte| *byte == 7));
            })
            .unwrap()
            .join()
            .unwrap();
    });
}

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
    let (tx, rx) = local::bounded(8);
    (0..6).for_each(|n| assert!(tx.try_send(Bomb(census.clone(), n % 2 == 1)).is_ok()));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(rx))).is_err());
    assert_eq!(census.dropped(), 6);
    assert!(tx.is_closed());
}

/// A value whose `Drop` uses the channel it was in.
#[test]
fn drop_uses_the_channel() {
    struct Echo(Sender<Option<Echo>>);
    impl Drop for Echo {
        fn drop(&mut self) {
            let _ = self.0.try_send(None);
        }
    }
    let (tx, rx) = local::conflated();
    tx.send(Some(Echo(tx.clone()))).unwrap();
    tx.send(None).unwrap();
    assert!(rx.try_recv().unwrap().is_none());
    tx.send(Some(Echo(tx.clone()))).unwrap();
    drop(rx);
    assert!(tx.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

    /// Tasks that send and receive, against a queue that knows who waits.
    #[test]
    fn behaves_like_a_queue(
        capacity in prop::option::of(0..4_usize),
        steps in prop::collection::vec((any::<bool>(), any::<bool>()), 0..60),
    ) {
        let (tx, rx) = match capacity {
            Some(capacity) => local::bounded(capacity),
            None => local::unbounded(),
        };
        let got = Rc::new(RefCell::new(Vec::new()));
        let (mut model, mut sent, mut asked) = (VecDeque::new(), 0, 0_usize);
        let mut expected = Vec::new();
        let mut tasks = Vec::new();
        for (send, wait) in steps {
            // Values on their way, waiting senders included, and receivers that wait.
            let room = capacity.is_none_or(|capacity| model.len() < capacity + asked);
            match (send, wait) {
                (true, true) => {
                    let (tx, value) = (tx.clone(), sent);
                    tasks.push(Task::new(move || tx.send(value).unwrap()));
                    model.push_back(sent);
                }
                (true, false) if room => {
                    tx.try_send(sent).unwrap();
                    model.push_back(sent);
                }
                (true, false) => prop_assert_eq!(tx.try_send(sent), Err(TrySendError::Full(sent))),
                (false, true) => {
                    let (rx, got) = (rx.clone(), Rc::clone(&got));
                    tasks.push(Task::new(move || {
                        let value = rx.recv().unwrap();
                        got.borrow_mut().push(value);
                    }));
                    asked += 1;
                }
                (false, false) => {
                    let next = if asked == 0 { model.pop_front() } else { None };
                    prop_assert_eq!(rx.try_recv(), next.ok_or(TryRecvError::Empty));
                }
            }
            sent += 1;
            if wait {
                tasks[tasks.len() - 1].resume().unwrap();
            }
            while asked > 0 && let Some(value) = model.pop_front() {
                asked -= 1;
                expected.push(value);
            }
            for task in tasks.iter().filter(|task| !task.is_finished()) {
                task.resume().unwrap();
            }
            let mut seen = got.borrow().clone();
            seen.sort_unstable();
            prop_assert_eq!(&seen, &expected);
        }
    }
}
