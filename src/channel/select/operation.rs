//! What a select asks of its arms.
//!
//! # Invariants
//!
//! 1. Between an `enlist` that returned true and the `leave` after it, an arm stays where it is.
//! 2. An arm that left, or was never chosen, has done nothing.

#![forbid(unsafe_code)]

use crate::token::SlotRef;
use std::time::Instant;

/// Where an arm waits: the select's word, and the number by which it learns of this arm.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub(in crate::channel) slot: SlotRef,
    pub(in crate::channel) generation: u32,
    pub(in crate::channel) arm: u16,
    /// Only look, do nothing: for `ready`.
    pub(in crate::channel) watch: bool,
}

/// Keeps [`Operation`] to the library: whoever is given a [`Place`] could enlist another arm there and
/// drop it while it is enlisted.
mod sealed {
    pub trait Sealed {}
}
pub(in crate::channel) use sealed::Sealed;

/// What a select needs of an arm. Its methods are the library's own business, and so are the types
/// that have them.
///
/// ```compile_fail,E0277
/// use kcoro::channel::Operation;
/// struct Mine;
/// impl Operation for Mine {
///     fn try_now(&mut self) -> bool { false }
///     fn leave(&mut self) {}
/// }
/// ```
pub trait Operation: Sealed {
    /// Does it if it need not wait.
    fn try_now(&mut self) -> bool;
    /// Makes ready for `enlist` what is code of the user's, which must not run once the select's wait
    /// has begun; true: it is done, as by `try_now`.
    fn prepare(&mut self) -> bool {
        false
    }
    /// Enlists it; false: it need not wait, and is not enlisted.
    fn enlist(&mut self, place: Place) -> bool;
    /// Takes it off the list, if it is on one.
    fn leave(&mut self);
    /// It was chosen; false: by mistake, and the select goes on.
    fn chosen(&mut self) -> bool {
        true
    }
    /// When it is done by time alone.
    fn deadline(&self) -> Option<Instant> {
        None
    }
}

/// An arm of a [`Select`](super::Select), with what came of it.
pub trait Arm: Operation {
    /// What it gives when it was chosen.
    type Output;

    /// What came of the arm that was chosen.
    ///
    /// # Panics
    ///
    /// If it was not chosen.
    fn take(&mut self) -> Self::Output;
}
