//! Models of the reference word, and one weakened copy for each ordering it relies on.

use super::{Orders, RefWord, Released, Sound};
use crate::prim::{Arc, Ordering, UnsafeCell};
use loom::thread;

struct Block<O> {
    word: RefWord<O>,
    bytes: UnsafeCell<u32>,
}

impl<O: Orders> Block<O> {
    fn begun() -> Arc<Block<O>> {
        let block = Block { word: RefWord::new(0), bytes: UnsafeCell::new(0) };
        block.word.begin();
        Arc::new(block)
    }

    fn read(&self) -> u32 {
        // SAFETY: the caller holds a reference; loom reports a race with the recycler.
        self.bytes.with(|bytes| unsafe { *bytes })
    }

    fn write(&self, value: u32) {
        // SAFETY: the caller is alone; loom reports it if that is not so.
        self.bytes.with_mut(|bytes| unsafe { *bytes = value });
    }

    fn release(&self) {
        if self.word.release() == Released::Last {
            self.write(u32::MAX);
            assert!(self.word.retire());
        }
    }
}

/// Three holders read and let go; the last one recycles.
fn readers_then_recycler<O: Orders + 'static>() {
    loom::model(|| {
        let block = Block::<O>::begun();
        let other = || {
            let _ = block.word.retain();
            let block = block.clone();
            thread::spawn(move || {
                block.read();
                block.release();
            })
        };
        let threads = [other(), other()];
        block.read();
        block.release();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!((block.word.count(), block.read()), (0, u32::MAX));
    });
}

/// A descriptor is resolved while the holder lets go: all of the contents, or stale.
fn resolver_against_release<O: Orders + 'static>() {
    loom::model(|| {
        let block = Block::<O>::begun();
        let resolver = {
            let block = block.clone();
            thread::spawn(move || {
                if block.word.try_retain(0).is_some() {
                    assert_eq!(block.read(), 7);
                    block.release();
                }
            })
        };
        block.write(7);
        assert_eq!(block.word.expose(), 0);
        block.release();
        resolver.join().unwrap();
        assert_eq!((block.word.count(), block.read()), (0, u32::MAX));
        assert!(block.word.try_retain(0).is_none() && block.word.try_retain(1).is_none());
    });
}

/// The holder wants to write while a descriptor is resolved: one of them is refused.
fn resolver_against_writer<O: Orders + 'static>() {
    loom::model(|| {
        let block = Block::<O>::begun();
        block.word.expose();
        let resolver = {
            let block = block.clone();
            thread::spawn(move || {
                if block.word.try_retain(0).is_some() {
                    assert_eq!(block.read(), 0);
                    block.release();
                }
            })
        };
        if block.word.try_unique() {
            block.write(9);
            assert!(block.word.try_retain(0).is_none(), "the descriptors are revoked");
        }
        block.release();
        resolver.join().unwrap();
        assert_eq!(block.word.count() & 1, 0);
    });
}

#[test]
fn loom_refcount() {
    readers_then_recycler::<Sound>();
    resolver_against_release::<Sound>();
    resolver_against_writer::<Sound>();
}

macro_rules! mutant {
    ($name:ident, $order:ident, $model:ident) => {
        #[test]
        #[should_panic(expected = "ausality")]
        fn $name() {
            struct Weak;
            impl Orders for Weak {
                const $order: Ordering = Ordering::Relaxed;
            }
            $model::<Weak>();
        }
    };
}

mutant!(loom_refcount_mutant_drop, DROP, readers_then_recycler);
mutant!(loom_refcount_mutant_last, LAST, resolver_against_release);
mutant!(loom_refcount_mutant_unique, UNIQUE, readers_then_recycler);
mutant!(loom_refcount_mutant_unique_writer, UNIQUE, resolver_against_writer);
mutant!(loom_refcount_mutant_expose, EXPOSE, resolver_against_release);
mutant!(loom_refcount_mutant_resolve, RESOLVE, resolver_against_release);
