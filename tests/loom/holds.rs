//! Models of the store's life: whoever comes last finds all others' accesses past.

use super::{Holds, Orders, Sound};
use crate::prim::{Arc, Ordering, UnsafeCell};
use loom::thread;

struct Store<O> {
    holds: Holds<O>,
    blocks: UnsafeCell<u32>,
}

impl<O: Orders> Store<O> {
    fn leave(&self, count: usize) {
        // SAFETY: the caller has holds; loom reports a race with whoever tears the store down.
        self.blocks.with(|blocks| unsafe { *blocks });
        if self.holds.give_up(count) {
            // SAFETY: the caller came last; loom reports it if that is not so.
            self.blocks.with_mut(|blocks| unsafe { *blocks += 1 });
        }
    }
}

/// A handle, a magazine of two blocks and one block elsewhere go in any order.
fn last_one_tears_down<O: Orders + 'static>() {
    loom::model(|| {
        let store = Arc::new(Store::<O> { holds: Holds::one(), blocks: UnsafeCell::new(0) });
        store.holds.add(3);
        let threads = [2, 1].map(|count| {
            let store = store.clone();
            thread::spawn(move || store.leave(count))
        });
        store.leave(1);
        for thread in threads {
            thread.join().unwrap();
        }
        // SAFETY: all threads have ended.
        assert_eq!(store.blocks.with(|blocks| unsafe { *blocks }), 1, "torn down once");
    });
}

/// Handles that share one hold: `G` orders the count of handles, which must be as strict.
fn last_handle_gives_up_the_hold<G: Orders + 'static>() {
    struct Shared<G> {
        handles: Holds<G>,
        store: Store<Sound>,
    }
    impl<G: Orders> Shared<G> {
        fn drop_handle(&self) {
            // SAFETY: a handle keeps the store; loom reports a race with whoever tears it down.
            self.store.blocks.with(|blocks| unsafe { *blocks });
            if self.handles.give_up(1) {
                self.store.leave(1);
            }
        }
    }
    loom::model(|| {
        let store = Store::<Sound> { holds: Holds::one(), blocks: UnsafeCell::new(0) };
        let shared = Arc::new(Shared::<G> { handles: Holds::one(), store });
        shared.handles.add(1);
        let other = shared.clone();
        let other = thread::spawn(move || other.drop_handle());
        shared.drop_handle();
        other.join().unwrap();
    });
}

#[test]
fn loom_holds() {
    last_one_tears_down::<Sound>();
    last_handle_gives_up_the_hold::<Sound>();
}

#[test]
#[should_panic(expected = "ausality")]
fn loom_holds_mutant_relaxed_handles() {
    struct Weak;
    impl Orders for Weak {
        const GIVE_UP: Ordering = Ordering::Relaxed;
        const LAST: Ordering = Ordering::Relaxed;
    }
    last_handle_gives_up_the_hold::<Weak>();
}

#[test]
#[should_panic(expected = "ausality")]
fn loom_holds_mutant_give_up() {
    struct Weak;
    impl Orders for Weak {
        const GIVE_UP: Ordering = Ordering::Relaxed;
    }
    last_one_tears_down::<Weak>();
}

#[test]
#[should_panic(expected = "ausality")]
fn loom_holds_mutant_last() {
    struct Weak;
    impl Orders for Weak {
        const LAST: Ordering = Ordering::Relaxed;
    }
    last_one_tears_down::<Weak>();
}
