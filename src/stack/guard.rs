//! Guards: the pages below each stack that fault.
//!
//! The cheap kind marks page-table entries and costs no mapping. Whether the kernel really has it
//! is found out by trying, once, because an emulator may accept the call and do nothing. Where it
//! is missing, or refused for locked memory, `mprotect` serves: then each guard takes two mappings
//! of the few ten thousand a process may have, and the number of stacks is bounded.
//!
//! # Invariants
//!
//! 1. [`install`] returns `Ok` only if every access to the guard faults.
//! 2. At most `vm.max_map_count` mappings, less a reserve, go to guards.
//!
//! Source: madvise(2), `MADV_GUARD_INSTALL`.

use super::region::Slot;
use crate::error::StackError;
use crate::prim::{AtomicU8, AtomicUsize, Ordering};
use crate::sys::memory::{self, Pages};
use crate::sys::{Errno, limits};

/// How stacks are guarded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum GuardKind {
    /// Markers in the page table, no mapping each (Linux 6.13 and later).
    PageTable,
    /// Inaccessible mappings, two more each.
    Mapping,
}

const UNKNOWN: u8 = 0;
const PAGE_TABLE: u8 = 1;
const MAPPING: u8 = 2;

static KIND: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Guards that have a mapping of their own.
static MAPPED: AtomicUsize = AtomicUsize::new(0);

/// `vm.max_map_count` when it was read last.
static LIMIT: AtomicUsize = AtomicUsize::new(0);

/// Mappings left to the rest of the process.
const RESERVE: usize = 2048;

/// What a kernel allows whose limit cannot be read.
const DEFAULT_MAX_MAP_COUNT: usize = 65530;

/// The kind of guards the kernel offers.
pub(crate) fn kind() -> GuardKind {
    match KIND.load(Ordering::Relaxed) {
        PAGE_TABLE => GuardKind::PageTable,
        MAPPING => GuardKind::Mapping,
        _ => {
            let kind = probe();
            // Threads that race here find the same.
            let word = if kind == GuardKind::PageTable { PAGE_TABLE } else { MAPPING };
            KIND.store(word, Ordering::Relaxed);
            kind
        }
    }
}

/// Behaves from now on as on a kernel without page-table guards.
#[cfg(test)]
pub(super) fn use_mappings() {
    KIND.store(MAPPING, Ordering::Relaxed);
}

/// The number of guards that have a mapping of their own.
pub(super) fn mapped() -> usize {
    MAPPED.load(Ordering::Relaxed)
}

/// Guards the low end of a slot.
///
/// # Errors
///
/// [`StackError::Mappings`] when guards need mappings and there are no more.
pub(super) fn install(slot: Slot) -> Result<(), StackError> {
    if install_many(&[slot]) { Ok(()) } else { install_mapping(slot, slot.class.guard_bytes()) }
}

/// Guards the low ends of all the slots; false: guards need mappings here, and none is in place.
pub(super) fn install_many(slots: &[Slot]) -> bool {
    if kind() != GuardKind::PageTable {
        return false;
    }
    let low = |slot: &Slot| Pages { address: slot.base, bytes: slot.class.guard_bytes() };
    let ends: Vec<Pages> = slots.iter().map(low).collect();
    // SAFETY: the slots are owned by the caller and have no stacks in them yet.
    unsafe { memory::install_guards(&ends) }.is_ok()
}

/// How many guards `limit` mappings allow.
fn most(limit: usize) -> usize {
    limit.saturating_sub(RESERVE) / 2
}

#[cold]
fn install_mapping(slot: Slot, bytes: usize) -> Result<(), StackError> {
    let guarded = MAPPED.fetch_add(1, Ordering::Relaxed);
    let mut limit = LIMIT.load(Ordering::Relaxed);
    if guarded >= most(limit) {
        // Unknown so far, or raised since.
        limit = limits::max_map_count().unwrap_or(DEFAULT_MAX_MAP_COUNT);
        LIMIT.store(limit, Ordering::Relaxed);
    }
    let result = if guarded >= most(limit) {
        Err(Errno::NO_MEMORY)
    } else {
        // SAFETY: as in `install`.
        unsafe { memory::protect(slot.base, bytes) }
    };
    result.map_err(|error| {
        MAPPED.fetch_sub(1, Ordering::Relaxed);
        match error {
            Errno::NO_MEMORY => StackError::Mappings { limit, guarded },
            Errno(errno) => StackError::System { bytes, errno },
        }
    })
}

fn probe() -> GuardKind {
    let bytes = memory::page_size();
    let Ok(page) = memory::reserve(bytes) else { return GuardKind::Mapping };
    // SAFETY: the page was reserved just now and nobody else knows it.
    unsafe {
        let works =
            memory::install_guard(page, bytes).is_ok() && memory::guard_in_place(page, bytes);
        memory::unmap(page, bytes);
        if works { GuardKind::PageTable } else { GuardKind::Mapping }
    }
}
