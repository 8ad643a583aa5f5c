//! What a program written for crossbeam's channels expects of them, with plain threads.

#![allow(clippy::disallowed_types, reason = "a test has no loom build")]

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kcoro::channel::{self, Arm, Receiver, Select, Sender, after};
use kcoro::error::*;
use kcoro::select;

#[path = "channel/support.rs"]
#[allow(dead_code, reason = "each program uses its own share")]
mod support;
use support::{Census, scaled, watched};

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Every kind that keeps all values.
fn kinds<T>() -> Vec<(Sender<T>, Receiver<T>)> {
    vec![
        channel::rendezvous(),
        channel::bounded(1),
        channel::bounded(7),
        channel::bounded(100),
        channel::unbounded(),
    ]
}

#[test]
fn capacities_and_lengths() {
    for capacity in 1..10 {
        let (tx, rx) = channel::bounded(capacity);
        assert_eq!((tx.capacity(), rx.capacity()), (Some(capacity), Some(capacity)));
        for n in 0..capacity {
            assert_eq!((tx.len(), tx.is_full(), tx.is_empty()), (n, false, n == 0));
            tx.send(()).unwrap();
        }
        assert_eq!((rx.len(), rx.is_full(), rx.is_empty()), (capacity, true, false));
        rx.recv().unwrap();
        assert_eq!((tx.len(), tx.is_full()), (capacity - 1, false));
    }
    let (tx, rx) = channel::rendezvous::<()>();
    assert_eq!((tx.capacity(), tx.len(), rx.is_empty(), rx.is_full()), (Some(0), 0, true, true));
    let (tx, rx) = channel::unbounded::<()>();
    assert_eq!((tx.capacity(), rx.is_empty(), rx.is_full()), (None, true, false));
}

/// However parties come and go, the length is never above the capacity and ends at zero.
#[test]
fn a_length_is_never_absurd() {
    watched(|| {
        let count = scaled(10_000);
        for capacity in [1, 5, 1000] {
            let (tx, rx) = channel::bounded(capacity);
            thread::scope(|scope| {
                let (watch_tx, watch_rx) = (tx.clone(), rx.clone());
                scope.spawn(move || {
                    for n in 0..count {
                        assert_eq!(rx.recv(), Ok(n));
                        assert!(rx.len() <= capacity);
                    }
                });
                scope.spawn(move || {
                    for n in 0..count {
                        tx.send(n).unwrap();
                        assert!(tx.len() <= capacity);
                    }
                });
                assert!(watch_tx.len() <= capacity && watch_rx.len() <= capacity);
            });
        }
    });
}

#[test]
fn tries_against_a_slow_partner() {
    watched(|| {
        let (tx, rx) = channel::bounded(1);
        thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(tx.try_send(1), Ok(()));
                assert_eq!(tx.try_send(2), Err(TrySendError::Full(2)));
                thread::sleep(ms(30));
                assert_eq!(tx.send_timeout(3, Duration::from_secs(20)), Ok(()));
            });
            scope.spawn(|| {
                thread::sleep(ms(15));
                assert_eq!(rx.try_recv(), Ok(1));
                assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
                assert_eq!(rx.recv_timeout(Duration::from_secs(20)), Ok(3));
                rx.close();
                assert_eq!(rx.recv_timeout(Duration::from_secs(20)), Err(RecvTimeoutError::Closed));
            });
        });
    });
}

#[test]
fn what_was_sent_before_the_end_is_received_after_it() {
    for (tx, rx) in kinds() {
        let room = (0..3).take_while(|&n| tx.try_send(n).is_ok()).count();
        drop(tx);
        assert!(rx.iter().eq(0..room));
        assert_eq!(rx.recv(), Err(RecvError));
    }
    for (tx, rx) in kinds() {
        drop(rx);
        assert_eq!(tx.send(1), Err(SendError::Closed(1)));
        assert_eq!(tx.try_send(2), Err(TrySendError::Closed(2)));
        assert_eq!(tx.send_timeout(3, ms(1)), Err(SendTimeoutError::Closed(3)));
    }
}

#[test]
fn the_other_end_going_wakes_who_waits() {
    watched(|| {
        for (tx, rx) in kinds::<u8>() {
            thread::scope(|scope| {
                scope.spawn(move || assert_eq!(rx.recv(), Err(RecvError)));
                thread::sleep(ms(5));
                drop(tx);
            });
        }
        for (tx, rx) in kinds::<u8>() {
            let Some(capacity) = tx.capacity() else { continue };
            (0..capacity).for_each(|_| tx.send(0).unwrap());
            thread::scope(|scope| {
                scope.spawn(move || assert_eq!(tx.send(9), Err(SendError::Closed(9))));
                thread::sleep(ms(5));
                drop(rx);
            });
        }
    });
}

#[test]
fn each_value_goes_to_one_of_many() {
    watched(|| {
        let (each, parties) = (scaled(5_000), 4);
        for (tx, rx) in kinds() {
            let seen: Vec<_> = (0..each).map(|_| AtomicUsize::new(0)).collect();
            thread::scope(|scope| {
                for _ in 0..parties {
                    let (tx, rx) = (tx.clone(), rx.clone());
                    scope.spawn(move || (0..each).for_each(|n| tx.send(n).unwrap()));
                    let seen = &seen;
                    scope.spawn(move || {
                        for _ in 0..each {
                            seen[rx.recv().unwrap()].fetch_add(1, Ordering::Relaxed);
                        }
                    });
                }
            });
            assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == parties));
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        }
    });
}

#[test]
fn one_value_a_channel_many_times() {
    watched(|| {
        for _ in 0..scaled(500) {
            for (tx, rx) in kinds() {
                thread::scope(|scope| {
                    scope.spawn(move || assert_eq!(rx.recv(), Ok(7)));
                    tx.send(7).unwrap();
                });
            }
        }
    });
}

/// A party sends by timeouts and the other receives by timeouts, each slower in turn.
#[test]
fn two_threads_with_timeouts() {
    watched(|| {
        for (tx, rx) in kinds() {
            let count = 20;
            thread::scope(|scope| {
                scope.spawn(move || {
                    for n in 0..count {
                        if n % 4 == 0 {
                            thread::sleep(ms(2));
                        }
                        let mut value = n;
                        while let Err(error) = tx.send_timeout(value, ms(1)) {
                            assert_eq!(error, SendTimeoutError::Timeout(n));
                            value = error.into_inner();
                        }
                    }
                });
                scope.spawn(move || {
                    for n in 0..count {
                        if n % 4 == 2 {
                            thread::sleep(ms(2));
                        }
                        let got = loop {
                            match rx.recv_timeout(ms(1)) {
                                Ok(value) => break value,
                                Err(error) => assert_eq!(error, RecvTimeoutError::Timeout),
                            }
                        };
                        assert_eq!(got, n);
                    }
                });
            });
        }
    });
}

/// A timeout takes about as long as it says, not less.
#[test]
fn a_timeout_is_not_early() {
    watched(|| {
        let (tx, rx) = channel::rendezvous();
        let start = Instant::now();
        assert_eq!(rx.recv_timeout(ms(20)), Err(RecvTimeoutError::Timeout));
        assert!(start.elapsed() >= ms(20));
        let start = Instant::now();
        assert_eq!(tx.send_timeout(1, ms(20)), Err(SendTimeoutError::Timeout(1)));
        assert!(start.elapsed() >= ms(20));
    });
}

#[test]
fn every_value_is_dropped_once() {
    watched(|| {
        for round in 0..scaled(60) {
            for (tx, rx) in kinds() {
                let census = Census::default();
                let (steps, extra) = (round * 7 % 200, round * 3 % 50);
                thread::scope(|scope| {
                    let (rx, count) = (&rx, &census);
                    scope.spawn(move || (0..steps).for_each(|_| drop(rx.recv().unwrap())));
                    for n in 0..steps {
                        tx.send(count.value(n)).unwrap();
                    }
                });
                let room = extra.min(tx.capacity().unwrap_or(usize::MAX));
                (0..room).for_each(|n| tx.try_send(census.value(n)).unwrap());
                assert_eq!(census.alive(), room);
                drop(tx);
                assert_eq!(census.alive(), room);
                drop(rx);
                assert_eq!(census.alive(), 0);
            }
        }
    });
}

/// Values that panic when they are dropped: the channel's own drop lets the panic out, and drops
/// all the others.
#[test]
fn a_panicking_drop_spares_the_others() {
    struct Touchy(#[allow(dead_code)] support::Counted, bool);
    impl Drop for Touchy {
        fn drop(&mut self) {
            assert!(!self.1 || thread::panicking(), "touched");
        }
    }
    watched(|| {
        for capacity in [Some(5), None] {
            let census = Census::default();
            let (tx, rx) = match capacity {
                Some(capacity) => channel::bounded(capacity),
                None => channel::unbounded(),
            };
            (0..5).for_each(|n| assert!(tx.send(Touchy(census.value(n), n == 2)).is_ok()));
            let outcome = thread::spawn(move || drop((tx, rx))).join();
            assert!(outcome.is_err());
            assert_eq!(census.alive(), 0);
        }
    });
}

/// While a thread waits at a rendezvous, tries of others see it one at a time.
#[test]
fn a_rendezvous_is_seen_once() {
    watched(|| {
        for _ in 0..scaled(300) {
            let (tx, rx) = channel::rendezvous();
            thread::scope(|scope| {
                let waiting = scope.spawn(|| rx.recv());
                while tx.try_send(1).is_err() {
                    thread::yield_now();
                }
                assert_eq!(tx.try_send(2), Err(TrySendError::Full(2)));
                assert_eq!(waiting.join().unwrap(), Ok(1));
            });
        }
    });
}

/// Who has sent a value finds one, its own or another's, as long as everybody does so.
#[test]
fn tries_are_linearizable() {
    watched(|| {
        let (count, parties) = (scaled(10_000), 4);
        for (tx, rx) in [channel::bounded(parties), channel::unbounded()] {
            thread::scope(|scope| {
                for _ in 0..parties {
                    scope.spawn(|| {
                        for n in 0..count {
                            tx.try_send(n).unwrap();
                            rx.try_recv().unwrap();
                        }
                    });
                }
            });
            assert!(rx.is_empty());
        }
    });
}

#[test]
fn iterators_end_break_and_nest() {
    watched(|| {
        let (tx, rx) = channel::unbounded();
        (0..10).for_each(|n| tx.send(n).unwrap());
        for n in &rx {
            if n == 4 {
                break;
            }
        }
        assert_eq!(rx.try_iter().take(2).collect::<Vec<_>>(), [5, 6]);
        assert_eq!(rx.try_iter().count(), 3);
        assert_eq!(rx.try_iter().count(), 0);
        let (outer, channels) = channel::bounded(2);
        thread::scope(|scope| {
            scope.spawn(move || {
                for size in 0..5 {
                    let (tx, rx) = channel::bounded(1);
                    outer.send(rx).unwrap();
                    (0..size).for_each(|n| tx.send(n).unwrap());
                }
            });
            let all: Vec<Vec<usize>> =
                channels.iter().map(|rx: Receiver<usize>| rx.into_iter().collect()).collect();
            assert_eq!(all.concat(), [0, 0, 1, 0, 1, 2, 0, 1, 2, 3]);
        });
        drop(tx);
        let mut iter = rx.into_iter();
        assert_eq!((iter.next(), iter.next()), (None, None), "an end is an end");
    });
}

/// A channel travels through itself, boxed as something else.
#[test]
fn a_channel_through_a_channel() {
    type Anything = Box<dyn Any + Send>;
    watched(|| {
        let count = scaled(500);
        for capacity in [0, 1, 3] {
            let (tx, rx) = channel::bounded::<Anything>(capacity);
            thread::scope(|scope| {
                scope.spawn(move || {
                    let mut tx = tx;
                    for _ in 0..count {
                        let (next_tx, next_rx) = channel::bounded::<Anything>(capacity);
                        tx.send(Box::new(next_rx)).unwrap();
                        tx = next_tx;
                    }
                });
                scope.spawn(move || {
                    let mut rx = rx;
                    for _ in 0..count {
                        let next = rx.recv().unwrap().downcast::<Receiver<Anything>>().unwrap();
                        rx = *next;
                    }
                });
            });
        }
    });
}

/// The value that is sent is made by receiving from another channel.
#[test]
fn a_receive_within_a_send() {
    watched(|| {
        let (tx, rx) = channel::unbounded();
        let (inner_tx, inner) = channel::bounded(1);
        inner_tx.send(5).unwrap();
        tx.send(inner.recv().unwrap()).unwrap();
        assert_eq!(rx.recv(), Ok(5));
        drop(inner_tx);
        select! {
            r = tx.send(inner.recv().is_err() as i32) => r.unwrap(),
            default => panic!("there is room"),
        }
        assert_eq!(rx.recv(), Ok(1));
    });
}

#[test]
fn a_select_sees_what_is_ready_first() {
    watched(|| {
        let (tx, rx) = channel::unbounded::<usize>();
        let (tx2, rx2) = channel::unbounded::<usize>();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(ms(5));
                tx2.send(2).unwrap();
                thread::sleep(ms(10));
                tx.send(1).unwrap();
            });
            for expected in [2, 1] {
                let got = select! {
                    v = rx.recv() => v,
                    v = rx2.recv() => v,
                    _ = after(Duration::from_secs(20)) => panic!("nothing came"),
                };
                assert_eq!(got, Ok(expected));
            }
        });
    });
}

#[test]
fn closed_arms_are_ready_with_default_and_timeout() {
    watched(|| {
        let (tx, rx) = channel::unbounded::<u8>();
        let (_keep, idle) = channel::unbounded::<u8>();
        drop(tx);
        for _ in 0..10 {
            select! {
                v = rx.recv() => assert_eq!(v, Err(RecvError)),
                default => panic!("closed is ready"),
            }
            select! {
                v = rx.recv() => assert_eq!(v, Err(RecvError)),
                _ = idle.recv() => panic!("nothing is there"),
                _ = after(Duration::from_secs(20)) => panic!("closed is ready"),
            }
        }
        // A close while the select waits.
        let (tx, rx) = channel::rendezvous::<u8>();
        thread::scope(|scope| {
            scope.spawn(move || {
                thread::sleep(ms(10));
                drop(tx);
            });
            select! {
                v = rx.recv() => assert_eq!(v, Err(RecvError)),
                _ = idle.recv() => panic!("nothing is there"),
            }
        });
    });
}

/// Cloning and dropping the ends of a channel that a select waits on does not disturb it.
#[test]
fn ends_come_and_go_during_a_select() {
    watched(|| {
        for _ in 0..scaled(50) {
            let (tx, rx) = channel::rendezvous();
            let (_keep, idle) = channel::rendezvous::<u8>();
            thread::scope(|scope| {
                let (tx, rx_clone) = (&tx, rx.clone());
                scope.spawn(move || {
                    drop(rx_clone);
                    (0..20).for_each(|_| drop(tx.clone()));
                    thread::yield_now();
                    tx.send(3).unwrap();
                });
                select! {
                    v = rx.recv() => assert_eq!(v, Ok(3)),
                    _ = idle.recv() => panic!("nothing is there"),
                }
            });
        }
    });
}

/// Both sides of one rendezvous in one select, in many threads: each sends or receives, and none
/// meets itself.
#[test]
fn a_matching() {
    watched(|| {
        let parties = 44;
        let (tx, rx) = channel::rendezvous();
        thread::scope(|scope| {
            for me in 0..parties {
                let (tx, rx) = (&tx, &rx);
                scope.spawn(move || {
                    select! {
                        v = rx.recv() => assert_ne!(v.unwrap(), me, "met itself"),
                        r = tx.send(me) => r.unwrap(),
                    }
                });
            }
        });
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    });
}

/// With an odd number one is left over, and a partner outside takes it.
#[test]
fn a_matching_with_one_left() {
    watched(|| {
        let (tx, rx) = channel::rendezvous();
        thread::scope(|scope| {
            for me in 0..45 {
                let (tx, rx) = (&tx, &rx);
                scope.spawn(move || {
                    select! {
                        v = rx.recv() => assert_ne!(v.unwrap(), me, "met itself"),
                        r = tx.send(me) => r.unwrap(),
                    }
                });
            }
            tx.send(999).unwrap();
        });
        assert_eq!(tx.try_send(1), Err(TrySendError::Full(1)));
    });
}

/// A select within the body of a select, and in its operands.
#[test]
fn selects_nest() {
    let (tx, rx) = channel::unbounded();
    let depth = select! {
        r = tx.send(0) => {
            r.unwrap();
            select! {
                v = rx.recv() => {
                    assert_eq!(v, Ok(0));
                    select! {
                        r = tx.send(select! { default => 1 }) => {
                            r.unwrap();
                            rx.recv().unwrap()
                        }
                        default => 90,
                    }
                }
                default => 91,
            }
        }
        default => 92,
    };
    assert_eq!(depth, 1);
}

/// Values are neither lost nor moved in the wrong arm.
#[test]
fn a_variable_in_several_arms() {
    let (tx, rx) = channel::bounded::<String>(1);
    let (full, _full_rx) = channel::rendezvous::<String>();
    let (text, other) = (String::from("a"), String::from("b"));
    select! {
        r = full.send(text) => panic!("{r:?}"),
        r = tx.send(other) => {
            r.unwrap();
            assert_eq!(text, "a");
        }
    }
    assert_eq!(rx.recv().as_deref(), Ok("b"));
    let value = 7;
    let back = select! {
        r = full.send(String::new()) => panic!("{r:?}"),
        default => value,
    };
    assert_eq!(back, 7);
}

/// Arms are values: those that were not chosen can be waited for again, with what they carry.
#[test]
fn arms_are_used_again() {
    watched(|| {
        let channels: Vec<_> = (0..3).map(|_| channel::bounded::<usize>(1)).collect();
        for round in 0..scaled(300) {
            let ready = round % 3;
            channels[ready].0.send(round).unwrap();
            let mut arms: Vec<_> = channels.iter().map(|(_, rx)| rx.arm()).collect();
            let mut select = Select::new();
            arms.iter_mut().for_each(|arm| _ = select.add(arm));
            assert_eq!(select.ready(), ready);
            assert_eq!(select.wait(), ready);
            assert_eq!(arms[ready].take(), Ok(round));
            let mut again = Select::new();
            arms.iter_mut().for_each(|arm| _ = again.add(arm));
            assert_eq!(again.try_wait(), None);
        }
    });
}

/// `ready` says where something could be done; whoever is faster may do it, and the others look
/// again.
#[test]
fn ready_is_a_hint_that_threads_race_for() {
    watched(|| {
        let count = scaled(2_000);
        let channels: [_; 2] = std::array::from_fn(|_| channel::bounded::<usize>(1));
        let received = AtomicUsize::new(0);
        thread::scope(|scope| {
            for (tx, _) in &channels {
                scope.spawn(move || (0..count).for_each(|n| tx.send(n).unwrap()));
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    while received.load(Ordering::Relaxed) < 2 * count {
                        let mut arms: [_; 2] = std::array::from_fn(|at| channels[at].1.arm());
                        let mut select = Select::new();
                        arms.iter_mut().for_each(|arm| _ = select.add(arm));
                        let Some(at) = select.ready_timeout(ms(5)) else { continue };
                        if channels[at].1.try_recv().is_ok() {
                            received.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert!(channels.iter().all(|(_, rx)| rx.is_empty()));
    });
}

/// `ready` of a send: there is room, a receiver, or the end.
#[test]
fn ready_to_send() {
    watched(|| {
        let (tx, rx) = channel::bounded(1);
        let ready = |timeout| {
            let mut arm = tx.arm(1);
            let mut select = Select::new();
            select.add(&mut arm);
            let found = select.ready_timeout(timeout).is_some();
            assert_eq!(arm.unsent(), Some(1));
            found
        };
        assert!(ready(ms(1)));
        tx.send(0).unwrap();
        assert!(!ready(ms(1)));
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(ms(5));
                rx.recv().unwrap();
            });
            assert!(ready(Duration::from_secs(20)));
        });
        rx.close();
        assert!(ready(ms(1)));
    });
}

/// Of many arms that are always ready each gets its turn, also when one channel has several arms.
#[test]
fn fairness_with_duplicates() {
    let rounds = scaled(10_000);
    let (tx, rx) = channel::unbounded();
    (0..rounds).for_each(|n| tx.send(n).unwrap());
    let mut hits = [0; 5];
    for _ in 0..rounds {
        let arm = select! {
            _ = rx.recv() => 0,
            _ = rx.recv() => 1,
            _ = rx.recv() => 2,
            _ = rx.recv() => 3,
            _ = rx.recv() => 4,
        };
        hits[arm] += 1;
    }
    assert!(hits.iter().all(|&count| count >= rounds / 20), "{hits:?}");
}

/// Sends and receives in one select are chosen equally often.
#[test]
fn fairness_of_sends_and_receives() {
    let rounds = scaled(10_000);
    let (tx, rx) = channel::unbounded();
    let mut hits = [0_usize; 2];
    tx.send(()).unwrap();
    for _ in 0..rounds {
        select! {
            r = tx.send(()) => {
                r.unwrap();
                hits[0] += 1;
            }
            v = rx.recv() => {
                hits[1] += 1;
                // The channel is never empty when the next one is drawn.
                v.unwrap();
                tx.send(()).unwrap();
            }
        }
    }
    assert!(hits.iter().all(|&count| count >= rounds / 4), "{hits:?}");
}

/// A select that polls with a default while others send: nothing is lost, and it ends.
#[test]
fn polling_in_a_loop() {
    watched(|| {
        for _ in 0..20 {
            let (tx, rx) = channel::rendezvous::<u8>();
            let (tx2, rx2) = channel::rendezvous::<u8>();
            let (end_tx, end) = channel::rendezvous::<()>();
            thread::scope(|scope| {
                scope.spawn(move || {
                    loop {
                        select! {
                            r = tx.send(1) => break r.unwrap(),
                            default => thread::yield_now(),
                        }
                    }
                });
                scope.spawn(move || {
                    loop {
                        select! {
                            r = tx2.send(2) => break r.unwrap(),
                            default => thread::yield_now(),
                        }
                    }
                });
                scope.spawn(move || {
                    thread::sleep(ms(2));
                    let got = [rx.recv(), rx2.recv()];
                    assert_eq!(got, [Ok(1), Ok(2)]);
                    drop(end_tx);
                });
                assert_eq!(end.recv(), Err(RecvError));
            });
        }
    });
}

/// Timers as arms: the earlier fires first, and one that is reached stays reached.
#[test]
fn times_as_arms() {
    watched(|| {
        let start = Instant::now();
        let first = select! {
            _ = after(ms(40)) => 40,
            _ = after(ms(10)) => 10,
        };
        assert!(first == 10 || start.elapsed() >= ms(40), "a slow machine may miss the first");
        assert!(start.elapsed() >= ms(10));
        let mut arm = after(Duration::ZERO);
        let mut select = Select::new();
        select.add(&mut arm);
        assert_eq!((select.wait(), select.try_wait()), (0, Some(0)));
        let (_keep, idle) = channel::rendezvous::<u8>();
        let never = select! {
            _ = after(Duration::MAX) => true,
            _ = idle.recv() => true,
            default => false,
        };
        assert!(!never);
    });
}

/// The ends are whole after a panic of whoever used them, and move into closures that unwind.
#[test]
fn panics_leave_channels_whole() {
    watched(|| {
        let (tx, rx) = channel::bounded(2);
        let (tx_clone, rx_clone) = (tx.clone(), rx.clone());
        let panicked = thread::spawn(move || {
            tx_clone.send(1).unwrap();
            let _held = rx_clone;
            panic!("while it holds both ends");
        });
        assert!(panicked.join().is_err());
        assert_eq!((rx.recv(), tx.is_closed()), (Ok(1), false));
        tx.send(2).unwrap();
        assert_eq!(rx.recv(), Ok(2));
    });
}

/// Clones are the same channel, other channels are not.
#[test]
fn same_channel() {
    for ((tx, rx), (tx2, rx2)) in kinds::<u8>().into_iter().zip(kinds()) {
        assert!(tx.same_channel(&tx.clone()) && rx.same_channel(&rx.clone()));
        assert!(!tx.same_channel(&tx2) && !rx.same_channel(&rx2));
    }
}

/// Values are dropped by whoever has them last, on its own thread.
#[test]
fn a_value_is_shared_as_its_type_allows() {
    watched(|| {
        let (tx, rx) = channel::bounded(4);
        let shared = Arc::new(5);
        thread::scope(|scope| {
            for _ in 0..4 {
                let (tx, shared) = (tx.clone(), Arc::clone(&shared));
                scope.spawn(move || tx.send(shared).unwrap());
            }
        });
        assert_eq!(Arc::strong_count(&shared), 5);
        drop(rx);
        assert_eq!(Arc::strong_count(&shared), 1);
        drop(tx);
    });
}
