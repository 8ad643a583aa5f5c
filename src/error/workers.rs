//! What can be wrong with `KCORO_WORKERS`.

use std::ffi::{OsStr, OsString};
use std::fmt;

/// `KCORO_WORKERS` is set to something that is not a number of workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkersError(OsString);

impl WorkersError {
    pub(crate) fn new(value: OsString) -> WorkersError {
        WorkersError(value)
    }

    /// What the variable holds.
    #[must_use]
    pub fn value(&self) -> &OsStr {
        &self.0
    }
}

impl fmt::Display for WorkersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0.to_string_lossy();
        write!(f, "KCORO_WORKERS is `{}`: expected a whole number", value.escape_debug())?;
        f.write_str(" from 1 to 1024, such as KCORO_WORKERS=4, or leave it unset")
    }
}

impl std::error::Error for WorkersError {}
