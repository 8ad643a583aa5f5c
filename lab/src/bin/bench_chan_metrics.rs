//! Figures of a busy payload channel, interval by interval; and what counting them costs.
//!
//! ```text
//! bench_chan_metrics [-d SECONDS] [-i SECONDS] [-p PRODUCERS] [-c CONSUMERS] [-n PACKETS] [-s BYTES] [-o FILE]
//! bench_chan_metrics --overhead [SLICES]
//! ```
//!
//! The first form lets producers send payloads of `-s` bytes, `-n` between two looks at whether to
//! stop, through one channel of 1,024 descriptors. Each interval it prints what the channel's
//! snapshot says, and writes it to `-o` as a line of JSON. "Gbps" is lengths times counts: no byte of
//! a payload is touched.
//!
//! The second form measures one message through a channel with metrics and without, slice by slice in
//! turns, by the CPU time of the process: least, median, and the median of the ratios of neighbours.

use kcoro::arena::Arena;
use kcoro::channel::{self, Receiver, Sender, Snapshot, ZrefReceiver, ZrefSender};
use kcoro_lab::versus::{CpuTime, last_cpu, pin};
use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const CAPACITY: usize = 1024;

const USAGE: &str = "usage: bench_chan_metrics [-d seconds 5] [-i seconds 0.5] [-p producers 4] \
[-c consumers 4] [-n packets per cycle 512] [-s bytes 1024] [-o file.jsonl]\n       \
bench_chan_metrics --overhead [slices 200]";

struct Options {
    seconds: f64,
    interval: f64,
    producers: usize,
    consumers: usize,
    packets: usize,
    bytes: usize,
    out: Option<File>,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            seconds: 5.0,
            interval: 0.5,
            producers: 4,
            consumers: 4,
            packets: 512,
            bytes: 1024,
            out: None,
        };
        while let Some(flag) = arguments.next() {
            let Some(text) = arguments.next() else { return Err(USAGE.into()) };
            let bad = || format!("{flag} {text}: not a number above 0\n{USAGE}");
            let seconds =
                || text.parse().ok().filter(|&s: &f64| s > 0.0 && s < 1e6).ok_or_else(bad);
            let count = || text.parse().ok().filter(|&n: &usize| n > 0).ok_or_else(bad);
            match flag.as_str() {
                "-d" => options.seconds = seconds()?,
                "-i" => options.interval = seconds()?,
                "-p" => options.producers = count()?,
                "-c" => options.consumers = count()?,
                "-n" => options.packets = count()?,
                "-s" => options.bytes = count()?,
                "-o" => {
                    let file = File::create(&text).map_err(|error| format!("{text}: {error}"))?;
                    options.out = Some(file);
                }
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }
}

fn produce(tx: &ZrefSender, bytes: usize, packets: usize, over: &AtomicBool) {
    let arena = Arena::new();
    while !over.load(Ordering::Relaxed) {
        for _ in 0..packets {
            let payload = arena.alloc(bytes).expect("memory for a thousand payloads");
            if tx.send(payload.freeze()).is_err() {
                return;
            }
        }
    }
}

fn consume(rx: &ZrefReceiver) {
    rx.iter().for_each(drop);
}

/// What happened between two snapshots.
struct Sample {
    seconds: f64,
    packets: u64,
    bytes: u64,
    matches: u64,
    cancels: u64,
    zero_copy: u64,
}

impl Sample {
    fn between(before: &Snapshot, now: &Snapshot) -> Sample {
        Sample {
            seconds: (now.at - before.at).as_secs_f64().max(1e-9),
            packets: now.recvs - before.recvs,
            bytes: now.bytes_received - before.bytes_received,
            matches: now.matches - before.matches,
            cancels: now.cancelled_waiters - before.cancelled_waiters,
            zero_copy: now.zero_copy_matches - before.zero_copy_matches,
        }
    }

    fn rate(&self) -> f64 {
        self.packets as f64 / self.seconds
    }

    fn gbps(&self) -> f64 {
        self.bytes as f64 * 8.0 / 1e9 / self.seconds
    }

    fn print(&self) {
        println!(
            "interval {:.3}s: packets/s {:.0}, Gbps {:.3}, rv_matches {}, rv_cancels {}, rv_zdesc {}",
            self.seconds,
            self.rate(),
            self.gbps(),
            self.matches,
            self.cancels,
            self.zero_copy
        );
    }

    fn write(&self, to: &mut impl Write, before: &Snapshot, now: &Snapshot) -> io::Result<()> {
        let mut all = vec![
            format!("\"interval_sec\":{:.6}", self.seconds),
            format!("\"pps\":{:.3}", self.rate()),
            format!("\"gbps\":{:.6}", self.gbps()),
        ];
        let counts = [
            ("delta_packets", self.packets),
            ("delta_bytes", self.bytes),
            ("delta_rv_matches", self.matches),
            ("delta_rv_cancels", self.cancels),
            ("delta_rv_zdesc", self.zero_copy),
            ("depth", now.depth),
            ("capacity", CAPACITY as u64),
            ("zref_sent_delta", now.zref_sent - before.zref_sent),
            ("zref_received_delta", now.zref_received - before.zref_received),
            ("zref_aborted_delta", now.zref_aborted - before.zref_aborted),
            ("zref_sent_total", now.zref_sent),
            ("zref_received_total", now.zref_received),
            ("zref_aborted_total", now.zref_aborted),
            ("rv_matches_total", now.matches),
            ("rv_cancels_total", now.cancelled_waiters),
            ("rv_zdesc_total", now.zero_copy_matches),
        ];
        all.extend(counts.map(|(key, value)| format!("\"{key}\":{value}")));
        writeln!(to, "{{{}}}", all.join(","))
    }
}

fn watch(mut options: Options) -> Result<(), String> {
    let over = Arc::new(AtomicBool::new(false));
    let (tx, rx) = channel::builder().capacity(CAPACITY).metrics(true).build_zref();
    let runtime = kcoro::Runtime::builder().build().map_err(|error| error.to_string())?;
    let mut before = rx.snapshot();
    let first = before;
    let parties: Vec<_> = (0..options.consumers)
        .map(|_| {
            let rx = rx.clone();
            runtime.spawn(move || consume(&rx))
        })
        .chain((0..options.producers).map(|_| {
            let (tx, over) = (tx.clone(), Arc::clone(&over));
            let (bytes, packets) = (options.bytes, options.packets);
            runtime.spawn(move || produce(&tx, bytes, packets, &over))
        }))
        .collect();
    let start = Instant::now();
    let end = Duration::from_secs_f64(options.seconds);
    let interval = Duration::from_secs_f64(options.interval);
    let mut samples = 0u32;
    while let Some(left) = end.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
        std::thread::sleep(interval.min(left));
        let now = rx.snapshot();
        let sample = Sample::between(&before, &now);
        sample.print();
        if let Some(file) = &mut options.out {
            sample.write(file, &before, &now).map_err(|error| error.to_string())?;
        }
        (before, samples) = (now, samples + 1);
    }
    over.store(true, Ordering::Relaxed);
    drop(tx);
    parties.into_iter().try_for_each(|party| party.join()).map_err(|_| "a party has panicked")?;
    let whole = Sample::between(&first, &before);
    let each = |total: u64| total as f64 / f64::from(samples.max(1));
    println!(
        "AVERAGE packets/s {:.0}, Gbps {:.3}, rv_matches/sample {:.1}, rv_cancels/sample {:.1}, \
         rv_zdesc/sample {:.1}",
        whole.rate(),
        whole.gbps(),
        each(whole.matches),
        each(whole.cancels),
        each(whole.zero_copy)
    );
    let last = rx.snapshot();
    if (last.zref_sent, last.sends) == (last.zref_received, last.recvs) {
        return Ok(());
    }
    Err(format!("sent and received differ at the end: {last:?}"))
}

type Ends = (Sender<u64>, Receiver<u64>);

fn make(capacity: Option<usize>, metrics: bool) -> Ends {
    let builder = channel::builder().metrics(metrics);
    match capacity {
        Some(capacity) => builder.capacity(capacity).build(),
        None => builder.build(),
    }
}

/// Messages one way, from one coroutine to another.
fn stream((tx, rx): Ends, count: u64) {
    let sender = kcoro::spawn(move || (0..count).for_each(|n| tx.send(n).unwrap()));
    assert_eq!(rx.iter().count() as u64, count);
    sender.join().unwrap();
}

/// Messages there and back.
fn ping_pong((tx, from_tx): Ends, (back, rx): Ends, count: u64) {
    let other = kcoro::spawn(move || from_tx.iter().try_for_each(|n| back.send(n)));
    for n in 0..count {
        tx.send(n).unwrap();
        assert_eq!(rx.recv(), Ok(n));
    }
    drop(tx);
    other.join().unwrap().unwrap();
}

/// CPU time of one step of `work`, in nanoseconds, without metrics and with, slice by slice.
fn measure(name: &str, slices: usize, count: u64, work: impl Fn(bool, u64)) {
    let slice = |metrics| {
        let start = CpuTime::now();
        work(metrics, count);
        start.since() / count as f64
    };
    (0..4).for_each(|at| _ = slice(at % 2 == 0));
    let (mut off, mut on, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for at in 0..slices {
        let first = slice(at % 2 == 0);
        let second = slice(at % 2 != 0);
        let (with, without) = if at % 2 == 0 { (first, second) } else { (second, first) };
        off.push(without);
        on.push(with);
        ratios.push(with / without);
    }
    for all in [&mut off, &mut on, &mut ratios] {
        all.sort_by(f64::total_cmp);
    }
    let middle = |all: &[f64]| all[all.len() / 2];
    println!(
        "| {name} | {:.2} ({:.2}) | {:.2} ({:.2}) | {:.3} | {:.3} |",
        off[0],
        middle(&off),
        on[0],
        middle(&on),
        on[0] / off[0],
        middle(&ratios)
    );
}

fn overhead(slices: usize) -> Result<(), String> {
    pin(last_cpu());
    let runtime =
        kcoro::Runtime::builder().workers(1).build().map_err(|error| error.to_string())?;
    println!("| one worker | off, ns | on, ns | least / least | median of pairs |");
    println!("|---|---|---|---:|---:|");
    measure("rendezvous, round trip", slices, 40_000, |metrics, count| {
        runtime.run(move || ping_pong(make(Some(0), metrics), make(Some(0), metrics), count));
    });
    for (name, capacity) in [("room for 64, message", Some(64)), ("unbounded, message", None)] {
        measure(name, slices, 100_000, |metrics, count| {
            runtime.run(move || stream(make(capacity, metrics), count));
        });
    }
    Ok(())
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    let result = if arguments.next_if(|word| word == "--overhead").is_some() {
        match arguments.next().map_or(Ok(200), |text| text.parse()) {
            Ok(slices @ 1..) => overhead(slices),
            _ => Err(USAGE.into()),
        }
    } else {
        Options::read(arguments).and_then(watch)
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
