//! The limits that stop a program from having more stacks or files.
//!
//! Only error paths and set-up come here, so that everything is read afresh.
//!
//! # Invariants
//!
//! 1. A limit that cannot be read is `None`, never a guess.
//!
//! # Who calls this, and what it may call
//!
//! The stack arena on its slow paths, and the monster sampler once. It reads `/proc` and allocates.

/// The limit of address space in bytes (`RLIMIT_AS`), if there is one.
pub(crate) fn address_space() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the result.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) };
    (result == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// How many files this process may have open (the soft `RLIMIT_NOFILE`).
pub(crate) fn open_files() -> Option<usize> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the result.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    (result == 0).then(|| usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX))
}

/// The number of mappings a process may have (`vm.max_map_count`).
pub(crate) fn max_map_count() -> Option<usize> {
    std::fs::read_to_string("/proc/sys/vm/max_map_count").ok()?.trim().parse().ok()
}

/// The number of mappings this process has.
pub(crate) fn map_count() -> Option<usize> {
    let maps = std::fs::read("/proc/self/maps").ok()?;
    Some(maps.iter().filter(|&&byte| byte == b'\n').count())
}

/// The kernel's policy of counting reservations (`vm.overcommit_memory`): 2 counts all of them.
pub(crate) fn overcommit_memory() -> Option<u32> {
    std::fs::read_to_string("/proc/sys/vm/overcommit_memory").ok()?.trim().parse().ok()
}

/// The address space in use, in bytes.
pub(crate) fn address_space_used() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().next()?.parse().ok()?;
    Some(pages * super::memory::page_size() as u64)
}
