//! Every error the crate returns, one file a subject.
//!
//! All of them are plain enums that name what happened and give back what the caller put in.

mod stack;

pub use stack::StackError;
