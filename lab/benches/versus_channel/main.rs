//! Channels side by side with those of may, tokio, kanal, crossfire, flume, async-channel,
//! crossbeam-channel, std, rtrb and Go.
//!
//! `cargo bench -p kcoro-lab --bench versus_channel -- [--only CASE[,CASE]] [--rounds N] [--quick]`
//! prints Markdown tables; `--list` names the cases. How samples are taken: `kcoro_lab::versus`.
//!
//! Asynchronous channels run on tokio. A name that ends in "threads" means plain threads, which
//! only take part where there are two CPUs. Not everybody has every capacity: may's channels are
//! unbounded, std and tokio have one receiver, tokio, crossfire and async-channel no rendezvous.

#![allow(clippy::disallowed_types, reason = "a benchmark is not below prim")]

mod coroutines;
mod ends;
mod flow;
mod local;
mod payload;
mod ring;
mod select;
mod tasks;
mod threads;
mod work;

use coroutines::{mays, ours};
use kcoro::channel;
use kcoro_lab::versus::{self, Bound, Case, Cpus, OWN};
use work::{IN_FLIGHT, Touch};

/// A channel of ours with this capacity; none: unbounded.
fn own<T>(capacity: Option<usize>) -> (channel::Sender<T>, channel::Receiver<T>) {
    match capacity {
        Some(0) => channel::rendezvous(),
        Some(capacity) => channel::bounded(capacity),
        None => channel::unbounded(),
    }
}

/// A round trip on one worker: both sides wait every time.
fn pingpong() -> Vec<Case> {
    let step = "round trip, 1 worker";
    vec![
        Case::new("pingpong-0", step, Cpus::One)
            .peer(OWN, |sample| ours::pingpong(sample, 1, channel::rendezvous))
            .peer("may, unbounded", |sample| mays::pingpong(sample, 1, may::sync::spsc::channel))
            .peer("kanal", |sample| tasks::pingpong(sample, || kanal::bounded_async(0)))
            .peer("flume", |sample| tasks::pingpong(sample, || flume::bounded(0)))
            .go(&["pingpong", "0", "1"])
            .goal("time", Bound::Here(45.0))
            .goal("time", Bound::Of("kanal", 0.25))
            .goal("time", Bound::Of("may, unbounded", 0.3))
            .goal("time", Bound::Of("go", 0.11)),
        Case::new("pingpong-1", step, Cpus::One)
            .peer(OWN, |sample| ours::pingpong(sample, 1, || channel::bounded(1)))
            .peer("tokio", |sample| tasks::pingpong(sample, || tokio::sync::mpsc::channel(1)))
            .peer("kanal", |sample| tasks::pingpong(sample, || kanal::bounded_async(1)))
            .peer("flume", |sample| tasks::pingpong(sample, || flume::bounded(1)))
            .peer("async-channel", |sample| {
                tasks::pingpong(sample, || async_channel::bounded(1));
            })
            .peer("crossfire", |sample| {
                crossfire::detect_backoff_cfg();
                tasks::pingpong(sample, || crossfire::spsc::bounded_async(1));
            })
            .go(&["pingpong", "1", "1"])
            .goal("time", Bound::Ahead),
    ]
}

/// A round trip between two CPUs.
fn apart() -> Vec<Case> {
    vec![
        Case::new("apart-busy", "round trip, 2 workers that never sleep", Cpus::All)
            .peer(OWN, |sample| coroutines::apart(sample, true, channel::rendezvous))
            .peer("kanal", |sample| tasks::apart(sample, true, || kanal::bounded_async(0)))
            .peer("tokio", |sample| tasks::apart(sample, true, || tokio::sync::mpsc::channel(1)))
            .goal("time", Bound::Here(1000.0)),
        Case::new("apart-idle", "round trip, 2 workers with nothing else to do", Cpus::All)
            .peer(OWN, |sample| coroutines::apart(sample, false, channel::rendezvous))
            .peer("kanal", |sample| tasks::apart(sample, false, || kanal::bounded_async(0)))
            .peer("tokio", |sample| tasks::apart(sample, false, || tokio::sync::mpsc::channel(1)))
            .peer("may, unbounded", coroutines::may_apart)
            .peer("kanal, threads", |sample| threads::apart(sample, || kanal::bounded(0)))
            .peer("crossbeam, threads", |sample| {
                threads::apart(sample, || crossbeam_channel::bounded(0));
            })
            .peer("std, threads", |sample| {
                threads::apart(sample, || std::sync::mpsc::sync_channel(0));
            })
            .go(&["pingpong", "0", "2", "apart"]),
    ]
}

/// Buffers that are handed over and come back.
fn hand() -> Vec<Case> {
    let mut all = Vec::new();
    for (touch, name) in [(Touch::Word, "word"), (Touch::All, "all")] {
        for length in [1024, 4096, 65536] {
            if touch == Touch::All && length == 1024 {
                continue;
            }
            let step = match touch {
                Touch::Word => "buffer there and back, 8 bytes touched, 1 worker",
                Touch::All => "buffer there and back, all written and read, 1 worker",
            };
            let size = length.to_string();
            let boxed = move || vec![0; length].into_boxed_slice();
            let arena = kcoro::arena::Arena::new();
            let payload = move || arena.alloc_zeroed(length).expect("there is room");
            let mut case = Case::new(format!("hand-{name}-{length}"), step, Cpus::One)
                .peer(OWN, move |sample| {
                    ours::hand(sample, length, touch, || channel::bounded(IN_FLIGHT), boxed);
                })
                .peer("kcoro, payloads", move |sample| {
                    let ends = || channel::bounded(IN_FLIGHT);
                    ours::hand(sample, length, touch, ends, payload.clone());
                })
                .peer("may", move |sample| {
                    mays::hand(sample, length, touch, may::sync::spsc::channel, boxed);
                })
                .peer("kanal", move |sample| {
                    tasks::hand(sample, length, touch, || kanal::bounded_async(IN_FLIGHT));
                })
                .peer("tokio", move |sample| {
                    let ends = || tokio::sync::mpsc::channel(IN_FLIGHT);
                    tasks::hand(sample, length, touch, ends);
                })
                .peer("crossfire", move |sample| {
                    crossfire::detect_backoff_cfg();
                    let ends = || crossfire::spsc::bounded_async(IN_FLIGHT);
                    tasks::hand(sample, length, touch, ends);
                })
                .go(&["hand", &size, if touch == Touch::All { "full" } else { "word" }]);
            case = match (touch, length) {
                (Touch::Word, 4096) => {
                    case.goal("logical", Bound::Here(200.0)).goal("logical", Bound::Of("may", 1.0))
                }
                (Touch::All, 4096) => case.goal("logical", Bound::Here(25.0)),
                (Touch::All, 65536) => case.goal("logical", Bound::Here(14.5)),
                _ => case,
            };
            all.push(case);
        }
    }
    all
}

fn main() {
    let mut cases = pingpong();
    cases.extend(apart());
    cases.extend(flow::cases());
    cases.extend(ring::cases());
    cases.extend(local::cases());
    cases.extend(hand());
    cases.extend(payload::cases());
    cases.extend(select::cases());
    versus::main("### Channels against their peers", &cases);
}
