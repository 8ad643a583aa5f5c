//! Free slots by number: a plain list for the owner, and a list where everybody else leaves them.
//!
//! The links lie in the slots themselves. Only the owner takes slots off the remote list, and it
//! takes all of them at once: nobody ever pops a single one, so the ABA problem of Treiber's stack
//! cannot arise, and no tag or double-width exchange is needed.
//!
//! # Invariants
//!
//! 1. A slot is in at most one list, and not in use while it is.
//! 2. Only the owner calls `LocalList` and [`RemoteList::drain`]; anyone calls
//!    [`RemoteList::push`].
//!
//! # Who calls this, and what it may call
//!
//! `table.rs`, from threads and coroutines. It allocates nothing and never waits. Link 0 is the end:
//! the links hold the number plus one, so that zeroed memory is an empty list.
//!
//! Pairs: (F) `push` Release publishes the link, and the end of the slot's last use, to the Acquire
//! of `drain`.
//!
//! Source: R. K. Treiber, "Systems Programming: Coping with Parallelism", 1986; the whole-list
//! take is mimalloc's.

use crate::prim::{AtomicU32, Ordering};
use std::fmt;
use std::marker::PhantomData;

const END: u32 = 0;

/// Where the link of slot `index` lies.
pub(super) trait Links {
    /// The link of slot `index`.
    fn link(&self, index: u32) -> &AtomicU32;
}

/// The orderings that matter, so that a test can weaken one and see its model fail.
pub(super) trait Orders {
    /// A successful `push`.
    const PUSH: Ordering = Ordering::Release;
    /// `drain`'s swap.
    const DRAIN: Ordering = Ordering::Acquire;
}

/// The orderings as they ship.
#[derive(Debug)]
pub(super) struct Shipped;

impl Orders for Shipped {}

/// The owner's list: last in, first out, so that a slot is reused while it is in the cache.
///
/// Its fields are atomics only so that a shard may be shared; they are loaded and stored plainly.
pub(super) struct LocalList {
    head: AtomicU32,
}

impl LocalList {
    /// An empty list.
    pub(super) fn new() -> LocalList {
        LocalList { head: AtomicU32::new(END) }
    }

    /// Puts a slot back; the owner only.
    #[inline]
    pub(super) fn push(&self, links: &impl Links, index: u32) {
        links.link(index).store(self.head.load(Ordering::Relaxed), Ordering::Relaxed);
        self.head.store(index + 1, Ordering::Relaxed);
    }

    /// Takes a slot; the owner only.
    #[inline]
    pub(super) fn pop(&self, links: &impl Links) -> Option<u32> {
        let index = self.head.load(Ordering::Relaxed).checked_sub(1)?;
        self.head.store(links.link(index).load(Ordering::Relaxed), Ordering::Relaxed);
        Some(index)
    }

    /// Becomes the chain that [`RemoteList::drain`] took; the owner only, when empty.
    pub(super) fn refill(&self, chain: Chain) -> bool {
        debug_assert_eq!(self.head.load(Ordering::Relaxed), END);
        self.head.store(chain.0, Ordering::Relaxed);
        chain.0 != END
    }
}

/// Slots taken off a remote list, still linked.
#[must_use]
#[derive(Debug)]
pub(super) struct Chain(u32);

/// Where those who are not the owner leave slots.
pub(super) struct RemoteList<O = Shipped> {
    head: AtomicU32,
    orders: PhantomData<O>,
}

impl<O: Orders> RemoteList<O> {
    /// An empty list.
    pub(super) fn new() -> RemoteList<O> {
        RemoteList { head: AtomicU32::new(END), orders: PhantomData }
    }

    /// Leaves a slot for the owner; any thread.
    pub(super) fn push(&self, links: &impl Links, index: u32) {
        let link = links.link(index);
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            link.store(head, Ordering::Relaxed);
            // (F) to the Acquire of `drain`.
            match self.head.compare_exchange_weak(head, index + 1, O::PUSH, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Takes everything that was left; the owner only.
    pub(super) fn drain(&self) -> Chain {
        if self.head.load(Ordering::Relaxed) == END {
            return Chain(END);
        }
        // (F) from the Release of every `push`: each continues the release sequence of the last.
        Chain(self.head.swap(END, O::DRAIN))
    }
}

impl fmt::Debug for LocalList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalList").field(&self.head.load(Ordering::Relaxed)).finish()
    }
}

impl<O> fmt::Debug for RemoteList<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteList").field(&self.head.load(Ordering::Relaxed)).finish()
    }
}

#[cfg(all(test, loom))]
#[path = "../../tests/loom/freelist.rs"]
mod loom_tests;
