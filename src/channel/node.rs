//! Waiting parties: nodes on their own frames, in a doubly linked list, first come first served.
//!
//! A party that waits for room, or for a value, leaves a [`Node`] on its own frame (or inside its
//! own future) and links it here. The node carries the value cell, so that a partner moves the
//! value straight from frame to frame. Registering allocates nothing, leaving is O(1).
//!
//! # Invariants
//!
//! 1. Nodes are linked, unlinked and, while linked, looked at only by the holder of the channel's
//!    lock. What is left to do after unlocking is a [`Wake`], which does not lead to the node.
//! 2. A linked node stays where it is until it is unlinked, by a partner or by its owner; the owner
//!    looks at the value cell only when it is unlinked.
//! 3. A partner that unlinks a node has either won the wait, moved the value and owes the wake, or
//!    has touched nothing but the links.
//! 4. The value cell of a waiting sender is full until the value is taken; the cell of a waiting
//!    receiver is empty until it is given one. So the cell alone says whether the operation
//!    happened: it committed, or the sender still has the value.
//!
//! # Who calls this, and what it may call
//!
//! `engine`, under the channel's lock, and the owners of nodes. `SlotRef::claim` is called here,
//! under the lock; wakes are handed out and happen after it.

use crate::prim::UnsafeCell;
use crate::token::{Claim, Outcome, SlotRef};
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomPinned;
use std::mem::MaybeUninit;
use std::ptr;
use std::task::Waker;

/// Who waits behind a node.
pub(super) enum Waiter {
    /// A party that waits here and nowhere else, without deadline and cancel token: the lock alone
    /// decides, no compare-and-swap is needed.
    Alone { slot: SlotRef, generation: u32 },
    /// A party whose wait something else may end as well; `arm` is what it learns then.
    Shared { slot: SlotRef, generation: u32, arm: u16 },
    /// A future; the lock decides here too.
    Task(Waker),
    /// A party that wants to know when an operation could go on, and brings no cell.
    Watch { slot: SlotRef, generation: u32, arm: u16 },
}

/// Tells a watcher. This wake happens inside the lock: it is a push to a queue or the kernel's wake
/// of a thread, and no code of the user's.
#[cold]
#[inline(never)]
fn notify(slot: SlotRef, generation: u32, arm: u16) {
    if let Some(claim) = slot.claim(generation, Outcome::Ready(arm)) {
        claim.wake();
    }
}

/// The waker of a future, to be woken after unlocking; a watcher is told here.
///
/// # Safety
///
/// - The waiter is not used again: the waker is moved out.
#[inline(never)]
unsafe fn end_other(waiter: &Waiter) -> Option<Waker> {
    match waiter {
        // SAFETY: by the contract.
        Waiter::Task(waker) => Some(unsafe { ptr::read(waker) }),
        Waiter::Watch { slot, generation, arm } => {
            notify(*slot, *generation, *arm);
            None
        }
        Waiter::Alone { .. } | Waiter::Shared { .. } => {
            debug_assert!(false, "won in place");
            None
        }
    }
}

/// A party to be woken after unlocking.
#[must_use = "the party sleeps until it is woken"]
pub(super) enum Wake {
    Party(Claim),
    Task(Waker),
}

impl Wake {
    /// Wakes the party. No lock may be held.
    #[inline(always)]
    pub(super) fn wake(self) {
        match self {
            Wake::Party(claim) => claim.wake(),
            Wake::Task(waker) => waker.wake(),
        }
    }
}

struct Links<T> {
    previous: *const Node<T>,
    next: *const Node<T>,
    waiter: Waiter,
}

/// One waiting party and its value cell.
pub(super) struct Node<T> {
    value: UnsafeCell<Option<T>>,
    linked: Cell<bool>,
    /// Written when the node is linked, so that making a node that never waits costs nothing.
    links: std::cell::UnsafeCell<MaybeUninit<Links<T>>>,
    _pinned: PhantomPinned,
}

impl<T> Node<T> {
    /// A node with the value that its owner wants to send, or with room for one.
    #[inline(always)]
    pub(super) fn new(value: Option<T>) -> Node<T> {
        Node {
            value: UnsafeCell::new(value),
            linked: Cell::new(false),
            links: std::cell::UnsafeCell::new(MaybeUninit::uninit()),
            _pinned: PhantomPinned,
        }
    }

    /// The value cell.
    ///
    /// # Safety
    ///
    /// - The caller owns the node, which is not linked; or it holds the lock.
    /// - The reference is the only one, and ends before the node is linked.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "the contract makes it the only one")]
    pub(super) unsafe fn cell(&self) -> &mut Option<T> {
        // SAFETY: by the contract.
        self.value.with_mut(|value| unsafe { &mut *value })
    }

    /// What is in the cell of a node that is not linked.
    #[inline(always)]
    pub(super) fn into_value(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Whether it is in a list. Under the lock, or when nobody else has the node.
    #[inline(always)]
    pub(super) fn is_linked(&self) -> bool {
        self.linked.get()
    }

    fn links(&self) -> *mut Links<T> {
        self.links.get().cast()
    }
}

/// Waiting parties of one side, in order of arrival.
pub(super) struct List<T> {
    first: *const Node<T>,
    last: *const Node<T>,
}

// SAFETY: the list leads to nodes on frames of other threads, which invariant 1 makes safe to touch
// under the lock; the values in them move between threads.
unsafe impl<T: Send> Send for List<T> {}

impl<T> List<T> {
    pub(super) const fn new() -> List<T> {
        List { first: ptr::null(), last: ptr::null() }
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Number of nodes. For reports and counters: it walks the list.
    pub(super) fn len(&self) -> usize {
        let (mut count, mut node) = (0, self.first);
        while !node.is_null() {
            count += 1;
            // SAFETY: a linked node is alive, and we hold the lock (invariants 1 and 2).
            node = unsafe { (*(*node).links()).next };
        }
        count
    }

    /// Links `node` as the last.
    ///
    /// # Safety
    ///
    /// - `node` is not linked, and stays where it is until it is unlinked.
    /// - Its owner calls [`remove`](List::remove) on this list, under the same lock, before the node
    ///   goes away in any manner.
    #[inline(always)]
    pub(super) unsafe fn push(&mut self, node: &Node<T>, waiter: Waiter) {
        debug_assert!(!node.linked.get());
        // SAFETY: the node is ours until it is linked.
        unsafe { node.links().write(Links { previous: self.last, next: ptr::null(), waiter }) };
        node.linked.set(true);
        let at: *const Node<T> = node;
        if self.last.is_null() {
            self.first = at;
        } else {
            // SAFETY: the last node is linked, so it is alive, and we hold the lock.
            unsafe { (*(*self.last).links()).next = at };
        }
        self.last = at;
    }

    /// Unlinks `node` if it is linked, and returns who waited there: then no partner has won its
    /// wait here. The waiter is dropped outside of the lock.
    ///
    /// # Safety
    ///
    /// - `node`, if it is linked at all, is linked in this list.
    pub(super) unsafe fn remove(&mut self, node: &Node<T>) -> Option<Waiter> {
        if !node.linked.get() {
            return None;
        }
        // SAFETY: it is linked here (contract), and we hold the lock; the waiter is moved out once.
        unsafe {
            self.unlink(node);
            Some(ptr::read(&raw const (*node.links()).waiter))
        }
    }

    /// Replaces the waker of a future's node; the old one is left in `waker`, to be dropped outside
    /// of the lock.
    ///
    /// # Safety
    ///
    /// - `node` is linked in this list.
    pub(super) unsafe fn swap_waker(&mut self, node: &Node<T>, waker: &mut Option<Waker>) {
        // SAFETY: a linked node's links are written, and we hold the lock.
        if let (Waiter::Task(old), Some(new)) = (unsafe { &mut (*node.links()).waiter }, waker) {
            std::mem::swap(old, new);
        }
    }

    /// Takes `node` out. Its waiter stays in the links, to be moved out once by the caller.
    ///
    /// # Safety
    ///
    /// - `node` is linked in this list.
    #[inline(always)]
    unsafe fn unlink(&mut self, node: *const Node<T>) {
        // SAFETY: `node` and its neighbours are linked, hence alive, and we hold the lock.
        unsafe {
            let links = (*node).links();
            let (previous, next) = ((*links).previous, (*links).next);
            if previous.is_null() {
                self.first = next;
            } else {
                (*(*previous).links()).next = next;
            }
            if next.is_null() {
                self.last = previous;
            } else {
                (*(*next).links()).previous = previous;
            }
            (*node).linked.set(false);
        }
    }

    /// Unlinks the first node whose wait can still be won, and wins it. Watchers on the way are
    /// woken and passed over.
    #[inline(always)]
    fn win(&mut self) -> Option<(*const Node<T>, Wake)> {
        while !self.first.is_null() {
            let node = self.first;
            // SAFETY: it is linked here. The links stay readable until the wait is won and woken: an
            // owner needs the lock to go away. Looked at in place: copied whole, the waiter would
            // come back from memory in pieces that the processor cannot forward.
            let waiter = unsafe {
                self.unlink(node);
                &(*(*node).links()).waiter
            };
            // The two that are common first: more arms than three become a table of jumps.
            let claim = match waiter {
                Waiter::Alone { slot, generation } => {
                    slot.claim_exclusive(*generation, Outcome::Ready(0))
                }
                Waiter::Shared { slot, generation, arm } => {
                    slot.claim(*generation, Outcome::Ready(*arm))
                }
                // SAFETY: the node is unlinked, and its waiter is given out once, here.
                other => match unsafe { end_other(other) } {
                    Some(waker) => return Some((node, Wake::Task(waker))),
                    None => continue,
                },
            };
            if let Some(claim) = claim {
                return Some((node, Wake::Party(claim)));
            }
        }
        None
    }

    /// Moves the value in `from` to the first party that waits for one.
    #[inline(always)]
    pub(super) fn give(&mut self, from: &mut Option<T>) -> Option<Wake> {
        let (node, wake) = self.win()?;
        // SAFETY: its wait is won and not yet woken, or it is a future that needs the lock to go
        // on: the node is alive and its cell is ours. The cell was empty (invariant 4).
        unsafe { (*node).value.with_mut(|value| value.write(from.take())) };
        Some(wake)
    }

    /// Moves the value of the first party that waits with one to `to`, which is empty.
    #[inline(always)]
    pub(super) fn take(&mut self, to: &mut Option<T>) -> Option<Wake> {
        let (node, wake) = self.win()?;
        // SAFETY: as in `give`; `take` leaves the cell empty for the owner to see.
        *to = unsafe { (*node).value.with_mut(|value| (*value).take()) };
        Some(wake)
    }

    /// Unlinks and wakes all watchers: there will be somebody on the other side.
    pub(super) fn call_watchers(&mut self) {
        let mut node = self.first;
        while !node.is_null() {
            // SAFETY: a linked node is alive, and we hold the lock; the reference ends at once.
            let Links { next, waiter, .. } = unsafe { &*(*node).links() };
            let (this, next) = (node, *next);
            if let &Waiter::Watch { slot, generation, arm } = waiter {
                // SAFETY: it is linked here. Its waiter needs no drop.
                unsafe { self.unlink(this) };
                notify(slot, generation, arm);
            }
            node = next;
        }
    }

    /// Whether anybody waits here with or for a value but the party of `own`.
    pub(super) fn has_other(&self, own: SlotRef) -> bool {
        let mut node = self.first;
        while !node.is_null() {
            // SAFETY: a linked node is alive, and we hold the lock; the reference ends at once.
            let links = unsafe { &*(*node).links() };
            match &links.waiter {
                Waiter::Alone { .. } | Waiter::Task(_) => return true,
                Waiter::Shared { slot, .. } if !slot.same(own) => return true,
                Waiter::Shared { .. } | Waiter::Watch { .. } => node = links.next,
            }
        }
        false
    }

    /// Ends the first wait because the channel is closed: no value moves, and by that the owner
    /// knows.
    pub(super) fn dismiss(&mut self) -> Option<Wake> {
        self.win().map(|(_, wake)| wake)
    }
}

impl<T> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "List({})", self.len())
    }
}
