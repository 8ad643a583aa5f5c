//! The line at the top of each stack that says whose it is.
//!
//! The overflow report reads it from a signal handler, in the middle of anything, so every field
//! that changes is a single relaxed word. Tearing is harmless: a name is only ever handed to the
//! kernel as an address range, which answers a bad one with an error.
//!
//! # Invariants
//!
//! 1. `id` is 0 while no coroutine owns the stack; then the other label fields mean nothing.
//! 2. `location` is null or a `&'static Location`.

use super::class::Class;
use crate::prim::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::panic::Location;
use std::ptr::{self, NonNull};

/// The length of a cache line, the unit of colours.
pub(super) const LINE: usize = 64;

/// How many different distances from the slot's end a header has.
///
/// Half a page of colours leaves the other half of the top page to the first frames.
const COLOURS: usize = 32;

/// One cache line at the coloured top of a stack.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Header {
    id: AtomicU64,
    name: AtomicPtr<u8>,
    name_len: AtomicUsize,
    location: AtomicPtr<Location<'static>>,
    base: NonNull<u8>,
    index: u32,
    class: Class,
}

const _: () = assert!(size_of::<Header>() == LINE);

/// What the overflow report learns about the coroutine on a stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label {
    /// The coroutine's number, never 0.
    pub(super) id: u64,
    /// Where its name was when it was set; possibly stale, to be read by the kernel only.
    pub(super) name: *const u8,
    /// The length of the name, 0 if it has none.
    pub(super) name_len: usize,
    /// Where the coroutine was spawned.
    pub(super) location: Option<&'static Location<'static>>,
}

impl Header {
    /// Writes a header without a label.
    ///
    /// The monitor may look at the label of a stack that it saw in use a moment ago, so the label is
    /// written word by word here too.
    ///
    /// # Safety
    ///
    /// - `at` is aligned and valid for writes, and holds a header or zeros.
    /// - Nobody reads the slot's place while this runs, only its label.
    pub(super) unsafe fn init(at: NonNull<Header>, base: NonNull<u8>, index: u32, class: Class) {
        let at = at.as_ptr();
        // SAFETY: valid for writes by the contract. No reference to the whole is made, for zeros are
        // no header; any bytes are an atomic word.
        unsafe {
            (*at).id.store(0, Ordering::Relaxed);
            (*at).name.store(ptr::null_mut(), Ordering::Relaxed);
            (*at).name_len.store(0, Ordering::Relaxed);
            (*at).location.store(ptr::null_mut(), Ordering::Relaxed);
            (&raw mut (*at).base).write(base);
            (&raw mut (*at).index).write(index);
            (&raw mut (*at).class).write(class);
        }
    }

    /// How far a header begins below the end of its slot, in bytes.
    ///
    /// Neighbouring slots differ, so that neither headers nor control blocks nor first frames of
    /// many coroutines compete for the same sets of the first-level cache.
    #[inline]
    pub(super) fn distance_from_end(index: u32) -> usize {
        (index as usize % COLOURS) * LINE + size_of::<Header>()
    }

    #[inline(always)]
    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    #[inline(always)]
    pub(super) fn index(&self) -> u32 {
        self.index
    }

    #[inline(always)]
    pub(super) fn class(&self) -> Class {
        self.class
    }

    /// Names the coroutine that owns the stack from now on.
    #[inline(always)]
    pub(super) fn set_label(&self, id: u64, name: Option<&str>, at: &'static Location<'static>) {
        self.location.store(ptr::from_ref(at).cast_mut(), Ordering::Relaxed);
        if let Some(name) = name {
            self.name.store(name.as_ptr().cast_mut(), Ordering::Relaxed);
        }
        self.name_len.store(name.map_or(0, str::len), Ordering::Relaxed);
        self.id.store(id, Ordering::Relaxed);
    }

    /// A label whose name has been freed.
    #[cfg(test)]
    pub(super) fn set_stale_label(
        &self,
        id: u64,
        name: NonNull<u8>,
        len: usize,
        at: &'static Location<'static>,
    ) {
        self.set_label(id, None, at);
        self.name.store(name.as_ptr(), Ordering::Relaxed);
        self.name_len.store(len, Ordering::Relaxed);
    }

    /// Forgets the owner.
    #[inline(always)]
    pub(super) fn clear_label(&self) {
        self.id.store(0, Ordering::Relaxed);
    }

    /// The owner of the stack whose header is at `header`, if there is one.
    ///
    /// # Safety
    ///
    /// `header` is aligned and valid for reads, and what it points to is a header or zeros.
    pub(super) unsafe fn label_at(header: *const Header) -> Option<Label> {
        // SAFETY:
        // - The fields are read one by one, without a reference to a whole header: zeros are none,
        //   as its `base` is not null.
        // - `location` is null or a `&'static Location` (invariant 2).
        unsafe {
            let id = (*header).id.load(Ordering::Relaxed);
            (id != 0).then(|| Label {
                id,
                name: (*header).name.load(Ordering::Relaxed),
                name_len: (*header).name_len.load(Ordering::Relaxed),
                location: (*header).location.load(Ordering::Relaxed).as_ref(),
            })
        }
    }
}
