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
//! 3. The cargo is touched by whoever owns it according to `event.rs`: [`Won`] writes it,
//!    [`Slot::collect`] takes it.
//! 4. Zeroed memory is a valid idle slot of generation 0.
//!
//! # Who calls this, and what it may call
//!
//! The files of this module. [`Slot::wake`] hands the party to its scheduler, futex, executor or
//! callback, and must be called with no lock held.

use super::event::{self, Deliver, Park};
use super::freelist::Links;
use super::parker::{Futex, Parker};
use super::payload::Payload;
use super::state::{CLAIMED, DONE_BIT, IDLE, Outcome, PUBLIC_BIT, STATE_MASK, WaitWord, decode};
use super::{callback, future, kernel, party, table};
use crate::error::{CancelReason, WaitError};
use crate::prim::{AtomicPtr, AtomicU32, Ordering, UnsafeCell};
use crate::sys::futex;
use std::fmt;
use std::mem::MaybeUninit;
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
    /// A future; the party is an `Arc<AsyncParty>`.
    Future = 3,
    /// A callback for the completer to run; the party is a boxed closure.
    Callback = 4,
    /// A callback for the kernel's thread to run; the party is a boxed closure.
    KernelCallback = 5,
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

/// One wait or one published ticket.
#[repr(C, align(64))]
pub(super) struct Slot {
    /// Whose turn it is.
    pub(super) word: WaitWord,
    party: AtomicPtr<()>,
    cargo: UnsafeCell<MaybeUninit<Cargo>>,
    /// A plain thread's sleep.
    pub(super) parker: Parker,
    index: AtomicU32,
    link: AtomicU32,
    /// Home shard << 8 | kind.
    tag: AtomicU32,
}

// SAFETY: every field but `cargo` is atomic. The cargo is handed over by the wait word (invariant
// 3), and what is inside is `Send`.
unsafe impl Sync for Slot {}

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
            3 => Kind::Future,
            4 => Kind::Callback,
            5 => Kind::KernelCallback,
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

    /// Opens the slot as a ticket and returns its generation.
    #[inline]
    pub(super) fn publish(&self) -> u32 {
        event::publish::<event::Shipped>(self.word.bare()).expect("a free slot is not worn out")
    }

    /// The owner is about to sleep on the published ticket.
    #[inline]
    pub(super) fn park(&self) -> Park {
        event::park::<event::Shipped>(self.word.bare())
    }

    /// Tries to be the one who ends the published ticket.
    #[inline]
    pub(super) fn win(&'static self, generation: u32, outcome: Outcome) -> Option<Won> {
        let parked = event::claim::<event::Shipped>(self.word.bare(), generation, outcome)?;
        Some(Won { slot: self, parked })
    }

    /// Whether the slot is the published ticket of that generation, ended or not.
    #[inline]
    pub(super) fn holds(&self, generation: u32) -> bool {
        // (B) from the Release of `publish`, for the party that is looked at next.
        let word = self.word.bare().load(Ordering::Acquire);
        (word >> 32) as u32 == generation && word & PUBLIC_BIT != 0 && word & STATE_MASK != IDLE
    }

    /// Takes how the published ticket ended, once it is done, and leaves the slot idle.
    ///
    /// # Panics
    ///
    /// If the ticket is not done, or somebody has taken it.
    #[inline]
    pub(super) fn collect(&self) -> Result<Payload, WaitError> {
        let word = self.word.bare().load(Ordering::Relaxed);
        let done = PUBLIC_BIT | CLAIMED | DONE_BIT;
        assert_eq!(word & (done | STATE_MASK), done, "the ticket is not done");
        // SAFETY:
        // - DONE is set, so the winner has stored a cargo and will not touch it again. The caller
        //   saw DONE through `park`, or was woken; both make the cargo visible.
        // - `retire` takes PUBLIC away, so the cargo is read once: callers are the one owner
        //   (`ticket.rs` compares the party), or the callback's one runner.
        let cargo = self.cargo.with_mut(|cell| unsafe { (*cell).assume_init_read() });
        event::retire(self.word.bare());
        match cargo {
            Cargo::Delivered(payload) => Ok(payload),
            Cargo::Cancelled(reason) => Err(WaitError::Cancelled(reason)),
            Cargo::Nothing => Err(match decode(word) {
                Outcome::TimedOut => WaitError::Timeout,
                Outcome::Closed => WaitError::Cancelled(CancelReason::Closed),
                Outcome::Cancelled | Outcome::Ready(_) => {
                    WaitError::Cancelled(CancelReason::Unspecified)
                }
            }),
        }
    }

    /// Wakes the party. The caller has won the word, moved the value, and holds no lock.
    #[inline]
    pub(super) fn wake(&'static self) {
        match self.kind() {
            Kind::Coroutine => party::make_ready(self.party()),
            Kind::Thread => self.parker.notify(&SystemFutex),
            Kind::Future => future::wake(self),
            Kind::Callback => callback::run(self),
            Kind::KernelCallback => kernel::submit(self),
            Kind::Nobody => debug_assert!(false, "a wait without a party"),
        }
    }
}

/// The right, and the duty, to end a published ticket.
#[must_use = "the owner sleeps until the ticket is finished"]
#[derive(Debug)]
pub(super) struct Won {
    slot: &'static Slot,
    parked: bool,
}

impl Won {
    /// Stores the cargo and says whether the party is to be woken.
    #[inline]
    fn store(&self, cargo: Cargo) -> Deliver {
        // SAFETY: this `Won` proves that the caller won the word and has not delivered, so the cell
        // is its own, and empty since the ticket was published.
        self.slot.cargo.with_mut(|cell| unsafe {
            (*cell).write(cargo);
        });
        event::deliver::<event::Shipped>(self.slot.word.bare(), self.parked)
    }

    /// Hands the cargo over and wakes the party.
    #[inline]
    pub(super) fn finish(self, cargo: Cargo) {
        if self.store(cargo) == Deliver::Wake {
            self.slot.wake();
        }
    }

    /// Hands the cargo over and leaves the waking to the kernel's thread.
    pub(super) fn finish_by_kernel(self, cargo: Cargo) {
        if self.store(cargo) == Deliver::Wake {
            kernel::submit(self.slot);
        }
    }

    /// The winner is the owner itself, which does not sleep: the slot is idle again.
    pub(super) fn keep(self) {
        event::retire(self.slot.word.bare());
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
