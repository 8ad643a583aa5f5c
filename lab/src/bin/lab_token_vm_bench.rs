//! Resumes per second and counter cycles per resume: the called switch, the token switch, kcoro's
//! generator and corosensei's, interleaved in one run.
//!
//! `lab_token_vm_bench [SWITCHES] [ROUNDS]`, default 100,000 one-way switches a round and 3,000
//! rounds: short ones, so that the best is one that nobody interrupted.

use kcoro::raw::NAME;
use kcoro_lab::ring::{Form, Layout, Ring};
use kcoro_lab::ticks;
use std::time::Instant;

/// One way of switching, and the best it did.
struct Contest {
    name: &'static str,
    run: Box<dyn FnMut(u64)>,
    nanoseconds: f64,
    cycles: f64,
}

impl Contest {
    fn new(name: &'static str, run: impl FnMut(u64) + 'static) -> Contest {
        Contest { name, run: Box::new(run), nanoseconds: f64::MAX, cycles: f64::MAX }
    }

    fn round(&mut self, switches: u64) {
        let (time, counter) = (Instant::now(), ticks());
        (self.run)(switches);
        let (cycles, elapsed) = (ticks() - counter, time.elapsed());
        self.nanoseconds = self.nanoseconds.min(elapsed.as_nanos() as f64 / switches as f64);
        self.cycles = self.cycles.min(cycles as f64 / switches as f64);
    }
}

fn main() -> Result<(), kcoro::error::StackError> {
    let (switches, rounds) = (kcoro_lab::number(1, 100_000), kcoro_lab::number(2, 3_000));
    let called = Ring::new(2, Form::Called, Layout::Coloured)?;
    let token = Ring::new(2, Form::Token, Layout::Coloured)?;
    let mut generator = kcoro::coroutine::Coroutine::<(), (), ()>::new(|y, ()| {
        loop {
            y.suspend(());
        }
    });
    let mut other = corosensei::Coroutine::<(), (), ()>::new(|y, ()| {
        loop {
            y.suspend(());
        }
    });
    let mut contests = [
        Contest::new("switch, out of line", move |n| called.run(n)),
        Contest::new("switch, token", move |n| token.run(n)),
        Contest::new("generator", move |n| {
            for _ in 0..n / 2 {
                generator.resume(());
            }
        }),
        Contest::new("corosensei", move |n| {
            for _ in 0..n / 2 {
                other.resume(());
            }
        }),
    ];
    for _ in 0..rounds {
        for contest in &mut contests {
            contest.round(switches);
        }
    }
    println!("{NAME}, best of {rounds} rounds of {switches} one-way switches");
    println!("| | M switches/s | ns a switch | counter cycles a switch |");
    println!("|---|---|---|---|");
    for contest in &contests {
        let (name, nanoseconds, cycles) = (contest.name, contest.nanoseconds, contest.cycles);
        let rate = 1e3 / nanoseconds;
        println!("| {name} | {rate:.1} | {nanoseconds:.2} | {cycles:.1} |");
    }
    Ok(())
}
