//! The permit behind `park` and `unpark`, and the handle that uses it. `permit.rs` has its table.
//!
//! The coroutine's address is followed only by the caller that moved PARKED to EMPTY: until it has
//! called `make_ready` the coroutine cannot end, so the address is good.

use core::fmt;
use std::sync::Arc;

use super::control::ControlRef;
use super::core::core;
use super::permit::PermitWord;
use crate::prim::{AtomicUsize, Ordering};

/// One coroutine's remembered wake-up.
#[derive(Debug)]
pub(super) struct Permit {
    word: PermitWord,
    coroutine: AtomicUsize,
}

impl Permit {
    /// The permit of the running coroutine, made on first use.
    pub(super) fn of(me: ControlRef) -> Arc<Permit> {
        me.permit(|| Arc::new(Permit { word: PermitWord::new(), coroutine: AtomicUsize::new(0) }))
    }

    /// Takes a remembered wake-up, or announces that the coroutine parks; true: switch away.
    pub(super) fn begin_park(&self) -> bool {
        self.word.begin_park()
    }

    /// Takes the announcement back; false: an `unpark` was faster and is about to wake.
    pub(super) fn retract(&self) -> bool {
        self.word.retract()
    }

    pub(super) fn bind(&self, me: ControlRef) {
        self.coroutine.store(me.address(), Ordering::Relaxed);
    }

    pub(super) fn unpark(&self) {
        if self.word.unpark() {
            ControlRef::from_address(self.coroutine.load(Ordering::Relaxed)).make_ready();
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
