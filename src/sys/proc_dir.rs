//! A directory held open: its numeric entries, and files opened relative to it.
//!
//! `std::fs::read_dir` allocates a name for each entry and opening by full path walks `/proc` again
//! for each process; over thousands of processes a hundred times a second both show. Here the
//! listing goes through one caller-owned buffer and files are opened relative to the directory.
//!
//! # Invariants
//!
//! 1. A listing starts at the beginning of the directory each time and reports each entry whose
//!    name is a whole number that fits `u32`, in the directory's order; nothing else.
//!
//! # Who calls this, and what it may call
//!
//! The monster sampler, on whatever thread samples. Blocks in the file system; never suspends.
//!
//! Source: getdents(2), openat(2).

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

/// An open directory.
#[derive(Debug)]
pub(crate) struct ProcDir {
    fd: OwnedFd,
}

/// The space that [`ProcDir::list_numbers`] reads entries into.
pub(crate) const LISTING_BYTES: usize = 32 * 1024;

const RECORD_LEN: usize = offset_of!(libc::dirent64, d_reclen);
const NAME: usize = offset_of!(libc::dirent64, d_name);

impl ProcDir {
    /// Opens the directory at `path`.
    pub(crate) fn open(path: &Path) -> io::Result<ProcDir> {
        let fd: OwnedFd = File::open(path)?.into();
        let dir = ProcDir { fd };
        // A plain file opens as well; only a directory can be listed.
        dir.list_numbers(&mut vec![0; LISTING_BYTES], |_| {})?;
        Ok(dir)
    }

    /// Calls `found` with each entry whose name is a number. `buffer` holds [`LISTING_BYTES`].
    pub(crate) fn list_numbers(
        &self,
        buffer: &mut [u8],
        mut found: impl FnMut(u32),
    ) -> io::Result<()> {
        // SAFETY: lseek only takes numbers; the descriptor is open, `self` owns it.
        if unsafe { libc::lseek(self.fd.as_raw_fd(), 0, libc::SEEK_SET) } < 0 {
            return Err(io::Error::last_os_error());
        }
        loop {
            // SAFETY:
            // - `buffer` is valid for writes of `buffer.len()` bytes and exclusively borrowed.
            // - The kernel writes bytes and returns how many; any bytes are a valid `[u8]`.
            let filled = unsafe {
                libc::syscall(
                    libc::SYS_getdents64,
                    self.fd.as_raw_fd(),
                    buffer.as_mut_ptr(),
                    buffer.len(),
                )
            };
            match filled {
                0 => return Ok(()),
                1.. => numbers_in(&buffer[..filled as usize], &mut found),
                _ => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Opens the file `path`, relative to this directory, for reading.
    pub(crate) fn open_file(&self, path: &CStr) -> io::Result<File> {
        loop {
            // SAFETY: `path` is NUL-terminated and outlives the call; the descriptor is open.
            let fd = unsafe {
                libc::openat(
                    self.fd.as_raw_fd(),
                    path.as_ptr(),
                    libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK,
                )
            };
            if fd >= 0 {
                // SAFETY: openat has just returned this descriptor, so nobody else owns it.
                return Ok(unsafe { File::from_raw_fd(fd) });
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

/// Walks the records that one getdents call wrote.
fn numbers_in(mut records: &[u8], found: &mut impl FnMut(u32)) {
    while let Some(&[low, high]) = records.get(RECORD_LEN..RECORD_LEN + 2) {
        let length = usize::from(u16::from_ne_bytes([low, high]));
        let Some((record, rest)) = records.split_at_checked(length) else { return };
        let Some(name) = record.get(NAME..) else { return };
        let digits = name.split(|byte| *byte == 0).next().unwrap_or(&[]);
        if digits.first().is_some_and(u8::is_ascii_digit)
            && let Ok(text) = std::str::from_utf8(digits)
            && let Ok(number) = text.parse()
        {
            found(number);
        }
        records = rest;
    }
}

/// Clock ticks per second, the unit of the times in `/proc/<pid>/stat`.
pub(crate) fn clock_ticks_per_second() -> u64 {
    // SAFETY: sysconf takes a number and returns one.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).ok().filter(|ticks| *ticks > 0).unwrap_or(100)
}

/// True if reading a file below `/proc/<pid>` failed because the process has ended.
pub(crate) fn process_is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ESRCH)
}

/// True if a file could not be opened because too many are open, here or in the whole system.
pub(crate) fn out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}
