//! The two ends of a ring of cells: what a position allows, in a form that safe code cannot misuse.
//!
//! Positions count values for ever and wrap; the place of a value is its position modulo the number
//! of cells, a power of two not below the capacity. The ends work on positions of their own and
//! publish them when they like: a chunk is a run of cells between two publications.
//!
//! # Invariants
//!
//! 1. There is one [`Tx`] and one [`Rx`] of a ring, not cloneable, and each works by `&mut self`.
//! 2. Cells in `received..at` of [`Tx`] are full, those in `at..seen + capacity` are its own to fill.
//!    Cells in `at..seen` of [`Rx`] are its own to empty.
//! 3. An end moves its `at` at once when it has filled or emptied a cell, and publishes it later; a
//!    guard that is leaked delays the publication, no more. Dropping an end publishes.
//!
//! # Who calls this, and what it may call
//!
//! `sender`, `receiver`, `chunk`, `future`.

use super::flow::{Flow, Platform, Side};
use crate::coroutine::WaitReason;
use crate::prim::{Arc, spin_loop, thread_yield};
use crate::sys::membarrier;
use crate::token::{Outcome, SlotRef, Wait};
use crate::util::Panics;
use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::task::Waker;

/// Looks at the other side's position before a wait that would cost a system call.
const SPINS: u32 = 20;

/// This process.
pub(super) struct Process;

impl Platform for Process {
    #[inline(always)]
    fn me() -> usize {
        crate::arch::thread_word()
    }

    #[inline(always)]
    fn light() {
        membarrier::light();
    }

    fn heavy() {
        membarrier::heavy();
    }

    fn pause() {
        thread_yield();
    }
}

/// Who sits in a seat.
pub(super) enum Waiter {
    Party { slot: SlotRef, generation: u32 },
    Task(Waker),
}

impl Waiter {
    fn wake(self) {
        match self {
            Waiter::Party { slot, generation } => {
                if let Some(claim) = slot.claim(generation, Outcome::Ready(0)) {
                    claim.wake();
                }
            }
            Waiter::Task(waker) => waker.wake(),
        }
    }
}

/// What a side that cannot go on must do.
#[must_use]
pub(super) enum Next {
    /// Look again: something has changed.
    Again,
    /// The channel is closed, and there is nothing left for this side.
    Closed,
    /// Park; it sits.
    Park(Wait),
}

/// Cells and flow.
struct Ring<T> {
    flow: Flow<Waiter, Process>,
    cells: Box<[MaybeUninit<UnsafeCell<T>>]>,
    capacity: usize,
}

// SAFETY: the flow hands each cell from one end to the other (invariant 2); values move between
// threads, and are looked at by one at a time.
unsafe impl<T: Send> Sync for Ring<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Ring<T> {}

impl<T> Ring<T> {
    #[inline(always)]
    fn cell(&self, at: usize) -> *mut T {
        // The length is a power of two, which makes this a mask; never out of range.
        let place = at & (self.cells.len() - 1);
        // SAFETY: below the length, by the mask.
        UnsafeCell::raw_get(unsafe { self.cells.get_unchecked(place) }.as_ptr())
    }

    /// The cells of `from..to`, which are at most as many as there are, as one or two runs.
    fn runs(&self, from: usize, to: usize) -> [(*mut T, usize); 2] {
        let count = to.wrapping_sub(from);
        debug_assert!(count <= self.cells.len());
        let start = from & (self.cells.len() - 1);
        let first = count.min(self.cells.len() - start);
        [(self.cell(from), first), (self.cell(from.wrapping_add(first)), count - first)]
    }

    /// Announces the wait of `side`. The caller looks again and rises, or parks.
    fn begin(&self, side: Side) -> Wait {
        let reason = if side == Side::Send { WaitReason::Send } else { WaitReason::Recv };
        let wait = Wait::begin_for(reason, std::ptr::from_ref(self).addr());
        let (slot, generation) = (wait.slot(), wait.generation());
        self.flow.sit(side, Waiter::Party { slot, generation });
        wait
    }

    /// Takes the announcement of `wait` back, if it is still there.
    fn give_up(&self, side: Side, wait: Wait) -> Next {
        match self.flow.rise(side) {
            Some(_) => {
                wait.retract().expect("nobody else had this wait");
                Next::Again
            }
            // The other side has taken it out and is about to wake.
            None => Next::Park(wait),
        }
    }

    fn close(&self, side: Side, home: &mut usize) -> bool {
        let first = !self.flow.is_closed();
        if self.flow.close(side, home) {
            self.wake_other(side);
        }
        first
    }

    #[cold]
    #[inline(never)]
    fn wake_other(&self, side: Side) {
        if let Some(waiter) = self.flow.call(side) {
            waiter.wake();
        }
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // Only what a send slipped in while the receiver went away.
        let (mut at, end) = (self.flow.position(Side::Recv), self.flow.position(Side::Send));
        while at != end {
            // SAFETY: both ends are gone and have published their positions: the cells between
            // them are full.
            unsafe { self.cell(at).drop_in_place() };
            at = at.wrapping_add(1);
        }
    }
}

/// A ring of `capacity` values, and its two ends.
///
/// # Panics
///
/// If the capacity is 0, or too large to be allocated.
pub(super) fn ring<T>(capacity: usize) -> (Tx<T>, Rx<T>) {
    assert!(capacity > 0, "spsc needs room for a value; `rendezvous` does without");
    let cells = capacity.checked_next_power_of_two().expect("the capacity fits the address space");
    membarrier::available();
    let cells = Box::new_uninit_slice(cells);
    let ring = Arc::new(Ring { flow: Flow::new(), cells, capacity });
    let tx = Tx { ring: Arc::clone(&ring), at: 0, seen: 0, home: 0 };
    (tx, Rx { ring, at: 0, seen: 0, home: 0, looks_at: PhantomData })
}

/// A side that sits while its owner is suspended. Dropped, it rises.
pub(super) struct Seated<'a, T> {
    ring: &'a Ring<T>,
    side: Side,
}

impl<T> Drop for Seated<'_, T> {
    fn drop(&mut self) {
        drop(self.ring.flow.rise(self.side));
    }
}

macro_rules! common {
    ($side:expr) => {
        /// Publishes what has been done, and wakes the other side if it waits.
        #[inline(always)]
        pub(super) fn publish(&mut self) {
            if self.ring.flow.publish($side, self.at, &mut self.home) {
                self.ring.wake_other($side);
            }
        }

        /// Says what to do when [`ready`](Self::ready) is zero: possibly sits.
        #[inline(never)]
        pub(super) fn plan(&mut self) -> Next {
            if !self.ring.flow.at_home($side) {
                for _ in 0..SPINS {
                    if self.ready() != 0 {
                        return Next::Again;
                    }
                    spin_loop();
                }
            }
            let wait = self.ring.begin($side);
            let closed = self.ring.flow.is_closed();
            if self.ready() != 0 {
                return self.ring.give_up($side, wait);
            }
            if closed {
                return match self.ring.give_up($side, wait) {
                    Next::Again => Next::Closed,
                    next => next,
                };
            }
            Next::Park(wait)
        }

        /// Sits as a future; false: it need not, something has changed.
        pub(super) fn sit(&mut self, waker: &Waker) -> bool {
            drop(self.ring.flow.rise($side));
            self.ring.flow.sit($side, Waiter::Task(waker.clone()));
            if self.ready() == 0 && !self.ring.flow.is_closed() {
                return true;
            }
            self.rise();
            false
        }

        /// Takes a future's seat back.
        pub(super) fn rise(&self) {
            drop(self.ring.flow.rise($side));
        }

        /// Rises when it is dropped.
        #[inline(always)]
        pub(super) fn seated(&self) -> Seated<'_, T> {
            Seated { ring: &self.ring, side: $side }
        }

        /// Closes the channel; true the first time.
        pub(super) fn close(&mut self) -> bool {
            self.ring.close($side, &mut self.home)
        }

        /// Whether either side has closed.
        #[inline(always)]
        pub(super) fn is_closed(&self) -> bool {
            self.ring.flow.is_closed()
        }

        /// Exact number of values it may hold.
        pub(super) fn capacity(&self) -> usize {
            self.ring.capacity
        }
    };
}

/// The sending end.
pub(super) struct Tx<T> {
    ring: Arc<Ring<T>>,
    /// Own position.
    at: usize,
    /// The receiver's, as last seen.
    seen: usize,
    home: usize,
}

impl<T> Tx<T> {
    common!(Side::Send);

    /// Cells that may be filled. If that is none by the copy of the receiver's position, it is
    /// renewed first.
    #[inline(always)]
    pub(super) fn ready(&mut self) -> usize {
        let room = self.ring.capacity - self.at.wrapping_sub(self.seen);
        if room != 0 { room } else { self.renew() }
    }

    #[inline(always)]
    fn renew(&mut self) -> usize {
        self.seen = self.ring.flow.observe(Side::Send);
        self.ring.capacity - self.at.wrapping_sub(self.seen)
    }

    /// As [`ready`](Tx::ready), of at least `wanted` if there are as many.
    pub(super) fn ready_for(&mut self, wanted: usize) -> usize {
        let room = self.ready();
        if room >= wanted { room } else { self.renew() }
    }

    /// Fills the next cell.
    ///
    /// # Panics
    ///
    /// If none is ready.
    #[inline(always)]
    pub(super) fn put(&mut self, value: T) {
        assert!(self.at.wrapping_sub(self.seen) < self.ring.capacity, "no cell is ready");
        // SAFETY: by the assertion the cell is ours to fill (invariant 2).
        unsafe { self.ring.cell(self.at).write(value) };
        self.at = self.at.wrapping_add(1);
    }

    /// Values sent and not received.
    pub(super) fn len(&self) -> usize {
        self.at.wrapping_sub(self.ring.flow.observe(Side::Send))
    }
}

impl<T> Drop for Tx<T> {
    fn drop(&mut self) {
        let mut panics = Panics::new();
        panics.catch(|| self.publish());
        panics.catch(|| {
            self.close();
        });
        panics.resume();
    }
}

/// The receiving end.
pub(super) struct Rx<T> {
    ring: Arc<Ring<T>>,
    /// Own position.
    at: usize,
    /// The sender's, as last seen.
    seen: usize,
    home: usize,
    /// `look` gives out references to values, so it is `Sync` only if they are.
    looks_at: PhantomData<T>,
}

impl<T> Rx<T> {
    common!(Side::Recv);

    /// Cells that may be emptied. If that is none by the copy of the sender's position, it is
    /// renewed first.
    #[inline(always)]
    pub(super) fn ready(&mut self) -> usize {
        let there = self.seen.wrapping_sub(self.at);
        if there != 0 { there } else { self.renew() }
    }

    #[inline(always)]
    fn renew(&mut self) -> usize {
        self.seen = self.ring.flow.observe(Side::Recv);
        self.seen.wrapping_sub(self.at)
    }

    /// As [`ready`](Rx::ready), of at least `wanted` if there are as many.
    pub(super) fn ready_for(&mut self, wanted: usize) -> usize {
        let there = self.ready();
        if there >= wanted { there } else { self.renew() }
    }

    /// Empties the next cell, if one is ready by the copy of the sender's position.
    #[inline(always)]
    pub(super) fn take(&mut self) -> Option<T> {
        if self.at == self.seen {
            return None;
        }
        // SAFETY: the cell is ours to empty (invariant 2), and full.
        let value = unsafe { self.ring.cell(self.at).read() };
        self.at = self.at.wrapping_add(1);
        Some(value)
    }

    /// The next `count` values in place, of those that are ready.
    pub(super) fn look(&self, count: usize) -> (&[T], &[T]) {
        let count = count.min(self.seen.wrapping_sub(self.at));
        let [first, second] = self.ring.runs(self.at, self.at.wrapping_add(count));
        // SAFETY: the cells in `at..seen` are full and ours; they stay so while `self` is borrowed.
        unsafe {
            (
                std::slice::from_raw_parts(first.0, first.1),
                std::slice::from_raw_parts(second.0, second.1),
            )
        }
    }

    /// As [`look`](Rx::look), to be changed.
    pub(super) fn look_mut(&mut self, count: usize) -> (&mut [T], &mut [T]) {
        let count = count.min(self.seen.wrapping_sub(self.at));
        let [first, second] = self.ring.runs(self.at, self.at.wrapping_add(count));
        // SAFETY: as in `look`, alone because of `&mut self`; the runs do not overlap, being
        // together at most all cells.
        unsafe {
            (
                std::slice::from_raw_parts_mut(first.0, first.1),
                std::slice::from_raw_parts_mut(second.0, second.1),
            )
        }
    }

    /// Values sent and not received.
    pub(super) fn len(&self) -> usize {
        self.ring.flow.observe(Side::Recv).wrapping_sub(self.at)
    }
}

impl<T> Drop for Rx<T> {
    /// Closes, and drops what is there; a `Drop` that panics does not keep the others from theirs.
    fn drop(&mut self) {
        let mut panics = Panics::new();
        panics.catch(|| {
            self.close();
        });
        while self.ready() != 0 {
            panics.catch(|| drop(self.take()));
        }
        self.publish();
        panics.resume();
    }
}

impl<T> fmt::Debug for Ring<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sent = self.flow.position(Side::Send);
        let len = sent.wrapping_sub(self.flow.position(Side::Recv));
        // The two positions are read one after the other.
        let len = len.min(self.capacity);
        write!(f, "len {len} of {}", self.capacity)?;
        if self.flow.is_closed() { f.write_str(", closed") } else { Ok(()) }
    }
}

impl<T> fmt::Debug for Tx<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ring.fmt(f)
    }
}

impl<T> fmt::Debug for Rx<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ring.fmt(f)
    }
}
