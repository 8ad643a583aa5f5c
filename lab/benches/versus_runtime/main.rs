//! The runtime side by side with may, tokio, smol, rayon and Go.
//!
//! `cargo bench -p kcoro-lab --bench versus_runtime -- [--only CASE[,CASE]] [--rounds N] [--quick]`
//! prints Markdown tables; `--list` names the cases. How samples are taken: `kcoro_lab::versus`.
//!
//! Not every peer can do every case: rayon's jobs cannot park, may maps two areas a stack and runs
//! into the system's bound on mappings with a million of them.

#![allow(clippy::disallowed_types, reason = "a benchmark is not below prim")]

mod crowd;
mod fair;
mod kcoro;
mod may;
mod rayon;
mod smol;
mod tokio;
mod work;

use kcoro_lab::versus::{self, Bound, Case, Cpus, OWN};

/// One worker: what a hand-over costs when nobody else is involved.
fn alone() -> Vec<Case> {
    vec![
        Case::new("yield", "yield of one of two coroutines", Cpus::One)
            .peer(OWN, kcoro::yields)
            .peer("may", may::yields)
            .peer("tokio", tokio::yields)
            .peer("smol", smol::yields)
            .go(&["yield"])
            .goal("time", Bound::Here(15.0))
            .goal("time", Bound::Of("may", 0.33))
            .goal("time", Bound::Of("tokio", 0.2)),
        Case::new("life", "spawn and join of an empty closure", Cpus::One)
            .peer(OWN, kcoro::life)
            .peer("kcoro, local", kcoro::life_local)
            .peer("may", may::life)
            .peer("tokio", tokio::life)
            .peer("tokio, multi-thread", tokio::life_multi)
            .peer("smol", smol::life)
            .go(&["life"])
            .goal("time", Bound::Of("tokio", 0.3)),
        Case::new("ticket", "publish, complete, take", Cpus::One)
            .peer(OWN, kcoro::ticket)
            .peer("tokio", tokio::oneshot)
            .goal("time", Bound::Here(20.0)),
        Case::new("ticket-pair", "publish, wait, completed by the other of two", Cpus::One)
            .peer(OWN, kcoro::ticket_pair)
            .peer("tokio", tokio::oneshot_pair)
            .go(&["ticket"]),
        Case::new("timer", "wait that another ends, without and with a bound on it", Cpus::One)
            .peer(OWN, kcoro::timer)
            .peer("kcoro, ticket", kcoro::timer_of_ticket)
            .peer("may", may::timer)
            .peer("tokio", tokio::timer)
            .peer("smol", smol::timer)
            .go(&["timer"])
            .goal("arm+cancel", Bound::Of("tokio", 0.3)),
    ]
}

/// Many that end soon.
fn spawning() -> Vec<Case> {
    vec![
        Case::new("flat", "1 M empty spawns, then their joins; 2 workers", Cpus::All)
            .peer(OWN, kcoro::flat)
            .peer("rayon", rayon::flat)
            .peer("tokio", tokio::flat)
            .peer("smol", smol::flat)
            .go(&["spawn", "flat"])
            .goal("rate", Bound::Of("rayon", 1.0))
            .goal("rate", Bound::Of("tokio", 4.0)),
        Case::new("batch", "1 M empty spawns, joined by the 1,024; 2 workers", Cpus::All)
            .peer(OWN, kcoro::batch)
            .peer("rayon", rayon::batch)
            .peer("tokio", tokio::batch)
            .peer("smol", smol::batch)
            .peer("may", may::batch)
            .go(&["spawn", "batch"]),
        Case::new("tree", "leaf of a fork-join tree of 2^20; 2 workers", Cpus::All)
            .peer(OWN, kcoro::tree)
            .peer("kcoro, spawned", kcoro::tree_by_spawn)
            .peer("rayon", rayon::tree)
            .peer("tokio", tokio::tree)
            .peer("smol", smol::tree)
            .go(&["spawn", "tree"])
            .goal("rate", Bound::Of("tokio", 20.0))
            .goal("rate", Bound::Of("rayon", 0.5)),
        Case::new("skew", "uneven CPU work, 2 workers against 1", Cpus::All)
            .peer(OWN, kcoro::skew)
            .peer("rayon", rayon::skew)
            .peer("tokio", tokio::skew)
            .peer("smol", smol::skew)
            .go(&["skew"])
            .goal("speed-up", Bound::Here(1.8)),
        Case::new("wake", "from waking to running on another, sleeping worker", Cpus::All)
            .peer(OWN, kcoro::wake)
            .peer("may", may::wake)
            .peer("tokio", tokio::wake)
            .peer("smol", smol::wake)
            .go(&["wake"]),
    ]
}

/// Many that wait.
fn waiting() -> Vec<Case> {
    vec![
        Case::new("late", "one of 10,000 sleepers", Cpus::All)
            .peer(OWN, |sample| crowd::late(sample, kcoro::sleepers))
            .peer("may", |sample| crowd::late(sample, may::sleepers))
            .peer("tokio", |sample| crowd::late(sample, tokio::sleepers))
            .peer("smol", |sample| crowd::late(sample, smol::sleepers))
            .go(&["late"])
            .goal("p50", Bound::Here(40.0))
            .goal("p99", Bound::Here(120.0)),
        Case::new("idle", "10,000 parked for 5 s", Cpus::All)
            .peer(OWN, |sample| crowd::idle(sample, kcoro::parked))
            .peer("may", |sample| crowd::idle(sample, may::parked))
            .peer("tokio", |sample| crowd::idle(sample, tokio::parked))
            .peer("smol", |sample| crowd::idle(sample, smol::parked))
            .go(&["idle"])
            .goal("cpu", Bound::Here(0.1)),
        Case::new("park", "one of 1 M parked, page tables included", Cpus::All)
            .peer(OWN, |sample| crowd::park(sample, kcoro::parked))
            .peer("tokio", |sample| crowd::park(sample, tokio::parked))
            .peer("smol", |sample| crowd::park(sample, smol::parked))
            .go(&["park"])
            .goal("memory", Bound::Here(4400.0)),
        Case::new("sleepers", "one of 1 M sleepers, CPU time", Cpus::All)
            .peer(OWN, |sample| crowd::nap(sample, kcoro::sleepers))
            .peer("tokio", |sample| crowd::nap(sample, tokio::sleepers))
            .peer("smol", |sample| crowd::nap(sample, smol::sleepers))
            .go(&["sleepers"])
            .goal("set-up", Bound::Of("go", 0.6))
            .goal("waking", Bound::Of("go", 0.6)),
    ]
}

/// One worker, and who gets it when.
fn fairness() -> Vec<Case> {
    vec![
        Case::new("fair", "1,000 equals: turns of the luckiest by the unluckiest", Cpus::All)
            .peer(OWN, |sample| fair::fair(sample, kcoro::equals))
            .peer("may", |sample| fair::fair(sample, may::equals))
            .peer("tokio", |sample| fair::fair(sample, tokio::equals))
            .peer("smol", |sample| fair::fair(sample, smol::equals))
            .go(&["fair"]),
        Case::new("hog", "sleeper of 200 us beside a hog of 1 ms: lateness", Cpus::All)
            .peer(OWN, |sample| fair::hog(sample, kcoro::beside_hog))
            .peer("may", |sample| fair::hog(sample, may::beside_hog))
            .peer("tokio", |sample| fair::hog(sample, tokio::beside_hog))
            .peer("smol", |sample| fair::hog(sample, smol::beside_hog))
            .go(&["hog"]),
    ]
}

fn main() {
    let mut cases = alone();
    cases.extend(spawning());
    cases.extend(waiting());
    cases.extend(fairness());
    versus::main("### The runtime against its peers", &cases);
}
