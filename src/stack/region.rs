//! Regions: the large reservations that slots are carved from, and the table of them.
//!
//! A size class starts with a small region and doubles what it has with each further one, so that
//! a program with few stacks reserves little and a million stacks are a few regions. The table is
//! append-only and read without a lock, by the overflow report among others.
//!
//! # Invariants
//!
//! 1. Entries below `COUNT` never change.
//! 2. A region is a whole number of slots of one class.
//! 3. A slot is carved once.

use super::class::Class;
use super::overflow;
use crate::error::StackError;
use crate::prim::{AtomicPtr, AtomicUsize, Mutex, Ordering};
use crate::sys::{Errno, limits, memory};
use std::ptr::{self, NonNull};

/// The first region of a class, in bytes, unless one slot is larger.
const FIRST_BYTES: usize = 64 << 20;

/// The largest region, in bytes.
const LARGEST_BYTES: usize = 64 << 30;

/// How many regions the table holds: 64 TiB of the largest.
const REGIONS: usize = 1024;

/// The fraction of a finite address space that one region may take.
const SHARE_OF_LIMIT: u64 = 32;

/// The place of one stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// The lowest address.
    pub(super) base: NonNull<u8>,
    /// The number among the slots of its class.
    pub(super) index: u32,
    /// The size.
    pub(super) class: Class,
}

// SAFETY: a slot is an address range that no thread has a special claim to; who may touch it is
// decided by the pool.
unsafe impl Send for Slot {}

#[derive(Debug)]
struct Entry {
    base: AtomicPtr<u8>,
    bytes: AtomicUsize,
    shift: AtomicUsize,
    guard: AtomicUsize,
    /// The number of the first slot among those of its class.
    first: AtomicUsize,
}

static TABLE: [Entry; REGIONS] = [const {
    Entry {
        base: AtomicPtr::new(ptr::null_mut()),
        bytes: AtomicUsize::new(0),
        shift: AtomicUsize::new(0),
        guard: AtomicUsize::new(0),
        first: AtomicUsize::new(0),
    }
}; REGIONS];
static COUNT: AtomicUsize = AtomicUsize::new(0);
static APPEND: Mutex<()> = Mutex::new(());

/// The slot that an address lies in, as the table knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Found {
    /// The lowest address of the slot.
    pub(super) base: *mut u8,
    /// The size of the slot in bytes.
    pub(super) bytes: usize,
    /// The size of its guard in bytes.
    pub(super) guard: usize,
    /// The number among the slots of its class.
    pub(super) index: u32,
}

/// The slot around `address`, if it is in any region. Async-signal-safe.
pub(super) fn find(address: usize) -> Option<Found> {
    // Acquire: pairs with the Release in `append`, so that the entries are seen whole.
    let count = COUNT.load(Ordering::Acquire);
    TABLE.iter().take(count).find_map(|entry| {
        let base = entry.base.load(Ordering::Relaxed);
        let offset = address.checked_sub(base.addr())?;
        if offset >= entry.bytes.load(Ordering::Relaxed) {
            return None;
        }
        let shift = entry.shift.load(Ordering::Relaxed);
        let ordinal = offset >> shift;
        let index = entry.first.load(Ordering::Relaxed) + ordinal;
        Some(Found {
            base: base.wrapping_add(ordinal << shift),
            bytes: 1 << shift,
            guard: entry.guard.load(Ordering::Relaxed),
            index: index as u32,
        })
    })
}

/// The number of regions and the bytes reserved by them.
pub(super) fn totals() -> (usize, usize) {
    // Acquire: as in `find`.
    let count = COUNT.load(Ordering::Acquire);
    (count, TABLE.iter().take(count).map(|entry| entry.bytes.load(Ordering::Relaxed)).sum())
}

/// The part of a class's latest region that has not been carved yet.
#[derive(Debug)]
pub(super) struct Carver {
    /// The next slot and the number of slots from it on, all in one region.
    rest: Option<(NonNull<u8>, usize)>,
    carved: u32,
    reserved: usize,
}

// SAFETY: like `Slot`.
unsafe impl Send for Carver {}

impl Carver {
    /// Nothing reserved.
    pub(super) const fn new() -> Carver {
        Carver { rest: None, carved: 0, reserved: 0 }
    }

    /// How many slots were carved.
    pub(super) fn carved(&self) -> usize {
        self.carved as usize
    }

    /// Carves the next slot, from a further region if need be. It has no guard yet.
    ///
    /// # Errors
    ///
    /// A [`StackError`] that names the limit.
    pub(super) fn carve(&mut self, class: Class) -> Result<Slot, StackError> {
        let (base, count) = match self.rest {
            Some(rest) => rest,
            None => self.reserve(class)?,
        };
        // SAFETY: `base` begins `count` slots of one reservation; this is its end at most.
        let next = unsafe { base.add(class.bytes()) };
        self.rest = (count > 1).then_some((next, count - 1));
        let index = self.carved;
        self.carved += 1;
        Ok(Slot { base, index, class })
    }

    #[cold]
    fn reserve(&mut self, class: Class) -> Result<(NonNull<u8>, usize), StackError> {
        let least = class.bytes();
        let mut bytes = self.reserved.clamp(FIRST_BYTES, LARGEST_BYTES);
        if let Some(limit) = limits::address_space() {
            let share = usize::try_from(limit / SHARE_OF_LIMIT).unwrap_or(usize::MAX);
            bytes = bytes.min(share);
        }
        bytes = (bytes & !(least - 1)).max(least);
        loop {
            match memory::reserve(bytes) {
                Ok(base) => {
                    append(base, bytes, class, self.carved)?;
                    self.reserved += bytes;
                    return Ok((base, bytes / least));
                }
                Err(_) if bytes > least => bytes = ((bytes / 2) & !(least - 1)).max(least),
                Err(error) => return Err(explain(bytes, error)),
            }
        }
    }
}

/// Enters a region into the table, or unmaps it.
fn append(base: NonNull<u8>, bytes: usize, class: Class, first: u32) -> Result<(), StackError> {
    let _serial = APPEND.lock();
    overflow::install();
    let count = COUNT.load(Ordering::Relaxed);
    let Some(entry) = TABLE.get(count) else {
        // SAFETY: reserved by the caller just now and not used yet.
        unsafe { memory::unmap(base, bytes) };
        return Err(StackError::Regions { limit: REGIONS });
    };
    entry.base.store(base.as_ptr(), Ordering::Relaxed);
    entry.bytes.store(bytes, Ordering::Relaxed);
    entry.shift.store(class.shift() as usize, Ordering::Relaxed);
    entry.guard.store(class.guard_bytes(), Ordering::Relaxed);
    entry.first.store(first as usize, Ordering::Relaxed);
    // Release: pairs with the Acquire in `find` and `totals`.
    COUNT.store(count + 1, Ordering::Release);
    Ok(())
}

/// Finds the limit behind a refused reservation.
#[cold]
fn explain(bytes: usize, error: Errno) -> StackError {
    let unexplained = StackError::System { bytes, errno: error.0 };
    if error != Errno::NO_MEMORY {
        return unexplained;
    }
    if let (Some(limit), Some(used)) = (limits::address_space(), limits::address_space_used())
        && used.saturating_add(bytes as u64) > limit
    {
        return StackError::AddressSpace { bytes, limit };
    }
    if limits::overcommit_memory() == Some(2) {
        return StackError::Overcommit { bytes };
    }
    if let (Some(limit), Some(used)) = (limits::max_map_count(), limits::map_count())
        && used + 2 >= limit
    {
        return StackError::Mappings { limit, guarded: super::guard::mapped() };
    }
    unexplained
}
