//! The safe handles: `PayloadMut` while there is one writer, `Payload` once there are readers.
//!
//! # Invariants
//!
//! 1. Each handle is one count in its block's word, and `start..start + length` lies in the bytes that
//!    the block's body names.
//! 2. Bytes are written only through a `PayloadMut`, or through a `&mut Payload` that has just found
//!    itself alone, and never in foreign memory.
//! 3. The last handle runs user code (a foreign owner's drop, callbacks of those who wait for room)
//!    after the block has been given back: a panic there loses nothing.
//!
//! # Who calls this, and what it may call
//!
//! Anyone. Dropping the last handle takes a lock once in half a magazine, never while user code runs.

use super::Descriptor;
use super::class::{self, CLASS};
use super::magazine;
use super::refcount::{Released, Retained};
use super::slab::{Block, Body, Kind, PAGE};
use super::store::{Called, Store};
use crate::error::ArenaError;
use crate::prim::Ordering;
use crate::util::Panics;
use std::fmt;
use std::ops::{Bound, Deref, DerefMut, RangeBounds};
use std::ptr::NonNull;

/// Bytes of an arena, shared and read only: derefs to `[u8]`.
///
/// `clone` counts a reference and copies nothing; so does [`slice`](Payload::slice). A payload keeps
/// its memory whatever becomes of the arena.
///
/// ```
/// use kcoro::arena::Arena;
///
/// let arena = Arena::new();
/// let payload = arena.copy(b"head and body")?;
/// let body = payload.slice(9..);
/// drop(payload);
/// assert_eq!(&body[..], b"body");
/// # Ok::<(), kcoro::error::ArenaError>(())
/// ```
///
/// It may be sent and shared between threads; the bytes borrowed from it end with it:
///
/// ```compile_fail
/// let arena = kcoro::arena::Arena::new();
/// let payload = arena.copy(b"gone").unwrap();
/// let bytes: &[u8] = &payload;
/// drop(payload);
/// assert_eq!(bytes, b"gone");
/// ```
pub struct Payload {
    block: Block,
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: shared bytes are only read, counts are atomic, and what owns foreign memory is Send and
// Sync (bound of `Owner`), so the last handle may drop it anywhere.
unsafe impl Send for Payload {}
// SAFETY: as for Send; `&Payload` gives out `&[u8]` only.
unsafe impl Sync for Payload {}

/// Bytes of an arena that one handle may write.
///
/// ```
/// let arena = kcoro::arena::Arena::new();
/// let mut bytes = arena.alloc(3)?;
/// bytes.copy_from_slice(b"abc");
/// let payload = bytes.freeze();
/// assert_eq!(payload, *b"abc");
/// # Ok::<(), kcoro::error::ArenaError>(())
/// ```
///
/// There is no second handle to the same bytes:
///
/// ```compile_fail
/// let arena = kcoro::arena::Arena::new();
/// let bytes = arena.alloc(3).unwrap();
/// let second = bytes.clone();
/// ```
pub struct PayloadMut(Payload);

/// Takes a block of `class` from `store`, begins its life and fills in the body.
///
/// The block is given to the returned payload with `fill`'s changes to the body; `data` is read after.
///
/// # Safety
///
/// - The caller holds the store and has charged it for the block.
/// - After `fill` the body's `data` is valid for `length` initialised bytes as long as its `owner`.
#[inline(always)]
pub(super) unsafe fn begin(
    store: NonNull<Store>,
    class: usize,
    length: usize,
    fill: impl FnOnce(&mut Body),
) -> Result<PayloadMut, ArenaError> {
    // SAFETY: the caller holds the store.
    let block = match unsafe { magazine::take(store, class, length) } {
        Some(block) => block,
        // SAFETY: as above.
        None => unsafe { magazine::take_slow(store, class, length)? },
    };
    // SAFETY: the block is unused, so we are alone with it.
    let body = unsafe { &mut *block.body() };
    body.length = length;
    fill(body);
    // SAFETY: data of a block points to its memory or was set by `fill`; neither is null.
    let start = unsafe { NonNull::new_unchecked(body.data) };
    // SAFETY: the block holds the store.
    unsafe { block.word() }.begin();
    Ok(PayloadMut(Payload { block, start, length }))
}

/// Allocates `length` bytes from a size class.
///
/// # Safety
///
/// The caller holds the store.
#[inline(always)]
pub(super) unsafe fn sized(
    store: NonNull<Store>,
    class: usize,
    length: usize,
) -> Result<PayloadMut, ArenaError> {
    // SAFETY: the caller holds it.
    let shared = unsafe { store.as_ref() };
    let size = CLASS[class].size;
    shared.charge(size)?;
    // SAFETY: held and charged. A block's memory is mapped, of the class's size and initialised: zeros
    // of the kernel, or what an earlier payload left.
    unsafe { begin(store, class, length, |_| ()) }.inspect_err(|_| shared.discharge(size).call())
}

impl Payload {
    /// A second handle to the block, without checking the range.
    fn another(&self, start: NonNull<u8>, length: usize) -> Payload {
        // SAFETY: this handle's block holds the store.
        if unsafe { self.block.word() }.retain() == Retained::BecameSticky {
            self.count_sticky();
        }
        Payload { block: self.block, start, length }
    }

    /// Makes the handle for a reference that was just counted by resolving a descriptor.
    ///
    /// # Safety
    ///
    /// The caller retained the block for this handle.
    pub(super) unsafe fn resolved(block: Block, retained: Retained) -> Payload {
        // SAFETY: the reference keeps the body as it is, and its store.
        let body = unsafe { &*block.body() };
        // SAFETY: data of a block in use is not null.
        let start = unsafe { NonNull::new_unchecked(body.data) };
        let payload = Payload { block, start, length: body.length };
        if retained == Retained::BecameSticky {
            payload.count_sticky();
        }
        payload
    }

    #[cold]
    fn count_sticky(&self) {
        // SAFETY: this handle's block holds the store.
        let store = unsafe { self.block.store() };
        // SAFETY: as above.
        unsafe { store.as_ref() }.counts.sticky.fetch_add(1, Ordering::Relaxed);
    }

    /// A handle to a part of the bytes; nothing is copied.
    ///
    /// # Panics
    ///
    /// If the range does not lie within the payload.
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Payload {
        let from = match range.start_bound() {
            Bound::Included(&at) => at,
            Bound::Excluded(&at) => at.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(&at) => at.saturating_add(1),
            Bound::Excluded(&at) => at,
            Bound::Unbounded => self.length,
        };
        let length = self[from..to].len();
        // SAFETY: the index above has checked the range. The pointer is not made of that reference, for
        // a slice that ends up alone may write.
        self.another(unsafe { self.start.add(from) }, length)
    }

    /// The block's name: a number that resolves to the whole payload while it lives.
    ///
    /// A descriptor keeps nothing alive. [`Arena::resolve`](super::Arena::resolve) turns it into a
    /// payload, or reports that it is stale. Writing through [`get_mut`](Payload::get_mut) or
    /// [`try_into_mut`](Payload::try_into_mut) makes a payload's descriptors stale.
    pub fn descriptor(&self) -> Descriptor {
        // SAFETY: this handle's block holds the store, for all three.
        let (word, class, index) =
            unsafe { (self.block.word(), self.block.class(), self.block.index()) };
        Descriptor::pack(class, index, word.expose())
    }

    /// How many handles share the block, for diagnosis.
    pub fn references(&self) -> usize {
        // SAFETY: this handle's block holds the store.
        unsafe { self.block.word() }.count() as usize
    }

    /// Whether this is the only way to the bytes, and they may be written.
    fn become_writable(&mut self) -> bool {
        // SAFETY: this handle keeps the body as it is.
        let kind = unsafe { (*self.block.body()).kind };
        // SAFETY: this handle's block holds the store.
        kind != Kind::Alias && unsafe { self.block.word() }.try_unique()
    }

    /// The bytes for writing, if no other handle shares them and they are not foreign.
    pub fn get_mut(&mut self) -> Option<&mut [u8]> {
        if !self.become_writable() {
            return None;
        }
        // SAFETY: nobody else can reach the block until the borrow of this handle ends (invariant 2 of
        // the reference word), and the range is valid (invariant 1).
        Some(unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) })
    }

    /// The bytes for writing, copied first if another handle shares them or they are foreign.
    ///
    /// # Errors
    ///
    /// [`ArenaError`] if a copy is needed and the arena has no room; the payload is unchanged.
    pub fn make_mut(&mut self) -> Result<&mut [u8], ArenaError> {
        if !self.become_writable() {
            // SAFETY: this handle's block holds the store.
            let store = unsafe { self.block.store() };
            // SAFETY: as above.
            let mut copy = unsafe { super::allocate(store, self.length)? };
            copy.copy_from_slice(self);
            *self = copy.freeze();
        }
        // SAFETY: as in `get_mut`, or fresh.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) })
    }

    /// Turns the only handle to the bytes into one that may write.
    ///
    /// # Errors
    ///
    /// The payload itself, if another handle shares the bytes or they are foreign.
    pub fn try_into_mut(mut self) -> Result<PayloadMut, Payload> {
        if self.become_writable() { Ok(PayloadMut(self)) } else { Err(self) }
    }
}

impl Clone for Payload {
    /// One more reference to the same bytes.
    #[inline]
    fn clone(&self) -> Payload {
        self.another(self.start, self.length)
    }
}

impl Drop for Payload {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this handle's block holds the store.
        if unsafe { self.block.word() }.release() == Released::Last {
            // SAFETY: the word has just said so.
            unsafe { recycle(self.block) }
        }
    }
}

/// Gives a block back.
///
/// # Safety
///
/// The caller got `Released::Last` for it and forgets it.
#[inline]
unsafe fn recycle(block: Block) {
    // SAFETY: the block holds the store until it is given back below.
    let (store, class) = unsafe { (block.store(), block.class()) };
    // SAFETY: the caller is alone with the block.
    let body = unsafe { &*block.body() };
    // SAFETY: as for `store`.
    let shared = unsafe { store.as_ref() };
    let length = body.length;
    if body.kind != Kind::Sized || shared.budget.is_some() {
        // SAFETY: the caller's conditions.
        return unsafe { recycle_accounted(block) };
    }
    // SAFETY: nobody uses the block, and it is not touched again here.
    unsafe { give_or_forget(block, store, class, length) };
}

/// Gives a block back that counts against a limit or has its memory elsewhere.
///
/// # Safety
///
/// As for [`recycle`].
#[inline(never)]
unsafe fn recycle_accounted(block: Block) {
    // SAFETY: the block holds the store until it is given back below.
    let (store, class) = unsafe { (block.store(), block.class()) };
    // SAFETY: the caller is alone with the block.
    let body = unsafe { &mut *block.body() };
    // SAFETY: as for `store`.
    let shared = unsafe { store.as_ref() };
    let length = body.length;
    let (owner, waiters) = match body.kind {
        Kind::Sized => (None, shared.discharge(CLASS[class].size)),
        _ => (body.owner.take(), uncount(shared, body)),
    };
    // SAFETY: nobody uses the block, and it is not touched again here.
    unsafe { give_or_forget(block, store, class, length) };
    // SAFETY: it came out of a box in `Arena`, and the body that named it has let go of it.
    let owner = owner.map(|owner| unsafe { Box::from_raw(owner.as_ptr()) });
    if owner.is_some() || !waiters.is_empty() {
        let mut panics = Panics::new();
        waiters.call_all(&mut panics);
        panics.catch(|| drop(owner));
        panics.resume();
    }
}

/// Ends a block's life and gives it to the thread's magazine, or to nobody if that was its last one.
///
/// # Safety
///
/// Nobody uses the block, which is of that store and class, and the caller gives it up.
#[inline(always)]
unsafe fn give_or_forget(block: Block, store: NonNull<Store>, class: usize, length: usize) {
    // SAFETY: the block holds the store.
    let word = unsafe { block.word() };
    if word.retire() {
        // SAFETY: nobody uses the block, and it is not touched again here.
        unsafe { magazine::give(store, block, class, length) };
    } else {
        // SAFETY: the store is held by the block, then given up with it.
        unsafe {
            magazine::resize(store, -(length as isize));
            Store::forget_block(store, class);
        }
    }
}

/// Takes a payload that is not in a block of its class out of the figures and the budget.
#[cold]
fn uncount(shared: &Store, body: &mut Body) -> Called {
    let counts = &shared.counts;
    let bytes = body.pages as usize * PAGE;
    let kind = std::mem::replace(&mut body.kind, Kind::Sized);
    match kind {
        Kind::Mapped => {
            counts.mapped.fetch_sub(1, Ordering::Relaxed);
            counts.mapped_bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
            return shared.discharge(bytes);
        }
        Kind::Spilled => {
            counts.spilled.fetch_sub(1, Ordering::Relaxed);
            counts.spilled_bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
        }
        Kind::Alias | Kind::Sized => {}
    }
    Called::nobody()
}

impl Deref for Payload {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        // SAFETY: the range is valid while this handle counts (invariant 1), and is written by nobody
        // meanwhile (invariant 2).
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<B: AsRef<[u8]> + ?Sized> PartialEq<B> for Payload {
    fn eq(&self, other: &B) -> bool {
        **self == *other.as_ref()
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload")
            .field("length", &self.length)
            .field("references", &self.references())
            .field("begins", &self[..self.length.min(16)].escape_ascii().to_string())
            .finish()
    }
}

impl PayloadMut {
    /// Ends the writing; from now on the bytes can be shared.
    #[inline]
    pub fn freeze(self) -> Payload {
        self.0
    }

    /// Shortens the payload to `length` bytes; does nothing if it is not longer.
    ///
    /// The block stays as large as it is.
    pub fn truncate(&mut self, length: usize) {
        if length >= self.0.length {
            return;
        }
        self.0.length = length;
        // SAFETY: this handle is alone with the block.
        let body = unsafe { &mut *self.0.block.body() };
        if body.data == self.0.start.as_ptr() {
            let by = length as isize - body.length as isize;
            body.length = length;
            // SAFETY: this handle's block holds the store.
            unsafe { magazine::resize(self.0.block.store(), by) };
        }
    }

    /// How many bytes the payload could have had in its block.
    pub fn capacity(&self) -> usize {
        // SAFETY: this handle's block holds the store.
        let size = CLASS[unsafe { self.0.block.class() }].size;
        if size == 0 { self.0.length } else { size }
    }
}

impl Deref for PayloadMut {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for PayloadMut {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: the range is valid while this handle counts, and no other handle exists.
        unsafe { std::slice::from_raw_parts_mut(self.0.start.as_ptr(), self.0.length) }
    }
}

impl AsMut<[u8]> for PayloadMut {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl fmt::Debug for PayloadMut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PayloadMut").field(&self.0).finish()
    }
}

/// The class that a request of `length` bytes is charged for, in bytes; `None` if it is absurd.
pub(super) fn charge_of(length: usize) -> Option<usize> {
    match class::of(length) {
        Some(class) => Some(CLASS[class].size),
        None => length.checked_next_multiple_of(PAGE).filter(|&size| size <= isize::MAX as usize),
    }
}
