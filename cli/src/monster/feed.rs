//! Where samples come from: the live `/proc`, kept in a recording if asked for, or a recording.
//!
//! # Invariants
//!
//! 1. What a recording holds is what the sampler gave, before any stage.
//! 2. A recording that is cut short gives every whole block, and then its error.
//!
//! # Who calls this, and what it may call
//!
//! The producer's coroutine. It blocks in the file system for the length of a sweep.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use kcoro::error::RecordError;
use kcoro::monster::record::{Recorder, Replay};
use kcoro::monster::{Registers, Sample, Sampler, Sweep};

use crate::args::DemoOptions;

/// A source of sweeps.
pub(super) enum Feed {
    Live { sampler: Box<Sampler>, recording: Option<Recording> },
    Replayed { replay: Box<Replay<File>>, path: PathBuf, block: Vec<Sample> },
}

/// A recording that is being written.
pub(super) struct Recording {
    recorder: Recorder<File>,
    path: PathBuf,
}

impl Feed {
    /// Opens what the options name.
    pub(super) fn open(options: &DemoOptions) -> Result<Feed, String> {
        if let Some(path) = &options.replay {
            let unreadable = |error: RecordError| unreadable(path, &error);
            let file = File::open(path).map_err(RecordError::from).map_err(unreadable)?;
            let replay = Box::new(Replay::new(file).map_err(unreadable)?);
            return Ok(Feed::Replayed { replay, path: path.clone(), block: Vec::new() });
        }
        let registers = if options.registers { Registers::Syscall } else { Registers::Stat };
        let sampler = Sampler::builder(&options.proc).registers(registers).build();
        let sampler = sampler.map_err(|error| error.to_string())?;
        let recording = match &options.record {
            Some(path) => {
                let recorder = File::create(path).and_then(Recorder::new);
                let recorder = recorder.map_err(|error| unwritable(path, &error))?;
                Some(Recording { recorder, path: path.clone() })
            }
            None => None,
        };
        Ok(Feed::Live { sampler: Box::new(sampler), recording })
    }

    /// Whether it is a recording, which may wait for room as long as it takes.
    pub(super) fn is_replay(&self) -> bool {
        matches!(self, Feed::Replayed { .. })
    }

    /// Puts the next sweep into `samples`; `None` at the end of a recording.
    pub(super) fn next(&mut self, samples: &mut Vec<Sample>) -> Result<Option<Sweep>, String> {
        match self {
            Feed::Live { sampler, recording } => {
                let sweep = sampler
                    .sweep(samples)
                    .map_err(|error| format!("cannot list the processes: {error}"))?;
                if let Some(Recording { recorder, path }) = recording {
                    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                    recorder
                        .sweep(now.as_nanos() as u64, &sweep, samples)
                        .map_err(|error| unwritable(path, &error))?;
                }
                Ok(Some(sweep))
            }
            Feed::Replayed { replay, path, block } => {
                samples.clear();
                loop {
                    match replay.next_block(block) {
                        Ok(Some(header)) => {
                            samples.append(block);
                            if header.last_of_sweep {
                                let mut sweep = header.sweep;
                                sweep.sampled = samples.len();
                                return Ok(Some(sweep));
                            }
                        }
                        Ok(None) => return Ok(None),
                        Err(error) => return Err(unreadable(path, &error)),
                    }
                }
            }
        }
    }

    /// Ends a recording.
    pub(super) fn finish(self) -> Result<(), String> {
        match self {
            Feed::Live { recording: Some(Recording { recorder, path }), .. } => {
                recorder.finish().map(drop).map_err(|error| unwritable(&path, &error))
            }
            _ => Ok(()),
        }
    }
}

fn unreadable(path: &Path, error: &RecordError) -> String {
    format!("cannot replay {}: {error}", path.display())
}

fn unwritable(path: &Path, error: &std::io::Error) -> String {
    format!("cannot record to {}: {error}", path.display())
}
