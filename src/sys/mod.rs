//! The system below: the only directory that names libc or a sanitizer's run-time.

pub(crate) mod clock;
pub(crate) mod fiber;
