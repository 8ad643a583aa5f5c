//! Every error the crate returns, one file a subject.
//!
//! All of them are plain enums that name what happened and give back what the caller put in.

mod coroutine;
mod stack;

#[allow(unused_imports, reason = "the scheduler names it next")]
pub(crate) use coroutine::panic_text;
pub use coroutine::{FinishedError, ResumeError};
pub use stack::StackError;
