//! What the machine offers to a runtime: CPUs, guards for stacks, the page size.
//!
//! `kcoro doctor` shows these with advice; a program may ask as well.
//!
//! # Invariants
//!
//! 1. What is shown here is what the runtime itself goes by, from the same functions.
//!
//! # Who calls this, and what it may call
//!
//! Anyone. The first call of [`guard_kind`] maps and unmaps a few pages; the rest read small files.

#![forbid(unsafe_code)]

pub use crate::stack::GuardKind;
pub use crate::sys::cgroup::{CgroupVersion, CpuQuota};
pub use crate::sys::cpu::{
    CpuLimits, WORKERS_MAX, WORKERS_VARIABLE, available_workers, requested_workers,
};

/// How stacks are guarded on this machine, found out by trying.
///
/// # Examples
///
/// ```
/// use kcoro::machine::{GuardKind, guard_kind};
///
/// if guard_kind() == GuardKind::Mapping {
///     println!("each stack takes two of the mappings that vm.max_map_count allows");
/// }
/// ```
#[must_use]
pub fn guard_kind() -> GuardKind {
    crate::stack::guard_kind()
}

/// The size of a page in bytes.
#[must_use]
pub fn page_size() -> usize {
    crate::sys::memory::page_size()
}
