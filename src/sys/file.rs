//! Files made to be mapped: in memory, or without a name in a directory.
//!
//! Both have all their blocks before anyone maps them, because a mapping of a file that turns out to
//! have no room ends in SIGBUS, which is no way to report a full disk.
//!
//! Source: memfd_create(2), open(2) on `O_TMPFILE`, posix_fallocate(3).

use super::Errno;
use crate::prim::{AtomicU64, Ordering};
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A file of `length` bytes in memory whose length nobody can change any more.
///
/// # Errors
///
/// The kernel's: no descriptors, no memory.
pub(crate) fn in_memory(length: usize) -> Result<File, Errno> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name is a C string; the call has no other conditions.
    let fd = unsafe { libc::memfd_create(c"kcoro".as_ptr(), flags) };
    if fd < 0 {
        return Err(Errno::last());
    }
    // SAFETY: the call above returned this descriptor to us alone.
    let file = unsafe { File::from_raw_fd(fd) };
    reserve(&file, length)?;
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: the descriptor is open and sealing needs no memory.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } < 0 {
        return Err(Errno::last());
    }
    Ok(file)
}

/// A file of `length` bytes in `directory` that has no name.
///
/// # Errors
///
/// The kernel's: no such directory, no permission, no space.
pub(crate) fn nameless(directory: &Path, length: usize) -> Result<File, Errno> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    let file = match options.clone().custom_flags(libc::O_TMPFILE).open(directory) {
        Ok(file) => file,
        // Some filesystems cannot: then the name lives for the time between two calls.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
            static NUMBER: AtomicU64 = AtomicU64::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path = directory.join(format!(".kcoro-{}-{number}", std::process::id()));
            let file = options.create_new(true).open(&path).map_err(Errno::of)?;
            std::fs::remove_file(&path).map_err(Errno::of)?;
            file
        }
        Err(error) => return Err(Errno::of(error)),
    };
    reserve(&file, length)?;
    Ok(file)
}

/// Makes `file` at least `length` bytes long, with blocks for all of them.
///
/// # Errors
///
/// The kernel's, above all no space.
pub(crate) fn reserve(file: &File, length: usize) -> Result<(), Errno> {
    let length = libc::off_t::try_from(length).map_err(|_| Errno(libc::EFBIG))?;
    if length == 0 {
        return Ok(());
    }
    loop {
        // SAFETY: the descriptor is open; no memory is involved.
        match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, length) } {
            0 => return Ok(()),
            // A signal came; some file systems give up then.
            libc::EINTR => {}
            error => return Err(Errno(error)),
        }
    }
}
