//! The kernel's queue: slots whose parties its thread shall wake, and the thread's sleep, in one
//! word.
//!
//! Because "empty", "empty and asleep" and "closed" are values of the same word as the list's head,
//! a push and the decision to sleep cannot miss each other: no second flag, no fence. A push is one
//! exchange loop and no allocation, so a signal handler may do it.
//!
//! ```text
//!            push                     sleep                     close
//!   LIST <---------- EMPTY ---------------------> ASLEEP   EMPTY -----> CLOSED
//!     |                ^                            |  |     ^            |
//!     +---- drain -----+ <-------- rise ------------+  |     +--- open ---+
//!     ^                                                |
//!     +------------- push: ring the thread ------------+
//! ```
//!
//! | from   | call  | to     | who    | order ok | the caller must now                   |
//! |--------|-------|--------|--------|----------|---------------------------------------|
//! | EMPTY  | push  | LIST   | anyone | Release  | nothing                               |
//! | LIST   | push  | LIST   | anyone | Release  | nothing                               |
//! | ASLEEP | push  | LIST   | anyone | Release  | notify the thread                     |
//! | CLOSED | push  | CLOSED | anyone | -        | wake the party itself                 |
//! | LIST   | drain | EMPTY  | thread | Acquire  | wake each party                       |
//! | EMPTY  | sleep | ASLEEP | thread | Relaxed  | park until notified or a deadline     |
//! | ASLEEP | rise  | EMPTY  | thread | Relaxed  | go round its loop                     |
//! | EMPTY  | close | CLOSED | thread | Relaxed  | end                                   |
//! | CLOSED | open  | EMPTY  | thread | Relaxed  | begin                                 |
//!
//! Every other pair leaves the word as it is and says so.
//!
//! Pairs: (K) `push` Release publishes the link and the finished ticket to the Acquire of `drain`.

use super::freelist::Links;
use crate::prim::{AtomicU32, Ordering};
use std::fmt;
use std::marker::PhantomData;

const EMPTY: u32 = 0;
const ASLEEP: u32 = u32::MAX;
const CLOSED: u32 = u32::MAX - 1;

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

/// What a push found.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Push {
    /// The thread is up and will come to it.
    Queued,
    /// The thread sleeps: notify it.
    Ring,
    /// There is no thread: it was not queued.
    Closed,
}

/// Slots for one thread to look at.
pub(super) struct Inbox<O = Shipped> {
    head: AtomicU32,
    orders: PhantomData<O>,
}

impl<O: Orders> Inbox<O> {
    /// A closed inbox.
    pub(super) fn new() -> Inbox<O> {
        Inbox { head: AtomicU32::new(CLOSED), orders: PhantomData }
    }

    /// Leaves slot `index`; anyone, also from a signal handler.
    pub(super) fn push(&self, links: &impl Links, index: u32) -> Push {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            let rest = match head {
                CLOSED => return Push::Closed,
                ASLEEP => EMPTY,
                list => list,
            };
            links.link(index).store(rest, Ordering::Relaxed);
            // (K) to the Acquire of `drain`.
            match self.head.compare_exchange_weak(head, index + 1, O::PUSH, Ordering::Relaxed) {
                Ok(ASLEEP) => return Push::Ring,
                Ok(_) => return Push::Queued,
                Err(now) => head = now,
            }
        }
    }

    /// Takes everything and calls `visit` with each slot, first come first; the thread only, and
    /// not while it is marked as asleep.
    pub(super) fn drain(&self, links: &impl Links, mut visit: impl FnMut(u32)) -> bool {
        if self.head.load(Ordering::Relaxed) == EMPTY {
            return false;
        }
        // (K) from the Release of every `push`.
        let mut newest = self.head.swap(EMPTY, O::DRAIN);
        let mut oldest = EMPTY;
        while newest != EMPTY {
            let link = links.link(newest - 1);
            let next = link.load(Ordering::Relaxed);
            link.store(oldest, Ordering::Relaxed);
            oldest = newest;
            newest = next;
        }
        while oldest != EMPTY {
            // The link is read first: once visited, the slot is someone else's.
            let next = links.link(oldest - 1).load(Ordering::Relaxed);
            visit(oldest - 1);
            oldest = next;
        }
        true
    }

    fn move_to(&self, from: u32, to: u32) -> bool {
        self.head.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Whether the thread may sleep: nothing has come.
    pub(super) fn sleep(&self) -> bool {
        self.move_to(EMPTY, ASLEEP)
    }

    /// The thread is up again.
    pub(super) fn rise(&self) {
        self.move_to(ASLEEP, EMPTY);
    }

    /// Whether the thread may end: nothing has come, and nothing will be accepted any more.
    pub(super) fn close(&self) -> bool {
        self.move_to(EMPTY, CLOSED)
    }

    /// Whether there is a thread, as of now.
    pub(super) fn is_open(&self) -> bool {
        self.head.load(Ordering::Relaxed) != CLOSED
    }

    /// A thread begins.
    pub(super) fn open(&self) {
        let opened = self.move_to(CLOSED, EMPTY);
        debug_assert!(opened, "one thread at a time");
    }
}

impl<O> fmt::Debug for Inbox<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.head.load(Ordering::Relaxed) {
            EMPTY => "Empty",
            ASLEEP => "Asleep",
            CLOSED => "Closed",
            _ => "List",
        };
        f.debug_tuple("Inbox").field(&state).finish()
    }
}

#[cfg(all(test, loom))]
#[path = "../../tests/loom/kernel_inbox.rs"]
mod loom_tests;
