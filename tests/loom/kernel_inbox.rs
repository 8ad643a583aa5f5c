//! Two senders and the kernel's thread: every slot is served once, with what its sender wrote, and
//! the thread does not sleep while one is queued.

use super::*;
use crate::prim::{Arc, UnsafeCell};
use loom::sync::{Condvar, Mutex};
use loom::thread;

struct RelaxedPush;
impl Orders for RelaxedPush {
    const PUSH: Ordering = Ordering::Relaxed;
}

struct RelaxedDrain;
impl Orders for RelaxedDrain {
    const DRAIN: Ordering = Ordering::Relaxed;
}

struct Shared<O> {
    inbox: Inbox<O>,
    links: [AtomicU32; 2],
    cargo: [UnsafeCell<u32>; 2],
    bell: Mutex<bool>,
    rung: Condvar,
}

impl<O> Links for Shared<O> {
    fn link(&self, index: u32) -> &AtomicU32 {
        &self.links[index as usize]
    }
}

fn serve<O: Orders + 'static>(deaf: bool) {
    // Without a bound the sleeps of the thread make too many schedules.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(move || {
        let shared = Arc::new(Shared::<O> {
            inbox: Inbox::new(),
            links: [0, 0].map(AtomicU32::new),
            cargo: [0, 0].map(UnsafeCell::new),
            bell: Mutex::new(false),
            rung: Condvar::new(),
        });
        shared.inbox.open();
        let senders = [0, 1].map(|index: u32| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                // SAFETY: the slot is the sender's until it is pushed.
                shared.cargo[index as usize].with_mut(|cargo| unsafe { *cargo = index + 1 });
                if shared.inbox.push(&*shared, index) == Push::Ring && !deaf {
                    *shared.bell.lock().unwrap() = true;
                    shared.rung.notify_one();
                }
            })
        });
        let mut served = 0;
        while served < 2 {
            shared.inbox.drain(&*shared, |index| {
                // SAFETY: drained, so the slot is the thread's.
                shared.cargo[index as usize].with(|cargo| assert_eq!(unsafe { *cargo }, index + 1));
                served += 1;
            });
            if served < 2 && shared.inbox.sleep() {
                let mut bell = shared.bell.lock().unwrap();
                while !*bell {
                    bell = shared.rung.wait(bell).unwrap();
                }
                *bell = false;
                drop(bell);
                shared.inbox.rise();
            }
        }
        for sender in senders {
            sender.join().unwrap();
        }
        assert!(shared.inbox.close());
    });
}

#[test]
fn loom_inbox_serves_all() {
    serve::<Shipped>(false);
}

#[test]
#[should_panic]
fn loom_mutant_inbox_relaxed_push() {
    serve::<RelaxedPush>(false);
}

#[test]
#[should_panic]
fn loom_mutant_inbox_relaxed_drain() {
    serve::<RelaxedDrain>(false);
}

/// Nobody rings: the thread sleeps over a queued slot.
#[test]
#[should_panic]
fn loom_mutant_inbox_no_bell() {
    serve::<Shipped>(true);
}

#[test]
fn loom_inbox_closes_or_accepts() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::<Shipped>::new());
        struct One(AtomicU32);
        impl Links for One {
            fn link(&self, _index: u32) -> &AtomicU32 {
                &self.0
            }
        }
        inbox.open();
        let other = Arc::clone(&inbox);
        let sender = thread::spawn(move || other.push(&One(AtomicU32::new(0)), 0));
        let closed = inbox.close();
        assert_eq!(sender.join().unwrap() == Push::Closed, closed);
    });
}
