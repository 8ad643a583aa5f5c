//! Calling several pieces of the program's code of which each must run, whatever the others do.
//!
//! A close wakes many parties; the drop of a receiver hands many values to a hook. If one waker or
//! hook panics, the others must run all the same: a party that was taken off its list and not woken
//! would sleep for ever. So panics wait here until everything has run.
//!
//! # Who calls this, and what it may call
//!
//! Anybody, with no lock held: what is called is code of the user's.

#![forbid(unsafe_code)]

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// The first of the panics that were caught.
#[must_use = "a panic that was caught must go on"]
#[derive(Default)]
pub(crate) struct Panics(Option<Box<dyn Any + Send>>);

impl Panics {
    pub(crate) fn new() -> Panics {
        Panics::default()
    }

    /// Runs `code`; if it panics, that waits for [`resume`](Panics::resume).
    pub(crate) fn catch(&mut self, code: impl FnOnce()) {
        if let (Err(payload), None) = (catch_unwind(AssertUnwindSafe(code)), &self.0) {
            self.0 = Some(payload);
        }
    }

    /// Runs `code`; if it panics, `amends` as well before that goes on. Within an unwinding a panic of
    /// `code` goes no further, and nothing is amended.
    pub(crate) fn amend(code: impl FnOnce(), amends: impl FnOnce()) {
        let mut panics = Panics::new();
        panics.catch(code);
        if panics.0.is_some() && !std::thread::panicking() {
            panics.catch(amends);
        }
        panics.resume();
    }

    /// Goes on with the first panic, unless the thread is panicking already.
    ///
    /// # Panics
    ///
    /// With what was caught.
    pub(crate) fn resume(self) {
        match self.0 {
            Some(payload) if !std::thread::panicking() => resume_unwind(payload),
            _ => {}
        }
    }
}

impl fmt::Debug for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panics").field("caught", &self.0.is_some()).finish()
    }
}
