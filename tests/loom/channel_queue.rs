//! The queue and its gates under loom: every value arrives once and in order, nobody waits while
//! something is there for him, blocks are reused only when they are empty, and mutants that fail.

use super::{Held, Orders, Queue};
use crate::channel::gate::Platform;
use crate::prim::{Arc, Ordering, UnsafeCell, fence};
use loom::thread;
use std::cell::Cell;

loom::thread_local! {
    static ME: Cell<usize> = Cell::new(0);
}

const SENDER: usize = 64;
const RECEIVER: usize = 128;

macro_rules! platform {
    ($name:ident, $bias:expr $(, $order:ident = $weak:ident)?) => {
        struct $name;

        impl Platform for $name {
            fn me() -> usize {
                ME.with(Cell::get)
            }

            fn wait(_: u32) {
                thread::yield_now();
            }

            fn can_bias() -> bool {
                $bias
            }

            // A fence on both sides is what `membarrier` and a compiler barrier amount to.
            fn light() {
                fence(Ordering::SeqCst);
            }

            fn heavy() {
                fence(Ordering::SeqCst);
            }
        }

        impl Orders for $name {
            $(const $order: Ordering = Ordering::$weak;)?
        }
    };
}

platform!(Biased, true);
platform!(Plain, false);
platform!(WeakPublish, false, PUBLISH = Relaxed);
platform!(WeakObserve, false, OBSERVE = Relaxed);
platform!(WeakGive, false, GIVE = Relaxed);
platform!(WeakTake, false, TAKE = Relaxed);

/// A queue with the least of an engine: whether the receiver waits.
struct Model<P: Orders> {
    queue: Queue<u32, P, ()>,
    capacity: usize,
    waits: UnsafeCell<bool>,
}

// SAFETY: `waits` is used inside both gates only, which loom checks; the queue is `Sync`.
unsafe impl<P: Orders> Sync for Model<P> {}
// SAFETY: as above.
unsafe impl<P: Orders> Send for Model<P> {}

impl<P: Orders> Model<P> {
    fn new(capacity: usize) -> Model<P> {
        Model { queue: Queue::new(capacity, ()), capacity, waits: UnsafeCell::new(false) }
    }

    fn set_waits(&self, waits: bool) -> bool {
        // SAFETY: the caller is inside both gates.
        self.waits.with_mut(|place| unsafe { std::mem::replace(&mut *place, waits) })
    }

    /// False: there is no room.
    fn send(&self, value: u32) -> bool {
        let mut cell = Some(value);
        if self.queue.offer(&mut cell, || ()) {
            return true;
        }
        let Some(mut held) = self.queue.send(&mut cell, || ()) else { return true };
        let room = held.len() < self.capacity;
        if room {
            self.set_waits(false);
            held.push(value);
        }
        held.settle(false, false);
        room
    }

    /// Without a value the receiver waits.
    fn recv(&self) -> Option<u32> {
        let mut cell = None;
        if self.queue.poll(&mut cell, || ()) {
            return cell;
        }
        if let Some(held) = self.queue.recv(&mut cell, || ()) {
            cell = self.take(held);
        }
        cell
    }

    fn take(&self, mut held: Held<'_, u32, P, ()>) -> Option<u32> {
        let value = held.pop();
        self.set_waits(value.is_none());
        held.settle(value.is_none(), false);
        value
    }
}

/// `before` values are sent and `taken` received first; then `sends` and `recvs` happen at once.
fn model<P: Orders + 'static>(capacity: usize, before: u32, taken: u32, sends: u32, recvs: u32) {
    loom::model(move || {
        let model = Arc::new(Model::<P>::new(capacity));
        let mut next = 0;
        // Each end by its own, as later.
        ME.with(|me| me.set(SENDER));
        for value in 0..before {
            assert!(model.send(value));
        }
        ME.with(|me| me.set(RECEIVER));
        for _ in 0..taken {
            assert_eq!(model.recv(), Some(next));
            next += 1;
        }
        let sender = {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                ME.with(|me| me.set(SENDER));
                (before..before + sends).take_while(|&value| model.send(value)).count() as u32
            })
        };
        for _ in 0..recvs {
            if let Some(value) = model.recv() {
                assert_eq!(value, next);
                next += 1;
            }
        }
        let sent = before + sender.join().unwrap();
        let mut held = model.queue.enter();
        assert_eq!(held.len() as u32, sent - next);
        let waits = model.set_waits(false);
        assert!(!waits || held.len() == 0, "the receiver waits while something is there");
        while let Some(value) = held.pop() {
            assert_eq!(value, next);
            next += 1;
        }
        assert_eq!(next, sent);
    });
}

#[test]
fn in_order_and_none_left_waiting() {
    model::<Plain>(usize::MAX, 0, 0, 2, 2);
}

#[test]
fn with_room_for_one() {
    model::<Plain>(1, 1, 0, 2, 2);
}

#[test]
fn biased_to_both_sides() {
    model::<Biased>(usize::MAX, 2, 2, 1, 1);
}

#[test]
fn blocks_go_round() {
    model::<Plain>(usize::MAX, 4, 1, 2, 2);
}

/// A value is sent while the receiving end looks twice, and enters no other gate.
fn look<P: Orders + 'static>() {
    loom::model(|| {
        let model = Arc::new(Model::<P>::new(usize::MAX));
        ME.with(|me| me.set(SENDER));
        assert!(model.send(0));
        let sender = {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                ME.with(|me| me.set(SENDER));
                assert!(model.send(1));
            })
        };
        ME.with(|me| me.set(RECEIVER));
        let queue = &model.queue;
        for value in 0..2 {
            let mut cell = None;
            let entry = queue.rx.gate.enter();
            queue.rx.reach.with_mut(|reach| {
                // SAFETY: inside the receiving gate.
                unsafe {
                    if queue.see_values(&mut *reach) {
                        assert!(queue.rx.get(&*reach, &mut cell));
                    }
                }
            });
            queue.rx.gate.leave(entry);
            assert!(cell.is_none_or(|got| got == value));
        }
        sender.join().unwrap();
    });
}

#[test]
fn what_is_seen_is_there() {
    look::<Plain>();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn relaxed_publish() {
    look::<WeakPublish>();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn relaxed_observe() {
    look::<WeakObserve>();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn relaxed_give() {
    model::<WeakGive>(usize::MAX, 4, 1, 2, 2);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn relaxed_take() {
    model::<WeakTake>(usize::MAX, 4, 1, 2, 2);
}
