//! Two parties and one wait: each wake-up arrives once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kcoro::token::{self, Payload};
use kcoro::{Unparker, channel, park, unparker};

use super::support::{Random, rounds, watched};

/// Takes every second turn until there are `turns`, and parks until it is told.
fn play(turn: &AtomicU64, parity: u64, turns: u64, other: &Unparker) {
    loop {
        let now = turn.load(Ordering::Acquire);
        if now >= turns {
            return other.unpark();
        }
        if now % 2 == parity {
            turn.store(now + 1, Ordering::Release);
            other.unpark();
        } else {
            park();
        }
    }
}

/// 10^7 turns in an optimised build.
#[test]
fn park_and_unpark() {
    let (rt, _dog) = watched("park_and_unpark", 2);
    let pairs = 4;
    let turns = rounds(10_000_000) / pairs;
    let players: Vec<_> = (0..pairs)
        .flat_map(|_| {
            let turn = Arc::new(AtomicU64::new(0));
            let (to_first, from_second) = channel::bounded(1);
            let (to_second, from_first) = channel::bounded(1);
            let shared = Arc::clone(&turn);
            let first = rt.spawn(move || {
                to_second.send(unparker()).unwrap();
                play(&shared, 0, turns, &from_second.recv().unwrap());
            });
            let second = rt.spawn(move || {
                to_first.send(unparker()).unwrap();
                play(&turn, 1, turns, &from_first.recv().unwrap());
            });
            [first, second]
        })
        .collect();
    for player in players {
        player.join().unwrap();
    }
}

/// A thread that unparks without pause, and coroutines that park as fast as they can.
#[test]
fn unpark_storm_from_a_thread() {
    let (rt, _dog) = watched("unpark_storm_from_a_thread", 2);
    let parks = rounds(500_000);
    let (sender, receiver) = std::sync::mpsc::channel();
    let parkers: Vec<_> = (0..3)
        .map(|_| {
            let sender = sender.clone();
            rt.spawn(move || {
                sender.send(unparker()).unwrap();
                (0..parks).for_each(|_| park());
            })
        })
        .collect();
    let unparkers: Vec<_> = (0..3).map(|_| receiver.recv().unwrap()).collect();
    while !parkers.iter().all(kcoro::JoinHandle::is_finished) {
        unparkers.iter().for_each(Unparker::unpark);
    }
    for parker in parkers {
        parker.join().unwrap();
    }
}

/// A ticket's owner gives up while another completes it: both agree on who was first.
#[test]
fn timeouts_against_completions() {
    let (rt, _dog) = watched("timeouts_against_completions", 2);
    let (mut completed, mut timed_out) = (0, 0);
    let mut random = Random(0x5EED);
    for round in 0..rounds(50_000) {
        let (send, tickets) = std::sync::mpsc::channel();
        let patience = Duration::from_micros(random.below(40));
        let spins = random.below(2_000);
        let waiter = rt.spawn(move || {
            let ticket = token::publish();
            send.send(ticket).unwrap();
            token::wait_timeout(ticket, patience).ok().map(|p| p.downcast::<u64>().unwrap())
        });
        let ticket = tickets.recv().unwrap();
        (0..spins).for_each(|_| std::hint::spin_loop());
        let won = ticket.complete(Payload::value(round)).is_ok();
        assert_eq!(waiter.join().unwrap(), won.then_some(round));
        if won { completed += 1 } else { timed_out += 1 }
    }
    println!("{completed} completed, {timed_out} timed out");
}

/// Receivers with tiny timeouts lose no value and get none twice.
#[test]
fn timeouts_against_senders() {
    let (rt, _dog) = watched("timeouts_against_senders", 2);
    let values = rounds(200_000);
    let (tx, rx) = channel::rendezvous::<u64>();
    let sum = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let receivers: Vec<_> = (0..3u64)
        .map(|seed| {
            let (rx, sum, done) = (rx.clone(), Arc::clone(&sum), Arc::clone(&done));
            rt.spawn(move || {
                let mut random = Random(seed + 1);
                while !done.load(Ordering::Acquire) {
                    if let Ok(value) = rx.recv_timeout(Duration::from_micros(random.below(20))) {
                        sum.fetch_add(value, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    let sender = rt.spawn(move || {
        for value in 1..=values {
            let mut value = value;
            while let Err(error) = tx.send_timeout(value, Duration::from_micros(value % 16)) {
                value = error.into_inner();
            }
        }
    });
    sender.join().unwrap();
    done.store(true, Ordering::Release);
    for receiver in receivers {
        receiver.join().unwrap();
    }
    assert_eq!(sum.load(Ordering::Relaxed), values * (values + 1) / 2);
}
