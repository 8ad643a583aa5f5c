//! The gate under loom: one inside at a time, whoever owns the bias, and mutants that fail.

use super::{Entry, Gate, Platform};
use crate::prim::{Arc, Ordering, UnsafeCell, fence};
use loom::thread;
use std::cell::Cell;

loom::thread_local! {
    static ME: Cell<usize> = Cell::new(0);
}

const OWNER: usize = 64;

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

            fn wait(_: u32) {
                thread::yield_now();
            }

            fn can_bias() -> bool {
                true
            }

            fn light() {
                $light
            }

            fn heavy() {
                $heavy
            }
        }
    };
}

// A fence on both sides is what `membarrier` and a compiler barrier amount to.
platform!(Shipped, fence(Ordering::SeqCst), fence(Ordering::SeqCst));
platform!(NoLight, (), fence(Ordering::SeqCst));
platform!(NoHeavy, fence(Ordering::SeqCst), ());
platform!(WeakLeave, fence(Ordering::SeqCst), fence(Ordering::SeqCst), LEAVE = Relaxed);
platform!(WeakEnter, fence(Ordering::SeqCst), fence(Ordering::SeqCst), ENTER = Relaxed);
platform!(WeakRevoke, fence(Ordering::SeqCst), fence(Ordering::SeqCst), REVOKE = Relaxed);

struct Model<P> {
    gate: Gate<P>,
    inside: UnsafeCell<u32>,
}

// SAFETY: what the model is to show: the gate lets one in at a time, and loom checks the cell.
unsafe impl<P> Sync for Model<P> {}
// SAFETY: as above.
unsafe impl<P> Send for Model<P> {}

impl<P: Platform> Model<P> {
    fn visit(&self) -> Entry {
        let entry = self.gate.enter();
        // SAFETY: alone inside, which loom checks.
        self.inside.with_mut(|count| unsafe { *count += 1 });
        self.gate.leave(entry);
        entry
    }
}

fn model<P: Platform + 'static>(visits: u32, bias: bool) {
    loom::model(move || {
        let model = Arc::new(Model::<P> { gate: Gate::new(), inside: UnsafeCell::new(0) });
        let mut expected = 2 * visits;
        ME.with(|me| me.set(OWNER));
        if bias {
            while model.visit() != Entry::Owner {
                expected += 1;
            }
            expected += 1;
        }
        let other = {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                ME.with(|me| me.set(2 * OWNER));
                for _ in 0..visits {
                    model.visit();
                }
            })
        };
        for _ in 0..visits {
            model.visit();
        }
        other.join().unwrap();
        // SAFETY: the other thread has ended.
        model.inside.with(|count| assert_eq!(unsafe { *count }, expected));
    });
}

#[test]
fn revoked_while_the_owner_comes_and_goes() {
    model::<Shipped>(2, true);
}

#[test]
fn byte_alone() {
    model::<Shipped>(2, false);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn owner_without_barrier() {
    model::<NoLight>(2, true);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn revoker_without_barrier() {
    model::<NoHeavy>(2, true);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn relaxed_leave() {
    model::<WeakLeave>(2, true);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn relaxed_enter() {
    model::<WeakEnter>(2, false);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn relaxed_revoke() {
    model::<WeakRevoke>(2, true);
}
