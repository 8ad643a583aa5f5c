//! A poller and its wakers: no notification is lost, and what came before it is seen.

use super::Signal;
use crate::prim::{Arc, AtomicBool, AtomicU64, Ordering};
use loom::thread;

const TICKET: u64 = 7;

struct Model {
    signal: Signal,
    ready: [AtomicBool; 2],
    claimed: AtomicU64,
}

fn model() -> Arc<Model> {
    Arc::new(Model {
        signal: Signal::new(),
        ready: [AtomicBool::new(false), AtomicBool::new(false)],
        claimed: AtomicU64::new(0),
    })
}

/// Makes its half of the future ready and wakes.
fn waker(model: &Model, which: usize, order: Ordering) {
    model.ready[which].store(true, Ordering::Relaxed);
    if let Some(ticket) = model.signal.notify_with(order) {
        assert_eq!(ticket, TICKET);
        // Relaxed, so that only the signal's own pairs order anything.
        model.claimed.fetch_add(1, Ordering::Relaxed);
    }
}

/// One wait of the poller; `waits` counts those that parked.
fn wait(model: &Model, waits: &mut u64) {
    if model.signal.announce(TICKET) {
        *waits += 1;
        while model.claimed.load(Ordering::Relaxed) < *waits {
            thread::yield_now();
        }
        model.signal.consume();
    }
}

fn one_waker(order: Ordering) {
    loom::model(move || {
        let model = model();
        let other = Arc::clone(&model);
        let thread = thread::spawn(move || waker(&other, 0, order));
        wait(&model, &mut 0);
        assert!(model.ready[0].load(Ordering::Relaxed), "the notification came without its cause");
        thread.join().unwrap();
    });
}

#[test]
fn what_came_before_the_wake_is_seen() {
    one_waker(Ordering::AcqRel);
}

#[test]
#[should_panic]
fn a_relaxed_notify_is_caught() {
    one_waker(Ordering::Relaxed);
}

#[test]
fn two_wakers_lose_nothing() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let model = model();
        let threads = [0, 1].map(|which| {
            let model = Arc::clone(&model);
            thread::spawn(move || waker(&model, which, Ordering::AcqRel))
        });
        let mut waits = 0;
        while !model.ready.iter().all(|ready| ready.load(Ordering::Relaxed)) {
            wait(&model, &mut waits);
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(model.claimed.load(Ordering::Relaxed) >= waits);
    });
}
