//! Channels of one worker, beside those for any number of workers.

use super::coroutines::{mays, ours, run_ours};
use super::tasks;
use kcoro::channel::local::{self, Receiver, Sender};
use kcoro_lab::versus::{Bound, Case, Cpus, OWN, Sample, elapsed};
use std::hint::black_box;

pub fn cases() -> Vec<Case> {
    let mut all = vec![
        Case::new("local-pingpong", "round trip, 1 worker", Cpus::One)
            .peer(OWN, pingpong)
            .peer("kcoro, any worker", |sample| {
                ours::pingpong(sample, 1, kcoro::channel::rendezvous);
            })
            .peer("may, unbounded", |sample| mays::pingpong(sample, 1, may::sync::spsc::channel))
            .peer("kanal", |sample| tasks::pingpong(sample, || kanal::bounded_async(0)))
            .goal("time", Bound::Here(15.0))
            .goal("time", Bound::Ahead),
    ];
    for capacity in [64, 16384] {
        let case = Case::new(format!("local-{capacity}"), "message, 1 worker", Cpus::One)
            .peer(OWN, move |sample| through(sample, move || local::bounded(capacity)))
            .peer("kcoro, any worker", move |sample| {
                ours::through(sample, 1, || {
                    let (tx, rx) = kcoro::channel::bounded(capacity);
                    (vec![tx], vec![rx])
                });
            })
            .peer("kanal", move |sample| {
                tasks::through(sample, 1, || {
                    let (tx, rx) = kanal::bounded_async(capacity);
                    (vec![tx], vec![rx])
                });
            })
            .peer("crossfire", move |sample| {
                crossfire::detect_backoff_cfg();
                tasks::through(sample, 1, || {
                    let (tx, rx) = crossfire::spsc::bounded_async(capacity);
                    (vec![tx], vec![rx])
                });
            });
        all.push(case.goal("rate", Bound::Here(250.0)).goal("rate", Bound::Ahead));
    }
    all
}

fn pingpong(sample: &mut Sample) {
    sample.steps(|count| {
        run_ours(1, move || {
            let ((there, from_there), (back, from_back)) =
                (local::rendezvous(), local::rendezvous());
            let other = kcoro::spawn_local(move || {
                from_there.iter().for_each(|number: usize| back.send(number + 1).unwrap());
            });
            let taken = elapsed(|| {
                for number in 0..count {
                    there.send(number).unwrap();
                    assert_eq!(from_back.recv(), Ok(number + 1));
                }
            });
            drop(there);
            other.join().unwrap();
            taken
        })
    });
}

fn through(
    sample: &mut Sample,
    ends: impl Fn() -> (Sender<usize>, Receiver<usize>) + Copy + Send + 'static,
) {
    sample.rate(|count| {
        run_ours(1, move || {
            let (tx, rx) = ends();
            elapsed(|| {
                let sender = kcoro::spawn_local(move || {
                    (0..count).for_each(|number| tx.send(number).unwrap());
                });
                let mut got = 0;
                for number in rx.iter() {
                    black_box(number);
                    got += 1;
                }
                assert_eq!(got, count);
                sender.join().unwrap();
            })
        })
    });
}
