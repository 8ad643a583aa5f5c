//! The ring's positions and seats under loom: every value arrives, no side sleeps for ever, and
//! mutants that fail.

use super::{Flow, Platform, Side};
use crate::prim::{Arc, Ordering, UnsafeCell, fence};
use loom::thread;
use std::cell::Cell;

loom::thread_local! {
    static ME: Cell<usize> = Cell::new(0);
}

fn me() -> usize {
    ME.with(Cell::get)
}

macro_rules! platform {
    ($name:ident, $light:expr, $heavy:expr $(, $order:ident = $weak:ident)?) => {
        struct $name;

        impl Platform for $name {
            $(const $order: Ordering = Ordering::$weak;)?

            fn me() -> usize {
                me()
            }

            fn light() {
                $light
            }

            fn heavy() {
                $heavy
            }

            fn pause() {
                thread::yield_now();
            }
        }
    };
}

// A fence on both sides is what `membarrier` and a compiler barrier amount to.
platform!(Shipped, fence(Ordering::SeqCst), fence(Ordering::SeqCst));
platform!(NoLight, (), fence(Ordering::SeqCst));
// The light side's fence would do for the heavy one: the side that sleeps, 0, gets none at all.
platform!(
    NoHeavy,
    if me() != 0 {
        fence(Ordering::SeqCst)
    },
    ()
);
platform!(NoFence, (), ());
platform!(WeakPublish, fence(Ordering::SeqCst), fence(Ordering::SeqCst), PUBLISH = Relaxed);
platform!(WeakObserve, fence(Ordering::SeqCst), fence(Ordering::SeqCst), OBSERVE = Relaxed);
platform!(WeakClose, (), fence(Ordering::SeqCst), CLOSE = Relaxed);
platform!(WeakSit, fence(Ordering::SeqCst), (), SIT = Relaxed);

/// A ring of one cell. Nobody really sleeps: a side that would have ends, and at the end it must have
/// been called if there was something for it.
struct Model<P> {
    flow: Flow<(), P>,
    cell: UnsafeCell<usize>,
}

// SAFETY: what the model is to show: the positions hand the cell from side to side, and loom checks.
unsafe impl<P> Sync for Model<P> {}
// SAFETY: as above.
unsafe impl<P> Send for Model<P> {}

#[derive(PartialEq, Debug)]
enum Look {
    Ready,
    Closed,
    Asleep,
    /// The other side has called, so it would look again.
    Called,
}

/// One side, what it does and what became of it.
struct End {
    side: Side,
    at: usize,
    home: usize,
    /// It has called the other side.
    called: bool,
    asleep: bool,
}

impl End {
    fn new(side: Side) -> End {
        End { side, at: 0, home: 0, called: false, asleep: false }
    }

    fn is_ready<P: Platform>(&self, model: &Model<P>) -> bool {
        let other = model.flow.observe(self.side);
        if self.side == Side::Send { other == self.at } else { other != self.at }
    }

    fn look<P: Platform>(&mut self, model: &Model<P>) -> Look {
        if self.is_ready(model) {
            return Look::Ready;
        }
        model.flow.sit(self.side, ());
        let closed = model.flow.is_closed();
        if self.is_ready(model) {
            return if model.flow.rise(self.side).is_some() { Look::Ready } else { Look::Called };
        }
        if closed {
            return Look::Closed;
        }
        self.asleep = true;
        Look::Asleep
    }

    fn go<P: Platform>(&mut self, model: &Model<P>) -> Look {
        let look = self.look(model);
        if look == Look::Ready {
            match self.side {
                // SAFETY: the receiver has passed the cell, which loom checks.
                Side::Send => model.cell.with_mut(|cell| unsafe { *cell = self.at + 1 }),
                // SAFETY: the sender has passed the cell, which loom checks.
                Side::Recv => assert_eq!(model.cell.with(|cell| unsafe { *cell }), self.at + 1),
            }
            self.at += 1;
            if model.flow.publish(self.side, self.at, &mut self.home) {
                self.called |= model.flow.call(self.side).is_some();
            }
        }
        look
    }

    fn close<P: Platform>(&mut self, model: &Model<P>) {
        if model.flow.close(self.side, &mut self.home) {
            self.called |= model.flow.call(self.side).is_some();
        }
    }

    /// Nobody sleeps who could go on.
    fn check<P: Platform>(&self, other: &End, model: &Model<P>) {
        if self.asleep && !other.called {
            assert!(!self.is_ready(model) && !model.flow.is_closed(), "{:?} sleeps on", self.side);
        }
    }
}

/// Runs both sides, each on its own thread, and checks that nobody sleeps on.
fn model<P: Platform + 'static>(
    before: impl Fn(&Model<P>, &mut End) + Send + Sync + 'static,
    send: fn(&Model<P>, &mut End),
    recv: fn(&Model<P>, &mut End),
) {
    loom::model(move || {
        let model = Arc::new(Model::<P> { flow: Flow::new(), cell: UnsafeCell::new(0) });
        let (mut sender, mut receiver) = (End::new(Side::Send), End::new(Side::Recv));
        before(&model, &mut sender);
        let thread = {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                send(&model, &mut sender);
                sender
            })
        };
        recv(&model, &mut receiver);
        let sender = thread.join().unwrap();
        sender.check(&receiver, &model);
        receiver.check(&sender, &model);
    });
}

/// Two values through one cell: both sides may have to wait.
fn both_wait<P: Platform + 'static>() {
    fn twice<P: Platform>(model: &Model<P>, end: &mut End) {
        if end.go(model) == Look::Ready {
            end.go(model);
        }
    }
    model::<P>(|_, _| {}, twice, twice);
}

/// The end, while the receiver goes to sleep.
fn close<P: Platform + 'static>() {
    model::<P>(
        |_, _| {},
        |model, sender| {
            ME.with(|me| me.set(64));
            sender.close(model);
        },
        |model, receiver| {
            receiver.go(model);
        },
    );
}

/// A value is in the channel when it is seen to be closed: no close overtakes it.
fn close_after_value<P: Platform + 'static>() {
    fn send<P: Platform>(model: &Model<P>, sender: &mut End) {
        sender.go(model);
        sender.close(model);
    }
    model::<P>(
        |_, _| {},
        send,
        |model, receiver| {
            if model.flow.is_closed() {
                assert!(receiver.is_ready(model), "the end overtook a value");
            }
        },
    );
}

/// The sender is used where the receiver lives, then elsewhere, while the receiver goes to sleep.
fn moves<P: Platform + 'static>() {
    model::<P>(
        |model, sender| {
            ME.with(|me| me.set(64));
            model.flow.move_home(Side::Send, 64, &mut sender.home);
        },
        |model, sender| {
            ME.with(|me| me.set(128));
            sender.go(model);
        },
        |model, receiver| {
            receiver.go(model);
        },
    );
}

#[test]
fn values_arrive_and_nobody_sleeps_on() {
    both_wait::<Shipped>();
}

#[test]
fn the_end_is_seen() {
    close::<Shipped>();
    close_after_value::<Shipped>();
}

#[test]
fn a_side_that_moves_is_seen() {
    moves::<Shipped>();
}

#[test]
#[should_panic]
fn sender_without_barrier() {
    close::<NoLight>();
}

#[test]
#[should_panic]
fn sleeper_without_barrier() {
    close::<NoHeavy>();
}

#[test]
#[should_panic]
fn mover_without_barrier() {
    moves::<NoFence>();
}

#[test]
#[should_panic]
fn relaxed_publish() {
    both_wait::<WeakPublish>();
}

#[test]
#[should_panic]
fn relaxed_observe() {
    both_wait::<WeakObserve>();
}

#[test]
#[should_panic]
fn relaxed_close() {
    close_after_value::<WeakClose>();
}

#[test]
#[should_panic]
fn relaxed_sit() {
    both_wait::<WeakSit>();
}
