//! The stacks a thread keeps at hand.
//!
//! The stack given back last is taken first: its top page is in the cache of the CPU. Nothing here
//! is atomic, because only the owning thread comes here; what overflows goes to the shared pool in
//! batches, oldest first, so that a thread that frees what another creates locks once in 32.
//!
//! # Invariants
//!
//! 1. `places[..len]` are stacks without a label, `places[len..]` are empty.
//! 2. `len <= limit <= CAPACITY`: large stacks, which may hold many pages, are kept in small number.
//!
//! # Who calls this, and what it may call
//!
//! The thread that owns the cache, on its own stack or a coroutine's. The fast paths call nothing.

use super::class::{CLASSES, Class, StackSize};
use super::handle::Stack;
use super::pool;
use crate::error::StackError;
use std::array;
use std::cell::Cell;
use std::fmt;
use std::mem;

/// How many stacks of one size a thread keeps at most.
const CAPACITY: usize = 64;

/// The address space of the stacks of one size that a thread keeps, unless it is two stacks.
const KEPT_BYTES: usize = 16 << 20;

/// A stack of stacks of one size class.
pub(super) struct Magazine {
    len: Cell<usize>,
    limit: usize,
    places: [Cell<Option<Stack>>; CAPACITY],
}

impl Magazine {
    fn new(class: Class) -> Magazine {
        Magazine {
            len: Cell::new(0),
            limit: (KEPT_BYTES / class.bytes()).clamp(2, CAPACITY),
            places: array::from_fn(|_| Cell::new(None)),
        }
    }

    /// How many stacks go to the pool, or come from it, under one lock.
    pub(super) fn batch(&self) -> usize {
        self.limit / 2
    }

    #[inline(always)]
    fn pop(&self) -> Option<Stack> {
        // The subtraction wraps when there is none, and so misses every place.
        let len = self.len.get().wrapping_sub(1);
        let stack = self.places.get(len)?.take();
        self.len.set(len);
        stack
    }

    /// Gives the stack back if there is no room.
    #[inline(always)]
    pub(super) fn push(&self, stack: Stack) -> Result<(), Stack> {
        let len = self.len.get();
        match self.places.get(len) {
            Some(place) if len < self.limit => {
                // The place is empty (invariant 1); `set` would check that to drop what is there.
                mem::forget(place.replace(Some(stack)));
                self.len.set(len + 1);
                Ok(())
            }
            _ => Err(stack),
        }
    }

    /// Takes out the `count` stacks that have been here longest.
    fn drain_oldest(&self, count: usize) -> impl Iterator<Item = Stack> {
        let len = self.len.get();
        let count = count.min(len);
        self.len.set(len - count);
        let mut oldest: [Option<Stack>; CAPACITY] = array::from_fn(|_| None);
        for (place, old) in self.places.iter().zip(&mut oldest).take(count) {
            *old = place.take();
        }
        for at in count..len {
            self.places[at - count].set(self.places[at].take());
        }
        oldest.into_iter().flatten()
    }
}

/// The free stacks of one thread, by size.
///
/// `Send`, but not `Sync`: it has one owner at a time. Dropping it hands everything to the pool.
pub(crate) struct StackCache {
    magazines: [Magazine; CLASSES],
}

impl StackCache {
    /// An empty cache.
    pub(crate) fn new() -> StackCache {
        StackCache { magazines: Class::ALL.map(Magazine::new) }
    }

    /// Takes a stack, from here if there is one, otherwise from the pool or the system.
    ///
    /// # Errors
    ///
    /// A [`StackError`] that names the limit: no address space, or no mappings for guards.
    #[inline(always)]
    pub(crate) fn acquire(&self, size: StackSize) -> Result<Stack, StackError> {
        match self.magazines[size.class().index()].pop() {
            Some(stack) => Ok(stack),
            None => self.acquire_slow(size.class()),
        }
    }

    /// Keeps a stack that nothing runs on any more.
    #[inline(always)]
    pub(crate) fn release(&self, stack: Stack) {
        stack.clear_label();
        let class = stack.class();
        if let Err(stack) = self.magazines[class.index()].push(stack) {
            self.release_slow(class, stack);
        }
    }

    /// The number of free stacks here.
    pub(crate) fn len(&self) -> usize {
        self.magazines.iter().map(|magazine| magazine.len.get()).sum()
    }

    /// Hands everything to the pool.
    pub(crate) fn flush(&self) {
        for (magazine, class) in self.magazines.iter().zip(Class::ALL) {
            if magazine.len.get() > 0 {
                pool::put_all(class, magazine.drain_oldest(CAPACITY));
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn acquire_slow(&self, class: Class) -> Result<Stack, StackError> {
        pool::take(class, &self.magazines[class.index()])
    }

    #[cold]
    #[inline(never)]
    fn release_slow(&self, class: Class, stack: Stack) {
        let magazine = &self.magazines[class.index()];
        pool::put_all(class, magazine.drain_oldest(magazine.batch()));
        if let Err(stack) = magazine.push(stack) {
            pool::put(stack);
        }
    }
}

impl Drop for StackCache {
    fn drop(&mut self) {
        self.flush();
    }
}

impl fmt::Debug for StackCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackCache").field("len", &self.len()).finish()
    }
}
