//! The sending side.

#![forbid(unsafe_code)]

use super::super::shared::End;
use super::super::verbs::limited_sends;
use super::super::wait::Limits;
use super::chunk::WriteChunk;
use super::future::SendFuture;
use super::half::{Next, Tx};
use crate::error::{SendError, TrySendError};
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

/// Sends into a channel made by [`spsc`](crate::channel::spsc()). Dropped, it closes the channel.
///
/// It is `Send` if the values are, and not `Sync`.
pub struct Sender<T> {
    half: Tx<T>,
    alone: PhantomData<Cell<()>>,
}

impl<T> Sender<T> {
    pub(super) fn new(half: Tx<T>) -> Sender<T> {
        Sender { half, alone: PhantomData }
    }

    /// Sends `value`, waiting for room. A coroutine suspends, a plain thread blocks.
    ///
    /// # Errors
    ///
    /// The channel is closed: the value comes back.
    #[inline(always)]
    pub fn send(&mut self, value: T) -> Result<(), SendError<T>> {
        if self.wait().is_err() {
            return Err(SendError::Closed(value));
        }
        self.half.put(value);
        self.half.publish();
        Ok(())
    }

    /// Waits for room. `Err`: the channel is closed.
    #[inline(always)]
    fn wait(&mut self) -> Result<(), ()> {
        loop {
            if self.half.is_closed() {
                return Err(());
            }
            if self.half.ready() != 0 {
                return Ok(());
            }
            match self.half.plan() {
                Next::Again => {}
                Next::Closed => return Err(()),
                Next::Park(wait) => {
                    wait.park_linked(self.half.seated());
                }
            }
        }
    }

    /// Sends `value` if there is room.
    ///
    /// # Errors
    ///
    /// There is no room, or the channel is closed: the value comes back.
    #[inline]
    pub fn try_send(&mut self, value: T) -> Result<(), TrySendError<T>> {
        if self.half.is_closed() {
            return Err(TrySendError::Closed(value));
        }
        if self.half.ready() == 0 {
            return Err(TrySendError::Full(value));
        }
        self.half.put(value);
        self.half.publish();
        Ok(())
    }

    limited_sends!(self, [&mut self], T);

    fn send_limited(&mut self, value: T, limits: Limits<'_>) -> Result<(), (T, End)> {
        match self.wait_limited(limits) {
            Ok(()) => {
                self.half.put(value);
                self.half.publish();
                Ok(())
            }
            Err(end) => Err((value, end)),
        }
    }

    /// Waits for room within `limits`.
    fn wait_limited(&mut self, limits: Limits<'_>) -> Result<(), End> {
        let mut ended = limits.is_cancelled().then_some(End::Cancelled);
        loop {
            match ended {
                Some(End::Cancelled) => return Err(End::Cancelled),
                _ if self.half.is_closed() => return Err(End::Closed),
                _ if self.half.ready() != 0 => return Ok(()),
                Some(end) => return Err(end),
                None => {}
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

    /// Sends `value` as a future. Dropped before it is ready, it has not sent.
    pub fn send_async(&mut self, value: T) -> SendFuture<'_, T> {
        SendFuture::new(&mut self.half, value)
    }

    /// Waits for room for one value, and reserves up to `max` cells of what is free then, to be
    /// filled in place and published together.
    ///
    /// # Errors
    ///
    /// The channel is closed.
    ///
    /// # Panics
    ///
    /// If `max` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// let (mut tx, mut rx) = kcoro::channel::spsc(8);
    /// let mut chunk = tx.write_chunk(3).unwrap();
    /// assert_eq!(chunk.fill(10..), 3);
    /// drop(chunk);
    /// assert_eq!(rx.read_chunk(8).unwrap().as_slices(), (&[10, 11, 12][..], &[][..]));
    /// ```
    #[inline(always)]
    pub fn write_chunk(&mut self, max: usize) -> Result<WriteChunk<'_, T>, SendError<()>> {
        assert!(max != 0, "a chunk of no values");
        if self.wait().is_err() {
            return Err(SendError::Closed(()));
        }
        Ok(WriteChunk::new(&mut self.half, max))
    }

    /// As [`write_chunk`](Sender::write_chunk), if there is room for one value at least.
    ///
    /// # Errors
    ///
    /// There is no room, or the channel is closed.
    pub fn try_write_chunk(&mut self, max: usize) -> Result<WriteChunk<'_, T>, TrySendError<()>> {
        if self.half.is_closed() {
            return Err(TrySendError::Closed(()));
        }
        if max == 0 || self.half.ready() == 0 {
            return Err(TrySendError::Full(()));
        }
        Ok(WriteChunk::new(&mut self.half, max))
    }

    /// Closes the channel: sends fail from now on, the receiver drains what is left. True the first
    /// time.
    pub fn close(&mut self) -> bool {
        self.half.close()
    }

    /// Whether the channel is closed.
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

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({:?})", self.half)
    }
}
