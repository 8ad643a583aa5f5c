//! The lines of the contract, letter by letter.

use kcoro::monster::status::{Coordinated, PipeStatus, StatusLine, Summary, WaitStatus};
use kcoro::monster::{Command, PipeId, ProcessState, Sample, ShardId};

fn pipe(id: usize) -> PipeId {
    PipeId::new(id).expect("below 15")
}

fn shard(id: usize) -> ShardId {
    ShardId::new(id).expect("below 15")
}

fn ndjson(line: &dyn StatusLine) -> String {
    let mut text = String::new();
    line.ndjson(&mut text).expect("a String takes all");
    text
}

#[test]
fn pipe_lines() {
    let mut status = PipeStatus {
        pipe: pipe(0),
        producer: Some(1234),
        consumer: Some(5678),
        readers: 1,
        writers: 1,
        closed: false,
        depth: 7,
        depth_back: 2,
    };
    assert_eq!(
        status.to_string(),
        "Pipe 0: producer=1234, consumer=5678, readers=1, writers=1, closed=0"
    );
    status.consumer = None;
    status.closed = true;
    assert_eq!(
        status.to_string(),
        "Pipe 0: producer=1234, consumer=0, readers=1, writers=1, closed=1"
    );
    assert_eq!(
        ndjson(&status),
        r#"{"type":"pipe","schema":1,"pipe":0,"producer":1234,"consumer":null,"readers":1,"writers":1,"closed":true,"depth":7,"depth_back":2}"#
    );
}

#[test]
fn wait_and_coordination_lines() {
    let wait = WaitStatus { wait: 0, pid: 1234, shard: shard(5), sequence: 42, ready: false };
    assert_eq!(wait.to_string(), "Wait 0: pid=1234, shard=5, sequence=42, ready=0");
    assert_eq!(
        ndjson(&wait),
        r#"{"type":"wait","schema":1,"wait":0,"pid":1234,"shard":5,"sequence":42,"ready":false}"#
    );
    let done = Coordinated { apps: 3, shard: shard(5) };
    assert_eq!(done.to_string(), "Coordinated 3 apps on shard 5");
    assert_eq!(ndjson(&done), r#"{"type":"coordinated","schema":1,"apps":3,"shard":5}"#);
}

#[test]
fn summary_lines() {
    let lines = [
        Summary::Producer { wrote: 1000, ring: pipe(0) },
        Summary::Filter { read: 1000, wrote: 800, ring: pipe(1) },
        Summary::Consumer { read: 800, processed: 800 },
        Summary::Coordinator(Coordinated { apps: 3, shard: shard(0) }),
    ];
    let text: Vec<String> = lines.iter().map(ToString::to_string).collect();
    assert_eq!(
        text,
        [
            "Producer: Wrote 1000 samples to ring 0",
            "Filter: Read 1000 samples, wrote 800 to ring 1",
            "Consumer: Read 800 samples, processed 800",
            "Coordinator: Coordinated 3 apps on shard 0",
        ]
    );
    assert_eq!(
        ndjson(&lines[1]),
        r#"{"type":"summary","schema":1,"role":"filter","read":1000,"wrote":800,"ring":1}"#
    );
}

#[test]
fn a_hostile_command_stays_on_its_line() {
    let mut sample = Sample::new(42, 7);
    sample.command = Command::new(b"a\"\\\n\x1b[31m\xff\x7f");
    sample.state = ProcessState::Zombie;
    sample.cpu_time_ns = 1_230_000_000;
    sample.memory_bytes = 8192;
    assert_eq!(sample.to_string(), r#"42 a\"\\\n\u{1b}[31m\xff\u{7f} Z cpu=1.23s mem=8K shard=0"#);
    assert_eq!(
        ndjson(&sample),
        "{\"type\":\"sample\",\"schema\":1,\"pid\":42,\"timestamp_ns\":7,\
         \"command\":\"a\\\"\\\\\\u000a\\u001b[31m\u{fffd}\\u007f\",\"state\":\"Z\",\
         \"cpu_time_ns\":1230000000,\"memory_bytes\":8192,\"instruction_pointer\":null,\
         \"stack_pointer\":null,\"shard\":0,\"hecke\":null}"
    );
}
