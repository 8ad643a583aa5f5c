//! The fifteen pipes: each two rings of samples, one in each direction, and who has them open.
//!
//! The rings are channels, so order, hand-over, waiting and close are the channel engine's. A pipe
//! adds what a channel does not know: the two roles, and that an operation waits until the other
//! role is there. An operation looks at one flag for that and then goes to the channel.
//!
//! ```text
//!   producer end                        consumer end
//!     write ---> [ forward, 10,000 ] ---> read
//!      read <--- [ back,    10,000 ] <--- write
//! ```
//!
//! # Invariants
//!
//! 1. `open_to[role]` is true exactly while the other role has an end open, or the pipe is closed.
//! 2. A closed pipe stays closed until its last end is dropped; the next `open` starts it afresh.
//! 3. Whoever waits for the other role is in `waiting`, its own role as the key, and is woken by
//!    the first end that opens and by `close`.
//!
//! # Who calls this, and what it may call
//!
//! Coroutines and threads. [`PipeEnd::write`] and [`PipeEnd::read`] suspend; nothing is called with
//! the lock held but the channel's constructor.

#![forbid(unsafe_code)]

use std::fmt;
use std::time::{Duration, Instant};

use super::hub::Hub;
use super::primes::PipeId;
use super::sample::Sample;
use super::status::PipeStatus;
use super::waiters::{Waiters, deadline_after, park};
use crate::channel::{self, Receiver, Sender};
use crate::error::{
    PipeOpenError, ReadError, RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError,
    WriteError,
};
use crate::prim::{Arc, AtomicBool, Mutex, Ordering};
use crate::token::{Claim, Wait};

/// How many samples each ring of a pipe holds.
pub const RING_CAPACITY: usize = 10_000;

/// The two sides of a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Writes samples forward, reads what comes back.
    Producer,
    /// Reads what comes forward, writes samples back.
    Consumer,
}

impl Role {
    fn other(self) -> Role {
        match self {
            Role::Producer => Role::Consumer,
            Role::Consumer => Role::Producer,
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// The way into a ring and out of it.
type Ring = (Sender<Sample>, Receiver<Sample>);

/// The rings of an open pipe. Both ends of both are held here, so that only `close` closes them.
struct Rings {
    forward: Ring,
    back: Ring,
    /// For each role whether its operations may go on to the channel.
    open_to: [AtomicBool; 2],
}

impl Rings {
    fn new() -> Rings {
        Rings {
            forward: channel::bounded(RING_CAPACITY),
            back: channel::bounded(RING_CAPACITY),
            open_to: [const { AtomicBool::new(false) }; 2],
        }
    }

    /// Written under the pipe's lock; Release pairs with the Acquire in [`PipeEnd::is_open`], so
    /// that who sees the flag also sees the end that was opened.
    fn set_open(&self, role: Role, open: bool) {
        self.open_to[role.index()].store(open, Ordering::Release);
    }
}

/// One of the fifteen pipes.
pub(super) struct Pipe {
    state: Mutex<State>,
}

struct State {
    /// There from the first `open` on, so that pipes that nobody uses take no memory.
    rings: Option<Arc<Rings>>,
    closed: bool,
    /// How many ends are open, by role.
    ends: [usize; 2],
    /// Who waits for the other role to come.
    waiting: Waiters,
}

impl Pipe {
    pub(super) fn new() -> Pipe {
        let state = State { rings: None, closed: false, ends: [0; 2], waiting: Waiters::default() };
        Pipe { state: Mutex::new(state) }
    }

    /// Adds an end and lets those go on who wait for its role.
    fn open(&self, pipe: PipeId, role: Role) -> Result<Arc<Rings>, PipeOpenError> {
        let (rings, claims) = {
            let mut state = self.state.lock();
            if state.closed {
                if state.ends != [0; 2] {
                    return Err(PipeOpenError::Closed(pipe.index()));
                }
                state.closed = false;
                state.rings = None;
            }
            let rings = state.rings.get_or_insert_with(|| Arc::new(Rings::new()));
            let rings = Arc::clone(rings);
            state.ends[role.index()] += 1;
            rings.set_open(role.other(), true);
            (rings, state.waiting.claim(role.other().index()))
        };
        claims.into_iter().for_each(Claim::wake);
        Ok(rings)
    }

    /// Takes an end away again.
    fn leave(&self, role: Role) {
        let mut state = self.state.lock();
        state.ends[role.index()] -= 1;
        if state.ends[role.index()] == 0
            && !state.closed
            && let Some(rings) = &state.rings
        {
            rings.set_open(role.other(), false);
        }
    }

    /// Closes both rings and lets all who wait find that out; true the first time.
    fn close(&self, rings: &Rings) -> bool {
        if std::mem::replace(&mut self.state.lock().closed, true) {
            return false;
        }
        // The channels close first: who goes on because of the flags must find them closed.
        rings.forward.0.close();
        rings.back.0.close();
        let mut waiting = {
            let mut state = self.state.lock();
            rings.set_open(Role::Producer, true);
            rings.set_open(Role::Consumer, true);
            std::mem::take(&mut state.waiting)
        };
        waiting.wake_all();
        true
    }

    pub(super) fn status(&self, pipe: PipeId, pid: u32) -> PipeStatus {
        let state = self.state.lock();
        let [writers, readers] = state.ends;
        let depth =
            |ring: fn(&Rings) -> &Ring| state.rings.as_ref().map_or(0, |rings| ring(rings).1.len());
        PipeStatus {
            pipe,
            producer: (writers > 0).then_some(pid),
            consumer: (readers > 0).then_some(pid),
            readers,
            writers,
            closed: state.closed,
            depth: depth(|rings| &rings.forward),
            depth_back: depth(|rings| &rings.back),
        }
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Pipe")
            .field("ends", &state.ends)
            .field("closed", &state.closed)
            .finish_non_exhaustive()
    }
}

/// One end of a pipe. Cloning opens another end of the same role; dropping leaves the pipe open for
/// the next one of that role.
///
/// # Examples
///
/// ```
/// use kcoro::monster::{Monster, PipeId, Role, Sample};
///
/// let monster = Monster::new();
/// let producer = monster.open(PipeId::new(0)?, Role::Producer)?;
/// let consumer = monster.open(PipeId::new(0)?, Role::Consumer)?;
/// producer.write(Sample::new(4711, 0), None)?;
/// assert_eq!(consumer.read(None)?.pid, 4711);
/// consumer.write(Sample::new(4712, 0), None)?; // the other direction
/// assert_eq!(producer.read(None)?.pid, 4712);
/// producer.close();
/// assert!(consumer.read(None).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PipeEnd {
    hub: Arc<Hub>,
    rings: Arc<Rings>,
    pipe: PipeId,
    role: Role,
}

impl PipeEnd {
    pub(super) fn open(hub: &Arc<Hub>, pipe: PipeId, role: Role) -> Result<PipeEnd, PipeOpenError> {
        let rings = hub.pipes[pipe.index()].open(pipe, role)?;
        Ok(PipeEnd { hub: Arc::clone(hub), rings, pipe, role })
    }

    /// Which pipe.
    #[must_use]
    pub fn pipe(&self) -> PipeId {
        self.pipe
    }

    /// Which side of it.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Writes a sample towards the other side.
    ///
    /// Waits while the ring is full or the other side has no end open: suspends a coroutine, blocks
    /// a thread. `None` waits without a bound, zero does not wait at all.
    ///
    /// # Errors
    ///
    /// [`WriteError::Timeout`] if neither room nor the other side comes within `timeout`;
    /// [`WriteError::Closed`] if the pipe is closed. Both give the sample back.
    #[inline]
    pub fn write(
        &self,
        sample: Sample,
        timeout: Option<Duration>,
    ) -> Result<(), WriteError<Sample>> {
        if self.is_open() { self.send(sample, timeout) } else { self.write_slow(sample, timeout) }
    }

    /// Reads the next sample from the other side.
    ///
    /// Waits while the ring is empty or the other side has no end open, as [`write`](Self::write)
    /// does. What was written before a close can still be read.
    ///
    /// # Errors
    ///
    /// [`ReadError::Timeout`] if no sample and no other side comes within `timeout`;
    /// [`ReadError::Closed`] if the pipe is closed and nothing is left in it.
    #[inline]
    pub fn read(&self, timeout: Option<Duration>) -> Result<Sample, ReadError> {
        if self.is_open() { self.recv(timeout) } else { self.read_slow(timeout) }
    }

    /// Closes the pipe in both directions; true the first time.
    ///
    /// Every party that waits in it is woken. Writes fail from now on, reads drain what is left.
    pub fn close(&self) -> bool {
        self.hub.pipes[self.pipe.index()].close(&self.rings)
    }

    /// Whether the other side is there (or the pipe closed, which the channel then says).
    fn is_open(&self) -> bool {
        // Acquire: pairs with the Release in `Rings::set_open`.
        self.rings.open_to[self.role.index()].load(Ordering::Acquire)
    }

    fn sender(&self) -> &Sender<Sample> {
        match self.role {
            Role::Producer => &self.rings.forward.0,
            Role::Consumer => &self.rings.back.0,
        }
    }

    fn receiver(&self) -> &Receiver<Sample> {
        match self.role {
            Role::Producer => &self.rings.back.1,
            Role::Consumer => &self.rings.forward.1,
        }
    }

    #[inline]
    fn send(&self, sample: Sample, timeout: Option<Duration>) -> Result<(), WriteError<Sample>> {
        let Some(timeout) = timeout else {
            return self
                .sender()
                .send(sample)
                .map_err(|error| WriteError::Closed(error.into_inner()));
        };
        // The clock is read only if there is no room.
        match self.sender().try_send(sample) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(sample)) => Err(WriteError::Closed(sample)),
            Err(TrySendError::Full(sample)) if timeout.is_zero() => {
                Err(WriteError::Timeout(sample))
            }
            Err(TrySendError::Full(sample)) => match self.sender().send_timeout(sample, timeout) {
                Ok(()) => Ok(()),
                Err(SendTimeoutError::Closed(sample)) => Err(WriteError::Closed(sample)),
                Err(error) => Err(WriteError::Timeout(error.into_inner())),
            },
        }
    }

    #[inline]
    fn recv(&self, timeout: Option<Duration>) -> Result<Sample, ReadError> {
        let Some(timeout) = timeout else {
            return self.receiver().recv().map_err(|_| ReadError::Closed);
        };
        match self.receiver().try_recv() {
            Ok(sample) => Ok(sample),
            Err(TryRecvError::Closed) => Err(ReadError::Closed),
            Err(TryRecvError::Empty) if timeout.is_zero() => Err(ReadError::Timeout),
            Err(TryRecvError::Empty) => {
                self.receiver().recv_timeout(timeout).map_err(|error| match error {
                    RecvTimeoutError::Closed => ReadError::Closed,
                    RecvTimeoutError::Timeout => ReadError::Timeout,
                })
            }
        }
    }

    #[cold]
    fn write_slow(
        &self,
        sample: Sample,
        timeout: Option<Duration>,
    ) -> Result<(), WriteError<Sample>> {
        match self.wait_for_other(timeout) {
            Ok(left) => self.send(sample, left),
            Err(Elapsed) => Err(WriteError::Timeout(sample)),
        }
    }

    #[cold]
    fn read_slow(&self, timeout: Option<Duration>) -> Result<Sample, ReadError> {
        match self.wait_for_other(timeout) {
            Ok(left) => self.recv(left),
            Err(Elapsed) => Err(ReadError::Timeout),
        }
    }

    /// Waits until the other side is there; returns what is left of the timeout.
    fn wait_for_other(&self, timeout: Option<Duration>) -> Result<Option<Duration>, Elapsed> {
        let lock = &self.hub.pipes[self.pipe.index()].state;
        let deadline = deadline_after(timeout);
        loop {
            let wait = {
                let mut state = lock.lock();
                if self.is_open() {
                    let left =
                        |deadline: Instant| deadline.saturating_duration_since(Instant::now());
                    return Ok(deadline.map(left));
                }
                if timeout == Some(Duration::ZERO) {
                    return Err(Elapsed);
                }
                let wait = Wait::begin();
                state.waiting.add(&wait, self.role.index());
                wait
            };
            if !park(lock, |state| &mut state.waiting, wait, deadline) {
                return Err(Elapsed);
            }
        }
    }
}

/// The timeout passed before the other side came.
struct Elapsed;

impl Clone for PipeEnd {
    fn clone(&self) -> PipeEnd {
        self.hub.pipes[self.pipe.index()].state.lock().ends[self.role.index()] += 1;
        PipeEnd {
            hub: Arc::clone(&self.hub),
            rings: Arc::clone(&self.rings),
            pipe: self.pipe,
            role: self.role,
        }
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        self.hub.pipes[self.pipe.index()].leave(self.role);
    }
}

impl fmt::Debug for PipeEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeEnd")
            .field("pipe", &self.pipe)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}
