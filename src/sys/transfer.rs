//! Reading and writing a descriptor once, without blocking where the kernel can promise that.
//!
//! `RWF_NOWAIT` asks for one call what `O_NONBLOCK` sets for everybody who shares the open file. So
//! a descriptor that came from elsewhere (standard input, a pipe to a child) need not be switched to
//! non-blocking behind the back of the others.
//!
//! # Who calls this, and what it may call
//!
//! Any thread. Calls ending in `_now` return at once; the others as the descriptor's flags say.
//!
//! Source: preadv2(2), fcntl(2), fstat(2).

use super::Errno;
use std::os::fd::RawFd;

/// Bytes that a pipe which reports that it can be written takes without blocking.
pub(crate) const PIPE_CHUNK: usize = libc::PIPE_BUF;

/// The offset that means: where the file stands, as `read` and `write` do.
const CURRENT: libc::off_t = -1;

fn count(result: isize) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| Errno::last())
}

/// Reads into `buffer` once.
///
/// # Errors
///
/// The kernel's, `EAGAIN` and `EINTR` included.
pub(crate) fn read(fd: RawFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the buffer is writable for its length.
    count(unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) })
}

/// Writes from `buffer` once.
///
/// # Errors
///
/// The kernel's, `EAGAIN` and `EINTR` included.
pub(crate) fn write(fd: RawFd, buffer: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the buffer is readable for its length.
    count(unsafe { libc::write(fd, buffer.as_ptr().cast(), buffer.len()) })
}

/// Reads what is there into `buffer`, even if the descriptor is a blocking one.
///
/// # Errors
///
/// The kernel's; [`Errno::would_block`] if nothing is there, [`Errno::is_unsupported`] if it cannot
/// promise not to block for this kind of descriptor.
pub(crate) fn read_now(fd: RawFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    let part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: one part, which is writable for its length.
    count(unsafe { libc::preadv2(fd, &raw const part, 1, CURRENT, libc::RWF_NOWAIT) })
}

/// Writes what fits of `buffer`, even if the descriptor is a blocking one.
///
/// # Errors
///
/// As [`read_now`].
pub(crate) fn write_now(fd: RawFd, buffer: &[u8]) -> Result<usize, Errno> {
    let part = libc::iovec { iov_base: buffer.as_ptr().cast_mut().cast(), iov_len: buffer.len() };
    // SAFETY: one part, which is readable for its length; the call does not write to it.
    count(unsafe { libc::pwritev2(fd, &raw const part, 1, CURRENT, libc::RWF_NOWAIT) })
}

/// Whether reads return at once by the descriptor's own flags.
///
/// # Errors
///
/// The kernel's: it is not open. `EBADF` too if it is open for writing only, as a read would say;
/// nobody may wait until it is ready for that, because it never is.
pub(crate) fn reads_at_once(fd: RawFd) -> Result<bool, Errno> {
    at_once(fd, libc::O_WRONLY)
}

/// Whether writes return at once by the descriptor's own flags.
///
/// # Errors
///
/// As [`reads_at_once`], the other way round.
pub(crate) fn writes_at_once(fd: RawFd) -> Result<bool, Errno> {
    at_once(fd, libc::O_RDONLY)
}

/// `other` is the mode of a descriptor that is open for the other direction only.
fn at_once(fd: RawFd, other: core::ffi::c_int) -> Result<bool, Errno> {
    // SAFETY: the call takes no pointers.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if flags < 0 {
        return Err(Errno::last());
    }
    if flags & libc::O_ACCMODE == other {
        return Err(Errno(libc::EBADF));
    }
    Ok(flags & libc::O_NONBLOCK != 0)
}

/// Whether it is a file, directory or block device, which is ready at any time although a read may
/// have to wait for the medium.
///
/// # Errors
///
/// The kernel's: it is not open.
pub(crate) fn is_file(fd: RawFd) -> Result<bool, Errno> {
    let mut status = core::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `status` is writable for one `stat`.
    if unsafe { libc::fstat(fd, status.as_mut_ptr()) } < 0 {
        return Err(Errno::last());
    }
    // SAFETY: the call succeeded, so it is filled in.
    let mode = unsafe { status.assume_init() }.st_mode & libc::S_IFMT;
    Ok(matches!(mode, libc::S_IFREG | libc::S_IFDIR | libc::S_IFBLK))
}

impl Errno {
    /// The call would have to wait.
    pub(crate) fn would_block(self) -> bool {
        self.0 == libc::EAGAIN || self.0 == libc::EWOULDBLOCK
    }

    /// A signal came first.
    pub(crate) fn is_interrupted(self) -> bool {
        self.0 == libc::EINTR
    }

    /// The call, or the way it was asked for, does not exist for this descriptor or kernel.
    pub(crate) fn is_unsupported(self) -> bool {
        matches!(self.0, libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL)
    }
}
