//! Many values through the lock at a time.

#![forbid(unsafe_code)]

use super::engine::{Received, Sent};
use super::shared::{Shared, Wakes};
use crate::error::{RecvError, SendError};
use crate::util::Panics;
use std::collections::VecDeque;

/// Values taken from a caller's iterator at a time: its code must not run under the lock.
const CHUNK: usize = 32;

impl<T> Shared<T> {
    /// Sends all of `values`, in order.
    pub(super) fn send_many(
        &self,
        mut values: impl Iterator<Item = T>,
    ) -> Result<usize, SendError<Vec<T>>> {
        let mut sent = 0;
        let mut chunk = VecDeque::new();
        loop {
            chunk.extend(values.by_ref().take(CHUNK - chunk.len()));
            if chunk.is_empty() {
                return Ok(sent);
            }
            sent += self.send_chunk(&mut chunk);
            // The chunk is empty, or its first value must wait.
            if let Some(value) = chunk.pop_front() {
                if let Err(error) = self.send(value) {
                    let full = matches!(error, SendError::Full(_));
                    chunk.push_front(error.into_inner());
                    let rest = chunk.into();
                    return Err(if full { SendError::Full(rest) } else { SendError::Closed(rest) });
                }
                sent += 1;
            }
        }
    }

    fn send_chunk(&self, chunk: &mut VecDeque<T>) -> usize {
        let mut wakes = Wakes::new();
        let mut fallen = Vec::new();
        let mut sent = 0;
        let mut engine = self.enter();
        while let Some(value) = chunk.pop_front() {
            let mut cell = Some(value);
            match engine.send(&mut cell) {
                Sent::Stored => self.count_stored(|| engine.len()),
                Sent::Handed(wake) => {
                    self.count_handed();
                    wakes.push(wake);
                }
                Sent::Dropped => {
                    self.count_stored(|| engine.len());
                    fallen.extend(cell.take());
                }
                Sent::Full | Sent::Refused | Sent::Closed => {
                    if let Some(value) = cell {
                        chunk.push_front(value);
                    }
                    break;
                }
            }
            sent += 1;
        }
        drop(engine);
        let mut panics = Panics::new();
        wakes.wake(&mut panics);
        fallen.into_iter().for_each(|value| panics.catch(|| self.discard(value)));
        panics.resume();
        sent
    }

    /// Receives up to `max` values, waiting for the first.
    pub(super) fn recv_many(&self, into: &mut Vec<T>, max: usize) -> Result<usize, RecvError> {
        if max == 0 {
            return Ok(0);
        }
        let before = into.len();
        let mut closed = self.recv_chunk(into, max);
        if into.len() == before {
            if closed {
                return Err(RecvError);
            }
            into.push(self.recv()?);
            closed = false;
        }
        while !closed && into.len() - before < max {
            let got = into.len();
            closed = self.recv_chunk(into, max - (got - before));
            if into.len() == got {
                break;
            }
        }
        Ok(into.len() - before)
    }

    /// Takes what is there, up to `max`; true: the channel is closed and empty.
    fn recv_chunk(&self, into: &mut Vec<T>, max: usize) -> bool {
        // Room is made outside of the lock, and no more is taken than there is room.
        into.reserve(self.len().clamp(1, max));
        let room = max.min(into.capacity() - into.len());
        let mut wakes = Wakes::new();
        let mut engine = self.enter();
        let mut closed = false;
        for _ in 0..room {
            if wakes.is_full() {
                break;
            }
            let mut cell = None;
            match engine.recv(&mut cell) {
                Received::Value(wake) => {
                    self.count_taken(wake.is_some());
                    into.extend(cell);
                    if let Some(wake) = wake {
                        wakes.push(wake);
                    }
                }
                Received::Empty => break,
                Received::Closed => {
                    closed = true;
                    break;
                }
            }
        }
        drop(engine);
        closed
    }
}
