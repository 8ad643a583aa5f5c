//! The lock at an end of a channel: a byte, and a bias that makes it free for the one worker that uses it.
//!
//! A started coroutine never leaves its worker, so an end whose parties all live on one worker
//! is entered by one thread only. After [`STREAK`] entries in a row by the same worker the gate is
//! *biased* to it: from then on that worker enters and leaves with plain stores. The first other
//! thread revokes the bias, once and for ever: it pays for the barrier that the owner left out.
//!
//! ```text
//!          STREAK entries by one worker            entry by another thread
//!   +------+ ------------------------> +----------+ ---------------------> +---------+
//!   | OPEN |                           | an owner |                        | REVOKED |
//!   +------+ ----------------------------------------------------------->  +---------+
//!                       GIVE_UP changes of hands
//! ```
//!
//! | bias    | who enters  | how                                                               |
//! |---------|-------------|-------------------------------------------------------------------|
//! | owner   | the owner   | `busy` = 1, light barrier, look at the bias again; leave: `busy` = 0 |
//! | owner   | another     | byte, bias = REVOKED, heavy barrier, wait for `busy` == 0           |
//! | other   | anyone      | byte                                                              |
//!
//! # Invariants
//!
//! 1. Only the holder of the byte changes the bias.
//! 2. Whoever holds the byte while the bias is OPEN or REVOKED, or is the owner and `busy` with the
//!    bias still its own, is alone inside.
//! 3. No one is inside across a suspension, or while code of the user's runs.
//!
//! The owner's `busy` and the second look at the bias, against the revoker's REVOKED and its look at
//! `busy`: a Dekker pair. The owner's side is only a compiler barrier, because the heavy side makes
//! every thread of the process pass a full barrier (`membarrier`): either the owner's store is
//! visible to the revoker then, or the owner's second look comes later and finds REVOKED.
//!
//! Pairs: (L) the byte's Release to its Acquire: what was done inside.
//!        (B) `busy` = 0 Release to the revoker's Acquire: what the owner did inside.
//!        (D) the two barriers.
//!
//! Who calls this: `queue`, from any thread.
//!
//! Source: Dice, Moir, Scherer, "Quickly reacquirable locks"; membarrier(2).

#![cfg_attr(not(loom), forbid(unsafe_code))]

use crate::prim::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::fmt;
use std::marker::PhantomData;

/// Entries in a row by one worker after which the gate is biased to it.
const STREAK: u32 = if cfg!(loom) { 1 } else { 64 };

/// Changes of hands after which the gate stops looking for an owner.
const GIVE_UP: u32 = 16;

const REVOKED: usize = 1;
const OPEN: usize = 2;

/// What the gate needs from below; a model brings its own, and weakens an ordering to see it fail.
pub(super) trait Platform {
    /// `leave`, of the byte and of `busy`.
    const LEAVE: Ordering = Ordering::Release;
    /// `enter`, of the byte.
    const ENTER: Ordering = Ordering::Acquire;
    /// `revoke`, of `busy`.
    const REVOKE: Ordering = Ordering::Acquire;
    /// The worker that calls, as an address; 0 for a thread that never owns a gate.
    fn me() -> usize;
    /// Lets time pass while someone else is inside, without suspending the caller; `round` counts from
    /// 0.
    fn wait(round: u32);
    /// Whether [`heavy`](Platform::heavy) works here.
    fn can_bias() -> bool;
    /// The owner's side of (D).
    fn light();
    /// The revoker's side of (D).
    fn heavy();
}

/// How one got in, and so how one leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Entry {
    /// By the byte.
    Byte = 0,
    /// As the owner.
    Owner = 1,
}

/// The lock without the data.
#[repr(C)]
pub(super) struct Gate<P> {
    /// Hardly ever written, so apart from what is: who looks here must not make others give up the
    /// rest.
    bias: AtomicUsize,
    apart: [u8; 120],
    byte: AtomicBool,
    busy: AtomicBool,
    /// Entries in a row, and changes of hands << 16; under the byte.
    streak: AtomicU32,
    /// Who entered last; under the byte.
    last: AtomicUsize,
    platform: PhantomData<P>,
}

impl<P: Platform> Gate<P> {
    pub(super) fn new() -> Gate<P> {
        Gate {
            bias: AtomicUsize::new(OPEN),
            apart: [0; 120],
            byte: AtomicBool::new(false),
            busy: AtomicBool::new(false),
            streak: AtomicU32::new(0),
            last: AtomicUsize::new(0),
            platform: PhantomData,
        }
    }

    /// Waits until the caller is alone inside.
    #[inline(always)]
    pub(super) fn enter(&self) -> Entry {
        let me = P::me();
        if self.bias.load(Ordering::Relaxed) == me && self.enter_as_owner(me) {
            return Entry::Owner;
        }
        // (L) from the Release of `leave`.
        if !self.take_byte() {
            self.enter_slow();
        }
        if self.bias.load(Ordering::Relaxed) != REVOKED {
            self.reconsider(me);
        }
        Entry::Byte
    }

    /// Enters if nobody is inside, and the bias is not in question.
    #[inline(always)]
    pub(super) fn enter_quick(&self) -> Option<Entry> {
        let (bias, me) = (self.bias.load(Ordering::Relaxed), P::me());
        if bias == me {
            return self.enter_as_owner(me).then_some(Entry::Owner);
        }
        // (L) from the Release of `leave`.
        (bias == REVOKED && self.take_byte()).then_some(Entry::Byte)
    }

    #[inline(always)]
    fn enter_as_owner(&self, me: usize) -> bool {
        self.busy.store(true, Ordering::Relaxed);
        // (D) with `revoke`.
        P::light();
        if self.bias.load(Ordering::Relaxed) == me {
            return true;
        }
        // Nothing was done inside; what was done in earlier visits goes out by (B) all the same.
        self.busy.store(false, P::LEAVE);
        false
    }

    /// Lets the next one in.
    #[inline(always)]
    pub(super) fn leave(&self, entry: Entry) {
        match entry {
            // (B) to the Acquire of `revoke`.
            Entry::Owner => self.busy.store(false, P::LEAVE),
            // (L) to the Acquire of `enter`.
            Entry::Byte => self.byte.store(false, P::LEAVE),
        }
    }

    /// A compare-and-swap and not a swap: loom does not know that a swap which read "taken" comes
    /// before the release of that, and would spin for ever.
    #[inline(always)]
    fn take_byte(&self) -> bool {
        self.byte.compare_exchange(false, true, P::ENTER, Ordering::Relaxed).is_ok()
    }

    #[cold]
    #[inline(never)]
    fn enter_slow(&self) {
        let mut round = 0;
        loop {
            // (L) from the Release of `leave`.
            // (Under loom a plain load may stay out of date for ever.)
            if (cfg!(loom) || !self.byte.load(Ordering::Relaxed)) && self.take_byte() {
                return;
            }
            P::wait(round);
            round += 1;
        }
    }

    /// Holding the byte of a gate that has an owner or may get one.
    #[inline(never)]
    fn reconsider(&self, me: usize) {
        if self.bias.load(Ordering::Relaxed) != OPEN {
            return self.revoke();
        }
        let streak = self.streak.load(Ordering::Relaxed);
        if self.last.load(Ordering::Relaxed) != me {
            self.last.store(me, Ordering::Relaxed);
            let changes = (streak >> 16) + 1;
            self.streak.store(changes << 16, Ordering::Relaxed);
            if changes > GIVE_UP {
                self.bias.store(REVOKED, Ordering::Relaxed);
            }
            return;
        }
        if streak & 0xffff < STREAK {
            self.streak.store(streak + 1, Ordering::Relaxed);
        } else if me != 0 {
            // The caller is inside by the byte for this time; others who take the byte later see
            // the owner through (L).
            self.bias.store(if P::can_bias() { me } else { REVOKED }, Ordering::Relaxed);
        } else {
            self.bias.store(REVOKED, Ordering::Relaxed);
        }
    }

    /// Holding the byte: takes the bias from its owner and waits until the owner has left.
    #[cold]
    #[inline(never)]
    fn revoke(&self) {
        self.bias.store(REVOKED, Ordering::Relaxed);
        // (D) with `enter`.
        P::heavy();
        let mut round = 0;
        // (B) from the Release of `leave`, here and below.
        let mut busy = self.busy.load(P::REVOKE);
        while busy {
            P::wait(round);
            round += 1;
            busy = if cfg!(loom) {
                self.busy.compare_exchange(false, false, P::REVOKE, Ordering::Relaxed).is_err()
            } else {
                self.busy.load(P::REVOKE)
            };
        }
    }
}

impl<P> fmt::Debug for Gate<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bias = match self.bias.load(Ordering::Relaxed) {
            OPEN => "open",
            REVOKED => "revoked",
            _ => "biased",
        };
        write!(f, "Gate({bias}, taken: {})", self.byte.load(Ordering::Relaxed))
    }
}

#[cfg(all(test, loom))]
#[path = "../../tests/loom/channel_gate.rs"]
mod loom_tests;
