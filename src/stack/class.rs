//! Sizes of stacks: the checked request, and the power of two that serves it.

use crate::error::StackError;
use crate::sys::memory::{FOREIGN_GUARD, page_size};

const MIN_SHIFT: u32 = 14;
const MAX_SHIFT: u32 = 26;

/// Stacks from this size on get the wide guard that foreign code may need.
const FOREIGN_SHIFT: u32 = 18;

/// How many size classes there are.
pub(super) const CLASSES: usize = (MAX_SHIFT - MIN_SHIFT + 1) as usize;

/// A size class: all its stacks have the same power-of-two size.
///
/// An enum and not a number, so that the compiler knows that it indexes every table of classes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Class {
    K16,
    K32,
    K64,
    K128,
    K256,
    K512,
    M1,
    M2,
    M4,
    M8,
    M16,
    M32,
    M64,
}

impl Class {
    /// All classes, smallest first.
    pub(super) const ALL: [Class; CLASSES] = [
        Class::K16,
        Class::K32,
        Class::K64,
        Class::K128,
        Class::K256,
        Class::K512,
        Class::M1,
        Class::M2,
        Class::M4,
        Class::M8,
        Class::M16,
        Class::M32,
        Class::M64,
    ];

    /// The position of this class among all.
    #[inline(always)]
    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// The base-2 logarithm of [`bytes`](Class::bytes).
    #[inline]
    pub(super) fn shift(self) -> u32 {
        MIN_SHIFT + self as u32
    }

    /// The size of a slot, guard included.
    #[inline]
    pub(super) fn bytes(self) -> usize {
        1 << self.shift()
    }

    /// The size of the guard at the low end of a slot.
    #[inline]
    pub(super) fn guard_bytes(self) -> usize {
        match self.shift() {
            FOREIGN_SHIFT.. => page_size().max(FOREIGN_GUARD),
            _ => page_size(),
        }
    }
}

/// A checked stack size.
///
/// The size counts everything the coroutine has in address space: guard, usable stack and a few
/// hundred bytes of bookkeeping. It is rounded up to a power of two, and to four pages where pages
/// are large, so that a guard of one page always leaves room for frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StackSize(Class);

impl StackSize {
    /// The smallest size that may be asked for, in bytes.
    pub(crate) const MIN: usize = 1 << MIN_SHIFT;
    /// The largest size that may be asked for, in bytes.
    pub(crate) const MAX: usize = 1 << MAX_SHIFT;
    /// What a slot has besides usable stack, at most: the widest guard, colour gap and header.
    pub(crate) const OVERHEAD: usize = FOREIGN_GUARD + 4096;
    /// 256 KiB: four 64-KiB pages, so that it is a valid class whatever the page size.
    pub(crate) const DEFAULT: StackSize = StackSize(Class::K256);

    /// Checks `bytes` and rounds it up to a size there is.
    ///
    /// # Errors
    ///
    /// [`StackError::TooSmall`] below [`StackSize::MIN`], [`StackError::TooLarge`] above
    /// [`StackSize::MAX`].
    pub(crate) fn new(bytes: usize) -> Result<StackSize, StackError> {
        if bytes < StackSize::MIN {
            return Err(StackError::TooSmall { requested: bytes, minimum: StackSize::MIN });
        }
        let needed = bytes.max(4 * page_size());
        match Class::ALL.into_iter().find(|class| class.bytes() >= needed) {
            Some(class) => Ok(StackSize(class)),
            None => Err(StackError::TooLarge { requested: bytes, maximum: StackSize::MAX }),
        }
    }

    /// The size of the slot that serves this request, in bytes.
    pub(crate) fn bytes(self) -> usize {
        self.0.bytes()
    }

    #[inline(always)]
    pub(super) fn class(self) -> Class {
        self.0
    }
}

impl Default for StackSize {
    fn default() -> StackSize {
        StackSize::DEFAULT
    }
}
