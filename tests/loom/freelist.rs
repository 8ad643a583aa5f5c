//! Two threads free slots that the owner takes back and reuses; none is lost, none is in two
//! places, and what the last user did to a slot is over before the next one gets it.

use super::*;
use crate::prim::{Arc, UnsafeCell};
use loom::thread;

struct RelaxedPush;
impl Orders for RelaxedPush {
    const PUSH: Ordering = Ordering::Relaxed;
}

struct RelaxedDrain;
impl Orders for RelaxedDrain {
    const DRAIN: Ordering = Ordering::Relaxed;
}

struct Slots {
    links: [AtomicU32; 2],
    bodies: [UnsafeCell<u32>; 2],
}

impl Links for Slots {
    fn link(&self, index: u32) -> &AtomicU32 {
        &self.links[index as usize]
    }
}

struct Shared<O> {
    slots: Slots,
    remote: RemoteList<O>,
}

fn take_back<O: Orders + 'static>() {
    loom::model(|| {
        let shared = Arc::new(Shared::<O> {
            slots: Slots { links: [0, 0].map(AtomicU32::new), bodies: [0, 0].map(UnsafeCell::new) },
            remote: RemoteList::new(),
        });
        let users = [vec![0], vec![1]].map(|mine| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                for index in mine {
                    // SAFETY: the slot is this thread's until it pushes it.
                    shared.slots.bodies[index as usize].with_mut(|body| unsafe { *body += 1 });
                    shared.remote.push(&shared.slots, index);
                }
            })
        });
        let local = LocalList::new();
        let mut taken = Vec::new();
        let take_all = |taken: &mut Vec<u32>| {
            local.refill(shared.remote.drain());
            while let Some(index) = local.pop(&shared.slots) {
                // SAFETY: popped, so the slot is the owner's.
                shared.slots.bodies[index as usize].with_mut(|body| unsafe { *body += 10 });
                taken.push(index);
            }
        };
        // Loom's reduction does not see a plain load as a conflict when the other thread loads before
        // it exchanges, so the owner offers a switch before it looks.
        thread::yield_now();
        take_all(&mut taken);
        // One goes round again, so that a pusher may meet a head it has seen before.
        if let Some(index) = taken.pop() {
            shared.remote.push(&shared.slots, index);
        }
        for user in users {
            user.join().unwrap();
        }
        take_all(&mut taken);
        taken.sort_unstable();
        assert_eq!(taken, [0, 1]);
    });
}

#[test]
fn loom_nothing_is_lost() {
    take_back::<Shipped>();
}

#[test]
#[should_panic]
fn loom_mutant_relaxed_push() {
    take_back::<RelaxedPush>();
}

#[test]
#[should_panic]
fn loom_mutant_relaxed_drain() {
    take_back::<RelaxedDrain>();
}
