//! Pipes and wait states against the figures of their contract, and pipelines of three stages
//! against `std::sync::mpsc` and crossbeam-channel.
//!
//! `cargo bench -p kcoro-lab --bench versus_pipeline` prints the tables; each figure is the best of
//! several rounds. On a machine that does other work as well, wall time says little: the column of
//! CPU time, all threads together, is the one to compare then. The rivals run a thread per stage, as
//! their users would; a message is a [`Sample`] of 64 bytes everywhere.

#![allow(missing_docs, reason = "a program")]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kcoro::Runtime;
use kcoro::monster::{
    Monster, PipeEnd, PipeId, RING_CAPACITY, Role, Sample, ShardId, WAIT_STATE_COUNT,
};

/// What one round took.
#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    cpu: Duration,
}

impl Cost {
    fn of(work: impl FnOnce()) -> Cost {
        let (cpu, begin) = (cpu_time(), Instant::now());
        work();
        Cost { wall: begin.elapsed(), cpu: cpu_time() - cpu }
    }

    fn per(self, operations: usize) -> (f64, f64) {
        let each = |time: Duration| time.as_nanos() as f64 / operations as f64;
        (each(self.wall), each(self.cpu))
    }
}

/// The CPU time of the process, all threads together.
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writes, and every process has this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The round with the least of what `key` looks at.
fn best(rounds: usize, key: fn(&Cost) -> Duration, mut round: impl FnMut() -> Cost) -> Cost {
    (0..rounds).map(|_| round()).min_by_key(key).expect("at least one round")
}

/// Sizes: whole with `--bench`, small if the program is only tested.
struct Sizes {
    rounds: usize,
    operations: usize,
    samples: usize,
}

fn open(monster: &Monster, pipe: usize, role: Role) -> PipeEnd {
    let pipe = PipeId::new(pipe).expect("below 15");
    monster.open(pipe, role).expect("a fresh one")
}

fn row(name: &str, ns: f64, target: f64, contract: f64) {
    let verdict = if ns <= target { "met" } else { "MISSED" };
    println!("{name:<44} {ns:>10.1} {target:>10.0} {verdict:>7} {contract:>12.0}");
}

fn contract(sizes: &Sizes) {
    println!(
        "ns per operation                                 measured     target           contract"
    );
    let monster = Monster::new();
    let (producer, consumer) =
        (open(&monster, 0, Role::Producer), open(&monster, 0, Role::Consumer));
    let sample = Sample::new(4711, 0);
    let rings = sizes.operations.div_ceil(RING_CAPACITY);
    let mut reads = Vec::new();
    let write = best(
        sizes.rounds,
        |cost| cost.cpu,
        || {
            let mut total = Cost { wall: Duration::ZERO, cpu: Duration::ZERO };
            let mut read = total;
            for _ in 0..rings {
                let write = Cost::of(|| {
                    (0..RING_CAPACITY).for_each(|_| {
                        producer.write(black_box(sample), None).expect("there is room");
                    });
                });
                let all = Cost::of(|| {
                    (0..RING_CAPACITY).for_each(|_| {
                        black_box(consumer.read(None).expect("it was written"));
                    });
                });
                total = Cost { wall: total.wall + write.wall, cpu: total.cpu + write.cpu };
                read = Cost { wall: read.wall + all.wall, cpu: read.cpu + all.cpu };
            }
            reads.push(read);
            total
        },
    );
    let read = reads.into_iter().min_by_key(|cost| cost.cpu).expect("at least one round");
    row("write, unblocked (CPU time)", write.per(rings * RING_CAPACITY).1, 50.0, 1_000.0);
    row("read, unblocked (CPU time)", read.per(rings * RING_CAPACITY).1, 50.0, 1_000.0);

    let one = Runtime::builder().workers(1).build().expect("one worker");
    let blocked = best(sizes.rounds, |cost| cost.wall, || hand_overs(&one, sizes.operations / 10));
    row(
        "blocked hand-over, one worker",
        blocked.per(sizes.operations / 10).0,
        1_000.0,
        10_000_000.0,
    );

    let shard = ShardId::new(5).expect("below 15");
    let create = best(
        sizes.rounds,
        |cost| cost.cpu,
        || {
            Cost::of(|| {
                (0..sizes.operations).for_each(|_| drop(black_box(monster.wait_state(shard))));
            })
        },
    );
    row(
        "create a wait state and drop it (CPU time)",
        create.per(sizes.operations).1,
        200.0,
        10_000.0,
    );

    let state = monster.wait_state(shard).expect("there is room");
    let signal = best(
        sizes.rounds,
        |cost| cost.cpu,
        || {
            Cost::of(|| {
                (0..sizes.operations).for_each(|_| {
                    state.signal_ready();
                    state.wait_for_coord(None).expect("it was signalled");
                });
            })
        },
    );
    row(
        "signal a wait state and take it (CPU time)",
        signal.per(sizes.operations).1,
        1_000.0,
        1_000.0,
    );
    drop(state);

    let mut times: Vec<_> = (0..sizes.rounds).map(|_| coordination(&one)).collect();
    times.sort_unstable();
    let median = times[times.len() / 2].as_nanos() as f64;
    row("coordinate a shard of 256 waiters", median, 50_000.0, 100_000.0);
}

/// Two coroutines on one worker, each waiting for what the other writes: two hand-overs a round.
fn hand_overs(rt: &Runtime, hand_overs: usize) -> Cost {
    let monster = Monster::new();
    let (ping, pong) = (open(&monster, 0, Role::Producer), open(&monster, 0, Role::Consumer));
    rt.run(move || {
        let answers = kcoro::spawn(move || {
            while let Ok(sample) = pong.read(None) {
                pong.write(sample, None).expect("it is open");
            }
        });
        let cost = Cost::of(|| {
            for _ in 0..hand_overs / 2 {
                ping.write(Sample::new(1, 0), None).expect("it is open");
                ping.read(None).expect("it is answered");
            }
        });
        ping.close();
        answers.join().expect("no panic");
        cost
    })
}

/// How long it takes to coordinate 256 coroutines that wait.
fn coordination(rt: &Runtime) -> Duration {
    let monster = Monster::new();
    rt.run(move || {
        let shard = ShardId::new(5).expect("below 15");
        let waiting = Arc::new(AtomicUsize::new(0));
        let waiters: Vec<_> = (0..WAIT_STATE_COUNT)
            .map(|_| {
                let state = monster.wait_state(shard).expect("256 of them");
                let waiting = Arc::clone(&waiting);
                kcoro::spawn(move || {
                    waiting.fetch_add(1, Ordering::Relaxed);
                    state.wait_for_coord(None).expect("it is coordinated");
                })
            })
            .collect();
        // On one worker a coroutine that has counted itself and let this one run waits.
        while waiting.load(Ordering::Relaxed) < WAIT_STATE_COUNT {
            kcoro::yield_now();
        }
        let begin = Instant::now();
        let coordinated = monster.coordinate_shard(shard);
        let took = begin.elapsed();
        assert_eq!(coordinated.apps, WAIT_STATE_COUNT);
        waiters.into_iter().for_each(|waiter| waiter.join().expect("no panic"));
        took
    })
}

/// The three stages, over whatever carries samples: produce, pass on, count.
macro_rules! three_stages {
    ($samples:expr, $spawn:expr, $first:expr, $second:expr, $send:ident, $recv:ident) => {{
        let ((into, middle), (onward, out)) = ($first, $second);
        let samples: usize = $samples;
        let producer = $spawn(move || {
            for pid in 0..samples {
                $send(&into, Sample::new(pid as u32, 0));
            }
            drop(into);
            0usize
        });
        let filter = $spawn(move || {
            let mut passed = 0;
            while let Some(mut sample) = $recv(&middle) {
                sample.memory_bytes += 1;
                $send(&onward, sample);
                passed += 1;
                if passed == samples {
                    break;
                }
            }
            drop(onward);
            passed
        });
        let consumer = $spawn(move || {
            let mut received = 0;
            while received < samples && $recv(&out).is_some() {
                received += 1;
            }
            received
        });
        producer.join().expect("no panic");
        assert_eq!(filter.join().expect("no panic"), samples);
        assert_eq!(consumer.join().expect("no panic"), samples);
    }};
}

fn pipeline_row(name: &str, ring: usize, samples: usize, cost: Cost) {
    let (wall, cpu) = cost.per(samples);
    println!("{name:<34} {ring:>8} {:>12.2} {wall:>12.1} {cpu:>12.1}", 1e3 / wall);
}

fn monster_pipeline(rt: &Runtime, samples: usize) -> Cost {
    fn send(end: &PipeEnd, sample: Sample) {
        end.write(sample, None).expect("it is open");
    }
    fn recv(end: &PipeEnd) -> Option<Sample> {
        end.read(None).ok()
    }
    let monster = Monster::new();
    let pipe = |pipe| (open(&monster, pipe, Role::Producer), open(&monster, pipe, Role::Consumer));
    let (first, second) = (pipe(0), pipe(1));
    // The ends stay open until the counts are there: a dropped end would make the other wait.
    let keep = [0, 1].map(|pipe| open(&monster, pipe, Role::Producer));
    let cost = Cost::of(|| three_stages!(samples, |f| rt.spawn(f), first, second, send, recv));
    drop(keep);
    cost
}

fn kcoro_pipeline(rt: &Runtime, ring: usize, samples: usize) -> Cost {
    fn send(tx: &kcoro::channel::Sender<Sample>, sample: Sample) {
        tx.send(sample).expect("it is open");
    }
    fn recv(rx: &kcoro::channel::Receiver<Sample>) -> Option<Sample> {
        rx.recv().ok()
    }
    let make = || kcoro::channel::bounded(ring);
    Cost::of(|| three_stages!(samples, |f| rt.spawn(f), make(), make(), send, recv))
}

fn std_pipeline(ring: usize, samples: usize) -> Cost {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
    fn send(tx: &SyncSender<Sample>, sample: Sample) {
        tx.send(sample).expect("it is open");
    }
    fn recv(rx: &Receiver<Sample>) -> Option<Sample> {
        rx.recv().ok()
    }
    let make = || sync_channel(ring);
    Cost::of(|| three_stages!(samples, thread::spawn, make(), make(), send, recv))
}

fn crossbeam_pipeline(ring: usize, samples: usize) -> Cost {
    use crossbeam_channel::{Receiver, Sender, bounded};
    fn send(tx: &Sender<Sample>, sample: Sample) {
        tx.send(sample).expect("it is open");
    }
    fn recv(rx: &Receiver<Sample>) -> Option<Sample> {
        rx.recv().ok()
    }
    let make = || bounded(ring);
    Cost::of(|| three_stages!(samples, thread::spawn, make(), make(), send, recv))
}

fn pipelines(sizes: &Sizes) {
    println!(
        "\nthree stages                           ring   M samples/s   ns/sample CPU ns/sample"
    );
    let [one, two] = [1, 2].map(|workers| Runtime::builder().workers(workers).build());
    let (one, two) = (one.expect("one worker"), two.expect("two workers"));
    let (rounds, samples) = (sizes.rounds, sizes.samples);
    let best = |round: &mut dyn FnMut() -> Cost| best(rounds, |cost| cost.wall, round);
    for (name, rt) in [("monster pipes, 1 worker", &one), ("monster pipes, 2 workers", &two)] {
        let cost = best(&mut || monster_pipeline(rt, samples));
        pipeline_row(name, RING_CAPACITY, samples, cost);
    }
    for ring in [16, 128, 1024, RING_CAPACITY] {
        let cost = best(&mut || kcoro_pipeline(&one, ring, samples));
        pipeline_row("kcoro channels, 1 worker", ring, samples, cost);
        let cost = best(&mut || kcoro_pipeline(&two, ring, samples));
        pipeline_row("kcoro channels, 2 workers", ring, samples, cost);
        let cost = best(&mut || std_pipeline(ring, samples));
        pipeline_row("std::sync::mpsc, 3 threads", ring, samples, cost);
        let cost = best(&mut || crossbeam_pipeline(ring, samples));
        pipeline_row("crossbeam-channel, 3 threads", ring, samples, cost);
    }
}

fn main() {
    let sizes = if std::env::args().any(|argument| argument == "--bench") {
        Sizes { rounds: 5, operations: 1_000_000, samples: 300_000 }
    } else {
        Sizes { rounds: 1, operations: 1_000, samples: 1_000 }
    };
    contract(&sizes);
    pipelines(&sizes);
}
