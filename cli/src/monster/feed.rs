//! Where samples come from: the live `/proc`, kept in a recording if asked for, or a recording.
//!
//! # Invariants
//!
//! 1. What a recording holds is what the sampler gave, before any stage.
//! 2. A recording that is cut short gives every whole block, and then its error.
//!
//! # Who calls this, and what it may call
//!
//! The producer's coroutine. `/proc` is read on its worker: that is work of the CPU, which the kernel
//! does in the reader's name. A file is written and read by `kcoro::blocking`, off the workers.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use kcoro::error::RecordError;
use kcoro::monster::record::{Recorder, Replay};
use kcoro::monster::{Registers, Sample, Sampler, Sweep};

use crate::args::DemoOptions;

/// A source of sweeps. What goes through a file is `None` only while a blocking call has it.
pub(super) enum Feed {
    Live { sampler: Box<Sampler>, recording: Option<Recording> },
    Replayed { replay: Option<Box<Replay<File>>>, path: PathBuf },
}

/// A recording that is being written.
pub(super) struct Recording {
    recorder: Option<Recorder<File>>,
    path: PathBuf,
}

impl Recording {
    fn sweep(&mut self, sweep: &Sweep, samples: &mut Vec<Sample>) -> Result<(), String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (sweep, all) = (*sweep, std::mem::take(samples));
        let Some(mut recorder) = self.recorder.take() else { return Ok(()) };
        let result = kcoro::blocking(move || {
            let result = recorder.sweep(now.as_nanos() as u64, &sweep, &all);
            result.map(|()| (recorder, all))
        });
        let (recorder, all) = result.map_err(|error| unwritable(&self.path, &error))?;
        (self.recorder, *samples) = (Some(recorder), all);
        Ok(())
    }
}

impl Feed {
    /// Opens what the options name.
    pub(super) fn open(options: &DemoOptions) -> Result<Feed, String> {
        if let Some(path) = &options.replay {
            let unreadable = |error: RecordError| unreadable(path, &error);
            let file = File::open(path).map_err(RecordError::from).map_err(unreadable)?;
            let replay = Some(Box::new(Replay::new(file).map_err(unreadable)?));
            return Ok(Feed::Replayed { replay, path: path.clone() });
        }
        let registers = if options.registers { Registers::Syscall } else { Registers::Stat };
        let sampler = Sampler::builder(&options.proc).registers(registers).build();
        let sampler = sampler.map_err(|error| error.to_string())?;
        let recording = match &options.record {
            Some(path) => {
                let recorder = File::create(path).and_then(Recorder::new);
                let recorder = recorder.map_err(|error| unwritable(path, &error))?;
                Some(Recording { recorder: Some(recorder), path: path.clone() })
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
                if let Some(recording) = recording {
                    recording.sweep(&sweep, samples)?;
                }
                Ok(Some(sweep))
            }
            Feed::Replayed { replay, path } => {
                let Some(mut reader) = replay.take() else { return Ok(None) };
                let mut all = std::mem::take(samples);
                let (sweep, reader, all) = kcoro::blocking(move || {
                    let sweep = next_sweep(&mut reader, &mut all);
                    (sweep, reader, all)
                });
                (*replay, *samples) = (Some(reader), all);
                sweep.map_err(|error| unreadable(path, &error))
            }
        }
    }

    /// Ends a recording.
    pub(super) fn finish(self) -> Result<(), String> {
        match self {
            Feed::Live {
                recording: Some(Recording { recorder: Some(recorder), path }), ..
            } => kcoro::blocking(|| recorder.finish().map(drop))
                .map_err(|error| unwritable(&path, &error)),
            _ => Ok(()),
        }
    }
}

/// Reads all blocks of one sweep; `None` at the end.
fn next_sweep(
    replay: &mut Replay<File>,
    samples: &mut Vec<Sample>,
) -> Result<Option<Sweep>, RecordError> {
    let mut block = Vec::new();
    samples.clear();
    while let Some(header) = replay.next_block(&mut block)? {
        samples.append(&mut block);
        if header.last_of_sweep {
            let mut sweep = header.sweep;
            sweep.sampled = samples.len();
            return Ok(Some(sweep));
        }
    }
    Ok(None)
}

fn unreadable(path: &Path, error: &RecordError) -> String {
    format!("cannot replay {}: {error}", path.display())
}

fn unwritable(path: &Path, error: &std::io::Error) -> String {
    format!("cannot record to {}: {error}", path.display())
}
