//! The system below: the only directory that names libc or a sanitizer's run-time.
//!
//! Each file wraps one subject in functions that take and return plain Rust types. Nothing here
//! keeps state beyond what the kernel call itself needs, except the saved signal handlers.
//!
//! # Invariants
//!
//! 1. No libc type or constant appears in a signature.
//! 2. A failed call of the kernel returns an [`Errno`]; nothing here panics.
//!
//! # Who calls this, and what it may call
//!
//! Any layer, from threads and coroutines. It calls nothing but libc and `prim`.

pub(crate) mod cgroup;
pub(crate) mod clock;
pub(crate) mod cpu;
pub(crate) mod fiber;
pub(crate) mod file;
pub(crate) mod futex;
pub(crate) mod limits;
pub(crate) mod membarrier;
pub(crate) mod memory;
pub(crate) mod poller;
pub(crate) mod proc_dir;
pub(crate) mod signal;
pub(crate) mod transfer;

/// An error number of the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Errno(pub(crate) i32);

impl Errno {
    /// Out of memory, address space or mappings.
    pub(crate) const NO_MEMORY: Errno = Errno(libc::ENOMEM);

    /// The descriptor is of a kind that is always ready, such as a regular file.
    pub(crate) const NOT_POLLABLE: Errno = Errno(libc::EPERM);

    /// The error of the libc call that has just failed on this thread.
    pub(crate) fn last() -> Errno {
        Errno::of(std::io::Error::last_os_error())
    }

    /// The error number in an error of the standard library; 0 if there is none.
    pub(crate) fn of(error: std::io::Error) -> Errno {
        Errno(error.raw_os_error().unwrap_or(0))
    }

    /// What kind of error the standard library takes it for.
    pub(crate) fn kind(self) -> std::io::ErrorKind {
        std::io::Error::from_raw_os_error(self.0).kind()
    }
}

#[cfg(test)]
pub(crate) mod tests;
