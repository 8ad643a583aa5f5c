//! What a slot can hold: kinds of parties, the result of a ticket, the futex under a thread.
//!
//! The slot itself, with the cell that holds the result, is in `table.rs`.
//!
//! # Who calls this, and what it may call
//!
//! The files of this module.

#![forbid(unsafe_code)]

use super::freelist::Links;
use super::parker::Futex;
use super::payload::Payload;
use super::table;
use crate::error::CancelReason;
use crate::prim::AtomicU32;
use crate::sys::futex;
use std::time::Instant;

/// Who waits in a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    /// Nobody yet.
    Nobody = 0,
    /// A coroutine; the party is its control block.
    Coroutine = 1,
    /// A plain thread; it sleeps on the slot's own flag.
    Thread = 2,
    /// A future; the party is an `Arc<AsyncParty>`.
    Future = 3,
    /// A callback for the completer to run; the party is a boxed closure.
    Callback = 4,
    /// A callback for the kernel's thread to run; the party is a boxed closure.
    KernelCallback = 5,
    /// A coroutine that may migrate, and the ticket is published; the party is its control block.
    Migrant = 6,
}

impl Kind {
    /// Whether the party is a control block.
    #[inline(always)]
    pub(super) fn is_coroutine(self) -> bool {
        matches!(self, Kind::Coroutine | Kind::Migrant)
    }
}

/// What a finished ticket holds.
pub(super) enum Cargo {
    /// The payload of the completer.
    Delivered(Payload),
    /// The reason of the canceller.
    Cancelled(CancelReason),
    /// The deadline passed, or the ticket was closed.
    Nothing,
}

/// The kernel's futex.
pub(super) struct SystemFutex;

impl Futex for SystemFutex {
    type Deadline = Instant;

    fn wait(&self, word: &AtomicU32, expected: u32, deadline: Option<Instant>) -> bool {
        futex::wait(word, expected, deadline)
    }

    fn wake(&self, word: &AtomicU32) {
        futex::wake(word);
    }
}

/// The links of all slots.
pub(super) struct SlotLinks;

impl Links for SlotLinks {
    fn link(&self, index: u32) -> &AtomicU32 {
        table::get(index).expect("a free slot lies in the table").link()
    }
}
