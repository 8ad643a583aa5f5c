//! How many reasons there are to keep a store: an `Arc`'s count, taken and given up many at a time.
//!
//! # Invariants
//!
//! 1. `give_up` answers `true` once, to the caller that gave up the last reason, and after every access
//!    that the others made while they had one.
//!
//! Pairs: (H) each `give_up` publishes the caller's accesses to the one that finds the count at zero.
//!
//! # Who calls this, and what it may call
//!
//! The store, from any thread. Pure: no allocation, no suspension.

#![cfg_attr(not(loom), forbid(unsafe_code))]

use crate::prim::{AtomicUsize, Ordering};
use std::marker::PhantomData;

/// The orderings in use, a parameter so that the model can weaken one at a time.
pub(super) trait Orders {
    /// Pair H, the side that gives up.
    const GIVE_UP: Ordering = Ordering::Release;
    /// Pair H, the side that comes last.
    const LAST: Ordering = Ordering::Acquire;
}

/// The orderings that ship.
#[derive(Debug)]
pub(super) struct Sound;
impl Orders for Sound {}

/// A count of reasons. See the module header.
#[derive(Debug)]
pub(super) struct Holds<O = Sound> {
    count: AtomicUsize,
    orders: PhantomData<O>,
}

impl<O: Orders> Holds<O> {
    /// One reason.
    pub(super) fn one() -> Holds<O> {
        Holds { count: AtomicUsize::new(1), orders: PhantomData }
    }

    /// Adds reasons. The caller has one.
    pub(super) fn add(&self, count: usize) {
        self.count.fetch_add(count, Ordering::Relaxed);
    }

    /// Gives reasons up that the caller has; `true` if there are none left.
    #[must_use]
    pub(super) fn give_up(&self, count: usize) -> bool {
        let last = self.count.fetch_sub(count, O::GIVE_UP) == count;
        if last {
            self.count.load(O::LAST);
        }
        last
    }
}

#[cfg(all(test, loom))]
#[path = "../../tests/loom/holds.rs"]
mod loom_tests;
