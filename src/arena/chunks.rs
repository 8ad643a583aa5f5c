//! Where the chunks of a class begin: each published once, and found by anyone without a lock.
//!
//! A forged descriptor may ask for a chunk at any moment. It finds nothing, or a mapping whose first
//! content, zeros, is visible: headers of zeros resolve to nothing.
//!
//! # Invariants
//!
//! 1. A chunk is published at most once, by the holder of the depot's lock, and stays.
//!
//! Pairs: (C) `publish` Release to `find` Acquire: the mapping as it was handed over.
//!
//! Who calls this: `slab`.

#![cfg_attr(not(loom), forbid(unsafe_code))]

use crate::prim::{AtomicPtr, Ordering};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// The orderings that matter, so that a test can weaken one and see its model fail.
pub(super) trait Orders {
    /// `publish`.
    const PUBLISH: Ordering = Ordering::Release;
    /// `find`.
    const FIND: Ordering = Ordering::Acquire;
}

/// The orderings as they ship.
#[derive(Debug)]
pub(super) struct Shipped;

impl Orders for Shipped {}

/// The first header of each of up to `N` chunks.
pub(super) struct Chunks<H, const N: usize, O = Shipped> {
    first: [AtomicPtr<H>; N],
    orders: PhantomData<O>,
}

impl<H, const N: usize, O: Orders> Chunks<H, N, O> {
    /// None yet.
    pub(super) fn new() -> Chunks<H, N, O> {
        let first = std::array::from_fn(|_| AtomicPtr::new(std::ptr::null_mut()));
        Chunks { first, orders: PhantomData }
    }

    /// Lets everybody find the chunk that begins at `first`.
    pub(super) fn publish(&self, chunk: usize, first: NonNull<H>) {
        // (C) to the Acquire of `find`.
        self.first[chunk].store(first.as_ptr(), O::PUBLISH);
    }

    /// The first header of a chunk that has been published.
    #[inline]
    pub(super) fn find(&self, chunk: usize) -> Option<NonNull<H>> {
        // (C) from the Release of `publish`.
        NonNull::new(self.first.get(chunk)?.load(O::FIND))
    }
}

#[cfg(all(test, loom))]
#[path = "../../tests/loom/chunks.rs"]
mod loom_tests;
