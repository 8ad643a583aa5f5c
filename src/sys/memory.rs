//! Address space: reserving it, guarding parts of it, giving its pages back.
//!
//! A reservation is private, anonymous, not counted against the commit limit where the kernel
//! allows that, and never backed by huge pages: one touched byte costs one page.
//!
//! # Invariants
//!
//! 1. Memory that [`reserve`] returned stays mapped until [`unmap`].
//! 2. A guard survives [`discard`], whichever way it was installed.
//!
//! # Who calls this, and what it may call
//!
//! The stack arena on its slow paths, the signal code once per thread. Every function is a system
//! call or two; [`page_size`] is one after the first call.
//!
//! Source: madvise(2), process_madvise(2), mincore(2); `MADV_GUARD_INSTALL` is in Linux since 6.13.

use super::Errno;
use crate::prim::{AtomicBool, AtomicUsize, Ordering};
use std::mem::offset_of;
use std::ptr::NonNull;

/// `MADV_GUARD_INSTALL`: page-table markers that fault, without a mapping of their own.
const MADV_GUARD_INSTALL: i32 = 102;

/// `MADV_POPULATE_READ`: faults pages in and reports a fault as an error.
const MADV_POPULATE_READ: i32 = 22;

/// `PIDFD_SELF_THREAD`: the calling process, without a descriptor that a fork would inherit.
const PIDFD_SELF: i32 = -10000;

/// The guard, in bytes, that code of other compilers may need below a large stack.
///
/// C compilers for aarch64 probe a large frame once per 64 KiB; on x86_64 once per 4 KiB.
pub(crate) const FOREIGN_GUARD: usize = if cfg!(target_arch = "aarch64") { 65536 } else { 4096 };

/// The size of a page in bytes: 4, 16 or 64 KiB.
#[inline]
pub(crate) fn page_size() -> usize {
    static PAGE_SIZE: AtomicUsize = AtomicUsize::new(0);
    match PAGE_SIZE.load(Ordering::Relaxed) {
        0 => {
            // SAFETY: `sysconf` has no preconditions.
            let answer = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
            let size = usize::try_from(answer).ok().filter(|size| size.is_power_of_two());
            let size = size.unwrap_or(4096);
            PAGE_SIZE.store(size, Ordering::Relaxed);
            size
        }
        size => size,
    }
}

/// Reserves `bytes` (a multiple of the page size) of zeroed, readable and writable memory.
///
/// The memory is exempt from `mlockall(MCL_FUTURE)`: a reservation is far larger than what will
/// be touched, and locked memory cannot carry page-table guards.
///
/// # Errors
///
/// The kernel's, usually [`Errno::NO_MEMORY`].
pub(crate) fn reserve(bytes: usize) -> Result<NonNull<u8>, Errno> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
    // SAFETY: a new mapping at an address of the kernel's choice affects no existing memory.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
    if address == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    // It begins inaccessible, so that `mlockall(MCL_FUTURE)` has not faulted it in by the time it
    // is unlocked. Neither advice can fail in a way that matters.
    // SAFETY: the range is the mapping just made, which nobody else knows.
    unsafe {
        libc::munlock(address, bytes);
        libc::madvise(address, bytes, libc::MADV_NOHUGEPAGE);
    }
    // SAFETY: as above.
    if unsafe { libc::mprotect(address, bytes, libc::PROT_READ | libc::PROT_WRITE) } != 0 {
        let error = Errno::last();
        // SAFETY: as above.
        unsafe { libc::munmap(address, bytes) };
        return Err(error);
    }
    NonNull::new(address.cast::<u8>()).ok_or(Errno::NO_MEMORY)
}

/// Unmaps a reservation.
///
/// # Safety
///
/// The range came from [`reserve`] as a whole, and nothing in it is used any more.
pub(crate) unsafe fn unmap(address: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller owns the whole range and has no use for it.
    unsafe { libc::munmap(address.as_ptr().cast(), bytes) };
}

/// Makes every access to the range fault, without a mapping of its own.
///
/// A success here may still be a kernel that ignores advice it does not know; see
/// [`guard_in_place`].
///
/// # Safety
///
/// The range is whole pages of one reservation, and nothing in it is used.
///
/// # Errors
///
/// The kernel's: it is older than 6.13, or the memory is locked.
pub(crate) unsafe fn install_guard(address: NonNull<u8>, bytes: usize) -> Result<(), Errno> {
    // SAFETY: the caller owns the range and nothing in it is used.
    unsafe { advise(address, bytes, MADV_GUARD_INSTALL) }
}

/// Whether an access to the range would fault, found out without one.
///
/// Emulators and sandboxes accept advice that they ignore, so that only the effect tells.
///
/// # Safety
///
/// The range is whole pages of one reservation.
pub(crate) unsafe fn guard_in_place(address: NonNull<u8>, bytes: usize) -> bool {
    // SAFETY: reading pages in changes nothing that a program can see.
    let populated = unsafe { advise(address, bytes, MADV_POPULATE_READ) };
    populated == Err(Errno(libc::EFAULT))
}

/// Makes every access to the range fault, at the price of two more mappings.
///
/// # Safety
///
/// The range is whole pages of one reservation, and nothing in it is used.
///
/// # Errors
///
/// The kernel's: [`Errno::NO_MEMORY`] when the process has `vm.max_map_count` mappings.
pub(crate) unsafe fn protect(address: NonNull<u8>, bytes: usize) -> Result<(), Errno> {
    // SAFETY: the caller owns the range and nothing in it is used.
    match unsafe { libc::mprotect(address.as_ptr().cast(), bytes, libc::PROT_NONE) } {
        0 => Ok(()),
        _ => Err(Errno::last()),
    }
}

/// Whole pages of a reservation, laid out as the kernel takes many of them in one call.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Pages {
    /// The lowest address.
    pub(crate) address: NonNull<u8>,
    /// The length.
    pub(crate) bytes: usize,
}

const _: () = assert!(
    size_of::<Pages>() == size_of::<libc::iovec>()
        && offset_of!(Pages, address) == offset_of!(libc::iovec, iov_base)
        && offset_of!(Pages, bytes) == offset_of!(libc::iovec, iov_len)
);

/// [`install_guard`] for many ranges in one call.
///
/// # Safety
///
/// As [`install_guard`], for each.
///
/// # Errors
///
/// As [`install_guard`]; some of the guards may be in place.
pub(crate) unsafe fn install_guards(pages: &[Pages]) -> Result<(), Errno> {
    // SAFETY: passed on to the caller.
    unsafe { advise_all(pages, MADV_GUARD_INSTALL) }
}

/// Gives the pages of the ranges back; they read as zeros afterwards. Guards stay. The other CPUs
/// are interrupted once, not for each range.
///
/// # Safety
///
/// The ranges are whole pages of reservations, and nothing in them is used.
///
/// # Errors
///
/// The kernel's: the memory is locked. Some of the pages may be gone all the same.
pub(crate) unsafe fn discard(pages: &[Pages]) -> Result<(), Errno> {
    // SAFETY: passed on to the caller.
    unsafe { advise_all(pages, libc::MADV_DONTNEED) }
}

/// # Safety
///
/// Those of the advice, for each range.
unsafe fn advise_all(pages: &[Pages], advice: i32) -> Result<(), Errno> {
    /// The most that the kernel takes in one call.
    const MOST: usize = 1024;
    for pages in pages.chunks(MOST) {
        // SAFETY: passed on to the caller. Each advice may be given twice.
        unsafe {
            if !advise_at_once(pages, advice) {
                pages.iter().try_for_each(|range| advise(range.address, range.bytes, advice))?;
            }
        }
    }
    Ok(())
}

/// True if the kernel has done it. It has not before 6.15, and for what it would refuse anyway.
///
/// # Safety
///
/// Those of the advice, for each range.
unsafe fn advise_at_once(pages: &[Pages], advice: i32) -> bool {
    static REFUSED: AtomicBool = AtomicBool::new(false);
    if REFUSED.load(Ordering::Relaxed) {
        return false;
    }
    // SAFETY: `pages` has the layout of an array of `iovec`; the rest is passed on to the caller.
    let done = unsafe {
        let at = pages.as_ptr().cast::<libc::iovec>();
        libc::syscall(libc::SYS_process_madvise, PIDFD_SELF, at, pages.len(), advice, 0)
    };
    if done == -1 && [libc::ENOSYS, libc::EBADF, libc::EPERM].contains(&Errno::last().0) {
        REFUSED.store(true, Ordering::Relaxed);
    }
    usize::try_from(done) == Ok(pages.iter().map(|range| range.bytes).sum())
}

/// Writes for each page from `address` on whether it is resident: bit 0 of its byte.
///
/// `address` is page aligned, and `pages` has one byte for each page asked about.
///
/// # Errors
///
/// The kernel's: part of the range is not mapped.
pub(crate) fn residency(address: NonNull<u8>, pages: &mut [u8]) -> Result<(), Errno> {
    let bytes = pages.len() * page_size();
    // SAFETY: the call reads no memory of the range; `pages` holds one byte for each page.
    match unsafe { libc::mincore(address.as_ptr().cast(), bytes, pages.as_mut_ptr()) } {
        0 => Ok(()),
        _ => Err(Errno::last()),
    }
}

/// # Safety
///
/// Those of the advice.
unsafe fn advise(address: NonNull<u8>, bytes: usize, advice: i32) -> Result<(), Errno> {
    // SAFETY: passed on to the caller.
    match unsafe { libc::madvise(address.as_ptr().cast(), bytes, advice) } {
        0 => Ok(()),
        _ => Err(Errno::last()),
    }
}

/// Where the running stack stands. The address of a local would do, but for AddressSanitizer, which
/// keeps locals on a stack of its own.
#[inline(always)]
pub(crate) fn stack_pointer() -> usize {
    let here: usize;
    // SAFETY: it copies the stack pointer and touches nothing else.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        core::arch::asm!("mov {}, rsp", out(reg) here, options(nomem, nostack, preserves_flags));
        #[cfg(target_arch = "aarch64")]
        core::arch::asm!("mov {}, sp", out(reg) here, options(nomem, nostack, preserves_flags));
    }
    here
}
