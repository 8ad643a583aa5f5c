//! How many workers a runtime should have on this machine.
//!
//! A thread per CPU of the machine is wrong in a container: the kernel then stops all of them for
//! most of each period. The count is the smaller of the CPUs this process may run on and the
//! tightest quota above it, and a user who knows better says so in `KCORO_WORKERS`.
//!
//! # Invariants
//!
//! 1. The count is at least one.
//!
//! # Who calls this, and what it may call
//!
//! The runtime's builder and `kcoro doctor`. Reads a handful of small files; allocates.
//!
//! Source: sched_getaffinity(2), cgroups(7).

use std::ffi::{OsStr, OsString};
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;

use super::cgroup::{self, CpuQuota};
use crate::error::WorkersError;

/// The environment variable that sets the number of workers.
pub const WORKERS_VARIABLE: &str = "KCORO_WORKERS";

/// The most workers that [`WORKERS_VARIABLE`] may ask for.
pub const WORKERS_MAX: usize = 1024;

/// What limits the CPU time of this process.
///
/// # Examples
///
/// ```
/// let limits = kcoro::machine::CpuLimits::detect();
/// assert!(limits.workers().get() <= limits.affinity.get());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CpuLimits {
    /// How many CPUs this process may run on.
    pub affinity: NonZeroUsize,
    /// The tightest limit among its control groups, if there is one.
    pub quota: Option<CpuQuota>,
}

impl CpuLimits {
    /// Asks the system. Reads files and may block on them, but never fails: what cannot be read
    /// counts as no limit.
    #[must_use]
    pub fn detect() -> CpuLimits {
        let affinity = affinity()
            .ok()
            .and_then(NonZeroUsize::new)
            .or_else(|| std::thread::available_parallelism().ok())
            .unwrap_or(NonZeroUsize::MIN);
        CpuLimits { affinity, quota: cgroup::tightest_quota(Path::new("/")) }
    }

    /// How many workers fit: the smaller of the affinity and the quota rounded up.
    #[must_use]
    pub fn workers(&self) -> NonZeroUsize {
        let quota = self.quota.as_ref().and_then(|quota| NonZeroUsize::new(quota.cpus()));
        quota.map_or(self.affinity, |quota| quota.min(self.affinity))
    }
}

/// How many workers a runtime starts if its builder is not told: what `KCORO_WORKERS` says, else
/// [`CpuLimits::workers`].
///
/// The system is asked on each call, so a changed quota shows.
///
/// # Errors
///
/// [`WorkersError`] if `KCORO_WORKERS` is set to anything but a whole number from 1 to 1024.
///
/// # Examples
///
/// ```
/// println!("{} workers", kcoro::machine::available_workers()?);
/// # Ok::<(), kcoro::error::WorkersError>(())
/// ```
pub fn available_workers() -> Result<NonZeroUsize, WorkersError> {
    Ok(requested_workers()?.unwrap_or_else(|| CpuLimits::detect().workers()))
}

/// What `KCORO_WORKERS` asks for; `None` if it is not set or empty.
///
/// # Errors
///
/// As for [`available_workers`].
pub fn requested_workers() -> Result<Option<NonZeroUsize>, WorkersError> {
    std::env::var_os(WORKERS_VARIABLE).map_or(Ok(None), |value| parse_workers(&value))
}

fn parse_workers(value: &OsStr) -> Result<Option<NonZeroUsize>, WorkersError> {
    if value.is_empty() {
        return Ok(None);
    }
    let count = value.to_str().and_then(|text| text.trim().parse::<NonZeroUsize>().ok());
    match count {
        Some(count) if count.get() <= WORKERS_MAX => Ok(Some(count)),
        _ => Err(WorkersError::new(OsString::from(value))),
    }
}

/// How many CPUs the calling thread may run on.
pub(crate) fn affinity() -> io::Result<usize> {
    // The kernel refuses a mask shorter than its own, whose length cannot be asked; so grow.
    let mut mask = vec![0u64; 1024 / 64];
    loop {
        let bytes = size_of_val(mask.as_slice());
        // SAFETY: the pointer is to `bytes` writable bytes, aligned as cpu_set_t is (u64); the
        // kernel writes at most that many, and any bits are valid.
        let result = unsafe { libc::sched_getaffinity(0, bytes, mask.as_mut_ptr().cast()) };
        if result == 0 {
            return Ok(mask.iter().map(|word| word.count_ones() as usize).sum());
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EINVAL) || bytes >= 1 << 20 {
            return Err(error);
        }
        let longer = mask.len() * 4;
        mask.resize(longer, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_is_a_number_or_an_error() {
        let parse = |text: &str| parse_workers(OsStr::new(text)).map(|n| n.map(NonZeroUsize::get));
        assert_eq!(parse(""), Ok(None));
        assert_eq!(parse(" 3 "), Ok(Some(3)));
        for nonsense in ["0", "-1", "many", "1025", "1.5", "99999999999999999999"] {
            let error = parse(nonsense).expect_err(nonsense).to_string();
            assert!(error.contains(nonsense) && error.contains("1 to 1024"), "{error}");
        }
    }
}
