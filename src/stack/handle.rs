//! One stack, owned.

use super::class::Class;
use super::header::Header;
use super::pool;
use super::region::Slot;
use crate::sys::memory::{page_size, residency};
use std::fmt;
use std::mem;
use std::panic::Location;
use std::ptr::NonNull;

/// An owned stack with a guard below it, one pointer wide.
///
/// Dropping it gives it to the shared pool, which is right but slow; the owner of a
/// [`StackCache`](super::StackCache) gives it there instead.
pub(crate) struct Stack {
    header: NonNull<Header>,
}

// SAFETY: a `Stack` owns its slot as a `Box` owns its memory, and nothing in the header or the
// pool depends on a thread.
unsafe impl Send for Stack {}

// SAFETY: what `&Stack` reaches is constant or atomic.
unsafe impl Sync for Stack {}

impl Stack {
    /// Writes the header of a slot that has its guard, and becomes its owner.
    pub(super) fn in_slot(slot: Slot) -> Stack {
        let offset = slot.class.bytes() - Header::distance_from_end(slot.index);
        // SAFETY:
        // - `slot` is owned, lies in a reservation, and is `bytes` long, so that the offset is
        //   inside; its end and every distance are multiples of the header's alignment.
        // - Nothing else writes a slot that the pool has just handed out, and at most its label is
        //   read; there it holds zeros or the header from before.
        unsafe {
            let header = slot.base.add(offset).cast::<Header>();
            Header::init(header, slot.base, slot.index, slot.class);
            Stack { header }
        }
    }

    /// The slot without its header, whose memory may now be given back.
    pub(super) fn into_slot(self) -> Slot {
        let header = self.header();
        let slot = Slot { base: header.base(), index: header.index(), class: header.class() };
        mem::forget(self);
        slot
    }

    /// The address below which everything is the owner's, down to [`bottom`](Stack::bottom).
    ///
    /// Aligned to 64 bytes.
    #[inline(always)]
    pub(crate) fn top(&self) -> NonNull<u8> {
        self.header.cast()
    }

    /// Gives up the handle and keeps the stack: the inverse of [`from_top`](Stack::from_top).
    #[inline(always)]
    pub(crate) fn into_top(self) -> NonNull<u8> {
        let top = self.top();
        mem::forget(self);
        top
    }

    /// Takes the handle up again.
    ///
    /// # Safety
    ///
    /// `top` came from [`into_top`](Stack::into_top), and not twice for the same call of it.
    #[inline(always)]
    pub(crate) unsafe fn from_top(top: NonNull<u8>) -> Stack {
        Stack { header: top.cast() }
    }

    /// The size of the slot in bytes, guard and bookkeeping included.
    pub(crate) fn size(&self) -> usize {
        self.class().bytes()
    }

    /// The size of the guard in bytes.
    pub(crate) fn guard(&self) -> usize {
        self.class().guard_bytes()
    }

    /// The bytes between the guard and [`top`](Stack::top).
    pub(crate) fn usable(&self) -> usize {
        self.top().addr().get() - self.bottom().addr().get()
    }

    /// The lowest address of the slot, where the guard begins.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.header().base()
    }

    /// The lowest address above the guard.
    pub(crate) fn bottom(&self) -> NonNull<u8> {
        // SAFETY: the guard is a part of the slot.
        unsafe { self.base().add(self.guard()) }
    }

    /// The number of the slot among those of its size.
    pub(crate) fn index(&self) -> u32 {
        self.header().index()
    }

    /// Names the coroutine that runs here, for the report of an overflow.
    ///
    /// `id` is not 0. `name` should stay where it is until the stack is given back or labelled
    /// anew: if it does not, a report may print other bytes in its place.
    #[inline(always)]
    pub(crate) fn set_label(&self, id: u64, name: Option<&str>, at: &'static Location<'static>) {
        self.header().set_label(id, name, at);
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
        self.header().set_stale_label(id, name, len, at);
    }

    /// Number and spawn site of the coroutine on the stack whose top that is or was; `None`: it has
    /// none. Any thread; a stack that changes hands meanwhile gives one of its owners.
    ///
    /// # Safety
    ///
    /// - `top` was the [`top`](Stack::top) of a stack once: the memory stays a stack's for ever,
    ///   though its pages may have been given back and read as zeros.
    pub(crate) unsafe fn label_above(
        top: NonNull<u8>,
    ) -> Option<(u64, &'static Location<'static>)> {
        // SAFETY: by the contract, what is there is a header or zeros.
        let label = unsafe { Header::label_at(top.cast().as_ptr()) }?;
        label.location.map(|location| (label.id, location))
    }

    #[inline(always)]
    pub(super) fn clear_label(&self) {
        self.header().clear_label();
    }

    #[inline(always)]
    pub(super) fn class(&self) -> Class {
        self.header().class()
    }

    /// The bytes in use at the deepest point so far, as whole pages from the slot's end down.
    ///
    /// Counts what any coroutine touched since the pages were last given back, and pages that
    /// the system swapped out count as untouched. Asks the kernel: microseconds.
    pub(crate) fn high_water(&self) -> usize {
        let page = page_size();
        let pages = (self.size() - self.guard()) / page;
        let mut resident = [0u8; 128];
        let mut seen = 0;
        while seen < pages {
            let window = (pages - seen).min(resident.len());
            // SAFETY: the first `pages` pages above the guard are in the slot.
            let at = unsafe { self.bottom().add(seen * page) };
            let window = &mut resident[..window];
            if residency(at, window).is_err() {
                break;
            }
            if let Some(first) = window.iter().position(|byte| byte & 1 == 1) {
                return (pages - seen - first) * page;
            }
            seen += window.len();
        }
        0
    }

    /// Gives up the stack for good: it is counted and never used again.
    ///
    /// For a coroutine that cannot be unwound: its frames may still be pointed to.
    pub(crate) fn leak(self) {
        pool::count_leak();
        mem::forget(self);
    }

    #[inline(always)]
    fn header(&self) -> &Header {
        // SAFETY: written by `in_slot`, and neither moved nor unmapped while the handle exists;
        // all access is shared.
        unsafe { self.header.as_ref() }
    }
}

impl Drop for Stack {
    #[cold]
    fn drop(&mut self) {
        self.clear_label();
        pool::put(Stack { header: self.header });
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack")
            .field("top", &self.top())
            .field("size", &self.size())
            .field("guard", &self.guard())
            .field("index", &self.index())
            .finish()
    }
}
