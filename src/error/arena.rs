//! Why there is no payload, and why a descriptor or a region refuses.

use std::{fmt, io};

/// Why an arena has no memory for a payload.
///
/// ```
/// use kcoro::arena::Arena;
///
/// let arena = Arena::builder().limit(1 << 20).build();
/// let error = arena.alloc(2 << 20).unwrap_err();
/// assert!(error.to_string().starts_with("arena is full: 2097152 bytes asked for, 0 of 1048576"));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ArenaError {
    /// The arena's limit would be exceeded; all in bytes, whole blocks.
    Full {
        /// The block asked for.
        requested: usize,
        /// What is in use.
        used: usize,
        /// The limit.
        limit: usize,
    },
    /// A size class has no more numbers for its blocks.
    Exhausted {
        /// Bytes of a block of that class, 0 for payloads without one.
        size: usize,
    },
    /// The system refuses memory.
    Map {
        /// What was asked for.
        bytes: usize,
        /// Why.
        kind: io::ErrorKind,
    },
    /// A payload was to go to a file, and the file could not be made.
    Spill {
        /// The payload's length.
        bytes: usize,
        /// Why.
        kind: io::ErrorKind,
    },
}

impl fmt::Display for ArenaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArenaError::Full { requested, used, limit } => write!(
                f,
                "arena is full: {requested} bytes asked for, {used} of {limit} in use; drop \
                 payloads, wait for room with `on_room`, or raise `Builder::limit`"
            ),
            ArenaError::Exhausted { size } => {
                write!(f, "arena has no more blocks of {size} bytes; use a second arena")
            }
            ArenaError::Map { bytes, kind } => {
                write!(f, "no memory for {bytes} bytes: {kind}; check RLIMIT_AS and overcommit")
            }
            ArenaError::Spill { bytes, kind } => write!(
                f,
                "no file for {bytes} spilled bytes: {kind}; check the space and the permissions of \
                 `Builder::spill_dir`"
            ),
        }
    }
}

impl std::error::Error for ArenaError {}

/// Foreign memory could not be wrapped: why, and the memory's owner back.
#[derive(Clone, PartialEq, Eq)]
pub struct AliasError<O> {
    /// Why.
    pub error: ArenaError,
    /// What was to be wrapped.
    pub owner: O,
}

impl<O> fmt::Debug for AliasError<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AliasError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<O> fmt::Display for AliasError<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<O> std::error::Error for AliasError<O> {}

impl<O> From<AliasError<O>> for ArenaError {
    fn from(error: AliasError<O>) -> ArenaError {
        error.error
    }
}

/// The descriptor names a payload that is gone, or never was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StaleDescriptor;

impl fmt::Display for StaleDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the descriptor's payload is gone")
    }
}

impl std::error::Error for StaleDescriptor {}

/// Why a region refuses.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RegionError {
    /// The region is closed, or being closed, or there is none of that number.
    Closed,
    /// The range does not lie in the region; all in bytes.
    OutOfBounds {
        /// Where the range begins.
        offset: usize,
        /// How long it is.
        length: usize,
        /// How long the region is.
        region: usize,
    },
    /// The range overlaps one that is being written, or is to be written and overlaps one in use.
    Busy,
    /// The region could not be closed in time.
    Outstanding {
        /// Slices that are still in use.
        slices: usize,
    },
    /// The system refuses to make or map the region.
    System {
        /// Why.
        kind: io::ErrorKind,
    },
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegionError::Closed => f.write_str("the region is closed"),
            RegionError::OutOfBounds { offset, length, region } => {
                write!(f, "{length} bytes at {offset} exceed the region of {region} bytes")
            }
            RegionError::Busy => f.write_str("the range overlaps one that is in use"),
            RegionError::Outstanding { slices } => {
                write!(f, "{slices} slices of the region are still in use")
            }
            RegionError::System { kind } => write!(f, "the region cannot be mapped: {kind}"),
        }
    }
}

impl std::error::Error for RegionError {}

impl From<io::Error> for RegionError {
    fn from(error: io::Error) -> RegionError {
        RegionError::System { kind: error.kind() }
    }
}
