//! The work done by coroutines, ours and may's. Both block like threads, so one macro writes both.

use super::ends::{Put, Take};
use super::work::{Buffer, Touch, drain, empty, fill, ping, pong, pour};
use kcoro_lab::versus::Sample;
use std::cell::OnceCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A coroutine library: `spawn` within a coroutine, and `run` from outside with so many workers.
macro_rules! runners {
    ($name:ident, $spawn:expr, $run:expr) => {
        pub mod $name {
            use super::*;

            /// A round trip between two coroutines.
            pub fn pingpong<P: Put<usize>, T: Take<usize>>(
                sample: &mut Sample,
                workers: usize,
                ends: impl Fn() -> (P, T),
            ) {
                sample.steps(|count| {
                    let ((there, from_there), (back, from_back)) = (ends(), ends());
                    $run(workers, move || {
                        let other = $spawn(move || pong(count, back, from_there));
                        let taken = ping(count, there, from_back);
                        other.join().unwrap();
                        taken
                    })
                });
            }

            /// Numbers from senders to receivers.
            pub fn through<P: Put<usize>, T: Take<usize>>(
                sample: &mut Sample,
                workers: usize,
                ends: impl Fn() -> (Vec<P>, Vec<T>),
            ) {
                sample.rate(|count| {
                    let (senders, receivers) = ends();
                    $run(workers, move || {
                        let each = count / senders.len();
                        let start = Instant::now();
                        let receivers: Vec<_> = receivers
                            .into_iter()
                            .map(|receiver| $spawn(move || drain(receiver)))
                            .collect();
                        for sender in senders {
                            drop($spawn(move || pour(each, sender)));
                        }
                        let got: usize = receivers.into_iter().map(|one| one.join().unwrap()).sum();
                        assert_eq!(got, count);
                        start.elapsed()
                    })
                });
            }

            /// Buffers there and back.
            pub fn hand<B: Buffer, P: Put<B>, T: Take<B>>(
                sample: &mut Sample,
                length: usize,
                touch: Touch,
                ends: impl Fn() -> (P, T),
                fresh: impl Fn() -> B + Clone + Send + 'static,
            ) {
                let time = sample.time(|count| {
                    let ((there, from_there), (back, from_back)) = (ends(), ends());
                    let fresh = fresh.clone();
                    $run(1, move || {
                        let start = Instant::now();
                        let other = $spawn(move || fill(count, touch, there, from_back));
                        empty(count, touch, from_there, back, fresh);
                        other.join().unwrap();
                        start.elapsed()
                    })
                });
                super::handed(sample, length, time);
            }
        }
    };
}

/// Writes down what handing on a buffer of this length costs.
pub fn handed(sample: &mut Sample, length: usize, time: f64) {
    sample.figure("time", time, "ns");
    sample.figure("logical", length as f64 / time, "GB/s");
}

runners!(ours, kcoro::spawn, run_ours);
runners!(mays, go_may, run_may);

fn go_may<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> may::coroutine::JoinHandle<T> {
    // SAFETY: nothing that runs there keeps a thread-local across a suspension, or recurses deeply.
    unsafe { may::coroutine::spawn(work) }
}

thread_local! {
    /// The sample's runtime; a sample asks for one number of workers only.
    static RUNTIME: OnceCell<kcoro::Runtime> = const { OnceCell::new() };
}

/// Runs `work` in a coroutine of a runtime that lives as long as the process.
pub fn run_ours<T: Send + 'static>(workers: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    let start = || kcoro::Runtime::builder().workers(workers).build();
    RUNTIME.with(|runtime| {
        runtime.get_or_init(|| start().unwrap_or_else(|error| panic!("{error}"))).run(work)
    })
}

/// The same with may, whose runtime is the process's anyway.
fn run_may<T: Send + 'static>(workers: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    may::config().set_workers(workers);
    go_may(work).join().unwrap()
}

static ARRIVED: AtomicUsize = AtomicUsize::new(0);

/// Holds the worker until both sides have come: so they are on two workers. Rounds count from 1.
pub fn meet(round: usize) {
    ARRIVED.fetch_add(1, Ordering::Relaxed);
    while ARRIVED.load(Ordering::Relaxed) < 2 * round {
        std::hint::spin_loop();
    }
}

/// Ping-pong between two workers. If they are to be busy, each also has a coroutine that yields, so
/// that it never sleeps.
pub fn apart<P: Put<usize>, T: Take<usize>>(
    sample: &mut Sample,
    busy: bool,
    ends: impl Fn() -> (P, T),
) {
    static OVER: AtomicBool = AtomicBool::new(false);
    let mut round = 0;
    sample.steps(|count| {
        let ((there, from_there), (back, from_back)) = (ends(), ends());
        round += 1;
        OVER.store(false, Ordering::Relaxed);
        let company = move || {
            busy.then(|| {
                kcoro::spawn_local(|| {
                    while !OVER.load(Ordering::Relaxed) {
                        kcoro::yield_now();
                    }
                })
            })
        };
        run_ours(2, move || {
            let other = kcoro::spawn(move || {
                meet(round);
                let idler = company();
                pong(count, back, from_there);
                idler.map(kcoro::LocalJoinHandle::join)
            });
            meet(round);
            let idler = company();
            let taken = ping(count, there, from_back);
            OVER.store(true, Ordering::Relaxed);
            drop(other.join().unwrap());
            drop(idler.map(kcoro::LocalJoinHandle::join));
            taken
        })
    });
}

/// may binds a coroutine to a worker on request.
pub fn may_apart(sample: &mut Sample) {
    sample.steps(|count| {
        may::config().set_workers(2);
        let ((there, from_there), (back, from_back)) =
            (may::sync::spsc::channel(), may::sync::spsc::channel());
        let bound = may::coroutine::Builder::new;
        // SAFETY: as for `go_may`.
        let other = unsafe { bound().id(1).spawn(move || pong(count, back, from_there)) };
        // SAFETY: as for `go_may`.
        let one = unsafe { bound().id(0).spawn(move || ping(count, there, from_back)) };
        let taken: Duration = one.unwrap().join().unwrap();
        other.unwrap().join().unwrap();
        taken
    });
}
