//! A worker's letter box: coroutines that other threads woke, for the home worker to run.
//!
//! A stack of linked blocks: any thread pushes, the owner takes all at once and turns the order
//! round. Nobody pops a single block, so an address that comes back cannot fool anybody (no ABA).
//!
//! # Invariants
//!
//! 1. A block is in at most one box; its link belongs to the box meanwhile.
//! 2. What is taken in one go comes out in the order it went in.
//!
//! Pairs: (P) the pusher's Release publishes the block's link, and what the waker wrote before it,
//! to the Acquire of `take`. Every push in between is a read-modify-write and keeps the order.
//!
//! Source: R. K. Treiber, "Systems Programming: Coping with Parallelism", IBM RJ 5118, 1986; the
//! wholesale take is folklore.

use crate::prim::{AtomicUsize, Ordering};

/// Something that can lie in an [`Inbox`]: it has an address and a place for a link.
pub(super) trait Linked: Copy {
    /// Its address, not 0.
    fn address(self) -> usize;
    /// The one at this address.
    fn at(address: usize) -> Self;
    /// Its link.
    fn link(&self) -> &AtomicUsize;
}

/// The box.
#[derive(Debug)]
pub(super) struct Inbox {
    head: AtomicUsize,
}

impl Inbox {
    pub(super) fn new() -> Inbox {
        Inbox { head: AtomicUsize::new(0) }
    }

    /// Puts one in. Any thread.
    pub(super) fn push<T: Linked>(&self, item: T) {
        self.push_with(item, Ordering::Release);
    }

    /// [`push`](Inbox::push) with an ordering that a test may weaken.
    pub(super) fn push_with<T: Linked>(&self, item: T, publish: Ordering) {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            item.link().store(head, Ordering::Relaxed);
            // (P) to the Acquire in `take`.
            match self.head.compare_exchange_weak(head, item.address(), publish, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Whether there is anything to take. A hint, except after the sleep protocol's fence.
    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.head.load(Ordering::Relaxed) == 0
    }

    /// Takes everything and gives it to `each`, oldest first. Owner only.
    #[inline]
    pub(super) fn take<T: Linked>(&self, each: impl FnMut(T)) {
        if !self.is_empty() {
            self.take_some(each);
        }
    }

    #[inline(never)]
    fn take_some<T: Linked>(&self, mut each: impl FnMut(T)) {
        // (P) from the Release in `push`.
        let mut address = self.head.swap(0, Ordering::Acquire);
        let mut oldest = 0;
        while address != 0 {
            let item = T::at(address);
            address = item.link().load(Ordering::Relaxed);
            item.link().store(oldest, Ordering::Relaxed);
            oldest = item.address();
        }
        while oldest != 0 {
            let item = T::at(oldest);
            // Read before the item is given away.
            oldest = item.link().load(Ordering::Relaxed);
            each(item);
        }
    }
}

#[cfg(all(test, loom))]
#[path = "../../tests/loom/inbox.rs"]
mod loom_tests;
