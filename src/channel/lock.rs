//! A channel's state behind the gates of its queue, and what these need from the worker and the
//! kernel.
//!
//! # Invariants
//!
//! 1. An [`Inside`] is alive exactly while its holder is alone inside both gates: the engine is its.
//! 2. None is alive across a suspension (the gate's invariant 3).
//! 3. When one is dropped, an end of the queue is barred exactly if the engine must see what comes
//!    next there: a sending end when receivers wait or the channel is closed, a receiving end when
//!    senders wait.
//! 4. Nobody is suspended on the way in. A coroutine that is suspended may be unwound, and those who
//!    come here to take their node out of a list must get in before their frame goes; one that has
//!    begun a wait may be woken, and would be queued twice.
//!
//! # Who calls this, and what it may call
//!
//! `shared`, from any thread. Who finds a gate taken gives up its time slice; the holder is never
//! suspended, so it is running or about to. Nothing blocks in the kernel.

#![forbid(unsafe_code)]

use super::end::Orders;
use super::engine::{Engine, Received, Sent, Values};
use super::gate::Platform;
use super::node::Wake;
use super::queue::{Held, Queue};
use crate::prim::{Ordering, compiler_fence, spin_loop, thread_yield};
use crate::sys::membarrier;
use crate::token::SlotRef;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Looks at a taken gate before giving way. An operation inside takes some ten nanoseconds, but a
/// gate that changes hands costs ten times that: who waits a microsecond lets the holder do many
/// operations in a row, and all of them finish sooner.
const SPINS: u32 = 4;

/// Pauses before the second look; each wait is twice the one before.
const PAUSES: u32 = 16;

/// This process.
pub(super) struct Process;

impl Platform for Process {
    #[inline(always)]
    fn me() -> usize {
        crate::arch::thread_word()
    }

    fn wait(round: u32) {
        if round < SPINS {
            for _ in 0..PAUSES << round {
                spin_loop();
            }
            return;
        }
        thread_yield();
    }

    fn can_bias() -> bool {
        membarrier::available()
    }

    #[inline(always)]
    fn light() {
        // SeqCst for the compiler alone: nothing moves over it; (D) in `gate` says the rest.
        compiler_fence(Ordering::SeqCst);
    }

    fn heavy() {
        membarrier::all_threads();
    }
}

impl Orders for Process {}

/// The values, for who is alone with them.
type Buffer<'a, T> = Held<'a, T, Process, Engine<T>>;

impl<T> Values<T> for Buffer<'_, T> {
    #[inline(always)]
    fn len(&self) -> usize {
        Held::len(self)
    }

    #[inline(always)]
    fn push(&mut self, value: T) {
        Held::push(self, value);
    }

    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        Held::pop(self)
    }

    fn unpop(&mut self, value: T) {
        Held::unpop(self, value);
    }
}

/// A channel's values, each end for one at a time, and its state, for one at a time.
pub(super) struct Lock<T> {
    queue: Queue<T, Process, Engine<T>>,
}

impl<T> Lock<T> {
    pub(super) fn new(engine: Engine<T>) -> Lock<T> {
        Lock { queue: Queue::new(engine.capacity(), engine) }
    }

    /// Sends the value in `cell` if that is a matter of a few instructions; then calls `note`, while
    /// nobody else sends.
    #[inline(always)]
    pub(super) fn offer(&self, cell: &mut Option<T>, note: impl FnOnce()) -> bool {
        self.queue.offer(cell, note)
    }

    /// Receives into `cell`, which is empty, if that is a matter of a few instructions; then calls
    /// `note`, while nobody else receives.
    #[inline(always)]
    pub(super) fn poll(&self, cell: &mut Option<T>, note: impl FnOnce()) -> bool {
        self.queue.poll(cell, note)
    }

    /// Sends the value in `cell` and calls `note`, as above, or returns inside because the engine must.
    #[inline(always)]
    pub(super) fn send(&self, cell: &mut Option<T>, note: impl FnOnce()) -> Option<Inside<'_, T>> {
        self.queue.send(cell, note).map(Inside)
    }

    /// Receives into `cell`, which is empty, and calls `note`, as above, or returns inside because the
    /// engine must.
    #[inline(always)]
    pub(super) fn recv(&self, cell: &mut Option<T>, note: impl FnOnce()) -> Option<Inside<'_, T>> {
        self.queue.recv(cell, note).map(Inside)
    }

    /// Waits until the caller is alone with the state.
    #[inline(always)]
    pub(super) fn enter(&self) -> Inside<'_, T> {
        Inside(self.queue.enter())
    }

    /// Values in the buffer, for who is sending.
    #[inline(always)]
    pub(super) fn depth(&self) -> usize {
        self.queue.depth()
    }

    /// Values in the buffer at this moment.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// For reports: whether the gates are biased, revoked, taken.
    pub(super) fn gates(&self) -> impl fmt::Debug {
        self.queue.gates()
    }
}

/// Alone with the state, until dropped.
pub(super) struct Inside<'a, T>(Buffer<'a, T>);

impl<T> Inside<'_, T> {
    /// Offers the value in `cell`, which is full.
    #[inline(always)]
    pub(super) fn send(&mut self, cell: &mut Option<T>) -> Sent {
        let (engine, buffer) = self.0.parts();
        engine.send(buffer, cell)
    }

    /// Asks for a value into `cell`, which is empty.
    #[inline(always)]
    pub(super) fn recv(&mut self, cell: &mut Option<T>) -> Received {
        let (engine, buffer) = self.0.parts();
        engine.recv(buffer, cell)
    }

    /// Puts back a value that was taken and could not be used.
    pub(super) fn put_back(&mut self, value: Option<T>) -> Option<Wake> {
        let (engine, buffer) = self.0.parts();
        engine.put_back(buffer, value)
    }

    /// Whether a send of the party `own`, which may wait here itself, would not wait.
    pub(super) fn can_send(&mut self, own: SlotRef) -> bool {
        let (engine, buffer) = self.0.parts();
        engine.can_send(buffer, own)
    }

    /// Whether a receive of the party `own`, which may wait here itself, would not wait.
    pub(super) fn can_recv(&mut self, own: SlotRef) -> bool {
        let (engine, buffer) = self.0.parts();
        engine.can_recv(buffer, own)
    }

    /// Takes the oldest value out of the buffer, for the hook.
    pub(super) fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    /// Values in the buffer.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl<T> Deref for Inside<'_, T> {
    type Target = Engine<T>;

    #[inline(always)]
    fn deref(&self) -> &Engine<T> {
        self.0.state()
    }
}

impl<T> DerefMut for Inside<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Engine<T> {
        self.0.parts().0
    }
}

impl<T> Drop for Inside<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        let (engine, buffer) = self.0.parts();
        buffer.settle(engine.bars_senders(), engine.bars_receivers());
    }
}
