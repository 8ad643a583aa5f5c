//! Why there is no stack.

use std::fmt;

/// Why no stack could be had for a coroutine.
///
/// The message names the limit that was hit and what to set it to.
///
/// ```
/// use kcoro::error::StackError;
///
/// let error = StackError::TooSmall { requested: 100, minimum: 16384 };
/// assert_eq!(error.to_string(), "stack size of 100 bytes is below the minimum of 16384 bytes");
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StackError {
    /// The size asked for is below the minimum; both in bytes.
    TooSmall {
        /// The size asked for.
        requested: usize,
        /// The smallest size there is.
        minimum: usize,
    },
    /// The size asked for is above the maximum; both in bytes.
    TooLarge {
        /// The size asked for.
        requested: usize,
        /// The largest size there is.
        maximum: usize,
    },
    /// The process may have no more address space (`RLIMIT_AS`); both in bytes.
    AddressSpace {
        /// What had to be reserved.
        bytes: usize,
        /// The limit.
        limit: u64,
    },
    /// The kernel counts reservations (`vm.overcommit_memory` is 2) and has no more to promise.
    Overcommit {
        /// What had to be reserved, in bytes.
        bytes: usize,
    },
    /// The process may have no more memory mappings (`vm.max_map_count`).
    ///
    /// Only a kernel without page-table guards (before Linux 6.13) needs two mappings a stack.
    Mappings {
        /// The limit.
        limit: usize,
        /// Stacks that have a guard with a mapping of its own.
        guarded: usize,
    },
    /// The table of stack regions is full.
    Regions {
        /// How many regions the table holds.
        limit: usize,
    },
    /// The kernel refused for another reason.
    System {
        /// What had to be reserved or guarded, in bytes.
        bytes: usize,
        /// The error number.
        errno: i32,
    },
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            StackError::TooSmall { requested, minimum } => {
                write!(f, "stack size of {requested} bytes is below the minimum of {minimum} bytes")
            }
            StackError::TooLarge { requested, maximum } => {
                write!(f, "stack size of {requested} bytes is above the maximum of {maximum} bytes")
            }
            StackError::AddressSpace { bytes, limit } => write!(
                f,
                "no address space for stacks: {bytes} more bytes do not fit under RLIMIT_AS, which \
                 is {limit} bytes; raise it with `ulimit -v {}` or `ulimit -v unlimited`",
                limit.saturating_add(bytes as u64).div_ceil(1024)
            ),
            StackError::Overcommit { bytes } => write!(
                f,
                "no memory for stacks: {bytes} more bytes exceed the commit limit, because \
                 vm.overcommit_memory is 2; set it with `sysctl vm.overcommit_memory=0`"
            ),
            StackError::Mappings { limit, guarded } => write!(
                f,
                "no memory mappings for stacks: {guarded} stack guards take two each and \
                 vm.max_map_count is {limit}; raise it with `sysctl vm.max_map_count={}`",
                limit.saturating_mul(4)
            ),
            StackError::Regions { limit } => {
                write!(f, "no more stacks: all {limit} stack regions are reserved")
            }
            StackError::System { bytes, errno } => write!(
                f,
                "no stack: the kernel refused {bytes} bytes: {}",
                std::io::Error::from_raw_os_error(errno)
            ),
        }
    }
}

impl std::error::Error for StackError {}
