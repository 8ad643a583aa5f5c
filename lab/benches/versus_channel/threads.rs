//! The work done by plain threads.

use super::ends::{Put, Take};
use super::work::{drain, ping, pong, pour};
use kcoro_lab::versus::{Sample, pin_to};
use std::time::Instant;

/// A round trip between two threads, each on a CPU of its own.
pub fn apart<P: Put<usize>, T: Take<usize>>(sample: &mut Sample, ends: impl Fn() -> (P, T)) {
    sample.steps(|count| {
        let ((there, from_there), (back, from_back)) = (ends(), ends());
        std::thread::scope(|scope| {
            scope.spawn(move || {
                pin_to(1);
                pong(count, back, from_there);
            });
            let one = scope.spawn(move || {
                pin_to(0);
                ping(count, there, from_back)
            });
            one.join().unwrap()
        })
    });
}

pub fn through<P: Put<usize>, T: Take<usize>>(
    sample: &mut Sample,
    ends: impl Fn() -> (Vec<P>, Vec<T>),
) {
    sample.rate(|count| {
        let (senders, receivers) = ends();
        let each = count / senders.len();
        let start = Instant::now();
        let got: usize = std::thread::scope(|scope| {
            let receivers: Vec<_> = receivers
                .into_iter()
                .map(|receiver| scope.spawn(move || drain(receiver)))
                .collect();
            for sender in senders {
                scope.spawn(move || pour(each, sender));
            }
            receivers.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(got, count);
        start.elapsed()
    });
}
