//! Errors of spawning, and of making a runtime.

use core::fmt;
use std::error::Error;

use super::{StackError, WorkersError};

/// Why a coroutine was not spawned.
#[derive(Debug)]
#[non_exhaustive]
pub enum SpawnError {
    /// The caller is not a coroutine of a runtime.
    NoRuntime,
    /// The runtime is shutting down.
    ShuttingDown,
    /// The stack size is out of range.
    Stack(StackError),
}

impl From<StackError> for SpawnError {
    fn from(error: StackError) -> SpawnError {
        SpawnError::Stack(error)
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpawnError::NoRuntime => f.write_str(
                "no runtime here: spawn from within kcoro::run or a coroutine, or use Runtime::spawn",
            ),
            SpawnError::ShuttingDown => f.write_str("the runtime is shutting down"),
            SpawnError::Stack(error) => error.fmt(f),
        }
    }
}

impl Error for SpawnError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            SpawnError::Stack(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a runtime was not built.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// `KCORO_WORKERS` is not a number of workers.
    Environment(WorkersError),
    /// The builder was given 0 workers, or with the spare ones more than there may be.
    Workers {
        /// What was asked for.
        requested: usize,
        /// The largest number there may be.
        maximum: usize,
    },
    /// The stack size is out of range.
    Stack(StackError),
    /// The system refused a thread.
    Thread(std::io::Error),
}

impl From<WorkersError> for BuildError {
    fn from(error: WorkersError) -> BuildError {
        BuildError::Environment(error)
    }
}

impl From<StackError> for BuildError {
    fn from(error: StackError) -> BuildError {
        BuildError::Stack(error)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::Workers { requested, maximum } => {
                write!(f, "cannot have {requested} workers: ask for 1 to {maximum}")
            }
            BuildError::Environment(error) => error.fmt(f),
            BuildError::Stack(error) => error.fmt(f),
            BuildError::Thread(error) => write!(f, "cannot start a worker thread: {error}"),
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            BuildError::Stack(error) => Some(error),
            BuildError::Thread(error) => Some(error),
            BuildError::Environment(error) => Some(error),
            BuildError::Workers { .. } => None,
        }
    }
}
