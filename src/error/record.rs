//! What can be wrong with a recording of samples.

use std::fmt;
use std::io;

/// A recording that cannot be read, or not to its end.
///
/// Offsets are in bytes from the beginning of the recording.
#[derive(Debug)]
#[non_exhaustive]
pub enum RecordError {
    /// The file does not begin as a recording does.
    NotARecording,
    /// The recording was made by another version of the format.
    Version {
        /// The version in the file.
        found: u16,
        /// The version this library reads.
        supported: u16,
    },
    /// The recording ends in the middle: the program that wrote it did not finish.
    Truncated {
        /// Where the recording ends.
        offset: u64,
    },
    /// The bytes of a block are not those that were written.
    Checksum {
        /// Where the block begins.
        offset: u64,
    },
    /// A field holds what no recorder writes.
    Invalid {
        /// Where the block begins.
        offset: u64,
        /// Which field.
        field: &'static str,
    },
    /// Reading failed.
    Io(io::Error),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::NotARecording => f.write_str("this is not a recording of samples"),
            RecordError::Version { found, supported } => write!(
                f,
                "the recording has format version {found}, this program reads version {supported}"
            ),
            RecordError::Truncated { offset } => {
                write!(f, "the recording is cut short after {offset} bytes")
            }
            RecordError::Checksum { offset } => {
                write!(f, "the recording is damaged: wrong checksum in the block at byte {offset}")
            }
            RecordError::Invalid { offset, field } => {
                write!(f, "the recording is damaged: bad {field} in the block at byte {offset}")
            }
            RecordError::Io(error) => write!(f, "cannot read the recording: {error}"),
        }
    }
}

impl std::error::Error for RecordError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RecordError::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for RecordError {
    fn from(error: io::Error) -> RecordError {
        RecordError::Io(error)
    }
}
