//! The number that names a payload.

#![forbid(unsafe_code)]

/// Names a payload of one arena: a number that may be stored, sent and compared, and goes stale.
///
/// ```text
///   63    60 59           32 31          0
///  +--------+---------------+-------------+
///  | class  |     index     | generation  |
///  +--------+---------------+-------------+
/// ```
///
/// ```
/// use kcoro::arena::{Arena, Descriptor};
///
/// let arena = Arena::new();
/// let payload = arena.copy(b"named")?;
/// let name = Descriptor::from_u64(payload.descriptor().to_u64());
/// assert_eq!(arena.resolve(name).as_deref(), Ok(&b"named"[..]));
/// drop(payload);
/// assert!(arena.resolve(name).is_err());
/// # Ok::<(), kcoro::error::ArenaError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Descriptor(u64);

impl Descriptor {
    pub(super) fn pack(class: usize, index: u32, generation: u32) -> Descriptor {
        debug_assert!(class < 16 && index < 1 << 28);
        Descriptor((class as u64) << 60 | u64::from(index) << 32 | u64::from(generation))
    }

    /// The descriptor as a number.
    pub const fn to_u64(self) -> u64 {
        self.0
    }

    /// The descriptor that [`to_u64`](Descriptor::to_u64) made a number of. Any number is allowed:
    /// one that names no live payload is stale.
    pub const fn from_u64(number: u64) -> Descriptor {
        Descriptor(number)
    }

    pub(super) fn class(self) -> usize {
        (self.0 >> 60) as usize
    }

    pub(super) fn index(self) -> u32 {
        (self.0 >> 32) as u32 & ((1 << 28) - 1)
    }

    pub(super) fn generation(self) -> u32 {
        self.0 as u32
    }
}

impl std::fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Descriptor({}:{}@{})", self.class(), self.index(), self.generation())
    }
}
