//! The report of an overflow: which coroutine, how large its stack was, where it was spawned.
//!
//! A fault in the guard of any slot, decided by address alone, ends the process with one line on
//! standard error. Nothing else is touched: no lock, no allocation, no formatting machinery, so
//! that the report works in the middle of anything. Going on is not offered: the frames below the
//! fault are half made.
//!
//! # Invariants
//!
//! 1. Everything reachable from [`report`] is async-signal-safe.
//! 2. A fault outside every guard is left to the handler that was there before.
//!
//! # Who calls this, and what it may call
//!
//! [`install`] runs under the lock of the region table; [`report`] in a signal handler, on the
//! alternate stack of whichever thread faulted.

use super::header::{Header, Label};
use super::region::{self, Found};
use crate::sys::signal::{Fault, observe_faults, write_error};
use std::process;

/// The longest part of a name or path that is printed.
const NAME_MAX: usize = 128;

/// How far below the guard the stack pointer of an overflow may be: code without stack probes lowers
/// it by a whole frame before it touches any of it.
const FRAME_MAX: usize = 1 << 20;

/// Installs the report in front of the present handlers. Only the first call does anything.
pub(super) fn install() {
    // A refusal costs the message, not the guard.
    let _ = observe_faults(report);
}

/// Ends the process if the fault is in the guard of a stack.
fn report(fault: &Fault) {
    let Some(slot) = region::find(fault.address) else { return };
    if fault.address - slot.base.addr() >= slot.guard {
        return;
    }
    let header = slot.base.wrapping_add(slot.bytes - Header::distance_from_end(slot.index));
    // SAFETY: slots are never unmapped; the bytes are a header, or zeros if the slot is cold.
    // Zeros read as a header without a label.
    let label = unsafe { Header::label_at(header.cast()) };
    describe(fault, &slot, label);
    process::abort();
}

fn describe(fault: &Fault, slot: &Found, label: Option<Label>) {
    let mut before = Line::new();
    let mut after = Line::new();
    let mut name = (std::ptr::null(), 0);
    before.text("kcoro: ");
    match label {
        None => before.text("a stack without a coroutine"),
        Some(label) => {
            before.text("coroutine ");
            before.decimal(label.id);
            if label.name_len > 0 {
                before.text(" \"");
                name = (label.name, label.name_len.min(NAME_MAX));
                after.text("\"");
            }
            if let Some(at) = label.location {
                after.text(" (spawned at ");
                let file = at.file();
                // The end of a path says more than its beginning.
                after.bytes(&file.as_bytes()[file.len().saturating_sub(NAME_MAX)..]);
                after.text(":");
                after.decimal(u64::from(at.line()));
                after.text(")");
            }
        }
    }
    let reach = slot.bytes.max(FRAME_MAX);
    let lowest = slot.base.addr().wrapping_sub(reach);
    let ran_on_it = fault.stack_pointer.wrapping_sub(lowest) < reach + slot.bytes;
    after.text(if ran_on_it { " overflowed its stack: " } else { ": access below its stack: " });
    after.decimal(slot.bytes as u64);
    after.text(" bytes, guard ");
    after.decimal(slot.guard as u64);
    after.text(" at ");
    after.hexadecimal(slot.base.addr());
    after.text(", fault address ");
    after.hexadecimal(fault.address);
    after.text(", sp ");
    after.hexadecimal(fault.stack_pointer);
    after.text("\n");
    write_error(&[before.part(), name, after.part()]);
}

/// A piece of the message, cut off where it is full.
struct Line {
    bytes: [u8; 512],
    len: usize,
}

impl Line {
    fn new() -> Line {
        Line { bytes: [0; 512], len: 0 }
    }

    fn part(&self) -> (*const u8, usize) {
        (self.bytes.as_ptr(), self.len)
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for (place, byte) in self.bytes.iter_mut().skip(self.len).zip(bytes) {
            *place = *byte;
            self.len += 1;
        }
    }

    fn decimal(&mut self, mut number: u64) {
        let mut digits = [0u8; 20];
        let mut first = digits.len();
        for place in digits.iter_mut().rev() {
            *place = b'0' + (number % 10) as u8;
            number /= 10;
            first -= 1;
            if number == 0 {
                break;
            }
        }
        self.bytes(digits.get(first..).unwrap_or_default());
    }

    fn hexadecimal(&mut self, number: usize) {
        self.text("0x");
        let digits = (usize::BITS - number.leading_zeros()).div_ceil(4).max(1);
        for digit in (0..digits).rev() {
            let value = (number >> (4 * digit)) & 15;
            self.bytes(&[b"0123456789abcdef"[value]]);
        }
    }
}
