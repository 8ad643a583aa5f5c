//! Waiting for the first of several channels.
//!
//! "ready": every channel holds a message; one is taken, and put back. "feed": a second coroutine,
//! task or thread sends to the channels in turn.

use super::coroutines::run_ours;
use super::tasks;
use kcoro_lab::versus::{Bound, Case, Cpus, OWN, Sample, elapsed};
use std::hint::black_box;
use std::time::Instant;

/// Room in each channel.
const CAPACITY: usize = 64;

pub fn cases() -> Vec<Case> {
    let (ready, feed) =
        ("the first of the ready ones, put back", "sent to one of them and selected");
    vec![
        Case::new("select-2-ready", ready, Cpus::One)
            .peer(OWN, ours2::ready)
            .peer("crossbeam, threads", crossbeam2::ready)
            .peer("tokio", tokio2::ready)
            .go(&["select", "2", "ready"])
            .goal("time", Bound::Here(30.0))
            .goal("time", Bound::Ahead),
        Case::new("select-8-ready", ready, Cpus::One)
            .peer(OWN, ours8::ready)
            .peer("crossbeam, threads", crossbeam8::ready)
            .peer("tokio", tokio8::ready)
            .go(&["select", "8", "ready"])
            .goal("time", Bound::Here(40.0))
            .goal("time", Bound::Ahead),
        Case::new("select-2-feed", feed, Cpus::One)
            .peer(OWN, ours2::feed)
            .peer("crossbeam, threads", crossbeam2::feed)
            .peer("tokio", tokio2::feed)
            .go(&["select", "2", "feed"])
            .goal("time", Bound::Ahead),
        Case::new("select-8-feed", feed, Cpus::One)
            .peer(OWN, ours8::feed)
            .peer("crossbeam, threads", crossbeam8::feed)
            .peer("tokio", tokio8::feed)
            .go(&["select", "8", "feed"])
            .goal("time", Bound::Ahead),
    ]
}

macro_rules! ours {
    ($name:ident: $($arm:literal $receiver:ident)*) => {
        mod $name {
            use super::*;
            use kcoro::channel::{Receiver, Sender, bounded};

            const ARMS: usize = [$($arm),*].len();

            fn channels() -> (Vec<Sender<usize>>, [Receiver<usize>; ARMS]) {
                let (senders, receivers): (Vec<_>, Vec<_>) =
                    (0..ARMS).map(|_| bounded(CAPACITY)).unzip();
                (senders, receivers.try_into().expect("as many as arms"))
            }

            pub fn ready(sample: &mut Sample) {
                sample.steps(|count| {
                    run_ours(1, move || {
                        let (senders, [$($receiver),*]) = channels();
                        senders.iter().for_each(|sender| sender.send(1).unwrap());
                        elapsed(|| {
                            for _ in 0..count {
                                let (arm, value): (usize, usize) = kcoro::select! {
                                    $(value = $receiver.recv() => ($arm, value.unwrap()),)*
                                };
                                senders[arm].send(value + 1).unwrap();
                            }
                        })
                    })
                });
            }

            pub fn feed(sample: &mut Sample) {
                sample.steps(|count| {
                    run_ours(1, move || {
                        let (senders, [$($receiver),*]) = channels();
                        elapsed(|| {
                            let other = kcoro::spawn(move || {
                                for number in 0..count {
                                    senders[number % ARMS].send(number).unwrap();
                                }
                                // The channels close when all has been received.
                                senders
                            });
                            for _ in 0..count {
                                let got: (usize, usize) = kcoro::select! {
                                    $(value = $receiver.recv() => ($arm, value.unwrap()),)*
                                };
                                black_box(got);
                            }
                            drop(other.join().unwrap());
                        })
                    })
                });
            }
        }
    };
}

ours!(ours2: 0 a 1 b);
ours!(ours8: 0 a 1 b 2 c 3 d 4 e 5 f 6 g 7 h);

macro_rules! crossbeam {
    ($name:ident: $($arm:literal)*) => {
        mod $name {
            use super::*;
            use crossbeam_channel::{Receiver, Sender, bounded, select};

            const ARMS: usize = [$($arm),*].len();

            fn channels() -> (Vec<Sender<usize>>, Vec<Receiver<usize>>) {
                (0..ARMS).map(|_| bounded(CAPACITY)).unzip()
            }

            fn one(receivers: &[Receiver<usize>]) -> (usize, usize) {
                select! { $(recv(receivers[$arm]) -> value => ($arm, value.unwrap()),)* }
            }

            pub fn ready(sample: &mut Sample) {
                sample.steps(|count| {
                    let (senders, receivers) = channels();
                    senders.iter().for_each(|sender| sender.send(1).unwrap());
                    elapsed(|| {
                        for _ in 0..count {
                            let (arm, value) = one(&receivers);
                            senders[arm].send(value + 1).unwrap();
                        }
                    })
                });
            }

            pub fn feed(sample: &mut Sample) {
                sample.steps(|count| {
                    // The senders stay until all has been received.
                    let (senders, receivers) = channels();
                    std::thread::scope(|scope| {
                        scope.spawn(|| {
                            for number in 0..count {
                                senders[number % ARMS].send(number).unwrap();
                            }
                        });
                        elapsed(|| {
                            for _ in 0..count {
                                black_box(one(&receivers));
                            }
                        })
                    })
                });
            }
        }
    };
}

crossbeam!(crossbeam2: 0 1);
crossbeam!(crossbeam8: 0 1 2 3 4 5 6 7);

macro_rules! tokio_arms {
    ($name:ident: $($arm:literal $receiver:ident)*) => {
        mod $name {
            use super::*;
            use tokio::sync::mpsc::{Receiver, Sender, channel};

            const ARMS: usize = [$($arm),*].len();

            fn channels() -> (Vec<Sender<usize>>, [Receiver<usize>; ARMS]) {
                let (senders, receivers): (Vec<_>, Vec<_>) =
                    (0..ARMS).map(|_| channel(CAPACITY)).unzip();
                (senders, receivers.try_into().expect("as many as arms"))
            }

            pub fn ready(sample: &mut Sample) {
                let rt = tasks::runtime(1);
                sample.steps(|count| {
                    tasks::within(&rt, async move {
                        let (senders, [$(mut $receiver),*]) = channels();
                        for sender in &senders {
                            sender.send(1).await.unwrap();
                        }
                        let start = Instant::now();
                        for _ in 0..count {
                            let (arm, value): (usize, usize) = tokio::select! {
                                $(value = $receiver.recv() => ($arm, value.unwrap()),)*
                            };
                            senders[arm].send(value + 1).await.unwrap();
                        }
                        start.elapsed()
                    })
                });
            }

            pub fn feed(sample: &mut Sample) {
                let rt = tasks::runtime(1);
                sample.steps(|count| {
                    tasks::within(&rt, async move {
                        let (senders, [$(mut $receiver),*]) = channels();
                        let start = Instant::now();
                        let other = tokio::spawn(async move {
                            for number in 0..count {
                                senders[number % ARMS].send(number).await.unwrap();
                            }
                            // The channels close when all has been received.
                            senders
                        });
                        for _ in 0..count {
                            let got: (usize, usize) = tokio::select! {
                                $(Some(value) = $receiver.recv() => ($arm, value),)*
                                else => unreachable!("as many come as were sent"),
                            };
                            black_box(got);
                        }
                        drop(other.await.unwrap());
                        start.elapsed()
                    })
                });
            }
        }
    };
}

tokio_arms!(tokio2: 0 a 1 b);
tokio_arms!(tokio8: 0 a 1 b 2 c 3 d 4 e 5 f 6 g 7 h);
