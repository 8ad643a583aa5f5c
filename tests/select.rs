//! Select: one of several events, fairly, and nothing from the others.

use std::time::Duration;
use std::{panic, thread};

use kcoro::cancel::CancelToken;
use kcoro::channel::{self, Arm, Select, after};
use kcoro::coroutine::Task;
use kcoro::error::{RecvError, SendError};
use kcoro::select;

#[path = "channel/support.rs"]
#[allow(dead_code, clippy::disallowed_types, reason = "a test has no loom build")]
mod support;

use support::{Census, drive, scaled, watched};

#[test]
fn smoke() {
    watched(|| {
        let (tx, rx) = channel::bounded(1);
        let (full, _keep) = channel::bounded(1);
        full.send(0).unwrap();
        tx.send(5).unwrap();
        let got = select! {
            v = rx.recv() => v.unwrap(),
            r = full.send(1) => panic!("{r:?}"),
        };
        assert_eq!(got, 5);
        let sent = select! {
            v = rx.recv() => panic!("{v:?}"),
            r = tx.send(6) => r,
        };
        assert_eq!((sent, rx.recv()), (Ok(()), Ok(6)));
    });
}

#[test]
fn default_is_chosen_when_nothing_else_is() {
    let (tx, rx) = channel::rendezvous::<u8>();
    let text = String::from("kept");
    let (texts, _keep) = channel::rendezvous();
    let got = select! {
        v = rx.recv() => panic!("{v:?}"),
        r = texts.send(text) => panic!("{r:?}"),
        default => text,
    };
    assert_eq!(got, "kept");
    drop(tx);
    select! {
        v = rx.recv() => assert_eq!(v, Err(RecvError)),
        default => unreachable!(),
    }
}

#[test]
fn closed_channels_are_ready() {
    let (tx, rx) = channel::bounded::<u8>(1);
    tx.close();
    select! { v = rx.recv() => assert_eq!(v, Err(RecvError)) }
    select! { r = tx.send(3) => assert_eq!(r, Err(SendError::Closed(3))), }
}

#[test]
fn close_wakes_a_select() {
    watched(|| {
        let (tx, rx) = channel::bounded::<u8>(1);
        let (_tx2, rx2) = channel::bounded::<u8>(1);
        let waiting = thread::spawn(move || {
            select! {
                v = rx.recv() => v,
                v = rx2.recv() => v,
            }
        });
        thread::sleep(Duration::from_millis(10));
        drop(tx);
        assert_eq!(waiting.join().unwrap(), Err(RecvError));
    });
}

#[test]
fn values_of_losing_arms_come_back() {
    watched(|| {
        let census = Census::default();
        let (tx, _rx) = channel::rendezvous();
        let (other, _other_rx) = channel::rendezvous();
        let (first, second) = (census.value(1), census.value(2));
        select! {
            r = tx.send(first) => panic!("{r:?}"),
            r = other.send(second) => panic!("{r:?}"),
            _ = after(Duration::from_millis(2)) => {
                assert_eq!((first.number, second.number, census.alive()), (1, 2, 2));
            }
        }
        assert_eq!(census.dropped(), 2);
        let (ready, rx) = channel::bounded(1);
        let (first, second) = (census.value(3), census.value(4));
        select! {
            r = tx.send(first) => panic!("{r:?}"),
            r = ready.send(second) => {
                r.unwrap();
                assert_eq!(first.number, 3);
            }
        }
        assert_eq!(rx.recv().unwrap().number, 4);
    });
}

#[test]
fn control_flow_is_the_callers() {
    fn first(rx: &channel::Receiver<u8>) -> Result<u8, RecvError> {
        loop {
            select! {
                v = rx.recv() => {
                    if v? == 2 {
                        break Ok(2);
                    }
                    continue;
                }
            }
        }
    }
    let (tx, rx) = channel::unbounded();
    (1..3).for_each(|n| tx.send(n).unwrap());
    assert_eq!(first(&rx), Ok(2));
    drop(tx);
    assert_eq!(first(&rx), Err(RecvError));
}

#[test]
fn biased_takes_the_first() {
    let (tx, rx) = channel::unbounded();
    let (tx2, rx2) = channel::unbounded();
    for n in 0..100 {
        tx.send(n).unwrap();
        tx2.send(n).unwrap();
    }
    for _ in 0..100 {
        select! {
            biased;
            v = rx.recv() => assert!(v.is_ok()),
            _ = rx2.recv() => panic!("not its turn"),
        }
    }
    assert!(rx.is_empty() && rx2.len() == 100);
}

#[test]
fn select_fairness() {
    let channels: Vec<_> = (0..8).map(|_| channel::unbounded()).collect();
    let rounds = scaled(16_000);
    for (tx, _) in &channels {
        (0..rounds).for_each(|n| tx.send(n).unwrap());
    }
    let rx = |n: usize| &channels[n].1;
    let mut counts = [0_usize; 8];
    for _ in 0..rounds {
        let chosen = select! {
            _ = rx(0).recv() => 0,
            _ = rx(1).recv() => 1,
            _ = rx(2).recv() => 2,
            _ = rx(3).recv() => 3,
            _ = rx(4).recv() => 4,
            _ = rx(5).recv() => 5,
            _ = rx(6).recv() => 6,
            _ = rx(7).recv() => 7,
        };
        counts[chosen] += 1;
    }
    assert!(counts.iter().all(|&count| count > rounds / 16), "{counts:?}");
}

#[test]
fn fairness_with_gaps() {
    // Arms that are never ready lie between the two that are.
    let (ready, idle): (Vec<_>, Vec<_>) =
        (0..2).map(|_| (channel::unbounded(), channel::unbounded::<usize>())).unzip();
    let rounds = scaled(8_000);
    for (tx, _) in &ready {
        (0..rounds).for_each(|n| tx.send(n).unwrap());
    }
    let mut first = 0;
    for _ in 0..rounds {
        first += select! {
            _ = ready[0].1.recv() => 1,
            _ = ready[1].1.recv() => 0,
            _ = idle[0].1.recv() => 0,
            _ = idle[1].1.recv() => 0,
        };
    }
    assert!((rounds / 3..rounds * 2 / 3).contains(&first), "{first} of {rounds}");
}

#[test]
fn after_by_its_path() {
    let (_tx, rx) = channel::bounded::<u8>(1);
    let short = Duration::from_millis(1);
    select! {
        _ = rx.recv() => panic!("nothing is there"),
        _ = channel::after(short) => {}
    }
    select! {
        _ = rx.recv() => panic!("nothing is there"),
        _ = kcoro::channel::after(short) => {}
    }
}

#[test]
fn time_cancel_future_and_join() {
    watched(|| {
        let (_tx, rx) = channel::bounded::<u8>(1);
        let token = CancelToken::new();
        let other = token.clone();
        let canceller = thread::spawn(move || {
            thread::sleep(Duration::from_millis(5));
            other.cancel_with(4);
        });
        select! {
            v = rx.recv() => panic!("{v:?}"),
            reason = token.cancelled() => assert_eq!(reason, 4.into()),
            _ = after(Duration::from_secs(3600)) => panic!("an hour"),
        }
        canceller.join().unwrap();
        let (atx, arx) = channel::bounded(1);
        let sender = thread::spawn(move || {
            thread::sleep(Duration::from_millis(5));
            atx.send(9).unwrap();
        });
        select! {
            v = rx.recv() => panic!("{v:?}"),
            v = arx.recv_async() => assert_eq!(v, Ok(9)),
        }
        sender.join().unwrap();
        kcoro::run(|| {
            let (_tx, rx) = channel::bounded::<u8>(1);
            let mut handle = kcoro::spawn(|| {
                kcoro::sleep(Duration::from_millis(2));
                11
            });
            let got = select! {
                v = rx.recv() => panic!("{v:?}"),
                r = handle.join() => r.unwrap(),
            };
            assert_eq!(got, 11);
            select! {
                _ = after(Duration::from_millis(2)) => {}
                v = rx.recv() => panic!("{v:?}"),
            }
        });
    });
}

#[test]
fn both_sides_of_one_channel_do_not_meet_themselves() {
    watched(|| {
        for capacity in [0, 1] {
            let (tx, rx) = channel::bounded(capacity);
            if capacity == 1 {
                tx.send(1).unwrap();
                rx.recv().unwrap();
            }
            let got = select! {
                biased;
                v = rx.recv() => panic!("met itself: {v:?}"),
                r = tx.send(7) => { r.unwrap(); "sent" }
                _ = after(Duration::from_millis(3)) => "alone",
            };
            assert_eq!(got, if capacity == 0 { "alone" } else { "sent" });
        }
    });
}

#[test]
fn opposite_orders_neither_deadlock_nor_lose() {
    watched(|| {
        for capacity in [0, 1, 3] {
            let rounds = scaled(10_000);
            let (a_tx, a_rx) = channel::bounded(capacity);
            let (b_tx, b_rx) = channel::bounded(capacity);
            let sum = |n: usize| (0..n).sum::<usize>();
            let party = |tx: channel::Sender<usize>, rx: channel::Receiver<usize>, first: bool| {
                move || {
                    let (mut sent, mut got, mut total) = (0, 0, 0);
                    while sent < rounds || got < rounds {
                        let (mut send, mut receive) = (tx.arm(sent), rx.arm());
                        let mut select = Select::new();
                        let chose_send = if first && sent < rounds {
                            let sending = select.add(&mut send);
                            select.add(&mut receive);
                            select.wait() == sending
                        } else {
                            let receiving = select.add(&mut receive);
                            if sent < rounds {
                                select.add(&mut send);
                            }
                            select.wait() != receiving
                        };
                        if chose_send {
                            send.take().unwrap();
                            sent += 1;
                        } else {
                            total += receive.take().unwrap();
                            got += 1;
                        }
                    }
                    total
                }
            };
            let one = thread::spawn(party(a_tx, b_rx, true));
            let two = thread::spawn(party(b_tx, a_rx, false));
            assert_eq!(one.join().unwrap(), sum(rounds));
            assert_eq!(two.join().unwrap(), sum(rounds));
        }
    });
}

#[test]
fn many_selects_share_channels() {
    watched(|| {
        let rounds = scaled(2_000);
        kcoro::Runtime::builder().workers(2).build().unwrap().run(move || {
            let (a_tx, a_rx) = channel::rendezvous();
            let (b_tx, b_rx) = channel::rendezvous();
            let senders: Vec<_> = (0..4)
                .map(|n| {
                    let (a, b) = (a_tx.clone(), b_tx.clone());
                    kcoro::spawn(move || {
                        for value in 0..rounds {
                            if n % 2 == 0 {
                                select! { r = a.send(value) => r, r = b.send(value) => r }.unwrap();
                            } else {
                                select! { r = b.send(value) => r, r = a.send(value) => r }.unwrap();
                            }
                        }
                    })
                })
                .collect();
            let receivers: Vec<_> = (0..4)
                .map(|_| {
                    let (a, b) = (a_rx.clone(), b_rx.clone());
                    kcoro::spawn(move || {
                        let mut total = 0;
                        for _ in 0..rounds {
                            total += select! {
                                v = a.recv() => v.unwrap(),
                                v = b.recv() => v.unwrap(),
                            };
                        }
                        total
                    })
                })
                .collect();
            senders.into_iter().for_each(|handle| handle.join().unwrap());
            let total: usize = receivers.into_iter().map(|handle| handle.join().unwrap()).sum();
            assert_eq!(total, 4 * (0..rounds).sum::<usize>());
        });
    });
}

#[test]
fn dynamic_with_more_arms_than_fit() {
    watched(|| {
        let channels: Vec<_> = (0..20).map(|_| channel::bounded(1)).collect();
        for (n, (tx, _)) in channels.iter().enumerate() {
            let tx = tx.clone();
            let sender = thread::spawn(move || {
                thread::sleep(Duration::from_millis(1));
                tx.send(n).unwrap();
            });
            let mut arms: Vec<_> = channels.iter().map(|(_, rx)| rx.arm()).collect();
            let mut select = Select::new();
            let last = arms.iter_mut().map(|arm| select.add(arm)).last();
            assert_eq!(last, Some(19));
            assert_eq!(select.wait(), n);
            assert_eq!(arms[n].take(), Ok(n));
            sender.join().unwrap();
        }
    });
}

#[test]
fn dynamic_waits_with_limits() {
    watched(|| {
        let mut none = Select::new();
        assert_eq!(none.try_wait(), None);
        assert_eq!(none.wait_timeout(Duration::from_millis(2)), None);
        let (tx, rx) = channel::bounded(1);
        let mut arm = rx.arm();
        let mut time = after(Duration::from_millis(1));
        let mut select = Select::new().biased();
        select.add(&mut arm);
        assert_eq!(select.try_wait(), None);
        assert_eq!(select.wait_timeout(Duration::from_millis(1)), None);
        assert_eq!(select.add(&mut time), 1);
        assert_eq!(select.wait(), 1);
        tx.send(3).unwrap();
        assert_eq!(select.wait(), 0);
        assert_eq!(arm.take(), Ok(3));
    });
}

#[test]
fn ready_does_nothing() {
    watched(|| {
        let (tx, rx) = channel::bounded(1);
        let (mut send, mut receive) = (tx.arm(0), rx.arm());
        let mut select = Select::new();
        let sending = select.add(&mut send);
        let receiving = select.add(&mut receive);
        assert_eq!(select.ready(), sending);
        assert!(rx.is_empty());
        tx.send(1).unwrap();
        assert_eq!(select.ready(), receiving);
        assert_eq!(rx.len(), 1);
        assert_eq!(rx.recv(), Ok(1));

        let (tx, rx) = channel::rendezvous();
        let mut receive = rx.arm();
        let mut select = Select::new();
        select.add(&mut receive);
        assert_eq!(select.ready_timeout(Duration::from_millis(2)), None);
        let sender = thread::spawn(move || tx.send(2));
        assert_eq!(select.ready(), 0);
        assert_eq!(rx.recv(), Ok(2));
        sender.join().unwrap().unwrap();
        assert_eq!(select.ready(), 0, "closed is ready");
    });
}

#[test]
fn unwound_select_leaves() {
    watched(|| {
        let census = Census::default();
        let (tx, rx) = channel::rendezvous();
        let (tx2, rx2) = channel::rendezvous();
        let waiting = {
            let (rx, tx2, value) = (rx.clone(), tx2.clone(), census.value(1));
            Task::new(move || {
                select! {
                    v = rx.recv() => drop(v),
                    r = tx2.send(value) => r.unwrap(),
                }
            })
        };
        waiting.resume().unwrap();
        assert!(waiting.is_parked());
        drop(waiting);
        assert_eq!(census.alive(), 0);
        assert!(tx.try_send(census.value(2)).is_err());
        assert!(rx2.try_recv().is_err());
        // Chosen, but unwound before it ran: the value goes on.
        let waiting = {
            let (rx, rx2) = (rx.clone(), rx2.clone());
            Task::new(move || select! { v = rx.recv() => drop(v), v = rx2.recv() => drop(v) })
        };
        waiting.resume().unwrap();
        tx.send(census.value(3)).unwrap();
        drop(waiting);
        assert_eq!(rx.try_recv().unwrap().number, 3);
    });
}

#[test]
fn panics_while_making_arms_leave_nothing() {
    fn no_value() -> u8 {
        panic!("no value")
    }
    let (tx, rx) = channel::bounded::<u8>(1);
    let outcome = panic::catch_unwind(|| {
        select! {
            v = rx.recv() => assert!(v.is_err()),
            r = tx.send(no_value()) => r.unwrap(),
        }
    });
    assert!(outcome.is_err());
    tx.send(1).unwrap();
    assert_eq!(rx.recv(), Ok(1));
}

#[test]
fn tasks_select_by_hand() {
    watched(|| {
        let (tx, rx) = channel::rendezvous();
        let (tx2, rx2) = channel::rendezvous();
        let total = Task::new(move || {
            let mut total = 0;
            loop {
                total += select! {
                    v = rx.recv() => match v { Ok(v) => v, Err(_) => break },
                    v = rx2.recv() => match v { Ok(v) => v, Err(_) => break },
                };
            }
            assert!(total > 0);
        });
        let one = Task::new(move || (1..50).for_each(|n| tx.send(n).unwrap()));
        let two = Task::new(move || (1..50).take_while(|&n| tx2.send(n).is_ok()).for_each(|_| ()));
        drive(&[total, one, two]);
    });
}
