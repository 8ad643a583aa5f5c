//! Positions and sleep of a channel with one sender and one receiver: who may touch which cell, and
//! how a side that cannot go on is woken.
//!
//! Each side publishes its position with a plain store and keeps a copy of the other's, which it
//! renews only when the copy says that nothing is there. So a value costs two stores and no
//! instruction that waits for another processor. What remains is the sleep: a side writes *I sit
//! here* and looks at the other's position once more; the other writes its position and looks whether
//! anybody sits. That is a Dekker pair, and the hot side leaves its fence out: the side that is about
//! to sleep pays for both ([`Platform::heavy`]).
//!
//! If both sides were last used by the same worker, even that is left out: one thread sees its own
//! stores in order. Each side notes the worker that uses it (its *home*), and pays the heavy fence
//! once when it moves on to another one.
//!
//! ```text
//!            sit                     call                       seat of one side
//!   +------+ ----> +---------+ -------------> +---------+
//!   | FREE |       | WAITING |                | CALLING |
//!   +------+ <---- +---------+                +---------+
//!       ^    rise                                  |
//!       +------------------------------------------+
//!                    the waiter was taken out
//! ```
//!
//! | from    | call | to      | who       | order ok / fail   | the caller must now             |
//! |---------|------|---------|-----------|-------------------|---------------------------------|
//! | FREE    | sit  | WAITING | own side  | Release           | fence, look again, rise or park |
//! | WAITING | rise | FREE    | own side  | Relaxed / Relaxed | nothing: nobody will wake it    |
//! | CALLING | rise | CALLING | own side  | - / Relaxed       | expect the wake                 |
//! | WAITING | call | CALLING | other side| Acquire / Relaxed | take the waiter out             |
//! | CALLING | call | FREE    | other side| Release           | wake the waiter                 |
//!
//! # Invariants
//!
//! 1. `received <= sent <= received + capacity` (modulo 2^64), as each side sees it.
//! 2. A cell belongs to the sender from when the receiver has passed it to when the sender has.
//! 3. No lost wake: of *sit, fence, look* and *publish, fence, look at the seat*, one sees the other.
//! 4. `home` of a side is 0 or the worker that used it last; it is left only with a heavy fence.
//!
//! Pairs: (P) `publish` Release to `observe` Acquire: the cells passed.
//!        (C) `close` Release to `is_closed` Acquire: all that the closing side published before.
//!        (S) `sit` Release to `call` Acquire: the waiter. (T) `call` Release to `sit` Acquire: the
//!        empty seat.
//!        (D) `light` in `publish`, `close`, `settle` with `heavy` in `settle`, `move_home`.
//!
//! # Who calls this, and what it may call
//!
//! `half`, the one user of each side. Nothing here suspends.
//!
//! Source: Lamport's ring with cached positions, as in Lê, Guatto, Cohen, Pop, "Correct and
//! efficient bounded FIFO queues", 2013; membarrier(2).

use crate::prim::{AtomicBool, AtomicU32, AtomicUsize, Ordering, UnsafeCell};
use std::fmt;
use std::marker::PhantomData;

const FREE: u32 = 0;
const WAITING: u32 = 1;
const CALLING: u32 = 2;

/// What the protocol needs from below; a model brings its own, and weakens one to see it fail.
pub(super) trait Platform {
    /// `publish`.
    const PUBLISH: Ordering = Ordering::Release;
    /// `observe`.
    const OBSERVE: Ordering = Ordering::Acquire;
    /// `close`.
    const CLOSE: Ordering = Ordering::Release;
    /// `sit`.
    const SIT: Ordering = Ordering::Release;
    /// The worker that calls, as an address; 0 for a thread that is no home.
    fn me() -> usize;
    /// The hot side of (D).
    fn light();
    /// The side of (D) that is about to sleep, or moves.
    fn heavy();
    /// Lets time pass while the other side takes the waiter out of the seat.
    fn pause();
}

/// A side of the channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Send = 0,
    Recv = 1,
}

impl Side {
    #[inline(always)]
    const fn other(self) -> Side {
        match self {
            Side::Send => Side::Recv,
            Side::Recv => Side::Send,
        }
    }
}

/// Lines apart, and a pair of them because processors fetch pairs.
#[repr(align(128))]
struct Line<V>(V);

/// Where one side waits.
struct Seat<W> {
    state: AtomicU32,
    waiter: UnsafeCell<Option<W>>,
}

/// What is read at every operation and hardly ever written.
struct Quiet<W> {
    closed: AtomicBool,
    seats: [Seat<W>; 2],
    homes: [AtomicUsize; 2],
}

/// Positions, seats and the end of one channel.
pub(super) struct Flow<W, P> {
    at: [Line<AtomicUsize>; 2],
    quiet: Line<Quiet<W>>,
    platform: PhantomData<P>,
}

// SAFETY: all fields are atomic but the waiters, which the seats hand from side to side.
unsafe impl<W: Send, P> Sync for Flow<W, P> {}
// SAFETY: the platform is a type, not a value.
unsafe impl<W: Send, P> Send for Flow<W, P> {}

impl<W, P: Platform> Flow<W, P> {
    /// Open, empty, nobody waits.
    pub(super) fn new() -> Flow<W, P> {
        let seat = || Seat { state: AtomicU32::new(FREE), waiter: UnsafeCell::new(None) };
        Flow {
            at: [Line(AtomicUsize::new(0)), Line(AtomicUsize::new(0))],
            quiet: Line(Quiet {
                closed: AtomicBool::new(false),
                seats: [seat(), seat()],
                homes: [AtomicUsize::new(0), AtomicUsize::new(0)],
            }),
            platform: PhantomData,
        }
    }

    /// Makes `at` the position of `side`. True: the other side sits and is to be called.
    ///
    /// `home` is the side's own copy of its home.
    #[inline(always)]
    #[must_use = "the other side sleeps until it is called"]
    pub(super) fn publish(&self, side: Side, at: usize, home: &mut usize) -> bool {
        // (P) to the Acquire of `observe`.
        self.at[side as usize].0.store(at, P::PUBLISH);
        self.must_call(side, home)
    }

    /// After something that the other side may sleep for has been stored.
    #[inline(always)]
    fn must_call(&self, side: Side, home: &mut usize) -> bool {
        let me = P::me();
        if me != *home {
            self.move_home(side, me, home);
        }
        // (D) with `settle`.
        P::light();
        self.quiet.0.seats[side.other() as usize].state.load(Ordering::Relaxed) == WAITING
    }

    #[cold]
    #[inline(never)]
    fn move_home(&self, side: Side, me: usize, home: &mut usize) {
        self.quiet.0.homes[side as usize].store(me, Ordering::Relaxed);
        if *home != 0 {
            // (D) with `settle` of the other side: either it sees the new home, or the stores it
            // made before it looked are visible from here on.
            P::heavy();
        }
        *home = me;
    }

    /// How far the other side of `side` has come.
    #[inline(always)]
    pub(super) fn observe(&self, side: Side) -> usize {
        // (P) from the Release of `publish`.
        self.at[side.other() as usize].0.load(P::OBSERVE)
    }

    /// The position of `side` itself, for reports.
    pub(super) fn position(&self, side: Side) -> usize {
        self.at[side as usize].0.load(Ordering::Relaxed)
    }

    /// Whether a side has closed.
    #[inline(always)]
    pub(super) fn is_closed(&self) -> bool {
        // (C) from the Release of `close`.
        self.quiet.0.closed.load(Ordering::Acquire)
    }

    /// Closes on behalf of `side`. True: the other side sits and is to be called.
    #[must_use = "the other side sleeps until it is called"]
    pub(super) fn close(&self, side: Side, home: &mut usize) -> bool {
        // (C) to the Acquire of `is_closed`.
        self.quiet.0.closed.store(true, P::CLOSE);
        self.must_call(side, home)
    }

    /// Whether both sides were last used by the calling worker, as far as this side knows.
    #[inline]
    pub(super) fn at_home(&self, side: Side) -> bool {
        let me = P::me();
        me != 0 && self.quiet.0.homes[side.other() as usize].load(Ordering::Relaxed) == me
    }

    /// Announces that `side` is about to wait as `waiter`. Then the caller looks once more whether it
    /// can go on, and either rises or sleeps.
    pub(super) fn sit(&self, side: Side, waiter: W) {
        let seat = &self.quiet.0.seats[side as usize];
        loop {
            // (T) from the Release of `call`.
            match seat.state.load(Ordering::Acquire) {
                FREE => break,
                // Left there by a future that was forgotten.
                WAITING => drop(self.rise(side)),
                _ => P::pause(),
            }
        }
        // SAFETY: a free seat's cell belongs to its own side, which calls.
        let before = seat.waiter.with_mut(|cell| unsafe { (*cell).replace(waiter) });
        debug_assert!(before.is_none(), "one waiter a side");
        // (S) to the Acquire of `call`.
        seat.state.store(WAITING, P::SIT);
        // (D), for a partner on this very worker, and for one that moves away.
        P::light();
        if !self.at_home(side) {
            // (D) with `publish` and `close`.
            P::heavy();
        }
    }

    /// Takes the announcement back; `None`: it was not there, or the other side has it and wakes.
    pub(super) fn rise(&self, side: Side) -> Option<W> {
        let seat = &self.quiet.0.seats[side as usize];
        let (relaxed, ok) = (Ordering::Relaxed, Ordering::Relaxed);
        if seat.state.compare_exchange(WAITING, FREE, ok, relaxed).is_err() {
            return None;
        }
        // SAFETY: the exchange gave the cell back to its own side, which had written it.
        seat.waiter.with_mut(|cell| unsafe { (*cell).take() })
    }

    /// Takes the other side's waiter out of its seat, to be woken.
    #[cold]
    #[inline(never)]
    pub(super) fn call(&self, side: Side) -> Option<W> {
        let seat = &self.quiet.0.seats[side.other() as usize];
        // (S) from the Release of `sit`.
        seat.state.compare_exchange(WAITING, CALLING, Ordering::Acquire, Ordering::Relaxed).ok()?;
        // SAFETY: CALLING makes the cell the caller's; there is one caller, the other side.
        let waiter = seat.waiter.with_mut(|cell| unsafe { (*cell).take() });
        // (T) to the Acquire of `sit`.
        seat.state.store(FREE, Ordering::Release);
        waiter
    }
}

impl<W, P: Platform> fmt::Debug for Flow<W, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow")
            .field("sent", &self.position(Side::Send))
            .field("received", &self.position(Side::Recv))
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
#[path = "../../../tests/loom/channel_spsc.rs"]
mod loom_tests;
