//! What an arena tells about itself.

#![forbid(unsafe_code)]

use super::class::SIZED;

/// The figures of one arena, from [`Arena::stats`](super::Arena::stats).
///
/// Each figure is right once the threads that allocate and drop payloads are quiet; while they run,
/// figures may differ by what is under way.
///
/// ```
/// let arena = kcoro::arena::Arena::new();
/// let payload = arena.copy(b"sixteen bytes ok")?;
/// assert_eq!((arena.stats().depth, arena.stats().bytes), (1, 16));
/// drop(payload);
/// assert_eq!((arena.stats().depth, arena.stats().bytes), (0, 0));
/// # Ok::<(), kcoro::error::ArenaError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ArenaStats {
    /// Live payloads, counted once however often they are shared.
    pub depth: usize,
    /// Their lengths together, foreign memory and files included.
    pub bytes: u64,
    /// Payloads made since the arena was built.
    pub allocations: u64,
    /// The most bytes that may be in use, if limited.
    pub limit: Option<usize>,
    /// The bytes in use as the limit counts them, whole blocks; only with a limit.
    pub used: Option<u64>,
    /// The sum over the classes of the most memory ever out of the depot, in bytes.
    pub high_water: u64,
    /// Live payloads that have a mapping of their own because no class is large enough.
    pub large: u64,
    /// The lengths of those mappings.
    pub large_bytes: u64,
    /// Live payloads that are foreign memory.
    pub aliases: u64,
    /// Live payloads that are in a file.
    pub spilled: u64,
    /// The lengths of those files.
    pub spilled_bytes: u64,
    /// Payloads ever put into a file.
    pub spills: u64,
    /// Payloads that had so many references that they are never freed.
    pub sticky: u64,
    /// Requests that the limit refused.
    pub refused: u64,
    /// The size classes, smallest first.
    pub classes: [ClassStats; SIZED],
}

/// The figures of one size class.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ClassStats {
    /// Bytes of a block.
    pub size: usize,
    /// Blocks in use.
    pub live: usize,
    /// Unused blocks that threads keep for themselves.
    pub cached: usize,
    /// Blocks that exist: in use, kept, or in the depot.
    pub blocks: usize,
    /// The most blocks ever in use or kept.
    pub high_water: usize,
}
