//! Recordings: what goes in comes out, and what is damaged says so.

use std::num::NonZeroU64;

use kcoro::error::RecordError;
use kcoro::monster::record::{BLOCK_SAMPLES, Block, Recorder, Replay};
use kcoro::monster::{Command, PipeId, ProcessState, Sample, Sweep};
use proptest::prelude::*;

const HEADER: usize = 16;

fn samples(count: u32) -> Vec<Sample> {
    let sample = |pid: u32| {
        let mut sample = Sample::new(pid, 5 + u64::from(pid));
        sample.command = Command::new(format!("p({pid}) \n\u{e9}").as_bytes());
        sample.state = ProcessState::Sleeping;
        sample.cpu_time_ns = 10_000_000 * u64::from(pid);
        sample.memory_bytes = 4096 * u64::from(pid);
        sample.stack_pointer = NonZeroU64::new(u64::from(pid % 3));
        if pid % 2 == 1 {
            sample.apply_hecke(PipeId::new(pid as usize % 15).expect("below 15"));
        }
        sample
    };
    (1..=count).map(sample).collect()
}

fn recording(sweeps: &[Vec<Sample>]) -> Vec<u8> {
    let mut recorder = Recorder::new(Vec::new()).expect("a Vec takes all");
    for (time, samples) in sweeps.iter().enumerate() {
        recorder.sweep(time as u64, &Sweep::default(), samples).expect("a Vec takes all");
    }
    recorder.finish().expect("a Vec takes all")
}

fn read(file: &[u8]) -> Result<Vec<(Block, Vec<Sample>)>, RecordError> {
    let mut replay = Replay::new(file)?;
    let (mut blocks, mut samples) = (Vec::new(), Vec::new());
    while let Some(block) = replay.next_block(&mut samples)? {
        blocks.push((block, samples.clone()));
    }
    assert!(replay.next_block(&mut samples)?.is_none(), "the end stays the end");
    Ok(blocks)
}

#[test]
fn what_goes_in_comes_out() {
    let sweeps = [samples(3), Vec::new(), samples(2 * BLOCK_SAMPLES as u32 + 1)];
    let blocks = read(&recording(&sweeps)).expect("a good recording");
    let shape: Vec<_> =
        blocks.iter().map(|(block, s)| (block.time_ns, block.last_of_sweep, s.len())).collect();
    let full = BLOCK_SAMPLES;
    assert_eq!(
        shape,
        [(0, true, 3), (1, true, 0), (2, false, full), (2, false, full), (2, true, 1)]
    );
    let all: Vec<Sample> = blocks.into_iter().flat_map(|(_, samples)| samples).collect();
    assert_eq!(all, sweeps.concat());
}

#[test]
fn other_files_are_refused() {
    let is_refused = |file: &[u8]| matches!(Replay::new(file), Err(RecordError::NotARecording));
    assert!(is_refused(b""));
    assert!(is_refused(b"KCMON"));
    assert!(is_refused(b"{\"type\":\"sample\"}\n{\"type\":\"sample\"}\n"));
}

#[test]
fn another_version_is_named() {
    let mut file = recording(&[]);
    file[8] = 9;
    let error = Replay::new(&file[..]).expect_err("version 9 is not known").to_string();
    assert_eq!(error, "the recording has format version 9, this program reads version 1");
}

#[test]
fn every_truncation_is_reported_where_it_is() {
    let file = recording(&[samples(2), samples(1)]);
    for length in 8..file.len() {
        match read(&file[..length]) {
            Err(RecordError::Truncated { offset }) => assert_eq!(offset, length as u64),
            other => panic!("cut to {length} bytes: {other:?}"),
        }
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let file = recording(&[samples(2)]);
    for at in HEADER..file.len() {
        for bit in 0..8 {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << bit;
            assert!(read(&damaged).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn a_failing_stream_is_an_error_of_its_own() {
    #[derive(Debug)]
    struct Failing;
    impl std::io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("no disk"))
        }
    }
    let error = Replay::new(Failing).expect_err("cannot be read").to_string();
    assert_eq!(error, "cannot read the recording: no disk");
}

proptest! {
    #[test]
    fn no_input_makes_it_panic(mut noise: Vec<u8>) {
        let _ = read(&noise);
        let mut file = recording(&[]);
        file.truncate(HEADER);
        file.append(&mut noise);
        prop_assert!(read(&file).is_err());
    }
}
