//! `Arena`: the handle through which payloads are made, resolved and counted, and its builder.
//!
//! # Invariants
//!
//! 1. Each handle is counted in the store, which lives at least as long.
//! 2. A request either returns a payload that is charged and counted, or changes nothing and gives
//!    back what it was given.

use super::class::{self, BARE};
use super::payload::{begin, charge_of, sized};
use super::slab::{Kind, Owner, PAGE, map};
use super::stats::ArenaStats;
use super::store::{Config, Store};
use super::{Descriptor, Payload, PayloadMut};
use crate::error::{AliasError, ArenaError, StaleDescriptor};
use crate::prim::{Mutex, Ordering};
use crate::sys;
use memmap2::MmapMut;
use std::fmt;
use std::path::PathBuf;
use std::ptr::NonNull;

/// What payloads are made from. A cheap handle: clones share one arena.
///
/// ```
/// use kcoro::arena::Arena;
///
/// let arena = Arena::builder().limit(1 << 20).build();
/// let first = arena.copy(b"shared, not copied")?;
/// let second = first.clone();
/// assert_eq!(first.as_ptr(), second.as_ptr());
/// drop(arena); // payloads do not need the handle
/// assert_eq!(&second[..6], b"shared");
/// # Ok::<(), kcoro::error::ArenaError>(())
/// ```
pub struct Arena {
    store: NonNull<Store>,
}

// SAFETY: the store is shared between threads by design: atomics and locks only.
unsafe impl Send for Arena {}
// SAFETY: as for Send.
unsafe impl Sync for Arena {}

/// Fixes an arena's limits.
#[derive(Clone, Debug)]
pub struct Builder {
    config: Config,
}

impl Builder {
    /// The most bytes that live payloads may have, counted in whole blocks. Without it there is none.
    ///
    /// Counting costs two locked instructions for each payload.
    pub fn limit(mut self, bytes: usize) -> Builder {
        self.config.limit = Some(bytes);
        self
    }

    /// Puts payloads of more than `bytes` bytes into files, outside the limit.
    pub fn spill_above(mut self, bytes: usize) -> Builder {
        self.config.spill_above = Some(bytes);
        self
    }

    /// Where those files are made; they have no name. The system's directory for temporary files
    /// unless set, which on many systems is memory.
    pub fn spill_dir(mut self, path: impl Into<PathBuf>) -> Builder {
        self.config.spill_dir = path.into();
        self
    }

    /// The arena. Nothing is allocated before the first payload.
    pub fn build(self) -> Arena {
        Arena { store: Store::create(self.config) }
    }
}

impl Default for Builder {
    fn default() -> Builder {
        let config = Config { limit: None, spill_above: None, spill_dir: std::env::temp_dir() };
        Builder { config }
    }
}

impl Arena {
    /// An arena without limit or spilling.
    pub fn new() -> Arena {
        Builder::default().build()
    }

    /// A builder without limit or spilling.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Makes a payload of a copy of `bytes`.
    ///
    /// # Errors
    ///
    /// [`ArenaError`], as for [`alloc`](Arena::alloc).
    #[inline]
    pub fn copy(&self, bytes: &[u8]) -> Result<Payload, ArenaError> {
        let mut payload = self.alloc(bytes.len())?;
        payload.copy_from_slice(bytes);
        Ok(payload.freeze())
    }

    /// Makes a payload of `length` bytes to be written, whose contents are unspecified: zeros, or
    /// what an earlier payload of this arena left.
    ///
    /// # Errors
    ///
    /// [`ArenaError::Full`] if the limit would be exceeded, the others if the system has no memory or
    /// no file for it.
    #[inline]
    pub fn alloc(&self, length: usize) -> Result<PayloadMut, ArenaError> {
        // SAFETY: this handle holds the store.
        unsafe { allocate(self.store, length) }
    }

    /// Makes a payload of `length` zeros to be written.
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Arena::alloc).
    pub fn alloc_zeroed(&self, length: usize) -> Result<PayloadMut, ArenaError> {
        let mut payload = self.alloc(length)?;
        payload.fill(0);
        Ok(payload)
    }

    /// Makes a payload of foreign memory, which is not copied; `owner` is dropped with the last
    /// reference, on whichever thread that happens.
    ///
    /// # Errors
    ///
    /// [`AliasError`] with the owner if the system has no memory for a header.
    ///
    /// ```
    /// let arena = kcoro::arena::Arena::new();
    /// let payload = arena.alias(vec![1, 2, 3])?;
    /// assert_eq!(payload.slice(1..), [2, 3]);
    /// # Ok::<(), kcoro::error::AliasError<Vec<u8>>>(())
    /// ```
    ///
    /// The owner must be fit for other threads, and own what it shows:
    ///
    /// ```compile_fail
    /// let arena = kcoro::arena::Arena::new();
    /// let shared: std::rc::Rc<[u8]> = [1, 2, 3].into();
    /// let payload = arena.alias(shared);
    /// ```
    ///
    /// ```compile_fail
    /// let arena = kcoro::arena::Arena::new();
    /// let local = vec![1, 2, 3];
    /// let payload = arena.alias(&local[..]);
    /// ```
    pub fn alias<O>(&self, owner: O) -> Result<Payload, AliasError<O>>
    where
        O: AsRef<[u8]> + Send + Sync + 'static,
    {
        // The owner gets its final address first: the bytes may lie within it.
        let owner = Boxed(Box::into_raw(Box::new(owner)));
        // SAFETY: just boxed, and borrowed for as long as it stays so: it is neither moved nor borrowed
        // mutably before it is dropped.
        let bytes = unsafe { &*owner.0 }.as_ref();
        let (data, length) = (bytes.as_ptr().cast_mut(), bytes.len());
        // SAFETY: this handle holds the store, nothing is charged for foreign memory, and the bytes are
        // valid as long as the owner; `Kind::Alias` keeps everyone from writing them.
        let made = unsafe {
            begin(self.store, BARE, length, |body| {
                let kept: *mut dyn Owner = owner.0;
                (body.data, body.owner, body.kind) = (data, NonNull::new(kept), Kind::Alias);
            })
        };
        match made {
            Ok(payload) => {
                std::mem::forget(owner);
                Ok(payload.freeze())
            }
            Err(error) => Err(AliasError { error, owner: owner.unbox() }),
        }
    }

    /// Makes a payload of foreign memory and hands the owner to `release` with the last reference.
    ///
    /// # Errors
    ///
    /// As for [`alias`](Arena::alias), but the owner was given to `release`.
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let (free_list, freed) = mpsc::channel();
    /// let arena = kcoro::arena::Arena::new();
    /// let buffer = vec![0; 4096];
    /// let payload = arena.alias_with(buffer, move |buffer| drop(free_list.send(buffer)))?;
    /// drop(payload);
    /// assert_eq!(freed.recv().unwrap().len(), 4096);
    /// # Ok::<(), kcoro::error::ArenaError>(())
    /// ```
    pub fn alias_with<O, F>(&self, owner: O, release: F) -> Result<Payload, ArenaError>
    where
        O: AsRef<[u8]> + Send + Sync + 'static,
        F: FnOnce(O) + Send + 'static,
    {
        let owner = Releasing { owner: Some(owner), release: Mutex::new(Some(release)) };
        self.alias(owner).map_err(ArenaError::from)
    }

    /// Makes a payload of `length` foreign bytes at `start` and calls `release` with the last
    /// reference.
    ///
    /// # Errors
    ///
    /// As for [`alias_with`](Arena::alias_with): `release` has been called.
    ///
    /// # Safety
    ///
    /// Until `release` is called, `start` is valid for reads of `length` initialised bytes from any
    /// thread, and nobody writes them.
    pub unsafe fn alias_raw(
        &self,
        start: NonNull<u8>,
        length: usize,
        release: impl FnOnce() + Send + 'static,
    ) -> Result<Payload, ArenaError> {
        self.alias_with(Foreign { start, length }, move |_| release())
    }

    /// Turns a descriptor of this arena into a payload, if the payload it was taken from still lives.
    ///
    /// A descriptor of another arena is stale here, or names some live payload of this arena whose
    /// descriptor was handed out as well.
    ///
    /// # Errors
    ///
    /// [`StaleDescriptor`].
    pub fn resolve(&self, descriptor: Descriptor) -> Result<Payload, StaleDescriptor> {
        let block = self.shared().find(descriptor.class(), descriptor.index());
        let block = block.ok_or(StaleDescriptor)?;
        // SAFETY: this handle holds the store, and a header's word may be read in any state.
        let retained = unsafe { block.word() }.try_retain(descriptor.generation());
        // SAFETY: the reference was counted for this handle.
        retained.map(|r| unsafe { Payload::resolved(block, r) }).ok_or(StaleDescriptor)
    }

    /// Calls `wake` once when memory has been given back, and returns `true`; returns `false` and
    /// drops `wake` if `length` bytes are to be had right now, or if there is no limit.
    ///
    /// What a waiting layer parks on: allocate, on [`ArenaError::Full`] call this, on `true` park, and
    /// in any case allocate again. There is no promise that the room suffices, and no wake if
    /// `length` exceeds the limit and nothing is in use. `wake` runs on the thread that dropped the
    /// payload, with no lock held.
    pub fn on_room(&self, length: usize, wake: impl FnOnce() + Send + 'static) -> bool {
        let bytes = charge_of(length).unwrap_or(usize::MAX);
        self.shared().wait_for_room(bytes, Box::new(wake)).is_some()
    }

    /// As [`on_room`](Arena::on_room) until the result is dropped; `None` for `false`.
    pub(crate) fn wait_for_room(
        &self,
        length: usize,
        wake: impl FnOnce() + Send + 'static,
    ) -> Option<RoomWait<'_>> {
        let bytes = charge_of(length).unwrap_or(usize::MAX);
        let key = self.shared().wait_for_room(bytes, Box::new(wake))?;
        Some(RoomWait { arena: self, key })
    }

    /// Gives the pages of unused blocks back to the system and returns how many bytes that were.
    ///
    /// Blocks smaller than a page and those that threads keep for themselves
    /// ([`release_thread`](super::release_thread)) stay as they are. A slow chore: one system call for
    /// each block, while allocations that find their magazine empty wait.
    pub fn trim(&self) -> usize {
        self.shared().trim()
    }

    /// The arena's figures.
    pub fn stats(&self) -> ArenaStats {
        self.shared().stats()
    }

    #[inline]
    fn shared(&self) -> &Store {
        // SAFETY: this handle holds the store.
        unsafe { self.store.as_ref() }
    }
}

/// A wait for room; dropped, it is taken back.
#[derive(Debug)]
pub(crate) struct RoomWait<'a> {
    arena: &'a Arena,
    key: u64,
}

impl Drop for RoomWait<'_> {
    fn drop(&mut self) {
        drop(self.arena.shared().forget_waiter(self.key));
    }
}

/// Allocates a payload from whatever its length calls for.
///
/// # Safety
///
/// The caller holds the store.
#[inline]
pub(super) unsafe fn allocate(
    store: NonNull<Store>,
    length: usize,
) -> Result<PayloadMut, ArenaError> {
    // SAFETY: the caller holds it.
    let spill_above = unsafe { store.as_ref() }.config.spill_above;
    match class::of(length) {
        // SAFETY: the caller holds the store.
        Some(class) if spill_above.is_none_or(|bound| length <= bound) => unsafe {
            sized(store, class, length)
        },
        // SAFETY: as above.
        _ => unsafe { allocate_mapping(store, length) },
    }
}

/// Allocates a payload with a mapping of its own, in memory or in a file.
///
/// # Safety
///
/// The caller holds the store.
#[cold]
#[inline(never)]
unsafe fn allocate_mapping(store: NonNull<Store>, length: usize) -> Result<PayloadMut, ArenaError> {
    // SAFETY: the caller holds it.
    let shared = unsafe { store.as_ref() };
    let spilled = shared.config.spill_above.is_some_and(|bound| length > bound);
    let too_large = || ArenaError::Map { bytes: length, kind: std::io::ErrorKind::OutOfMemory };
    let charge = length.checked_next_multiple_of(PAGE).ok_or_else(too_large)?;
    let pages = u32::try_from(charge / PAGE).map_err(|_| too_large())?;
    if !spilled {
        shared.charge(charge)?;
    }
    let make = || -> Result<PayloadMut, ArenaError> {
        let mut mapping = if spilled { map_file(shared, length)? } else { map(length)? };
        let data = mapping.as_mut_ptr();
        let kind = if spilled { Kind::Spilled } else { Kind::Mapped };
        let owner = Box::into_raw(Box::new(mapping));
        // SAFETY: the caller holds the store and the charge was made above; a mapping is initialised and
        // stays where it is when its handle moves.
        let made = unsafe {
            begin(store, BARE, length, |body| {
                let owner: *mut dyn Owner = owner;
                (body.data, body.owner) = (data, NonNull::new(owner));
                (body.kind, body.pages) = (kind, pages);
            })
        };
        if made.is_err() {
            // SAFETY: no payload took the mapping.
            drop(unsafe { Box::from_raw(owner) });
        }
        made
    };
    let made = make();
    let counts = &shared.counts;
    match &made {
        Ok(_) if spilled => {
            counts.spills.fetch_add(1, Ordering::Relaxed);
            counts.spilled.fetch_add(1, Ordering::Relaxed);
            counts.spilled_bytes.fetch_add(charge as u64, Ordering::Relaxed);
        }
        Ok(_) => {
            counts.mapped.fetch_add(1, Ordering::Relaxed);
            counts.mapped_bytes.fetch_add(charge as u64, Ordering::Relaxed);
        }
        Err(_) if !spilled => shared.discharge(charge).call(),
        Err(_) => {}
    }
    made
}

fn map_file(shared: &Store, length: usize) -> Result<MmapMut, ArenaError> {
    let failed = |kind| ArenaError::Spill { bytes: length, kind };
    let file = sys::file::nameless(&shared.config.spill_dir, length);
    let file = file.map_err(|error| failed(error.kind()))?;
    // SAFETY: the file has no name and its descriptor ends here, so nobody else can change it or make
    // it shorter; all its blocks are reserved.
    unsafe { MmapMut::map_mut(&file) }.map_err(|error| failed(error.kind()))
}

/// A box whose contents are borrowed through a raw pointer; drops them unless forgotten.
struct Boxed<O>(*mut O);

impl<O> Boxed<O> {
    fn unbox(self) -> O {
        // SAFETY: it came out of a box and is forgotten here.
        let owner = unsafe { Box::from_raw(self.0) };
        std::mem::forget(self);
        *owner
    }
}

impl<O> Drop for Boxed<O> {
    fn drop(&mut self) {
        // SAFETY: it came out of a box, and nobody took it.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

/// An owner that is handed to a function instead of being dropped.
struct Releasing<O, F: FnOnce(O)> {
    owner: Option<O>,
    /// In a lock only because that makes it shareable; nobody contends.
    release: Mutex<Option<F>>,
}

impl<O: AsRef<[u8]>, F: FnOnce(O)> AsRef<[u8]> for Releasing<O, F> {
    fn as_ref(&self) -> &[u8] {
        self.owner.as_ref().map_or(&[], O::as_ref)
    }
}

impl<O, F: FnOnce(O)> Drop for Releasing<O, F> {
    fn drop(&mut self) {
        if let (Some(owner), Some(release)) = (self.owner.take(), self.release.get_mut().take()) {
            release(owner);
        }
    }
}

/// Memory that a caller of `alias_raw` vouches for.
struct Foreign {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the contract of `alias_raw` allows reads from any thread.
unsafe impl Send for Foreign {}
// SAFETY: as for Send.
unsafe impl Sync for Foreign {}

impl AsRef<[u8]> for Foreign {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the contract of `alias_raw`, which made this.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Clone for Arena {
    fn clone(&self) -> Arena {
        self.shared().add_handle();
        Arena { store: self.store }
    }
}

impl Default for Arena {
    fn default() -> Arena {
        Arena::new()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: this handle's count, given up once.
        unsafe { Store::drop_handle(self.store) }
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = self.stats();
        f.debug_struct("Arena")
            .field("depth", &stats.depth)
            .field("bytes", &stats.bytes)
            .field("limit", &stats.limit)
            .finish_non_exhaustive()
    }
}
