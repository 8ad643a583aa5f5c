//! One end of a channel's queue: its gate, its count, and how far it may go without looking.
//!
//! What the two ends are to each other stands in `queue`; here is the step that each makes by itself.
//!
//! # Invariants
//!
//! 1. `reach` is used by who is inside the gate, or inside both.
//! 2. Below the limit, the sending end's places are free and the receiving end's are full, and lie in
//!    the end's block.
//! 3. An end fills or empties the place of its count, and then moves the count on: once each.
//!
//! # Who calls this, and what it may call
//!
//! `queue`. Nothing here waits or allocates.

use super::gate::{Gate, Platform};
use crate::prim::{AtomicPtr, AtomicUsize, Ordering, UnsafeCell};
use std::mem::MaybeUninit;
use std::ptr;

/// The orderings, so that a model can weaken one to see it fail.
pub(super) trait Orders: Platform {
    /// Of an end's count, by that end.
    const PUBLISH: Ordering = Ordering::Release;
    /// Of an end's count, by the other.
    const OBSERVE: Ordering = Ordering::Acquire;
    /// Of a spare block, by the receiving end.
    const GIVE: Ordering = Ordering::Release;
    /// Of a spare block, by the sending end.
    const TAKE: Ordering = Ordering::Acquire;
}

type Cell<T> = UnsafeCell<MaybeUninit<T>>;

/// Places for values, and the way to the next block.
pub(super) struct Block<T> {
    pub(super) next: AtomicPtr<Block<T>>,
    cells: Box<[Cell<T>]>,
}

impl<T> Block<T> {
    /// A block of so many places, a power of two, to be freed as a box.
    pub(super) fn new(cells: usize) -> *mut Block<T> {
        let cells = (0..cells).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect();
        Box::into_raw(Box::new(Block { next: AtomicPtr::new(ptr::null_mut()), cells }))
    }
}

/// How far an end may go, and where. Inside its gate.
pub(super) struct Reach<T> {
    /// The count at which it must look again.
    pub(super) limit: usize,
    /// The cells of `block`, and their number less one.
    cells: *const Cell<T>,
    mask: usize,
    /// The count at which `block` ends; a multiple of the number of its cells.
    pub(super) end: usize,
    /// Null before the first value.
    pub(super) block: *mut Block<T>,
    /// The next place among the spares.
    pub(super) turn: usize,
    /// Of the sending end: the block after the first, until it is needed; or null.
    pub(super) second: *mut Block<T>,
    /// Whether only one who is inside both gates may go on.
    pub(super) barred: bool,
}

impl<T> Reach<T> {
    /// Goes on in `block`; returns the one before.
    ///
    /// # Safety
    ///
    /// - `block` is alive, and remains so until the end has left it.
    pub(super) unsafe fn enter(&mut self, block: *mut Block<T>) -> *mut Block<T> {
        // SAFETY: by the contract.
        let cells = unsafe { &(*block).cells };
        self.cells = cells.as_ptr();
        self.mask = cells.len() - 1;
        self.end = self.end.wrapping_add(cells.len());
        std::mem::replace(&mut self.block, block)
    }

    /// The cell of the value with that number.
    ///
    /// # Safety
    ///
    /// - The number is one of `block`, which is not null.
    #[inline(always)]
    pub(super) unsafe fn cell<'a>(&self, number: usize) -> &'a Cell<T> {
        // SAFETY: by the contract the block is alive; the mask keeps the place within it.
        unsafe { &*self.cells.add(number & self.mask) }
    }
}

/// The count of the end whose gate the caller is inside: nobody else stores to it now.
#[cfg(not(loom))]
#[inline(always)]
pub(super) fn own(count: &AtomicUsize) -> usize {
    count.load(Ordering::Relaxed)
}

/// Not an atomic load for loom, which otherwise takes it for the last step that the store after it
/// could have changed places with.
#[cfg(loom)]
pub(super) fn own(count: &AtomicUsize) -> usize {
    // SAFETY: loom checks that no store is concurrent.
    unsafe { count.unsync_load() }
}

/// One end: apart from the other, for another processor works there.
#[repr(C, align(128))]
pub(super) struct End<T, P: Orders> {
    pub(super) gate: Gate<P>,
    /// Values that went through. Written inside the gate, read by anyone.
    pub(super) count: AtomicUsize,
    pub(super) reach: UnsafeCell<Reach<T>>,
}

impl<T, P: Orders> End<T, P> {
    /// An end through which nothing went.
    pub(super) fn new(barred: bool) -> End<T, P> {
        let (cells, block) = (ptr::null(), ptr::null_mut());
        let (second, turn) = (ptr::null_mut(), 0);
        let reach = Reach { limit: 0, cells, mask: 0, end: 0, block, turn, second, barred };
        End { gate: Gate::new(), count: AtomicUsize::new(0), reach: UnsafeCell::new(reach) }
    }

    /// Puts the value in `cell` into the next place, if the limit allows it.
    ///
    /// # Safety
    ///
    /// - This is the sending end, the caller is inside its gate, and `reach` is its own.
    #[inline(always)]
    pub(super) unsafe fn put(&self, reach: &Reach<T>, cell: &mut Option<T>) -> bool {
        let count = own(&self.count);
        if count == reach.limit {
            return false;
        }
        if let Some(value) = cell.take() {
            // SAFETY: below the limit: a free place (invariant 2) of this block, which nobody else
            // looks at until the count says that it is full.
            unsafe { reach.cell(count).with_mut(|place| (*place).write(value)) };
            // (Q) to the receiving end.
            self.count.store(count.wrapping_add(1), P::PUBLISH);
        }
        true
    }

    /// Takes the next value into `cell`, which is empty, if the limit allows it.
    ///
    /// # Safety
    ///
    /// - This is the receiving end, the caller is inside its gate, and `reach` is its own.
    #[inline(always)]
    pub(super) unsafe fn get(&self, reach: &Reach<T>, cell: &mut Option<T>) -> bool {
        let count = own(&self.count);
        if count == reach.limit {
            return false;
        }
        // SAFETY: below the limit: a full place (invariant 2) of this block; it is read once, for
        // the count moves past it.
        *cell = Some(unsafe { reach.cell(count).with(|place| (*place).assume_init_read()) });
        // (Q) to the sending end.
        self.count.store(count.wrapping_add(1), P::PUBLISH);
        true
    }

    /// Bars the end or lets it go on; in either case the next one looks again.
    ///
    /// # Safety
    ///
    /// - The caller is inside both gates.
    #[inline(always)]
    pub(super) unsafe fn settle(&self, barred: bool) {
        self.reach.with_mut(|reach| {
            // SAFETY: by the contract, and the reference ends here.
            let reach = unsafe { &mut *reach };
            reach.barred = barred;
            reach.limit = own(&self.count);
        });
    }
}
