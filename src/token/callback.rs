//! Callbacks that wait for a ticket: a boxed closure behind the slot's party pointer.
//!
//! # Invariants
//!
//! 1. The party of a slot of kind `Callback` or `KernelCallback` is the closure that [`attach`]
//!    boxed, and [`run`] takes it once.
//!
//! # Who calls this, and what it may call
//!
//! `slot.rs` and `kernel.rs` run closures with no lock held. A closure is user code: it may complete
//! tickets and publish new ones. Its panic is reported by the panic hook and ends with it.

use super::payload::Payload;
use super::slot::{Kind, Slot};
use super::table;
use crate::error::WaitError;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What runs when the ticket ends.
pub(super) type Callback = Box<dyn FnOnce(Result<Payload, WaitError>) + Send>;

/// Makes the closure the slot's party; see [`Slot::set_party`] for when.
pub(super) fn attach(slot: &Slot, kind: Kind, callback: Callback) {
    debug_assert!(matches!(kind, Kind::Callback | Kind::KernelCallback));
    slot.set_party(kind, Box::into_raw(Box::new(callback)).cast());
}

/// Runs the closure of a ticket that is done, and gives the slot back before.
pub(super) fn run(slot: &'static Slot) {
    debug_assert!(matches!(slot.kind(), Kind::Callback | Kind::KernelCallback));
    // SAFETY: the party is what `attach` boxed (invariant 1), and the ticket ends once, so the one
    // party that was told to wake it is the only one here.
    let callback = unsafe { Box::from_raw(slot.party().cast::<Callback>()) };
    let result = slot.collect();
    table::free_ticket(slot);
    let _ = catch_unwind(AssertUnwindSafe(|| callback(result)));
}
