//! The blocks of one size class: headers, their memory, and the depot of those nobody uses.
//!
//! Headers never move and are never unmapped while the arena exists, so a stale descriptor can always
//! look at its header and see that it is stale. A chunk is one mapping with all headers in front: they
//! share no cache line with the bytes, and the bytes begin on a page. The kernel makes pages when they
//! are touched and a block is carved when it is first needed, so a large chunk costs nothing early.
//!
//! ```text
//!   chunk k of a class:  | header | header | ..  | pad to a page | bytes | bytes | .. |
//!                          64 B                                    size of the class
//! ```
//!
//! # Invariants
//!
//! 1. A block is in exactly one place: uncarved, in the depot, in one thread's magazine, or in use.
//! 2. Who holds a block that is not in use may write its body. In use, the body is read only, except
//!    by a holder that is alone (`RefWord::try_unique`) or got `Released::Last`.
//! 3. `store`, `index`, `class` and a sized block's `data` never change after carving.
//!
//! # Who calls this, and what it may call
//!
//! The arena's store, from any thread. A depot's lock is a leaf: only the allocator and `mmap` are
//! called under it.

use super::chunks::Chunks;
use super::class::{BARE, CHUNKS, CLASS, CLASSES, Class};
use super::refcount::RefWord;
use super::store::Store;
use crate::error::ArenaError;
use crate::prim::{Mutex, UnsafeCell};
use memmap2::{MmapMut, MmapOptions, UncheckedAdvice};
use std::ptr::NonNull;

/// Memory that a payload borrows from elsewhere; dropped with the last reference.
pub(super) trait Owner: Send + Sync {}
impl<T: Send + Sync> Owner for T {}

/// Where a payload's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// In the block itself.
    Sized = 0,
    /// In a mapping of its own.
    Mapped = 1,
    /// In a file of its own.
    Spilled = 2,
    /// In foreign memory: never written.
    Alias = 3,
}

/// What changes from life to life of a block.
pub(super) struct Body {
    /// The first byte.
    pub(super) data: *mut u8,
    /// Length of the whole payload in bytes.
    pub(super) length: usize,
    /// What keeps `data` alive if it is not the chunk.
    pub(super) owner: Option<NonNull<dyn Owner>>,
    /// Where `data` is.
    pub(super) kind: Kind,
    /// What a payload with a mapping of its own took from the budget, in [`PAGE`]s.
    pub(super) pages: u32,
}

/// The unit in which mappings are charged, in bytes.
pub(super) const PAGE: usize = 4096;

#[repr(C, align(64))]
pub(super) struct Header {
    pub(super) word: RefWord,
    store: *const Store,
    body: UnsafeCell<Body>,
    index: u32,
    class: u8,
}
const _: () = assert!(size_of::<Header>() == 64);

/// Names a carved block. Copying it does not count; what may be done is said at each method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Block(NonNull<Header>);

// SAFETY: a block is a shared pointer to a header whose fields are atomic, constant after carving, or
// handed over with the block (invariant 2); the owner inside is Send and Sync.
unsafe impl Send for Block {}
// SAFETY: as for Send.
unsafe impl Sync for Block {}

impl Block {
    /// The reference word.
    ///
    /// # Safety
    ///
    /// The block's store exists.
    #[inline(always)]
    pub(super) unsafe fn word<'a>(self) -> &'a RefWord {
        // SAFETY: headers are mapped and initialised as long as the store exists.
        unsafe { &(*self.0.as_ptr()).word }
    }

    /// The store that the block belongs to.
    ///
    /// # Safety
    ///
    /// The block's store exists.
    #[inline(always)]
    pub(super) unsafe fn store(self) -> NonNull<Store> {
        // SAFETY: as above; a carved header's store is not null (invariant 3).
        unsafe { NonNull::new_unchecked((*self.0.as_ptr()).store.cast_mut()) }
    }

    /// The class the block belongs to.
    ///
    /// # Safety
    ///
    /// The block's store exists.
    #[inline(always)]
    pub(super) unsafe fn class(self) -> usize {
        // SAFETY: as above.
        unsafe { (*self.0.as_ptr()).class as usize }
    }

    /// The block's number in its class.
    ///
    /// # Safety
    ///
    /// The block's store exists.
    pub(super) unsafe fn index(self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.0.as_ptr()).index }
    }

    /// The body.
    ///
    /// # Safety
    ///
    /// - The block's store exists.
    /// - To write: the caller is alone with the block (invariant 2). To read: it holds the block.
    #[inline(always)]
    pub(super) unsafe fn body(self) -> *mut Body {
        // SAFETY: as above; the pointer is used under the second condition.
        unsafe { (*self.0.as_ptr()).body.with_mut(|body| body) }
    }
}

/// The blocks of one class. See the module header.
pub(super) struct Slab {
    chunks: Chunks<Header, CHUNKS>,
    depot: Mutex<Depot>,
}

struct Depot {
    /// Blocks that are carved and not in use. The first `trimmed` of them have no pages.
    free: Vec<Block>,
    trimmed: usize,
    carved: u32,
    mappings: Vec<MmapMut>,
    out: usize,
    peak: usize,
}

/// Figures of one slab.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlabFigures {
    pub(super) carved: usize,
    pub(super) out: usize,
    pub(super) peak: usize,
}

impl Slab {
    pub(super) fn new() -> Slab {
        let depot = Depot {
            free: Vec::new(),
            trimmed: 0,
            carved: 0,
            mappings: Vec::new(),
            out: 0,
            peak: 0,
        };
        Slab { chunks: Chunks::new(), depot: Mutex::new(depot) }
    }

    /// Moves up to `count` blocks to `into`, at least one, and says how many.
    pub(super) fn take(
        &self,
        store: &Store,
        class: usize,
        count: usize,
        into: &mut Vec<Block>,
    ) -> Result<usize, ArenaError> {
        let mut depot = self.depot.lock();
        let recycled = count.min(depot.free.len());
        let from = depot.free.len() - recycled;
        into.extend(depot.free.drain(from..));
        depot.trimmed = depot.trimmed.min(from);
        let mut taken = recycled;
        while taken < count {
            match self.carve(&mut depot, store, class) {
                Ok(block) => into.push(block),
                Err(error) if taken == 0 => return Err(error),
                Err(_) => break,
            }
            taken += 1;
        }
        depot.out += taken;
        depot.peak = depot.peak.max(depot.out);
        Ok(taken)
    }

    /// Puts blocks back that nobody uses.
    pub(super) fn put(&self, blocks: &mut dyn ExactSizeIterator<Item = Block>) {
        let mut depot = self.depot.lock();
        depot.out -= blocks.len();
        depot.free.extend(blocks);
    }

    /// Forgets a block whose reference word has no life left.
    pub(super) fn forget(&self) {
        self.depot.lock().out -= 1;
    }

    pub(super) fn figures(&self) -> SlabFigures {
        let depot = self.depot.lock();
        SlabFigures { carved: depot.carved as usize, out: depot.out, peak: depot.peak }
    }

    /// Gives the pages of unused blocks back to the system and says how many bytes that were.
    pub(super) fn trim(&self, class: usize) -> usize {
        let size = CLASS[class].size;
        let mut depot = self.depot.lock();
        let depot = &mut *depot;
        let mut bytes = 0;
        for block in &depot.free[depot.trimmed..] {
            // SAFETY: the depot owns the block, and the store exists: it owns the slab.
            let data = unsafe { (*block.body()).data } as usize;
            let inside = |map: &&MmapMut| map.as_ptr_range().contains(&(data as *const u8));
            let Some(mapping) = depot.mappings.iter().find(inside) else { continue };
            let offset = data - mapping.as_ptr() as usize;
            // SAFETY: the range is memory of a block in the depot, which nobody reads or writes; it
            // reads as zeros afterwards, which are initialised bytes.
            let advice =
                unsafe { mapping.unchecked_advise_range(UncheckedAdvice::DontNeed, offset, size) };
            bytes += if advice.is_ok() { size } else { 0 };
        }
        depot.trimmed = depot.free.len();
        bytes
    }

    /// Finds a block by its number; `None` if there has never been such a block.
    ///
    /// The block may be in any state: only its word may be touched until that was retained.
    #[inline]
    pub(super) fn find(&self, class: usize, index: u32) -> Option<Block> {
        if index >= CLASS[class].start(CHUNKS) {
            return None;
        }
        let (chunk, place) = CLASS[class].locate(index);
        // A header that is not carved reads as zeros and resolves to nothing.
        let first = self.chunks.find(chunk)?;
        // SAFETY: the chunk has `blocks(chunk)` headers, and `place` is less than that.
        Some(Block(unsafe { first.add(place) }))
    }

    fn carve(&self, depot: &mut Depot, store: &Store, class: usize) -> Result<Block, ArenaError> {
        let shape = &CLASS[class];
        let index = depot.carved;
        if index >= shape.start(CHUNKS) {
            return Err(ArenaError::Exhausted { size: shape.size });
        }
        let (chunk, place) = shape.locate(index);
        let data_offset = data_offset(shape, chunk);
        if place == 0 {
            let length = data_offset + shape.blocks(chunk) * shape.size;
            let mut mapping = map(length)?;
            if let Some(first) = NonNull::new(mapping.as_mut_ptr().cast()) {
                self.chunks.publish(chunk, first);
            }
            depot.mappings.push(mapping);
        }
        let Some(mapping) = depot.mappings.last_mut() else { unreachable!("chunk 0 is mapped") };
        let base = mapping.as_mut_ptr();
        let data = match class {
            BARE => std::ptr::null_mut(),
            // SAFETY: the chunk has room for `blocks(chunk)` blocks after the headers.
            _ => unsafe { base.add(data_offset + place * shape.size) },
        };
        let body = Body { data, length: 0, owner: None, kind: Kind::Sized, pages: 0 };
        // SAFETY: place is less than the chunk's number of headers, which come first in the mapping.
        let header = unsafe { base.cast::<Header>().add(place) };
        // SAFETY: this header is carved for the first time, under the lock. A resolver with a forged
        // descriptor may look at its word meanwhile, which is therefore left as it is: zeros are
        // generation 0, free. The other fields are read only by holders.
        unsafe {
            (&raw mut (*header).store).write(store);
            (&raw mut (*header).body).write(UnsafeCell::new(body));
            (&raw mut (*header).index).write(index);
            (&raw mut (*header).class).write(class as u8);
        }
        depot.carved += 1;
        // SAFETY: a pointer into a mapping is not null.
        Ok(Block(unsafe { NonNull::new_unchecked(header) }))
    }
}

fn data_offset(shape: &Class, chunk: usize) -> usize {
    (shape.blocks(chunk) * size_of::<Header>()).next_multiple_of(PAGE)
}

/// Anonymous memory, all zeros, that takes pages when touched.
pub(super) fn map(length: usize) -> Result<MmapMut, ArenaError> {
    MmapOptions::new()
        .len(length)
        .no_reserve_swap()
        .map_anon()
        .map_err(|error| ArenaError::Map { bytes: length, kind: error.kind() })
}

const _: () = assert!(CLASSES <= 16, "a descriptor has four bits for the class");
