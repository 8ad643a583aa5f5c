//! Regions: memory registered once, whose parts are handed on as (region, offset, length).
//!
//! A region is one mapping, of a file in memory or of a file by name. Its parts are claimed: any number
//! of readers, or one writer, for each byte. A slice keeps its claim and the mapping; closing waits for
//! the claims. A slice is `AsRef<[u8]>`, so `Arena::alias(slice)` makes a payload of it.
//!
//! # Invariants
//!
//! 1. No byte is claimed by a writer and by anyone else at the same time.
//! 2. The mapping outlives every claim; `close` unmaps it when there is none.
//! 3. After `close` was called no claim is granted.
//!
//! # Who calls this, and what it may call
//!
//! Threads and coroutines. Claims take the region's lock, a leaf, and look at the other claims only if
//! a writer is involved. `close` blocks the calling thread.

use crate::error::RegionError;
use crate::prim::{AtomicU64, Condvar, Mutex, MutexGuard, Ordering};
use crate::sys;
use memmap2::{MmapMut, MmapOptions};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::ops::{Deref, DerefMut, Range};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

static NEXT: AtomicU64 = AtomicU64::new(1);
static REGIONS: Mutex<BTreeMap<u64, Weak<Inner>>> = Mutex::new(BTreeMap::new());

/// Memory registered once and handed on in parts. A handle: clones name the same region.
///
/// ```
/// use kcoro::arena::{Arena, Region};
///
/// let region = Region::register(1 << 16)?;
/// let mut part = region.write(4096..4101)?;
/// part.copy_from_slice(b"hello");
/// let part = part.freeze();
///
/// let message = part.handle(); // three numbers, to be sent elsewhere
/// assert_eq!(&message.resolve()?[..], b"hello");
///
/// let payload = Arena::new().alias(part).unwrap();
/// assert_eq!(payload.slice(1..), *b"ello");
/// drop(payload);
/// region.close(); // would wait for the payload
/// assert!(message.resolve().is_err());
/// # Ok::<(), kcoro::error::RegionError>(())
/// ```
#[derive(Clone)]
pub struct Region {
    inner: Arc<Inner>,
}

struct Inner {
    id: u64,
    length: usize,
    file: File,
    base: NonNull<u8>,
    state: Mutex<State>,
    released: Condvar,
}

// SAFETY: `base` is used under claims only, which keep writers and readers apart.
unsafe impl Send for Inner {}
// SAFETY: as for Send.
unsafe impl Sync for Inner {}

struct State {
    /// Gone once the region is closed.
    mapping: Option<MmapMut>,
    closing: bool,
    claims: Vec<Option<Claimed>>,
    vacant: Vec<usize>,
    writers: usize,
}

struct Claimed {
    range: Range<usize>,
    writer: bool,
}

impl State {
    fn outstanding(&self) -> usize {
        self.claims.len() - self.vacant.len()
    }

    fn conflict(&self, range: &Range<usize>, writer: bool) -> bool {
        (writer || self.writers > 0)
            && self.claims.iter().flatten().any(|other| {
                (writer || other.writer)
                    && other.range.start < range.end
                    && range.start < other.range.end
            })
    }
}

impl Region {
    /// Registers `length` bytes of zeros, backed by a file in memory.
    ///
    /// # Errors
    ///
    /// [`RegionError::System`].
    pub fn register(length: usize) -> Result<Region, RegionError> {
        let file = sys::file::in_memory(length).map_err(refused)?;
        // SAFETY: the file is ours alone until `file` hands it out, which is unsafe, and its length is
        // sealed.
        unsafe { Region::map(file, length) }
    }

    /// Maps the first `length` bytes of a file, which is created or made longer if need be.
    ///
    /// # Errors
    ///
    /// [`RegionError::System`].
    ///
    /// # Safety
    ///
    /// Until the region is closed or its last handle and slice are gone, nobody makes the file shorter,
    /// and nobody writes to the file where a slice of this region lies.
    pub unsafe fn map_file(path: impl AsRef<Path>, length: usize) -> Result<Region, RegionError> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        sys::file::reserve(&file, length).map_err(refused)?;
        // SAFETY: the caller's conditions.
        unsafe { Region::map(file, length) }
    }

    /// Maps a file that has at least `length` bytes.
    ///
    /// # Safety
    ///
    /// As for [`map_file`](Region::map_file).
    unsafe fn map(file: File, length: usize) -> Result<Region, RegionError> {
        let mut mapping = match length {
            // A mapping is never empty, a region may be.
            0 => MmapMut::map_anon(1)?,
            // SAFETY: the caller's conditions.
            _ => unsafe { MmapOptions::new().len(length).map_mut(&file)? },
        };
        // SAFETY: a mapping does not begin at null.
        let base = unsafe { NonNull::new_unchecked(mapping.as_mut_ptr()) };
        let state = State {
            mapping: Some(mapping),
            closing: false,
            claims: Vec::new(),
            vacant: Vec::new(),
            writers: 0,
        };
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let (state, released) = (Mutex::new(state), Condvar::new());
        let inner = Arc::new(Inner { id, length, file, base, state, released });
        REGIONS.lock().insert(id, Arc::downgrade(&inner));
        Ok(Region { inner })
    }

    /// The region's number, unique in this process.
    pub fn id(&self) -> u64 {
        self.inner.id
    }

    /// The region's length in bytes.
    pub fn len(&self) -> usize {
        self.inner.length
    }

    /// Whether the region has no bytes.
    pub fn is_empty(&self) -> bool {
        self.inner.length == 0
    }

    /// How many slices are in use; clones and parts of a slice count as one with it.
    pub fn outstanding(&self) -> usize {
        self.inner.state.lock().outstanding()
    }

    /// Claims a part for reading.
    ///
    /// # Errors
    ///
    /// [`RegionError::Closed`], [`RegionError::OutOfBounds`], or [`RegionError::Busy`] if a part of it
    /// is being written.
    pub fn slice(&self, range: Range<usize>) -> Result<RegionSlice, RegionError> {
        let claim = Inner::claim(&self.inner, range, false)?;
        let (start, length) = (claim.start, claim.length);
        Ok(RegionSlice { claim: Arc::new(claim), start, length })
    }

    /// Claims a part for writing.
    ///
    /// # Errors
    ///
    /// As for [`slice`](Region::slice), and [`RegionError::Busy`] if any part of it is claimed.
    pub fn write(&self, range: Range<usize>) -> Result<RegionSliceMut, RegionError> {
        Ok(RegionSliceMut { claim: Inner::claim(&self.inner, range, true)? })
    }

    /// Grants no more slices, waits until those in use are dropped, and unmaps the region.
    ///
    /// Blocks the calling thread, for ever if that thread holds a slice itself.
    pub fn close(&self) {
        let mut state = self.inner.begin_closing();
        while state.outstanding() > 0 {
            self.inner.released.wait(&mut state);
        }
        state.mapping = None;
    }

    /// Closes the region like [`close`](Region::close), but waits no longer than `wait`.
    ///
    /// # Errors
    ///
    /// [`RegionError::Outstanding`] if there are slices still. The region grants no more then, and may
    /// be closed again.
    pub fn close_timeout(&self, wait: Duration) -> Result<(), RegionError> {
        let Some(deadline) = Instant::now().checked_add(wait) else {
            self.close();
            return Ok(());
        };
        let mut state = self.inner.begin_closing();
        while state.outstanding() > 0 {
            if self.inner.released.wait_until(&mut state, deadline).timed_out() {
                let slices = state.outstanding();
                if slices > 0 {
                    return Err(RegionError::Outstanding { slices });
                }
            }
        }
        state.mapping = None;
        Ok(())
    }

    /// The file behind the region, to be mapped by another process.
    ///
    /// # Safety
    ///
    /// Nobody writes to the file where a slice of this region lies, in this process or another.
    pub unsafe fn file(&self) -> BorrowedFd<'_> {
        self.inner.file.as_fd()
    }
}

fn refused(error: sys::Errno) -> RegionError {
    RegionError::System { kind: error.kind() }
}

impl Inner {
    fn claim(inner: &Arc<Inner>, range: Range<usize>, writer: bool) -> Result<Claim, RegionError> {
        let length = range.end.saturating_sub(range.start);
        if range.start > range.end || range.end > inner.length {
            let (offset, region) = (range.start, inner.length);
            return Err(RegionError::OutOfBounds { offset, length, region });
        }
        let mut state = inner.state.lock();
        if state.closing {
            return Err(RegionError::Closed);
        }
        if state.conflict(&range, writer) {
            return Err(RegionError::Busy);
        }
        // SAFETY: the offset lies in the mapping, which is there because the region is not closing.
        let start = unsafe { inner.base.add(range.start) };
        let claimed = Some(Claimed { range, writer });
        let slot = match state.vacant.pop() {
            Some(slot) => {
                state.claims[slot] = claimed;
                slot
            }
            None => {
                state.claims.push(claimed);
                state.claims.len() - 1
            }
        };
        state.writers += usize::from(writer);
        Ok(Claim { region: inner.clone(), slot, start, length })
    }

    fn begin_closing(&self) -> MutexGuard<'_, State> {
        REGIONS.lock().remove(&self.id);
        let mut state = self.state.lock();
        state.closing = true;
        state
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        REGIONS.lock().remove(&self.id);
    }
}

/// One claim of a range; given up when dropped.
struct Claim {
    region: Arc<Inner>,
    slot: usize,
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the bytes are read or written under the claim's own rules; see the two slices.
unsafe impl Send for Claim {}
// SAFETY: as for Send.
unsafe impl Sync for Claim {}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut state = self.region.state.lock();
        if let Some(claimed) = state.claims[self.slot].take() {
            state.writers -= usize::from(claimed.writer);
            state.vacant.push(self.slot);
        }
        if state.outstanding() == 0 {
            self.region.released.notify_all();
        }
    }
}

/// A part of a region for reading: derefs to `[u8]`, and clones share one claim.
#[derive(Clone)]
pub struct RegionSlice {
    claim: Arc<Claim>,
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the bytes are claimed by readers only, so nobody writes them.
unsafe impl Send for RegionSlice {}
// SAFETY: as for Send.
unsafe impl Sync for RegionSlice {}

impl RegionSlice {
    /// A part of this part, under the same claim.
    ///
    /// # Panics
    ///
    /// If the range does not lie within the slice.
    pub fn slice(&self, range: Range<usize>) -> RegionSlice {
        let part = &self[range];
        let (start, length) = (NonNull::from(part).cast(), part.len());
        RegionSlice { claim: self.claim.clone(), start, length }
    }

    /// The numbers that name this part. They keep nothing in use.
    pub fn handle(&self) -> RegionHandle {
        let region = &self.claim.region;
        let offset = self.start.as_ptr() as usize - region.base.as_ptr() as usize;
        RegionHandle { region: region.id, offset, length: self.length }
    }
}

impl Deref for RegionSlice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the claim keeps the mapping and all writers out; the range lies within it.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl AsRef<[u8]> for RegionSlice {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for RegionSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RegionSlice").field(&self.handle()).finish()
    }
}

/// A part of a region for writing. There is no other slice of the same bytes.
pub struct RegionSliceMut {
    claim: Claim,
}

impl RegionSliceMut {
    /// Ends the writing: the claim becomes one for reading.
    pub fn freeze(self) -> RegionSlice {
        let mut state = self.claim.region.state.lock();
        if let Some(claimed) = &mut state.claims[self.claim.slot] {
            claimed.writer = false;
            state.writers -= 1;
        }
        drop(state);
        let (start, length) = (self.claim.start, self.claim.length);
        RegionSlice { claim: Arc::new(self.claim), start, length }
    }
}

impl Deref for RegionSliceMut {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the claim keeps the mapping and everyone else out; the range lies within it.
        unsafe { std::slice::from_raw_parts(self.claim.start.as_ptr(), self.claim.length) }
    }
}

impl DerefMut for RegionSliceMut {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `deref`, and this handle is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.claim.start.as_ptr(), self.claim.length) }
    }
}

impl fmt::Debug for RegionSliceMut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (region, length) = (self.claim.region.id, self.claim.length);
        f.debug_struct("RegionSliceMut").field("region", &region).field("length", &length).finish()
    }
}

/// Names a part of a region: three numbers that may be stored and sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RegionHandle {
    /// The region's number.
    pub region: u64,
    /// Where the part begins, in bytes.
    pub offset: usize,
    /// How long it is, in bytes.
    pub length: usize,
}

impl RegionHandle {
    /// Claims the part for reading.
    ///
    /// # Errors
    ///
    /// As for [`Region::slice`]; [`RegionError::Closed`] too if there never was such a region.
    pub fn resolve(self) -> Result<RegionSlice, RegionError> {
        let inner = REGIONS.lock().get(&self.region).and_then(Weak::upgrade);
        let region = Region { inner: inner.ok_or(RegionError::Closed)? };
        let Some(end) = self.offset.checked_add(self.length) else {
            let (offset, length, region) = (self.offset, self.length, region.len());
            return Err(RegionError::OutOfBounds { offset, length, region });
        };
        region.slice(self.offset..end)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region")
            .field("id", &self.inner.id)
            .field("length", &self.inner.length)
            .field("outstanding", &self.outstanding())
            .finish_non_exhaustive()
    }
}
