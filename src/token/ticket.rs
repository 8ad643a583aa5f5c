//! The ticket: slot number and generation in one `u64`.

#![forbid(unsafe_code)]

use std::fmt;

/// Names one wait. Copy it to wherever the event will come from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(u64);

impl Ticket {
    pub(super) fn new(index: u32, generation: u32) -> Ticket {
        Ticket(u64::from(index) << 32 | u64::from(generation))
    }

    /// The ticket that has this number. Any number is safe: one that names no open ticket is stale.
    pub const fn from_raw(raw: u64) -> Ticket {
        Ticket(raw)
    }

    /// The ticket as a number, to be carried through a C callback, a message or a completion queue.
    pub const fn into_raw(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({}@{})", self.0 >> 32, self.0 as u32)
    }
}
