//! The size classes: which block a length gets, and how blocks are numbered.
//!
//! Each class is four times the one before, so a payload wastes less than three quarters of its block
//! and eight classes reach from a cache line to a mebibyte. A longer payload is mapped by itself and a
//! foreign one brings its own memory: those need only a header, which is what the last class is.
//! Within a class chunk `k` holds `first << k` blocks, so eighteen chunks suffice for the 2^28 blocks
//! that a descriptor can name, and finding one is a logarithm.

#![forbid(unsafe_code)]

/// Number of classes with memory.
pub(super) const SIZED: usize = 8;
/// The class of headers without memory.
pub(super) const BARE: usize = SIZED;
/// Number of classes.
pub(super) const CLASSES: usize = SIZED + 1;
/// Chunks of a class.
pub(super) const CHUNKS: usize = 18;
/// The longest payload that gets a block of a class.
pub(super) const LARGEST: usize = CLASS[SIZED - 1].size;

/// What distinguishes a class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Class {
    /// Bytes of a block.
    pub(super) size: usize,
    /// Blocks of the first chunk, a power of two.
    pub(super) first: u32,
    /// Blocks that a thread keeps at most: few of the large ones, 4 MiB in all.
    pub(super) kept: usize,
}

/// All classes, smallest first.
pub(super) const CLASS: [Class; CLASSES] = [
    Class { size: 64, first: 1024, kept: 64 },
    Class { size: 256, first: 512, kept: 64 },
    Class { size: 1 << 10, first: 256, kept: 64 },
    Class { size: 4 << 10, first: 64, kept: 32 },
    Class { size: 16 << 10, first: 16, kept: 16 },
    Class { size: 64 << 10, first: 8, kept: 8 },
    Class { size: 256 << 10, first: 4, kept: 4 },
    Class { size: 1 << 20, first: 2, kept: 2 },
    Class { size: 0, first: 1024, kept: 64 },
];

/// The class whose blocks hold `length` bytes; `None` if no class is so large.
#[inline]
pub(super) fn of(length: usize) -> Option<usize> {
    if length > LARGEST {
        return None;
    }
    // 64 is 2^6, and each class adds two bits.
    Some((length.max(64) - 1).ilog2().saturating_sub(4) as usize / 2)
}

impl Class {
    /// The chunk that holds block `index`, and the block's place in it.
    #[inline]
    pub(super) fn locate(&self, index: u32) -> (usize, usize) {
        let chunk = (index / self.first + 1).ilog2();
        (chunk as usize, (index - self.start(chunk as usize)) as usize)
    }

    /// The number of the first block of a chunk.
    #[inline]
    pub(super) fn start(&self, chunk: usize) -> u32 {
        self.first * ((1 << chunk) - 1)
    }

    /// The number of blocks of a chunk.
    pub(super) fn blocks(&self, chunk: usize) -> usize {
        (self.first as usize) << chunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_numbers_find_their_place() {
        for length in (0..5000).chain([16384, 16385, 65536, 65537, 262_145, LARGEST]) {
            let class = of(length).unwrap();
            assert!(CLASS[class].size >= length, "{length} in {class}");
            assert!(class == 0 || CLASS[class - 1].size < length, "{length} in {class}");
        }
        assert_eq!(of(LARGEST + 1), None);
        for class in CLASS {
            let last = class.start(CHUNKS) - 1;
            assert!(last < 1 << 28);
            for index in (0..5 * class.first).chain([last]) {
                let (chunk, place) = class.locate(index);
                assert!(chunk < CHUNKS && place < class.blocks(chunk));
                assert_eq!(class.start(chunk) + place as u32, index);
            }
        }
    }
}
