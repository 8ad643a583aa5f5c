//! The values a channel holds, in blocks, with a gate at each end: senders and receivers do not meet
//! while there is room and something to take.
//!
//! Who is inside the sending gate appends, who is inside the receiving gate takes. Each end counts
//! what went through it, for ever, and the counts are all that the ends tell each other: an end works
//! up to a *limit* without looking, and looks at the other's count when it has come to that. A value's
//! place is its number in the block; a block that has been emptied goes back to the sending end.
//! Waiting, closing and everything else that concerns both sides happens inside both gates, as
//! [`Held`]; an end that must not go on by itself any more, because somebody waits, is *barred*.
//!
//! ```text
//!   rx.count      rx.limit                 tx.count     tx.limit
//!      |             |                        |            |
//!      v             v                        v            v
//!  ... full, known   full, not seen yet       free, known  free, not seen yet ...
//! ```
//!
//! | who is inside  | reads and writes                     | reads             |
//! |----------------|--------------------------------------|-------------------|
//! | sending gate   | `tx`, the cells from `tx.count` on   | `rx.count`        |
//! | receiving gate | `rx`, the cells below `tx.count`     | `tx.count`        |
//! | both           | everything                           |                   |
//! | nobody         |                                      | the counts        |
//!
//! # Invariants
//!
//! 1. The cells of `rx.count..tx.count` are full, each in its block; the values in `front` come before
//!    them all.
//! 2. An end's limit is never beyond what is free, or full; it is the end's count, so that the next
//!    one looks, whenever both gates are left.
//! 3. The gates are entered in the order sending, receiving; the other way round only by a try that
//!    does not wait.
//! 4. A queue that is *solo* uses the sending gate alone, for everything.
//! 5. Blocks between the receiving end's and the sending end's are linked in order; both ends' own are
//!    alive. A block is given back when the receiving end is in the next one, which the sending end
//!    was before.
//!
//! Pairs: (Q) the Release of an end's count to the other's Acquire: the value in the cell; and what
//!        a receiver did before it made room comes before the send that uses it.
//!        (S) the Release of a spare block to its Acquire: what was read out of it.
//!
//! # Who calls this, and what it may call
//!
//! `lock`, from any thread. It allocates and frees blocks inside a gate. No code of the user's runs
//! here but, when the queue is dropped, `Drop` of the values that are left.

use super::end::{Block, End, Orders, Reach, own};
use super::gate::{Entry, Gate};
use crate::prim::{AtomicPtr, AtomicUsize, Ordering, UnsafeCell};
use std::collections::VecDeque;
use std::ptr;

/// Bytes of values that a block aims at.
const BLOCK: usize = 4096;

/// Most cells of a block, and what a block of few is not below, unless its values are large; powers
/// of two.
const CELLS: (usize, usize) = if cfg!(loom) { (2, 2) } else { (512, 16) };

/// With less room than this the parties wait for each other all the time, and one gate is cheaper.
const ROOM: usize = if cfg!(loom) { 1 } else { 8 };

/// Emptied blocks that are kept for the sending end, at most; and how many without a bound.
const SPARES: usize = if cfg!(loom) { 1 } else { 32 };
const UNBOUNDED_SPARES: usize = if cfg!(loom) { 1 } else { 8 };

/// The values, and the gates.
pub(super) struct Queue<T, P: Orders, E> {
    tx: End<T, P>,
    rx: End<T, P>,
    /// Emptied blocks: the receiving end fills null places in turn, the sending end empties them.
    spares: [AtomicPtr<Block<T>>; SPARES],
    first: AtomicPtr<Block<T>>,
    /// Values that came back, inside both gates; and their number, for anyone.
    front: UnsafeCell<VecDeque<T>>,
    returned: AtomicUsize,
    /// The user's, inside both gates.
    state: UnsafeCell<E>,
    capacity: usize,
    /// Of a block.
    cells: usize,
    /// How many of the spares are used.
    keeps: usize,
    solo: bool,
}

// SAFETY: the gates let one at a time reach each end's part (the table above), the counts hand the
// values from one to the other (Q), and blocks go back by (S); values move between threads.
unsafe impl<T: Send, P: Orders, E: Send> Sync for Queue<T, P, E> {}
// SAFETY: as above.
unsafe impl<T: Send, P: Orders, E: Send> Send for Queue<T, P, E> {}

impl<T, P: Orders, E> Queue<T, P, E> {
    /// An empty queue; `usize::MAX` means no bound. Without room to speak of it is solo.
    pub(super) fn new(capacity: usize, state: E) -> Queue<T, P, E> {
        let solo = capacity < ROOM;
        let fit = |bytes: usize, most: usize| (bytes / size_of::<T>().max(1)).clamp(1, most);
        let least = fit(16 * BLOCK, CELLS.1);
        let cells = fit(BLOCK, CELLS.0).min(capacity).max(least).next_power_of_two();
        Queue {
            tx: End::new(solo),
            rx: End::new(solo),
            spares: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            first: AtomicPtr::new(ptr::null_mut()),
            front: UnsafeCell::new(VecDeque::new()),
            returned: AtomicUsize::new(0),
            state: UnsafeCell::new(state),
            capacity,
            cells,
            keeps: if capacity == usize::MAX { UNBOUNDED_SPARES } else { SPARES },
            solo,
        }
    }

    /// Sends the value in `cell` if that is a matter of a few instructions; then calls `note`, inside.
    #[inline(always)]
    pub(super) fn offer(&self, cell: &mut Option<T>, note: impl FnOnce()) -> bool {
        if self.solo {
            return false;
        }
        let Some(entry) = self.tx.gate.enter_quick() else { return false };
        // SAFETY: inside the sending gate.
        let done = self.tx.reach.with(|reach| unsafe { self.tx.put(&*reach, cell) });
        if done {
            note();
        }
        self.tx.gate.leave(entry);
        done
    }

    /// Receives into `cell`, which is empty, if that is a matter of a few instructions; then calls
    /// `note`, inside.
    #[inline(always)]
    pub(super) fn poll(&self, cell: &mut Option<T>, note: impl FnOnce()) -> bool {
        if self.solo {
            return false;
        }
        let Some(entry) = self.rx.gate.enter_quick() else { return false };
        // SAFETY: inside the receiving gate.
        let done = self.rx.reach.with(|reach| unsafe { self.rx.get(&*reach, cell) });
        if done {
            note();
        }
        self.rx.gate.leave(entry);
        done
    }

    /// Sends the value in `cell`, or returns inside both gates: there is no room, or somebody is to
    /// be told. If it is sent, calls `note` inside the sending gate.
    #[inline(always)]
    pub(super) fn send(
        &self,
        cell: &mut Option<T>,
        note: impl FnOnce(),
    ) -> Option<Held<'_, T, P, E>> {
        if self.solo {
            return Some(self.enter_solo());
        }
        let tx = self.tx.gate.enter();
        // SAFETY: inside the sending gate.
        let done = self.tx.reach.with_mut(|reach| unsafe {
            self.tx.put(&*reach, cell)
                || !(*reach).barred && self.see_room(&mut *reach) && self.tx.put(&*reach, cell)
        });
        if !done {
            return Some(self.enter_from(tx));
        }
        note();
        self.tx.gate.leave(tx);
        None
    }

    /// Receives into `cell`, which is empty, or returns inside both gates: there is nothing, or
    /// somebody is to be told. If one came, calls `note` inside the receiving gate.
    #[inline(always)]
    pub(super) fn recv(
        &self,
        cell: &mut Option<T>,
        note: impl FnOnce(),
    ) -> Option<Held<'_, T, P, E>> {
        if self.solo {
            return Some(self.enter_solo());
        }
        let rx = self.rx.gate.enter();
        // SAFETY: inside the receiving gate.
        let done = self.rx.reach.with_mut(|reach| unsafe {
            self.rx.get(&*reach, cell)
                || !(*reach).barred && self.see_values(&mut *reach) && self.rx.get(&*reach, cell)
        });
        if done {
            note();
        } else if let Some(tx) = self.tx.gate.enter_quick() {
            return Some(Held { queue: self, entries: pack(tx, Some(rx)) });
        }
        self.rx.gate.leave(rx);
        (!done).then(|| self.enter())
    }

    /// Waits until the caller is alone inside both gates.
    #[inline(always)]
    pub(super) fn enter(&self) -> Held<'_, T, P, E> {
        self.enter_from(self.tx.gate.enter())
    }

    #[inline(always)]
    fn enter_solo(&self) -> Held<'_, T, P, E> {
        Held { queue: self, entries: pack(self.tx.gate.enter(), None) }
    }

    #[inline(always)]
    fn enter_from(&self, tx: Entry) -> Held<'_, T, P, E> {
        let rx = (!self.solo).then(|| self.rx.gate.enter());
        Held { queue: self, entries: pack(tx, rx) }
    }

    /// Moves the sending end's limit on; false: there is no room.
    ///
    /// # Safety
    ///
    /// - The caller is inside the sending gate, and `reach` is that end's.
    #[inline(never)]
    unsafe fn see_room(&self, reach: &mut Reach<T>) -> bool {
        let count = own(&self.tx.count);
        let mut room = usize::MAX;
        if self.capacity != usize::MAX {
            // (Q) from the receiving end.
            let taken = self.rx.count.load(P::OBSERVE);
            room = self.capacity.saturating_sub(count.wrapping_sub(taken));
        }
        if room == 0 {
            return false;
        }
        if count == reach.end {
            // SAFETY: by the contract, and the block is full.
            unsafe { self.append(reach) };
        }
        reach.limit = count.wrapping_add(room.min(reach.end.wrapping_sub(count)));
        true
    }

    /// Moves the receiving end's limit on; false: nothing is there.
    ///
    /// # Safety
    ///
    /// - The caller is inside the receiving gate, and `reach` is that end's.
    #[inline(never)]
    unsafe fn see_values(&self, reach: &mut Reach<T>) -> bool {
        let count = own(&self.rx.count);
        // (Q) from the sending end.
        let ready = self.tx.count.load(P::OBSERVE).wrapping_sub(count);
        if ready == 0 {
            return false;
        }
        if count == reach.end {
            // SAFETY: by the contract, and there is a value in the next block.
            unsafe { self.advance(reach) };
        }
        reach.limit = count.wrapping_add(ready.min(reach.end.wrapping_sub(count)));
        true
    }

    /// Takes a spare block, or a fresh one, as the last.
    ///
    /// # Safety
    ///
    /// - The caller is inside the sending gate, `reach` is that end's, and its block is full.
    #[cold]
    unsafe fn append(&self, reach: &mut Reach<T>) {
        let place = &self.spares[reach.turn % self.keeps];
        // (S) from the receiving end.
        let mut block = place.load(P::TAKE);
        if block.is_null() {
            // Two blocks are enough for a bound that fits one of them: the second is made with the
            // first, so that nothing is allocated later.
            block = std::mem::replace(&mut reach.second, ptr::null_mut());
            if reach.block.is_null() {
                reach.second = Block::new(self.cells);
            }
            if block.is_null() {
                block = Block::new(self.cells);
            }
        } else {
            place.store(ptr::null_mut(), Ordering::Relaxed);
            reach.turn += 1;
            // SAFETY: a spare block is alive, and ours from here on.
            unsafe { &(*block).next }.store(ptr::null_mut(), Ordering::Relaxed);
        }
        // SAFETY: alive until the receiving end gives it back, which needs a value in the next one.
        let last = unsafe { reach.enter(block) };
        // The receiving end follows the link when the count says that there is a value behind it (Q).
        if last.is_null() {
            self.first.store(block, Ordering::Relaxed);
        } else {
            // SAFETY: our own until now, and alive for the same reason.
            unsafe { &(*last).next }.store(block, Ordering::Relaxed);
        }
    }

    /// Goes on to the next block, and gives the one before back.
    ///
    /// # Safety
    ///
    /// - The caller is inside the receiving gate, `reach` is that end's, its block is empty, and the
    ///   sending end has published a value in the next one.
    #[cold]
    unsafe fn advance(&self, reach: &mut Reach<T>) {
        let next = if reach.block.is_null() {
            self.first.load(Ordering::Relaxed)
        } else {
            // SAFETY: our own block is alive (invariant 5).
            unsafe { &(*reach.block).next }.load(Ordering::Relaxed)
        };
        // SAFETY: it was linked before its first value was published, and is freed by us only.
        let emptied = unsafe { reach.enter(next) };
        if emptied.is_null() {
            return;
        }
        let place = &self.spares[reach.turn % self.keeps];
        if place.load(Ordering::Relaxed).is_null() {
            // (S) to the sending end.
            place.store(emptied, P::GIVE);
            reach.turn += 1;
        } else {
            // SAFETY: from `Block::new`; the sending end has left it (invariant 5), and so have we.
            drop(unsafe { Box::from_raw(emptied) });
        }
    }

    /// Values held, as seen from inside the sending gate: no more than there were.
    #[inline(always)]
    pub(super) fn depth(&self) -> usize {
        own(&self.tx.count).wrapping_sub(self.rx.count.load(Ordering::Relaxed))
    }

    /// Values held at this moment. Nobody need be inside.
    pub(super) fn len(&self) -> usize {
        loop {
            let taken = self.rx.count.load(Ordering::Acquire);
            let put = self.tx.count.load(Ordering::Acquire);
            let front = self.returned.load(Ordering::Relaxed);
            // The same count again: both belong to one moment.
            if cfg!(loom) || self.rx.count.load(Ordering::Relaxed) == taken {
                return put.wrapping_sub(taken) + front;
            }
        }
    }

    /// For reports: the gates.
    pub(super) fn gates(&self) -> (&Gate<P>, &Gate<P>) {
        (&self.tx.gate, &self.rx.gate)
    }
}

/// Alone inside both gates, until dropped.
pub(super) struct Held<'a, T, P: Orders, E> {
    queue: &'a Queue<T, P, E>,
    /// How the holder got in, by [`pack`]. A whole word, because it is moved with the reference: two
    /// bytes would come back from memory in pieces that the processor cannot forward.
    entries: usize,
}

/// The entries of both gates; of a solo queue the sending one alone.
#[inline(always)]
fn pack(tx: Entry, rx: Option<Entry>) -> usize {
    tx as usize | rx.map_or(0, |rx| 2 + rx as usize) << 1
}

/// What [`pack`] was made of.
#[inline(always)]
fn unpack(entries: usize) -> (Entry, Option<Entry>) {
    let entry =
        |word: usize| if word & 1 == Entry::Owner as usize { Entry::Owner } else { Entry::Byte };
    (entry(entries), (entries & 4 != 0).then(|| entry(entries >> 1)))
}

impl<T, P: Orders, E> Held<'_, T, P, E> {
    /// The user's state.
    #[inline(always)]
    pub(super) fn state(&self) -> &E {
        // SAFETY: alone inside both gates.
        self.queue.state.with(|state| unsafe { &*state })
    }

    /// The user's state, and the values.
    #[inline(always)]
    pub(super) fn parts(&mut self) -> (&mut E, &mut Self) {
        // SAFETY: alone inside both gates, and lent mutably; nothing else here touches the state.
        (self.queue.state.with_mut(|state| unsafe { &mut *state }), self)
    }

    /// Values held.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        let count = |end: &End<T, P>| own(&end.count);
        let returned = self.queue.returned.load(Ordering::Relaxed);
        count(&self.queue.tx).wrapping_sub(count(&self.queue.rx)) + returned
    }

    /// Adds the newest value. The caller sees to the capacity.
    #[inline(always)]
    pub(super) fn push(&mut self, value: T) {
        let tx = &self.queue.tx;
        let count = own(&tx.count);
        tx.reach.with_mut(|reach| {
            // SAFETY: alone inside both gates; `append` is called when the block is full; the
            // place is free, for `end` is beyond it, and nobody looks until the count says so.
            unsafe {
                if count == (*reach).end {
                    self.queue.append(&mut *reach);
                }
                (*reach).cell(count).with_mut(|place| (*place).write(value));
            }
        });
        // (Q) to the receiving end.
        tx.count.store(count.wrapping_add(1), P::PUBLISH);
    }

    /// Takes the oldest value.
    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<T> {
        // SAFETY: alone inside both gates.
        unsafe { self.queue.pop() }
    }

    /// Puts a value back in front of all others.
    pub(super) fn unpop(&mut self, value: T) {
        // SAFETY: alone inside both gates, and the reference ends here.
        let len = self.queue.front.with_mut(|front| unsafe {
            (*front).push_front(value);
            (*front).len()
        });
        self.queue.returned.store(len, Ordering::Relaxed);
    }

    /// Bars the ends at which somebody must be told of what comes next, and lets the others go on by
    /// themselves.
    #[inline(always)]
    pub(super) fn settle(&mut self, tx: bool, rx: bool) {
        if self.queue.solo {
            return;
        }
        let back = self.queue.returned.load(Ordering::Relaxed) != 0;
        // SAFETY: alone inside both gates, for both.
        unsafe { self.queue.tx.settle(tx || back) };
        // SAFETY: as above.
        unsafe { self.queue.rx.settle(rx || back) };
    }
}

impl<T, P: Orders, E> Drop for Held<'_, T, P, E> {
    #[inline(always)]
    fn drop(&mut self) {
        let (tx, rx) = unpack(self.entries);
        if let Some(rx) = rx {
            self.queue.rx.gate.leave(rx);
        }
        self.queue.tx.gate.leave(tx);
    }
}

impl<T, P: Orders, E> Queue<T, P, E> {
    /// # Safety
    ///
    /// - The caller is alone inside both gates, or has the queue to itself.
    #[inline(always)]
    unsafe fn pop(&self) -> Option<T> {
        if self.returned.load(Ordering::Relaxed) != 0 {
            // SAFETY: by the contract.
            return unsafe { self.pop_front() };
        }
        let count = own(&self.rx.count);
        if own(&self.tx.count) == count {
            return None;
        }
        let value = self.rx.reach.with_mut(|reach| {
            // SAFETY: by the contract; there is a value, in the next block if this one has ended. It is
            // read once, for the count moves past it.
            unsafe {
                if count == (*reach).end {
                    self.advance(&mut *reach);
                }
                (*reach).cell(count).with(|place| (*place).assume_init_read())
            }
        });
        // (Q) to the sending end.
        self.rx.count.store(count.wrapping_add(1), P::PUBLISH);
        Some(value)
    }

    /// # Safety
    ///
    /// - As [`pop`](Queue::pop).
    #[cold]
    unsafe fn pop_front(&self) -> Option<T> {
        self.front.with_mut(|front| {
            // SAFETY: by the contract, and the reference ends here.
            let front = unsafe { &mut *front };
            self.returned.store(front.len().saturating_sub(1), Ordering::Relaxed);
            front.pop_front()
        })
    }

    /// Frees all blocks.
    ///
    /// # Safety
    ///
    /// - The caller drops the queue, which is empty.
    unsafe fn free(&self) {
        let mut block = self.rx.reach.with(|reach| {
            // SAFETY: by the contract.
            unsafe { (*reach).block }
        });
        if block.is_null() {
            block = self.first.load(Ordering::Relaxed);
        }
        let second = self.tx.reach.with(|reach| {
            // SAFETY: by the contract.
            unsafe { (*reach).second }
        });
        let spares = self.spares.iter().map(|place| place.load(Ordering::Relaxed));
        for spare in spares.chain([second]).filter(|spare| !spare.is_null()) {
            // SAFETY: a spare block is in no chain, and comes from `Block::new`.
            drop(unsafe { Box::from_raw(spare) });
        }
        while !block.is_null() {
            // SAFETY: each block of the chain is alive, in one place, and comes from `Block::new`.
            let last = unsafe { Box::from_raw(block) };
            block = last.next.load(Ordering::Relaxed);
        }
    }
}

impl<T, P: Orders, E> Drop for Queue<T, P, E> {
    fn drop(&mut self) {
        /// Drops and frees the rest even if a value's `Drop` panics.
        struct Rest<'a, T, P: Orders, E>(&'a Queue<T, P, E>);
        impl<T, P: Orders, E> Drop for Rest<'_, T, P, E> {
            fn drop(&mut self) {
                // SAFETY: the queue is being dropped, nobody else has it.
                while let Some(value) = unsafe { self.0.pop() } {
                    drop(value);
                }
                // SAFETY: as above, and it is empty.
                unsafe { self.0.free() };
            }
        }
        let rest = Rest(self);
        // SAFETY: as above.
        while let Some(value) = unsafe { rest.0.pop() } {
            drop(value);
        }
    }
}

#[cfg(all(test, loom))]
#[path = "../../tests/loom/channel_queue.rs"]
mod loom_tests;
