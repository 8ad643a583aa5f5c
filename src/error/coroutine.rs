//! Errors of coroutines that are driven by hand.

use core::fmt;
use std::any::Any;
use std::error::Error;

/// Why a [`Task`](crate::coroutine::Task) was not resumed, or what came out of it.
#[non_exhaustive]
pub enum ResumeError {
    /// It has finished; there is nothing left to run.
    Finished,
    /// It is running: it tries to resume itself, or a coroutine that it resumed does.
    Running,
    /// It panicked in this resume; the payload is handed on. The task is finished.
    Panicked(Box<dyn Any + Send>),
    /// This thread is panicking, and a coroutine that ran now would take itself to be unwinding.
    Panicking,
}

impl fmt::Debug for ResumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResumeError::Finished => f.write_str("Finished"),
            ResumeError::Running => f.write_str("Running"),
            ResumeError::Panicked(payload) => {
                f.debug_tuple("Panicked").field(&panic_text(payload.as_ref())).finish()
            }
            ResumeError::Panicking => f.write_str("Panicking"),
        }
    }
}

impl fmt::Display for ResumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResumeError::Finished => f.write_str("cannot resume a coroutine that has finished"),
            ResumeError::Running => f.write_str("cannot resume a coroutine that is running"),
            ResumeError::Panicked(payload) => {
                write!(f, "the coroutine panicked: {}", panic_text(payload.as_ref()))
            }
            ResumeError::Panicking => {
                f.write_str("cannot resume a coroutine while the thread is panicking")
            }
        }
    }
}

impl Error for ResumeError {}

/// The message of a panic, where it is text.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "a value that is not text"
    }
}

/// A generator that had finished and could not be resumed; the input comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FinishedError<Input>(pub Input);

impl<Input> fmt::Debug for FinishedError<Input> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FinishedError(..)")
    }
}

impl<Input> fmt::Display for FinishedError<Input> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot resume a generator that has finished")
    }
}

impl<Input> Error for FinishedError<Input> {}
