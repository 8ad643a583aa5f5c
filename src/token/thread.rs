//! What a thread keeps for tickets: its shard of the table and the slot it waits in.
//!
//! This file holds the one thread-local of this layer. It gives both back when the thread exits; a
//! destructor that runs even later and still waits or publishes uses shard 0 and a slot borrowed for
//! the one wait.
//!
//! # Invariants
//!
//! 1. The thread-local's address is never kept across a suspension: every access is a call of its
//!    own that returns a `'static` reference or nothing.
//!
//! # Who calls this, and what it may call
//!
//! The files of this module, on the thread concerned.

#![forbid(unsafe_code)]

use super::shard::{self, Shard};
use super::slot::Kind;
use super::table::{self, Slot};
use std::cell::Cell;

thread_local! {
    static OWNED: Owned = const { Owned { shard: Cell::new(None), slot: Cell::new(None) } };
}

struct Owned {
    shard: Cell<Option<&'static Shard>>,
    slot: Cell<Option<&'static Slot>>,
}

impl Drop for Owned {
    fn drop(&mut self) {
        let shard = self.shard.take();
        if let Some(slot) = self.slot.take() {
            match shard {
                Some(shard) => table::free_in(shard, slot),
                None => shard::by_id(slot.home()).push_remote(slot.index()),
            }
        }
        if let Some(shard) = shard {
            shard::release(shard);
        }
    }
}

/// This thread's shard; `None` while the thread exits, or when there are too many threads.
#[inline(never)]
pub(super) fn shard() -> Option<&'static Shard> {
    OWNED.try_with(|owned| owned.shard.get().or_else(|| shard_slow(owned))).ok().flatten()
}

#[cold]
fn shard_slow(owned: &Owned) -> Option<&'static Shard> {
    let shard = shard::acquire();
    owned.shard.set(shard);
    shard
}

/// The slot in which this thread waits; `None` while the thread exits.
#[inline(never)]
pub(super) fn slot() -> Option<&'static Slot> {
    OWNED.try_with(|owned| owned.slot.get().unwrap_or_else(|| slot_slow(owned))).ok()
}

#[cold]
fn slot_slow(owned: &Owned) -> &'static Slot {
    let slot = fresh_slot();
    owned.slot.set(Some(slot));
    slot
}

/// This thread's slot is worn out: takes another one.
#[cold]
pub(super) fn replace_slot() -> Option<&'static Slot> {
    OWNED.try_with(|owned| owned.slot.take().map(table::free)).ok()?;
    slot()
}

/// A slot for one wait of a plain thread.
pub(super) fn fresh_slot() -> &'static Slot {
    let slot = table::alloc();
    slot.parker.reset();
    slot.set_owner(Kind::Thread, std::ptr::null_mut());
    slot
}
