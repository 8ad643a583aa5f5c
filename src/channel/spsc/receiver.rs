//! The receiving side, and iterators over it.

#![forbid(unsafe_code)]

use super::super::shared::End;
use super::super::verbs::{iterators, limited_recvs};
use super::super::wait::Limits;
use super::chunk::ReadChunk;
use super::future::{RecvFuture, Stream};
use super::half::{Next, Rx};
use crate::error::{RecvError, TryRecvError};
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

/// Receives from a channel made by [`spsc`](crate::channel::spsc()). Dropped, it closes the channel
/// and drops what is left.
///
/// It is `Send` if the values are, and not `Sync`.
pub struct Receiver<T> {
    half: Rx<T>,
    alone: PhantomData<Cell<()>>,
}

impl<T> Receiver<T> {
    pub(super) fn new(half: Rx<T>) -> Receiver<T> {
        Receiver { half, alone: PhantomData }
    }

    /// Receives the next value, waiting for one. A coroutine suspends, a plain thread blocks.
    ///
    /// # Errors
    ///
    /// The channel is closed and empty.
    #[inline(always)]
    pub fn recv(&mut self) -> Result<T, RecvError> {
        self.wait()?;
        let value = self.half.take().ok_or(RecvError)?;
        self.half.publish();
        Ok(value)
    }

    /// Waits for a value. `Err`: the channel is closed and empty.
    #[inline(always)]
    fn wait(&mut self) -> Result<(), RecvError> {
        while self.half.ready() == 0 {
            match self.half.plan() {
                Next::Again => {}
                Next::Closed => return Err(RecvError),
                Next::Park(wait) => {
                    wait.park_linked(self.half.seated());
                }
            }
        }
        Ok(())
    }

    /// Receives the next value if there is one.
    ///
    /// # Errors
    ///
    /// There is none now, or the channel is closed and empty.
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        if self.half.ready() == 0 {
            // What was sent before the close is visible after it.
            if !self.half.is_closed() {
                return Err(TryRecvError::Empty);
            }
            if self.half.ready() == 0 {
                return Err(TryRecvError::Closed);
            }
        }
        let value = self.half.take().ok_or(TryRecvError::Empty)?;
        self.half.publish();
        Ok(value)
    }

    limited_recvs!(self, [&mut self], T);

    fn recv_limited(&mut self, limits: Limits<'_>) -> Result<T, End> {
        let mut ended = limits.is_cancelled().then_some(End::Cancelled);
        loop {
            if ended == Some(End::Cancelled) {
                return Err(End::Cancelled);
            }
            match self.try_recv() {
                Ok(value) => return Ok(value),
                Err(TryRecvError::Closed) => return Err(End::Closed),
                Err(TryRecvError::Empty) => {}
            }
            if let Some(end) = ended {
                return Err(end);
            }
            match self.half.plan() {
                Next::Again => {}
                Next::Closed => return Err(End::Closed),
                Next::Park(wait) => {
                    let _seated = self.half.seated();
                    ended = limits.park(wait);
                }
            }
        }
    }

    /// Receives as a future. Dropped before it is ready, it has not received.
    pub fn recv_async(&mut self) -> RecvFuture<'_, T> {
        RecvFuture::new(&mut self.half)
    }

    /// The values as a stream, which ends when the channel is closed and empty.
    pub fn stream(&mut self) -> Stream<'_, T> {
        Stream::new(&mut self.half)
    }

    /// Waits for a value, and takes up to `max` of those that are there then, to be used in place.
    ///
    /// # Errors
    ///
    /// The channel is closed and empty.
    ///
    /// # Panics
    ///
    /// If `max` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// let (mut tx, mut rx) = kcoro::channel::spsc(8);
    /// (0..5).for_each(|n| tx.send(n).unwrap());
    /// assert_eq!(rx.read_chunk(3).unwrap().sum::<i32>(), 3);
    /// assert_eq!(rx.len(), 2);
    /// ```
    #[inline(always)]
    pub fn read_chunk(&mut self, max: usize) -> Result<ReadChunk<'_, T>, RecvError> {
        assert!(max != 0, "a chunk of no values");
        self.wait()?;
        Ok(ReadChunk::new(&mut self.half, max))
    }

    /// As [`read_chunk`](Receiver::read_chunk), if there is a value now.
    ///
    /// # Errors
    ///
    /// There is none now, or the channel is closed and empty.
    pub fn try_read_chunk(&mut self, max: usize) -> Result<ReadChunk<'_, T>, TryRecvError> {
        let closed = self.half.is_closed();
        if max == 0 || self.half.ready() == 0 {
            return Err(if closed { TryRecvError::Closed } else { TryRecvError::Empty });
        }
        Ok(ReadChunk::new(&mut self.half, max))
    }

    /// Closes the channel: sends fail from now on; what is left can still be received. True the
    /// first time.
    pub fn close(&mut self) -> bool {
        self.half.close()
    }

    /// Whether the channel is closed; something may be left in it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.half.is_closed()
    }

    /// Values in the channel at this moment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.half.len()
    }

    /// Whether the channel is empty at this moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the channel is full at this moment.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.capacity()
    }

    /// How many values the channel holds.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.half.capacity()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({:?})", self.half)
    }
}

iterators!([T] Receiver<T>, T, [mut]);
