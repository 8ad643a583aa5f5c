//! Park and unpark: what came before an `unpark` is seen after a `park`, whoever was first.

use super::PermitWord;
use crate::prim::{Arc, AtomicBool, AtomicUsize, Ordering};
use loom::thread;

/// Each waker adds to what the parker waits for, and unparks. A wake-up that is lost, or that does
/// not carry the addition along, leaves the parker waiting for ever.
fn two_wakers(order: Ordering) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let shared = Arc::new((PermitWord::new(), AtomicBool::new(false), AtomicUsize::new(0)));
        let wakers: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    let (permit, woken, count) = &*shared;
                    count.fetch_add(1, Ordering::Relaxed);
                    if permit.unpark() {
                        woken.store(true, Ordering::Release);
                    }
                })
            })
            .collect();
        let (permit, woken, count) = &*shared;
        while count.load(Ordering::Relaxed) < 2 {
            if permit.begin_park_with(order) {
                while !woken.load(Ordering::Acquire) {
                    thread::yield_now();
                }
                woken.store(false, Ordering::Relaxed);
            }
        }
        wakers.into_iter().for_each(|w| w.join().unwrap());
    });
}

#[test]
fn no_wake_up_is_lost() {
    two_wakers(Ordering::AcqRel);
}

/// Taking the mark without looking at what came with it: the parker sleeps for ever.
#[test]
#[should_panic]
fn a_mark_taken_blindly_loses_one() {
    two_wakers(Ordering::Relaxed);
}
