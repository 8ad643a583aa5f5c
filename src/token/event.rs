//! A published ticket's word: one event that may come before, while or after its owner parks.
//!
//! A channel's wait is armed by a party that parks at once. A published ticket is not: its owner
//! goes on, waits on other things, and asks for the event later. So the word also says whether the
//! owner has parked, and whether the winner has finished writing the payload.
//!
//! ```text
//!             publish           claim (one CAS wins)       deliver
//!    +------+ ------> +---------+ -------> +---------+ ------------> +--------------+
//!    | IDLE |         | WAITING |          | CLAIMED |               | CLAIMED+DONE |
//!    +------+         +---------+          +---------+               +--------------+
//!       ^                  | park              | park                       |
//!       |                  v                   v                            |
//!       |             +---------+ claim    +---------+ deliver: and wake    |
//!       |             | +PARKED | -------> | +PARKED | -------------> the owner
//!       |             +---------+          +---------+                      |
//!       +------------------------------ retire <----------------------------+
//! ```
//!
//! | from               | call    | to             | who    | order ok / fail   | the caller must now           |
//! |--------------------|---------|----------------|--------|-------------------|-------------------------------|
//! | IDLE               | publish | WAITING        | owner  | Release           | give the ticket away          |
//! | WAITING, +-PARKED  | claim   | CLAIMED, same  | anyone | Acquire / Relaxed | write the payload, deliver    |
//! | WAITING            | park    | +PARKED        | owner  | AcqRel            | sleep until woken             |
//! | CLAIMED            | park    | +PARKED        | owner  | AcqRel            | sleep until woken             |
//! | CLAIMED+DONE       | park    | the same       | owner  | Acquire           | take the payload, retire      |
//! | CLAIMED            | deliver | +DONE          | winner | AcqRel            | nothing: never touch it again |
//! | CLAIMED+PARKED     | deliver | +DONE          | winner | Release           | wake the owner                |
//! | CLAIMED, +-PARKED  | deliver_here | +DONE     | winner | Relaxed           | wake the owner if it parked   |
//! | WAITING, no PARKED | revoke  | IDLE           | owner  | Acquire / Relaxed | give the slot back            |
//! | CLAIMED+DONE       | retire  | IDLE           | owner  | Relaxed           | give the slot back            |
//!
//! Who owns the payload cell: WAITING: nobody. CLAIMED: the winner. DONE: the owner. IDLE: the
//! freelist.
//!
//! Pairs: (B) `publish` Release to `claim` Acquire: the party that the owner wrote.
//!        (C) `deliver` Release to `park` Acquire: the payload, when the event came first.
//!        (D) `park` Release to `deliver` Acquire: the party as `on_complete` changed it, when the
//!            owner was first. Through (D) the winner that saw PARKED in `claim` reads it as well.
//! An owner that parked gets the payload through its wake.
//!
//! `deliver_here` is `deliver` on the owner's own thread: once the word is CLAIMED only its winner and
//! its owner change it, and those two cannot race there.

use super::state::{
    CLAIMED, DONE_BIT, GENERATION_SHIFT, IDLE, Outcome, PARKED_BIT, PUBLIC_BIT, STATE_MASK, WAITING,
};
use crate::prim::{AtomicU64, Ordering};

/// The orderings that matter, so that a test can weaken one and see its model fail.
pub(super) trait Orders {
    /// `publish`'s store.
    const PUBLISH: Ordering = Ordering::Release;
    /// A successful `claim`.
    const CLAIM: Ordering = Ordering::Acquire;
    /// `park`'s bit.
    const PARK: Ordering = Ordering::AcqRel;
    /// `deliver`'s bit, nobody parked yet.
    const DELIVER: Ordering = Ordering::AcqRel;
}

/// The orderings as they ship.
#[derive(Debug)]
pub(super) struct Shipped;

impl Orders for Shipped {}

/// What the owner finds when it parks.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Park {
    /// The event came first: take the payload and retire.
    Done,
    /// Sleep; whoever delivers will wake you.
    Sleep,
}

/// What the winner must do once the payload is written.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Deliver {
    /// Nothing: the owner will find the payload itself.
    Left,
    /// Wake the party in the slot.
    Wake,
}

#[inline(always)]
fn tag(generation: u32) -> u64 {
    u64::from(generation) << GENERATION_SHIFT
}

/// Opens a ticket and returns its generation; `None` when the generations are used up.
#[inline]
pub(super) fn publish<O: Orders>(word: &AtomicU64) -> Option<u32> {
    let before = word.load(Ordering::Relaxed);
    debug_assert_eq!(before & STATE_MASK, IDLE, "published twice");
    let generation = ((before >> GENERATION_SHIFT) as u32).checked_add(1)?;
    // (B) to the Acquire of `claim`.
    word.store(tag(generation) | PUBLIC_BIT | WAITING, O::PUBLISH);
    Some(generation)
}

/// Ends the wait, if the word is a ticket of `generation` that nobody has ended. `Some(parked)`
/// is handed to [`deliver`].
#[inline]
pub(super) fn claim<O: Orders>(
    word: &AtomicU64,
    generation: u32,
    outcome: Outcome,
) -> Option<bool> {
    let open = tag(generation) | PUBLIC_BIT | WAITING;
    let won = tag(generation) | PUBLIC_BIT | CLAIMED | outcome.bits();
    // (B) and (D) from the Releases of `publish` and `park`.
    match word.compare_exchange(open, won, O::CLAIM, Ordering::Relaxed) {
        Ok(_) => return Some(false),
        Err(seen) if seen == open | PARKED_BIT => {}
        Err(_) => return None,
    }
    word.compare_exchange(open | PARKED_BIT, won | PARKED_BIT, O::CLAIM, Ordering::Relaxed)
        .is_ok()
        .then_some(true)
}

/// The owner is about to sleep, or finds that it need not.
#[inline]
pub(super) fn park<O: Orders>(word: &AtomicU64) -> Park {
    // (C) from the Release of `deliver`.
    if word.load(Ordering::Acquire) & DONE_BIT != 0 {
        return Park::Done;
    }
    // (C) from, and (D) to, the AcqRel of `deliver`.
    if word.fetch_or(PARKED_BIT, O::PARK) & DONE_BIT != 0 { Park::Done } else { Park::Sleep }
}

/// The winner has written the payload.
#[inline]
pub(super) fn deliver<O: Orders>(word: &AtomicU64, parked: bool) -> Deliver {
    if parked {
        // The owner sleeps and nobody else may change the word: its wake carries the payload, the
        // bit is for the dump only.
        word.store(word.load(Ordering::Relaxed) | DONE_BIT, Ordering::Release);
        return Deliver::Wake;
    }
    // (C) to, and (D) from, the AcqRel of `park`.
    let before = word.fetch_or(DONE_BIT, O::DELIVER);
    if before & PARKED_BIT != 0 { Deliver::Wake } else { Deliver::Left }
}

/// [`deliver`] on the thread that the owner runs on and never leaves.
#[inline(always)]
pub(super) fn deliver_here(word: &AtomicU64) -> Deliver {
    let before = word.load(Ordering::Relaxed);
    word.store(before | DONE_BIT, Ordering::Relaxed);
    if before & PARKED_BIT != 0 { Deliver::Wake } else { Deliver::Left }
}

/// Whether the result is there; for the owner.
#[inline]
pub(super) fn is_done(word: &AtomicU64) -> bool {
    // (C) from the Release of `deliver`.
    word.load(Ordering::Acquire) & DONE_BIT != 0
}

/// The owner withdraws a ticket that nobody has ended. `false`: someone has, or is about to.
#[inline]
pub(super) fn revoke(word: &AtomicU64, generation: u32) -> bool {
    let open = tag(generation) | PUBLIC_BIT | WAITING;
    word.compare_exchange(open, tag(generation) | IDLE, Ordering::Relaxed, Ordering::Relaxed)
        .is_ok()
}

/// The owner has taken the payload; the slot may be used again.
#[inline]
pub(super) fn retire(word: &AtomicU64) {
    let generation = (word.load(Ordering::Relaxed) >> GENERATION_SHIFT) as u32;
    word.store(tag(generation) | IDLE, Ordering::Relaxed);
}

#[cfg(all(test, loom))]
#[path = "../../tests/loom/token_event.rs"]
mod loom_tests;
