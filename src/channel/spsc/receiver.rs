//! The receiving side, and iterators over it.

#![forbid(unsafe_code)]

use super::chunk::ReadChunk;
use super::future::{RecvFuture, Stream};
use super::half::{Next, Rx};
use crate::error::{RecvError, RecvTimeoutError, TryRecvError};
use crate::token::Outcome;
use std::cell::Cell;
use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

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

    /// Receives the next value, waiting for `timeout` at most; zero tries.
    ///
    /// # Errors
    ///
    /// The time is up, or the channel is closed and empty.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.recv_deadline(deadline),
            None => Ok(self.recv()?),
        }
    }

    /// Receives the next value, waiting until `deadline` at most; one that has passed tries.
    ///
    /// # Errors
    ///
    /// The deadline has passed, or the channel is closed and empty.
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        let mut late = false;
        loop {
            match self.try_recv() {
                Ok(value) => return Ok(value),
                Err(TryRecvError::Closed) => return Err(RecvTimeoutError::Closed),
                Err(_) if late => return Err(RecvTimeoutError::Timeout),
                Err(_) => {}
            }
            match self.half.plan() {
                Next::Again => {}
                Next::Closed => return Err(RecvTimeoutError::Closed),
                Next::Park(wait) => {
                    let _seated = self.half.seated();
                    late = wait.park_deadline(deadline) == Outcome::TimedOut;
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

    /// Receives until the channel is closed and empty, waiting for each value.
    #[must_use]
    pub fn iter(&mut self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// Receives what is there, and ends when nothing is.
    #[must_use]
    pub fn try_iter(&mut self) -> TryIter<'_, T> {
        TryIter { receiver: self }
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

/// What [`Receiver::iter`] returns.
#[derive(Debug)]
pub struct Iter<'a, T> {
    receiver: &'a mut Receiver<T>,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T> FusedIterator for Iter<'_, T> {}

/// What [`Receiver::try_iter`] returns.
#[derive(Debug)]
pub struct TryIter<'a, T> {
    receiver: &'a mut Receiver<T>,
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

/// What `for value in receiver` iterates with: it owns the receiver.
#[derive(Debug)]
pub struct IntoIter<T> {
    receiver: Receiver<T>,
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T> FusedIterator for IntoIter<T> {}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self }
    }
}

impl<'a, T> IntoIterator for &'a mut Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}
