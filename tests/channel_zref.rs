//! Channels of payloads and of bytes.

#[path = "channel/support.rs"]
#[allow(dead_code, reason = "shared with the other channel tests")]
mod support;

use std::thread;
use std::time::Duration;

use kcoro::arena::Arena;
use kcoro::channel::{Capacity, bytes, zref};
use kcoro::error::*;
use support::*;

#[test]
fn smoke() {
    let arena = Arena::new();
    let (tx, rx) = zref(2);
    assert_eq!((tx.capacity(), rx.is_empty()), (Some(2), true));
    for text in ["a", "bc"] {
        tx.try_send(arena.copy(text.as_bytes()).unwrap()).unwrap();
    }
    let back = tx.try_send(arena.copy(b"d").unwrap()).unwrap_err();
    assert!(matches!(&back, TrySendError::Full(payload) if *payload == b"d"));
    assert_eq!((tx.len(), rx.len()), (2, 2));
    assert_eq!(rx.recv().unwrap(), b"a");
    tx.send_timeout(back.into_inner(), Duration::ZERO).unwrap();
    drop(tx.clone());
    let traffic = tx.traffic();
    assert_eq!((traffic.messages, traffic.bytes, traffic.failed), (3, 4, 1));
    assert!(format!("{tx:?} {rx:?}").contains("bytes: 4"));
    drop(tx);
    assert_eq!(rx.iter().map(|payload| payload.len()).sum::<usize>(), 3);
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Closed);
    assert_eq!((rx.traffic().messages, rx.traffic().bytes), (3, 4));
}

/// Through three channels, and the bytes never move.
#[test]
fn forwarding_copies_nothing() {
    watched(|| {
        let arena = Arena::new();
        let count = scaled(2_000);
        let (tx, first) = zref(Capacity::Rendezvous);
        let (onward, second) = zref(8);
        let (last, third) = zref(Capacity::Unbounded);
        let relays = [(first, onward), (second, last)].map(|(rx, tx)| {
            thread::spawn(move || kcoro::run(move || rx.iter().for_each(|p| tx.send(p).unwrap())))
        });
        let sender = {
            let arena = arena.clone();
            thread::spawn(move || {
                for n in 0..count {
                    let mut payload = arena.alloc(1024).unwrap();
                    let address = payload.as_ptr().addr();
                    payload[..8].copy_from_slice(&address.to_ne_bytes());
                    payload[8..16].copy_from_slice(&n.to_ne_bytes());
                    tx.send(payload.freeze()).unwrap();
                }
            })
        };
        for (n, payload) in third.iter().enumerate() {
            assert_eq!(payload[..8], payload.as_ptr().addr().to_ne_bytes());
            assert_eq!(payload[8..16], n.to_ne_bytes());
            assert_eq!(payload.references(), 1, "exactly one consumer");
        }
        sender.join().unwrap();
        relays.into_iter().for_each(|relay| relay.join().unwrap());
        assert_eq!(third.traffic().bytes, 1024 * count as u64);
        assert_eq!(arena.stats().depth, 0);
    });
}

#[test]
fn the_sender_keeps_what_was_not_sent() {
    watched(|| {
        let arena = Arena::new();
        let (tx, rx) = zref(Capacity::Rendezvous);
        let payload = arena.copy(b"mine").unwrap();
        let address = payload.as_ptr();
        let error = tx.send_timeout(payload, Duration::from_millis(5)).unwrap_err();
        let payload = error.into_inner();
        rx.close();
        let payload = tx.send(payload).unwrap_err().into_inner();
        assert_eq!((payload.as_ptr(), payload.references()), (address, 1));
        assert_eq!(tx.traffic().failed, 2);
        drop(payload);
        assert_eq!(arena.stats().depth, 0);
    });
}

#[test]
fn drop_of_each_side() {
    let arena = Arena::new();
    let (tx, rx) = zref(8);
    (0..5).for_each(|_| tx.send(arena.alloc(100).unwrap().freeze()).unwrap());
    assert_eq!(arena.stats().depth, 5);
    drop(rx);
    assert_eq!(arena.stats().depth, 0);
    let (tx, rx) = zref(8);
    (0..5).for_each(|_| tx.send(arena.alloc(100).unwrap().freeze()).unwrap());
    drop((tx, rx));
    assert_eq!(arena.stats().depth, 0);
}

#[test]
fn zero_sized_and_large_payloads() {
    let arena = Arena::new();
    let (tx, rx) = zref(8);
    tx.send(arena.copy(b"").unwrap()).unwrap();
    tx.send(arena.alloc_zeroed(1 << 20).unwrap().freeze()).unwrap();
    tx.send(arena.alias(vec![1_u8; 10]).unwrap()).unwrap();
    assert_eq!([(); 3].map(|()| rx.recv().unwrap().len()), [0, 1 << 20, 10]);
}

#[test]
fn bytes_are_copied_in_and_out() {
    let (tx, rx) = bytes(4, 8);
    let mut message = *b"hello";
    tx.send(&message).unwrap();
    message.fill(0);
    tx.try_send(b"there").unwrap();
    let error = tx.send(b"too long a message").unwrap_err();
    assert_eq!(error, SendBytesError::TooLong { length: 18, max: tx.max_len() });
    let mut buffer = vec![9; 100];
    assert_eq!((rx.recv_into(&mut buffer), &buffer[..]), (Ok(5), &b"hello"[..]));
    assert_eq!(rx.recv().unwrap(), b"there");
    assert_eq!(rx.try_recv_into(&mut buffer), Err(TryRecvError::Empty));
    assert_eq!((tx.traffic().bytes, rx.traffic().bytes), (10, 10));
    assert_eq!((tx.snapshot().zref_received, rx.snapshot().bytes_sent), (2, 10));
    (0..4).for_each(|_| tx.send(b"").unwrap());
    assert_eq!(tx.try_send(b"x"), Err(SendBytesError::Full));
    assert_eq!(tx.send_timeout(b"x", Duration::from_millis(5)), Err(SendBytesError::Timeout));
    rx.close();
    assert_eq!(tx.send(b"x"), Err(SendBytesError::Closed));
    assert_eq!((rx.len(), rx.recv_into(&mut buffer)), (4, Ok(0)));
}

/// A sender waits while the arena is full, in a coroutine and on a thread.
#[test]
fn back_pressure_of_the_arena() {
    watched(|| {
        let arena = Arena::builder().limit(4 * 64).build();
        let (tx, rx) = kcoro::channel::bytes_in(&arena, Capacity::Unbounded, 1000);
        let count = scaled(2_000);
        let text = |n: usize| format!("{n:>50}");
        let senders = [false, true].map(|in_coroutine| {
            let tx = tx.clone();
            let send = move || (0..count).for_each(|n| tx.send(text(n).as_bytes()).unwrap());
            thread::spawn(move || if in_coroutine { kcoro::run(send) } else { send() })
        });
        for _ in 0..2 * count {
            assert!(rx.len() <= 4);
            assert_eq!(rx.recv().unwrap().len(), 50);
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        let held = [(); 4].map(|()| arena.alloc(50).unwrap());
        let error = tx.send_timeout(b"x", Duration::from_millis(5));
        assert_eq!(error, Err(SendBytesError::Timeout));
        assert!(matches!(tx.try_send(b"x"), Err(SendBytesError::Arena(_))));
        assert!(matches!(tx.send(&[0; 999]), Err(SendBytesError::Arena(_))));
        drop(held);
        tx.send(b"x").unwrap();
    });
}

#[test]
fn close_wakes_receivers() {
    watched(|| {
        let (tx, rx) = zref(1);
        let receiver = thread::spawn(move || assert_eq!(rx.recv().unwrap_err(), RecvError));
        thread::sleep(Duration::from_millis(10));
        assert!(tx.close() && !tx.close() && tx.is_closed());
        receiver.join().unwrap();
    });
}
