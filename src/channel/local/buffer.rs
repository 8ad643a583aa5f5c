//! The values a channel holds while nobody has asked for them: a ring for a bounded channel, a list
//! of segments for an unbounded one.
//!
//! A ring of the exact capacity grows up to it in doublings, so that `bounded(usize::MAX)` costs
//! nothing until it is used. An unbounded buffer never moves its elements and never copies a long
//! queue: it adds a segment, and gives segments back as they drain, but one that it keeps for the
//! next push.
//!
//! # Invariants
//!
//! 1. While `beyond` is 0 there is one segment; otherwise `first` is not empty, `last` is not, and
//!    every segment between them is full.
//! 2. A ring never holds more than the capacity it was made for; the channel asks before it pushes.
//!
//! # Who calls this, and what it may call
//!
//! `core`, on the channel's thread. It may allocate. No value is dropped here except with the buffer
//! itself.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::fmt;

/// Values in one segment of an unbounded buffer.
const SEGMENT: usize = if cfg!(test) { 8 } else { 512 };

/// First allocation of a ring.
const FIRST: usize = 16;

/// Values in order of arrival.
pub(super) struct Buffer<T> {
    /// Where values are taken from, and pushed to while it is the only segment.
    first: VecDeque<T>,
    /// Where values are pushed to while there are several segments.
    last: VecDeque<T>,
    /// Full segments between the two, oldest first.
    middle: VecDeque<VecDeque<T>>,
    /// Kept for the next segment.
    spare: Option<VecDeque<T>>,
    /// Values in `middle` and `last`.
    beyond: usize,
    unbounded: bool,
}

impl<T> Buffer<T> {
    /// A ring, or segments when there is no `capacity`.
    pub(super) fn new(capacity: Option<usize>) -> Buffer<T> {
        Buffer {
            first: VecDeque::new(),
            last: VecDeque::new(),
            middle: VecDeque::new(),
            spare: None,
            beyond: 0,
            unbounded: capacity.is_none(),
        }
    }

    /// Values held.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.first.len() + self.beyond
    }

    /// Adds the newest value.
    #[inline(always)]
    pub(super) fn push(&mut self, value: T) {
        let several = self.beyond != 0;
        let segment = if several { &mut self.last } else { &mut self.first };
        if segment.len() == segment.capacity() || several && segment.len() >= SEGMENT {
            return self.push_slow(value);
        }
        segment.push_back(value);
        self.beyond += usize::from(several);
    }

    #[cold]
    #[inline(never)]
    fn push_slow(&mut self, value: T) {
        if !self.unbounded || self.beyond == 0 && self.first.len() < SEGMENT {
            if self.first.capacity() == 0 {
                self.first.reserve(if self.unbounded { SEGMENT } else { FIRST });
            }
            return self.first.push_back(value);
        }
        if self.last.len() >= SEGMENT {
            self.middle.push_back(std::mem::take(&mut self.last));
        }
        if self.last.capacity() == 0 {
            self.last = self.spare.take().unwrap_or_else(|| VecDeque::with_capacity(SEGMENT));
        }
        self.last.push_back(value);
        self.beyond += 1;
    }

    /// Takes the oldest value.
    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<T> {
        let value = self.first.pop_front();
        if self.beyond != 0 && self.first.is_empty() {
            self.advance();
        }
        value
    }

    #[cold]
    #[inline(never)]
    fn advance(&mut self) {
        let next = self.middle.pop_front().unwrap_or_else(|| std::mem::take(&mut self.last));
        self.beyond -= next.len();
        self.spare = Some(std::mem::replace(&mut self.first, next));
        if self.middle.is_empty() && self.middle.capacity() > 8 {
            // A long queue has left: its list of segments goes as well.
            self.middle = VecDeque::new();
        }
    }

    /// Puts a value back in front of all others.
    pub(super) fn unpop(&mut self, value: T) {
        self.first.push_front(value);
    }
}

impl<T> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("len", &self.len())
            .field("segments", &(1 + self.middle.len() + usize::from(self.beyond != 0)))
            .finish_non_exhaustive()
    }
}
