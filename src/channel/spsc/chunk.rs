//! Runs of cells that are filled or emptied in place and published together.
//!
//! # Invariants
//!
//! 1. A chunk touches at most the cells that were ready when it was made.
//! 2. Dropping it publishes what was done. Leaked, the next operation of that end does.

#![forbid(unsafe_code)]

use super::half::{Rx, Tx};
use std::fmt;
use std::iter::FusedIterator;

/// Cells to fill, of [`Sender::write_chunk`](super::Sender::write_chunk). What was pushed is sent
/// when it is dropped; cells that were not filled stay free.
pub struct WriteChunk<'a, T> {
    half: &'a mut Tx<T>,
    room: usize,
}

impl<'a, T> WriteChunk<'a, T> {
    #[inline(always)]
    pub(super) fn new(half: &'a mut Tx<T>, max: usize) -> WriteChunk<'a, T> {
        let room = half.ready_for(max).min(max);
        WriteChunk { half, room }
    }

    /// How many values it has room for.
    #[must_use]
    pub fn room(&self) -> usize {
        self.room
    }

    /// Puts a value into the next cell.
    ///
    /// # Errors
    ///
    /// The chunk is full: the value comes back.
    #[inline(always)]
    pub fn push(&mut self, value: T) -> Result<(), T> {
        if self.room == 0 {
            return Err(value);
        }
        self.room -= 1;
        self.half.put(value);
        Ok(())
    }

    /// Fills cells from `values` until the chunk is full or they end, and says how many that were.
    /// No value is taken that there is no room for.
    #[inline(always)]
    pub fn fill(&mut self, values: impl IntoIterator<Item = T>) -> usize {
        let room = self.room;
        for value in values.into_iter().take(room) {
            self.room -= 1;
            self.half.put(value);
        }
        room - self.room
    }
}

impl<T> Drop for WriteChunk<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.half.publish();
    }
}

impl<T> fmt::Debug for WriteChunk<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteChunk").field("room", &self.room).finish_non_exhaustive()
    }
}

/// Values to use, of [`Receiver::read_chunk`](super::Receiver::read_chunk), by value as an iterator
/// or in place. What was not taken by `next` when it is dropped stays in the channel.
pub struct ReadChunk<'a, T> {
    half: &'a mut Rx<T>,
    left: usize,
}

impl<'a, T> ReadChunk<'a, T> {
    #[inline(always)]
    pub(super) fn new(half: &'a mut Rx<T>, max: usize) -> ReadChunk<'a, T> {
        let left = half.ready_for(max).min(max);
        ReadChunk { half, left }
    }

    /// The values where they lie, oldest first: two runs if the ring wraps between them.
    #[must_use]
    pub fn as_slices(&self) -> (&[T], &[T]) {
        self.half.look(self.left)
    }

    /// As [`as_slices`](ReadChunk::as_slices), to be changed or taken in place.
    #[must_use]
    pub fn as_mut_slices(&mut self) -> (&mut [T], &mut [T]) {
        self.half.look_mut(self.left)
    }

    /// Drops the values that are left in the chunk, and so takes them out of the channel.
    pub fn consume(mut self) {
        self.by_ref().for_each(drop);
    }
}

impl<T> Iterator for ReadChunk<'_, T> {
    type Item = T;

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        self.half.take()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> ExactSizeIterator for ReadChunk<'_, T> {}

impl<T> FusedIterator for ReadChunk<'_, T> {}

impl<T> Drop for ReadChunk<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.half.publish();
    }
}

impl<T> fmt::Debug for ReadChunk<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadChunk").field("left", &self.left).finish_non_exhaustive()
    }
}
