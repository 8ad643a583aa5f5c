//! In which order a select tries its arms.

#![forbid(unsafe_code)]

use std::cell::Cell;

thread_local! {
    static SEED: Cell<u32> = const { Cell::new(0) };
}

/// A number that differs from call to call. Not inlined: a coroutine that is suspended later must
/// not keep the address of the thread's seed.
#[inline(never)]
fn random() -> u32 {
    SEED.with(|seed| {
        let mut x = seed.get();
        if x == 0 {
            x = std::ptr::from_ref(seed).addr() as u32 | 1;
        }
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        seed.set(x);
        x
    })
}

/// Every number below `len`, once.
///
/// A random start and a random odd stride through the next power of two: each arm comes first
/// equally often, and what comes after a busy arm differs as well, without shuffling.
#[derive(Debug)]
pub(super) struct Order {
    len: usize,
    mask: usize,
    at: usize,
    stride: usize,
    left: usize,
}

impl Order {
    pub(super) fn fair(len: usize) -> Order {
        let size = len.next_power_of_two();
        let random = random() as usize;
        // The low bits choose the start: multiplied, so that they depend on all others.
        let at = (random.wrapping_mul(0x9e37_79b1) >> 8) & (size - 1);
        Order { len, mask: size - 1, at, stride: (random >> 16) | 1, left: size }
    }

    pub(super) fn given(len: usize) -> Order {
        Order { len, mask: usize::MAX, at: 0, stride: 1, left: len }
    }
}

impl Iterator for Order {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.left != 0 {
            let at = self.at;
            self.left -= 1;
            self.at = (at + self.stride) & self.mask;
            if at < self.len {
                return Some(at);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Order;

    #[test]
    fn every_arm_once_and_each_first_in_turn() {
        for len in 1..20 {
            let mut first = vec![0; len];
            for _ in 0..200 * len {
                let mut all: Vec<_> = Order::fair(len).collect();
                first[all[0]] += 1;
                all.sort_unstable();
                assert_eq!(all, (0..len).collect::<Vec<_>>());
            }
            assert!(first.iter().all(|&count| count > 60), "{len}: {first:?}");
        }
        assert_eq!(Order::given(3).collect::<Vec<_>>(), [0, 1, 2]);
    }
}
