//! A runtime that ends in the middle of everything: each value arrives once, or goes to the hook once.

#![allow(clippy::disallowed_types, reason = "a test is not a protocol file")]

mod scale;
mod watchdog;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use kcoro::cancel::CancelToken;
use kcoro::channel::{self, Receiver, Sender};
use kcoro::runtime::Runtime;
use kcoro::{Builder, select};

const MAX: usize = 400_000;
const TICK: Duration = Duration::from_micros(300);

/// What became of each value.
struct Ledger {
    next: AtomicUsize,
    sent: Vec<AtomicU8>,
    received: Vec<AtomicU8>,
    hooked: Vec<AtomicU8>,
    dropped: Vec<AtomicU8>,
}

impl Ledger {
    fn new() -> Arc<Ledger> {
        let column = || (0..MAX).map(|_| AtomicU8::new(0)).collect();
        Arc::new(Ledger {
            next: AtomicUsize::new(0),
            sent: column(),
            received: column(),
            hooked: column(),
            dropped: column(),
        })
    }

    /// A value, if there are some left, and its number.
    fn value(self: &Arc<Self>) -> Option<(usize, Value)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < MAX).then(|| (number, Value { number, ledger: Arc::clone(self) }))
    }

    fn check(&self) -> (usize, usize, usize) {
        let (mut received, mut hooked, mut lost) = (0, 0, 0);
        for number in 0..self.next.load(Ordering::Relaxed).min(MAX) {
            let count = |column: &[AtomicU8]| column[number].load(Ordering::Relaxed);
            let ends = count(&self.received) + count(&self.hooked);
            assert_eq!(count(&self.dropped), 1, "drops of {number}");
            assert!(ends <= 1, "{number} ended {ends} times");
            assert!(count(&self.sent) <= ends, "{number} was sent and is lost");
            received += usize::from(count(&self.received));
            hooked += usize::from(count(&self.hooked));
            lost += usize::from(1 - ends);
        }
        (received, hooked, lost)
    }
}

struct Value {
    number: usize,
    ledger: Arc<Ledger>,
}

impl Value {
    fn receive(self) {
        self.ledger.received[self.number].fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.ledger.dropped[self.number].fetch_add(1, Ordering::Relaxed);
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % bound
    }
}

/// One operation of a sender; false: its channel is closed, or there are no values left.
fn send(txs: &[Sender<Value>], ledger: &Arc<Ledger>, token: &CancelToken, r: &mut Random) -> bool {
    let Some((number, value)) = ledger.value() else { return false };
    let (one, two) = (r.below(4) as usize, r.below(4) as usize);
    let (tx, other) = (&txs[one], &txs[two]);
    let (sent, closed) = match r.below(7) {
        0 => (tx.send_timeout(value, TICK).is_ok(), tx.is_closed()),
        1 => (tx.send_cancellable(value, token).is_ok(), token.is_cancelled()),
        2 => (kcoro::block_on(tx.send_async(value)).is_ok(), tx.is_closed()),
        3 => (tx.try_send(value).is_ok(), false),
        4 => (tx.send_many([value]).is_ok(), tx.is_closed()),
        5 => select! {
            sent = tx.send(value) => (sent.is_ok(), false),
            got = other.send(ledger.value().map_or_else(|| unreachable!(), |(_, v)| v)) => {
                drop(got);
                (false, false)
            }
            _ = after(TICK) => (false, false),
        },
        _ => (tx.send(value).is_ok(), tx.is_closed()),
    };
    if sent {
        ledger.sent[number].fetch_add(1, Ordering::Relaxed);
    }
    sent || !closed
}

fn receive(rxs: &[Receiver<Value>], token: &CancelToken, r: &mut Random) -> bool {
    let (one, two) = (r.below(4) as usize, r.below(4) as usize);
    let (rx, other) = (&rxs[one], &rxs[two]);
    let got = match r.below(7) {
        0 => rx.recv_timeout(TICK).ok(),
        1 => rx.recv_cancellable(token).ok(),
        2 => kcoro::block_on(rx.recv_async()).ok(),
        3 => rx.try_recv().ok(),
        4 => {
            let mut values = Vec::new();
            let _ = rx.recv_many(&mut values, 5);
            let last = values.pop();
            values.into_iter().for_each(Value::receive);
            last
        }
        5 => select! {
            got = rx.recv() => got.ok(),
            got = other.recv() => got.ok(),
            _ = after(TICK) => None,
        },
        _ => rx.recv().ok(),
    };
    let any = got.is_some();
    if let Some(value) = got {
        value.receive();
    }
    any || !rx.is_closed()
}

/// Whether the parties come to rest, and whether they may change workers.
#[derive(Clone, Copy)]
struct Manner {
    rest: bool,
    migrate: bool,
}

fn round(seed: u64, manner: Manner) -> (usize, usize, usize) {
    let Manner { rest, migrate } = manner;
    let builder = || match migrate {
        // SAFETY: the bodies hold nothing across their suspensions that belongs to a thread: ends of
        // channels, a token, counters; what waits within the library is the library's affair.
        true => unsafe { Builder::new().migratable() },
        false => Builder::new(),
    };
    let ledger = Ledger::new();
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let token = CancelToken::new();
    let (txs, rxs): (Vec<_>, Vec<_>) = [Some(0), Some(2), Some(9), None]
        .into_iter()
        .map(|capacity| {
            let hook = Arc::clone(&ledger);
            let builder = channel::builder().on_undelivered(move |value: Value| {
                hook.hooked[value.number].fetch_add(1, Ordering::Relaxed);
            });
            match capacity {
                Some(capacity) => builder.capacity(capacity).build(),
                None => builder.build(),
            }
        })
        .unzip();
    for party in 0..12 {
        let mut r = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 | party << 32);
        r.below(2);
        let (stop, token) = (Arc::clone(&stop), token.clone());
        if party % 2 == 0 {
            let (txs, ledger) = (txs.clone(), Arc::clone(&ledger));
            let body = move || {
                while send(&txs, &ledger, &token, &mut r) && !stop.load(Ordering::Relaxed) {}
                // Most of them find nobody.
                while rest && send(&txs, &ledger, &token, &mut r) {}
            };
            runtime.spawn_with(builder(), body).unwrap().detach();
        } else {
            let rxs = rxs.clone();
            let body = move || {
                while receive(&rxs, &token, &mut r) && !stop.load(Ordering::Relaxed) {}
                for rx in rxs.iter().filter(|_| rest) {
                    rx.recv().into_iter().for_each(Value::receive);
                }
            };
            runtime.spawn_with(builder(), body).unwrap().detach();
        }
    }
    drop((txs, rxs));
    std::thread::sleep(Duration::from_micros(500 + seed % 7 * 700));
    if rest {
        stop.store(true, Ordering::Relaxed);
    }
    let _report = runtime.shutdown(Duration::from_millis(seed % 3));
    drop(token);
    ledger.check()
}

#[test]
fn each_value_ends_once() {
    let _dog = watchdog::watchdog("each_value_ends_once");
    let mut sums = (0, 0, 0);
    for seed in 1..=scale::scaled(30) as u64 {
        let manner = Manner { rest: true, migrate: seed % 2 == 0 };
        let (received, hooked, lost) = round(seed, manner);
        sums = (sums.0 + received, sums.1 + hooked, sums.2 + lost);
    }
    println!("received, hooked, not sent: {sums:?}");
    assert!(sums.0 > 0);
}

/// Nobody comes to rest, so that the runtime has to interrupt.
#[test]
fn each_value_ends_once_when_nobody_rests() {
    let _dog = watchdog::watchdog("each_value_ends_once_when_nobody_rests");
    for seed in 1..=scale::scaled(2) as u64 {
        round(seed, Manner { rest: false, migrate: seed % 2 == 0 });
    }
}
