//! The word behind `park` and `unpark`: one remembered wake-up.
//!
//! | from     | call       | to       | who             | the caller must now           |
//! |----------|------------|----------|-----------------|-------------------------------|
//! | EMPTY    | begin_park | PARKED   | the coroutine   | switch away                   |
//! | NOTIFIED | begin_park | EMPTY    | the coroutine   | go on                         |
//! | EMPTY    | unpark     | NOTIFIED | anybody         | nothing                       |
//! | PARKED   | unpark     | EMPTY    | anybody         | wake the coroutine, once      |
//! | NOTIFIED | unpark     | NOTIFIED | anybody         | nothing                       |
//! | PARKED   | retract    | EMPTY    | the coroutine   | go on, or unwind              |
//!
//! Pairs: every change is a read-modify-write and AcqRel, so that what came before an `unpark` is
//! visible after the `park` that it ends. A plain store of EMPTY would not do: a second `unpark`
//! could find NOTIFIED, rely on it, and be overwritten unseen.

use crate::prim::{AtomicU8, Ordering};

const EMPTY: u8 = 0;
const NOTIFIED: u8 = 1;
const PARKED: u8 = 2;

/// See the table above.
#[derive(Debug)]
pub(super) struct PermitWord {
    state: AtomicU8,
}

impl PermitWord {
    pub(super) fn new() -> PermitWord {
        PermitWord { state: AtomicU8::new(EMPTY) }
    }

    /// Takes a remembered wake-up, or announces that the coroutine parks; true: switch away.
    #[inline]
    pub(super) fn begin_park(&self) -> bool {
        self.begin_park_with(Ordering::AcqRel)
    }

    /// [`begin_park`](PermitWord::begin_park) with an ordering that a test may weaken.
    #[inline(always)]
    pub(super) fn begin_park_with(&self, order: Ordering) -> bool {
        if self.state.compare_exchange(EMPTY, PARKED, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            return true;
        }
        // Only `unpark` changes an announced word meanwhile, and this one is NOTIFIED. Acquire from
        // each `unpark` up to the one whose mark this takes.
        self.state.swap(EMPTY, order);
        false
    }

    /// Takes the announcement back; false: an `unpark` was faster and is about to wake.
    pub(super) fn retract(&self) -> bool {
        self.state.compare_exchange(PARKED, EMPTY, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Leaves a wake-up; true: the coroutine is parked, and the caller must wake it.
    pub(super) fn unpark(&self) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let new = if state == PARKED { EMPTY } else { NOTIFIED };
            match self.state.compare_exchange_weak(state, new, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(before) => return before == PARKED,
                Err(now) => state = now,
            }
        }
    }
}

#[cfg(all(test, loom))]
#[path = "../../tests/loom/permit.rs"]
mod loom_tests;
