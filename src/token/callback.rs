//! Callbacks that wait for a ticket: a boxed closure is the slot's party.
//!
//! # Who calls this, and what it may call
//!
//! [`run`] is called by `table.rs` and `kernel.rs` with no lock held. A closure is user code: it may
//! complete tickets and publish new ones. Its panic is reported by the panic hook and ends with it.

#![forbid(unsafe_code)]

use super::payload::Payload;
use super::table::{self, Slot};
use crate::error::WaitError;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What runs when the ticket ends.
pub(super) type Callback = Box<dyn FnOnce(Result<Payload, WaitError>) + Send>;

/// Runs the closure of a ticket that is done, and gives the slot back before.
pub(super) fn run(slot: &'static Slot) {
    let callback = slot.take_callback();
    let result = slot.collect();
    table::free_ticket(slot);
    debug_assert!(callback.is_some(), "run by the one winner");
    if let Some(callback) = callback {
        let _ = catch_unwind(AssertUnwindSafe(|| callback(result)));
    }
}
