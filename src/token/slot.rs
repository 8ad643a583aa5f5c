//! One entry of the correlation table: a cache line with a wait word and the party behind it.
//!
//! A slot is one of two things in turn: the wait of a party (a coroutine and a thread keep one for
//! life, a future borrows one), or a published ticket with room for its payload. All its fields are
//! atomics but one, the cargo, which the wait word hands from hand to hand.
//!
//! # Invariants
//!
//! 1. A slot lives as long as the process (`table.rs`), so a stale number is refused, never followed
//!    to memory that is something else by now.
//! 2. Kind and party are written by the owner before it arms the word, and afterwards only by the
//!    owner of a published ticket before it sets PARKED.
//! 3. The cargo is touched by whoever owns it according to `event.rs`, and by nobody else.
//! 4. Zeroed memory is a valid idle slot of generation 0.
//!
//! # Who calls this, and what it may call
//!
//! The files of this module. [`Slot::wake`] hands the party to its scheduler, futex, executor or
//! callback, and must be called with no lock held.

use super::freelist::Links;
use super::parker::{Futex, Parker};
use super::state::WaitWord;
use super::{party, table};
use crate::prim::{AtomicPtr, AtomicU32, Ordering};
use crate::sys::futex;
use std::fmt;
use std::time::Instant;

const _: () = assert!(size_of::<Slot>() == 64);

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

/// One wait or one published ticket.
#[repr(C, align(64))]
pub(super) struct Slot {
    /// Whose turn it is.
    pub(super) word: WaitWord,
    party: AtomicPtr<()>,
    /// A plain thread's sleep.
    pub(super) parker: Parker,
    index: AtomicU32,
    link: AtomicU32,
    /// Home shard << 8 | kind.
    tag: AtomicU32,
}

impl Slot {
    /// Names the slot when the table first hands it out, before anybody else can know of it.
    pub(super) fn name(&self, index: u32, home: u16) {
        self.index.store(index, Ordering::Relaxed);
        self.tag.store(u32::from(home) << 8, Ordering::Relaxed);
    }

    /// The slot's number in the table.
    #[inline(always)]
    pub(super) fn index(&self) -> u32 {
        self.index.load(Ordering::Relaxed)
    }

    /// The shard whose freelist the slot returns to.
    #[inline(always)]
    pub(super) fn home(&self) -> u16 {
        (self.tag.load(Ordering::Relaxed) >> 8) as u16
    }

    /// Who waits here.
    #[inline(always)]
    pub(super) fn kind(&self) -> Kind {
        match self.tag.load(Ordering::Relaxed) as u8 {
            1 => Kind::Coroutine,
            2 => Kind::Thread,
            _ => Kind::Nobody,
        }
    }

    /// Sets who waits; the owner, while nobody can win the word or before PARKED (invariant 2).
    #[inline(always)]
    pub(super) fn set_party(&self, kind: Kind, party: *mut ()) {
        self.party.store(party, Ordering::Relaxed);
        let home = self.tag.load(Ordering::Relaxed) & !0xff;
        self.tag.store(home | kind as u32, Ordering::Relaxed);
    }

    /// What [`set_party`](Self::set_party) set.
    #[inline(always)]
    pub(super) fn party(&self) -> *mut () {
        self.party.load(Ordering::Relaxed)
    }

    /// The link of whatever list the slot is in.
    #[inline(always)]
    pub(super) fn link(&self) -> &AtomicU32 {
        &self.link
    }

    /// Wakes the party. The caller has won the word, moved the value, and holds no lock.
    #[inline]
    pub(super) fn wake(&'static self) {
        match self.kind() {
            Kind::Coroutine => party::make_ready(self.party()),
            Kind::Thread => self.parker.notify(&SystemFutex),
            Kind::Nobody => debug_assert!(false, "a wait without a party"),
        }
    }
}

/// The links of all slots.
pub(super) struct SlotLinks;

impl Links for SlotLinks {
    fn link(&self, index: u32) -> &AtomicU32 {
        table::get(index).expect("a free slot lies in the table").link()
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("index", &self.index())
            .field("kind", &self.kind())
            .field("word", &self.word)
            .finish_non_exhaustive()
    }
}
