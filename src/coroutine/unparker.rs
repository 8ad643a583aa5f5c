//! The permit behind `park` and `unpark`: one remembered wake-up.
//!
//! | from     | call       | to       | who             | the caller must now           |
//! |----------|------------|----------|-----------------|-------------------------------|
//! | EMPTY    | begin_park | PARKED   | the coroutine   | switch away                   |
//! | NOTIFIED | begin_park | EMPTY    | the coroutine   | go on                         |
//! | EMPTY    | unpark     | NOTIFIED | anybody         | nothing                       |
//! | PARKED   | unpark     | EMPTY    | anybody         | wake the coroutine, once      |
//! | NOTIFIED | unpark     | NOTIFIED | anybody         | nothing                       |
//! | PARKED   | retract    | EMPTY    | the coroutine   | go on, or unwind              |
//!
//! The coroutine's address is followed only by the caller that moved PARKED to EMPTY: until it has
//! called `make_ready` the coroutine cannot end, so the address is good.
//!
//! Pairs: every change is AcqRel, so that what came before an `unpark` is visible after the `park`
//! that it ends.

use core::fmt;
use std::sync::Arc;

use super::control::ControlRef;
use super::core::core;
use crate::prim::{AtomicU8, AtomicUsize, Ordering};

const EMPTY: u8 = 0;
const NOTIFIED: u8 = 1;
const PARKED: u8 = 2;

/// One coroutine's remembered wake-up.
#[derive(Debug)]
pub(super) struct Permit {
    state: AtomicU8,
    coroutine: AtomicUsize,
}

impl Permit {
    /// The permit of the running coroutine, made on first use.
    pub(super) fn of(me: ControlRef) -> Arc<Permit> {
        me.permit(|| {
            Arc::new(Permit { state: AtomicU8::new(EMPTY), coroutine: AtomicUsize::new(0) })
        })
    }

    /// Takes a remembered wake-up, or announces that the coroutine parks; true: switch away.
    pub(super) fn begin_park(&self) -> bool {
        if self.state.compare_exchange(NOTIFIED, EMPTY, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        {
            return false;
        }
        match self.state.compare_exchange(EMPTY, PARKED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(_) => {
                self.state.store(EMPTY, Ordering::Relaxed);
                false
            }
        }
    }

    /// Takes the announcement back; false: an `unpark` was faster and is about to wake.
    pub(super) fn retract(&self) -> bool {
        self.state.compare_exchange(PARKED, EMPTY, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(super) fn bind(&self, me: ControlRef) {
        self.coroutine.store(me.address(), Ordering::Relaxed);
    }

    pub(super) fn unpark(&self) {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let new = if state == PARKED { EMPTY } else { NOTIFIED };
            match self.state.compare_exchange_weak(state, new, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(PARKED) => {
                    let address = self.coroutine.load(Ordering::Relaxed);
                    return ControlRef::from_address(address).make_ready();
                }
                Ok(_) => return,
                Err(now) => state = now,
            }
        }
    }
}

/// Wakes one parked coroutine or thread, from anywhere, any number of times.
///
/// Made by [`unparker`]. It stays valid after its coroutine has ended; then it does nothing.
///
/// # Examples
///
/// ```
/// use kcoro::coroutine::{self, Task};
///
/// let task = Task::new(|| {
///     let unparker = coroutine::unparker();
///     std::thread::spawn(move || unparker.unpark()).join().unwrap();
///     coroutine::park(); // returns at once: the wake-up was remembered
/// });
/// task.resume().unwrap();
/// assert!(task.is_finished());
/// ```
#[derive(Clone)]
pub struct Unparker(Target);

#[derive(Clone)]
enum Target {
    Coroutine(Arc<Permit>),
    Thread(std::thread::Thread),
}

impl Unparker {
    pub(super) fn of(me: ControlRef) -> Unparker {
        Unparker(Target::Coroutine(Permit::of(me)))
    }

    /// Ends the current or the next `park` of the one it belongs to.
    pub fn unpark(&self) {
        match &self.0 {
            Target::Coroutine(permit) => permit.unpark(),
            Target::Thread(thread) => thread.unpark(),
        }
    }
}

impl fmt::Debug for Unparker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Target::Coroutine(permit) => f.debug_tuple("Unparker").field(permit).finish(),
            Target::Thread(thread) => f.debug_tuple("Unparker").field(thread).finish(),
        }
    }
}

/// The [`Unparker`] of the running coroutine, or of the calling thread outside of one.
#[must_use]
pub fn unparker() -> Unparker {
    match core().and_then(super::core::Core::current) {
        Some(me) => Unparker::of(me),
        None => Unparker(Target::Thread(std::thread::current())),
    }
}
