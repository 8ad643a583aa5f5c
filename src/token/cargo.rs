//! The cell of a slot in which a ticket's result lies: one word that says what, three with it.
//!
//! It could be a [`Cargo`] as it is. But an enum is moved as a whole, by 16 bytes at a time, and the
//! processor cannot forward to such loads what was stored just before in other widths: each of the
//! moves on the way into the slot and out of it waits until the stores have gone to the cache, some
//! fifteen cycles. With a form of its own the cell is written from the parts of the payload, wherever
//! those are, and read into parts, and only as much of it as there is.
//!
//! # Invariants
//!
//! 1. The low byte of `head` says which field of `body` was written, if any; status is above 32 bits.
//! 2. [`take`](CargoCell::take) reads once what [`put`](CargoCell::put) has written.
//!
//! # Who calls this, and what it may call
//!
//! `table`, for whoever owns the cell.

use super::payload::{Form, Payload};
use super::slot::Cargo;
use crate::error::CancelReason;
use std::any::Any;
use std::mem::ManuallyDrop;

const NOTHING: u8 = 0;
const EMPTY: u8 = 1;
const DESCRIPTOR: u8 = 2;
const STATIC: u8 = 3;
const VALUE: u8 = 4;
const CANCELLED: u8 = 5;

const _: () = assert!(size_of::<CargoCell>() == 32);

/// See the module's header.
#[repr(C)]
pub(super) struct CargoCell {
    head: u64,
    body: Body,
}

union Body {
    descriptor: (usize, usize, u64),
    bytes: &'static [u8],
    value: ManuallyDrop<Box<dyn Any + Send>>,
    reason: CancelReason,
}

#[inline(always)]
fn head(what: u8, status: i32) -> u64 {
    u64::from(what) | u64::from(status.cast_unsigned()) << 32
}

impl CargoCell {
    /// # Safety
    ///
    /// - `cell` is valid for writes and nobody else's; what it held has been taken.
    #[inline(always)]
    pub(super) unsafe fn put(cell: *mut CargoCell, cargo: Cargo) {
        // SAFETY: by the contract. The fields of a union are written, not assigned: what was there
        // is not dropped.
        unsafe {
            (*cell).head = match cargo {
                Cargo::Nothing => head(NOTHING, 0),
                Cargo::Cancelled(reason) => {
                    (*cell).body.reason = reason;
                    head(CANCELLED, 0)
                }
                Cargo::Delivered(Payload(Form::Empty)) => head(EMPTY, 0),
                Cargo::Delivered(Payload(Form::Descriptor { status, addr, len, id })) => {
                    (*cell).body.descriptor = (addr, len, id);
                    head(DESCRIPTOR, status)
                }
                Cargo::Delivered(Payload(Form::Static { status, bytes })) => {
                    (*cell).body.bytes = bytes;
                    head(STATIC, status)
                }
                Cargo::Delivered(Payload(Form::Value(value))) => {
                    (*cell).body.value = ManuallyDrop::new(value);
                    head(VALUE, 0)
                }
            };
        }
    }

    /// # Safety
    ///
    /// - `cell` holds what [`put`](CargoCell::put) has written, and the caller alone takes it, once.
    #[inline(always)]
    pub(super) unsafe fn take(cell: *mut CargoCell) -> Cargo {
        // SAFETY: by the contract, and `head` names the field that was written (invariant 1).
        unsafe {
            let status = ((*cell).head >> 32) as u32;
            let status = status.cast_signed();
            let form = match (*cell).head as u8 {
                EMPTY => Form::Empty,
                DESCRIPTOR => {
                    let (addr, len, id) = (*cell).body.descriptor;
                    Form::Descriptor { status, addr, len, id }
                }
                STATIC => Form::Static { status, bytes: (*cell).body.bytes },
                VALUE => Form::Value(ManuallyDrop::take(&mut (*cell).body.value)),
                CANCELLED => return Cargo::Cancelled((*cell).body.reason),
                _ => return Cargo::Nothing,
            };
            Cargo::Delivered(Payload(form))
        }
    }
}
