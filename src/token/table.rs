//! The correlation table: every slot of the process, found by number in a few instructions.
//!
//! Chunks double in size, so that number to address is a shift, a count of leading zeros and one
//! load, and twenty-odd pointers cover 32 bits. A chunk is zeroed pages that the system fills in
//! when they are first touched, and it is never given back: that is what makes a stale ticket safe
//! to look up. A map keyed by ticket would hash, probe and lock for the same answer.
//!
//! # Invariants
//!
//! 1. A chunk, once installed, is neither moved nor freed.
//! 2. A slot is handed out by one shard at a time: [`alloc`] and [`free`] alternate.
//! 3. A slot whose generations are used up is never handed out again.
//!
//! # Who calls this, and what it may call
//!
//! The files of this module, from any thread or coroutine; never from a signal handler, because
//! growing takes a lock and allocates.

use super::event;
use super::shard::{self, Shard};
use super::slot::Slot;
use crate::prim::{AtomicPtr, AtomicU32, Mutex, Ordering};
use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};

/// Slots in the first chunk.
const FIRST: u32 = 1 << FIRST_BITS;
const FIRST_BITS: u32 = 10;
/// Chunks of `FIRST << n` slots that together cover the numbers a link can hold.
const CHUNKS: usize = 22;
/// Slots a shard takes at a time.
const BATCH: u32 = 32;

static CHUNK: [AtomicPtr<Slot>; CHUNKS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNKS];
/// How many slots have ever been handed to a shard.
static CARVED: Mutex<u32> = Mutex::new(0);
/// Slots that will never be used again because their generations ran out.
static WORN_OUT: AtomicU32 = AtomicU32::new(0);

/// Chunk and place in it of slot `index`.
#[inline(always)]
fn locate(index: u32) -> Option<(usize, usize)> {
    let shifted = index.checked_add(FIRST)?;
    let chunk = 31 - shifted.leading_zeros();
    Some(((chunk - FIRST_BITS) as usize, (shifted - (1 << chunk)) as usize))
}

/// The slot of that number, if the table has grown so far.
#[inline]
pub(super) fn get(index: u32) -> Option<&'static Slot> {
    let (chunk, place) = locate(index)?;
    // Pairs with the Release in `install`.
    let base = CHUNK[chunk].load(Ordering::Acquire);
    if base.is_null() {
        return None;
    }
    // SAFETY:
    // - `place` is below the size of chunk number `chunk`, which `base` points at.
    // - The chunk is zeroed slots, which are valid ones, and is never freed (invariant 1).
    Some(unsafe { &*base.add(place) })
}

/// Takes a free slot for the caller alone.
#[inline]
pub(super) fn alloc() -> &'static Slot {
    shard::with(alloc_in)
}

/// [`alloc`] for a caller that has its shard at hand.
#[inline]
pub(super) fn alloc_in(shard: &Shard) -> &'static Slot {
    loop {
        if let Some(index) = shard.pop() {
            return get(index).expect("a free slot lies in the table");
        }
        refill(shard);
    }
}

/// Gives back a slot that is idle and that no list holds.
#[inline]
pub(super) fn free(slot: &'static Slot) {
    shard::with(|shard| free_in(shard, slot));
}

/// [`free`] for a caller that has its shard at hand.
#[inline]
pub(super) fn free_in(shard: &Shard, slot: &'static Slot) {
    event::retire(slot.word.bare());
    if slot.word.generation() == u32::MAX {
        WORN_OUT.fetch_add(1, Ordering::Relaxed);
    } else if slot.home() == shard.id() {
        shard.push(slot.index());
    } else {
        shard::by_id(slot.home()).push_remote(slot.index());
    }
}

/// [`alloc`] for a published ticket, which is counted.
#[inline]
pub(super) fn alloc_ticket() -> &'static Slot {
    shard::with(|shard| {
        shard.counters.published.bump();
        alloc_in(shard)
    })
}

/// [`free`] for a ticket from [`alloc_ticket`].
#[inline]
pub(super) fn free_ticket(slot: &'static Slot) {
    shard::with(|shard| {
        shard.counters.retired.bump();
        free_in(shard, slot);
    });
}

/// Slots handed to shards so far, and how many of those are worn out.
pub(super) fn sizes() -> (u32, u32) {
    (*CARVED.lock(), WORN_OUT.load(Ordering::Relaxed))
}

#[cold]
fn refill(shard: &Shard) {
    if shard.reclaim() {
        return;
    }
    shard::note_high_water();
    let mut carved = CARVED.lock();
    let first = *carved;
    for index in first..first + BATCH {
        let slot = get(index).unwrap_or_else(|| install(index));
        slot.name(index, shard.id());
        shard.push(index);
    }
    *carved = first.checked_add(BATCH).expect("four billion slots in use at once");
}

/// Allocates the chunk of slot `index` and returns the slot; under the lock of [`CARVED`].
fn install(index: u32) -> &'static Slot {
    let (chunk, _) = locate(index).expect("four billion slots in use at once");
    let slots = (FIRST as usize) << chunk;
    let layout = Layout::array::<Slot>(slots).expect("a chunk fits the address space");
    // SAFETY: the layout is not empty.
    let base = unsafe { alloc_zeroed(layout) }.cast::<Slot>();
    if base.is_null() {
        handle_alloc_error(layout);
    }
    // Pairs with the Acquire in `get`.
    CHUNK[chunk].store(base, Ordering::Release);
    get(index).expect("the chunk has just been installed")
}
