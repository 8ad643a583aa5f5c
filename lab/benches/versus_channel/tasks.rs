//! The work done by tasks of tokio: the current-thread runtime for one worker.

use super::coroutines::handed;
use super::ends::{PutLater, TakeLater};
use super::work::{
    Touch, drain_later, empty_later, fill_later, ping_later, pong_later, pour_later,
};
use kcoro_lab::versus::{Sample, pin_to};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::runtime::{Builder, Runtime};
use tokio::spawn;

pub fn runtime(workers: usize) -> Runtime {
    match workers {
        1 => Builder::new_current_thread().build().unwrap(),
        _ => Builder::new_multi_thread().worker_threads(workers).build().unwrap(),
    }
}

/// Runs `work` as a task and waits for it.
pub fn within<T: Send + 'static>(
    rt: &Runtime,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    rt.block_on(async { spawn(work).await.unwrap() })
}

pub fn pingpong<P: PutLater<usize>, T: TakeLater<usize>>(
    sample: &mut Sample,
    ends: impl Fn() -> (P, T),
) {
    let rt = runtime(1);
    sample.steps(|count| {
        let ((there, from_there), (back, from_back)) = (ends(), ends());
        within(&rt, async move {
            let other = spawn(pong_later(count, back, from_there));
            let taken = ping_later(count, there, from_back).await;
            other.await.unwrap();
            taken
        })
    });
}

pub fn through<P: PutLater<usize>, T: TakeLater<usize>>(
    sample: &mut Sample,
    workers: usize,
    ends: impl Fn() -> (Vec<P>, Vec<T>),
) {
    let rt = runtime(workers);
    sample.rate(|count| {
        let (senders, receivers) = ends();
        within(&rt, async move {
            let each = count / senders.len();
            let start = Instant::now();
            let receivers: Vec<_> =
                receivers.into_iter().map(|receiver| spawn(drain_later(receiver))).collect();
            for sender in senders {
                spawn(pour_later(each, sender));
            }
            let mut got = 0;
            for receiver in receivers {
                got += receiver.await.unwrap();
            }
            assert_eq!(got, count);
            start.elapsed()
        })
    });
}

pub fn hand<P: PutLater<Box<[u8]>>, T: TakeLater<Box<[u8]>>>(
    sample: &mut Sample,
    length: usize,
    touch: Touch,
    ends: impl Fn() -> (P, T),
) {
    let rt = runtime(1);
    let time = sample.time(|count| {
        let ((there, from_there), (back, from_back)) = (ends(), ends());
        within(&rt, async move {
            let start = Instant::now();
            let other = spawn(fill_later(count, touch, there, from_back));
            let fresh = move || vec![0; length].into_boxed_slice();
            empty_later(count, touch, from_there, back, fresh).await;
            other.await.unwrap();
            start.elapsed()
        })
    });
    handed(sample, length, time);
}

/// Ping-pong between two runtimes, each on a thread and a CPU of its own. If they are to be busy,
/// each also has a task that yields, so that its thread never sleeps.
pub fn apart<P: PutLater<usize>, T: TakeLater<usize>>(
    sample: &mut Sample,
    busy: bool,
    ends: impl Fn() -> (P, T),
) {
    static OVER: AtomicBool = AtomicBool::new(false);
    let company = move || {
        if busy {
            spawn(async {
                while !OVER.load(Ordering::Relaxed) {
                    tokio::task::yield_now().await;
                }
            });
        }
    };
    let rt = runtime(1);
    sample.steps(|count| {
        let ((there, from_there), (back, from_back)) = (ends(), ends());
        OVER.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                pin_to(1);
                within(&runtime(1), async move {
                    company();
                    pong_later(count, back, from_there).await;
                });
            });
            scope
                .spawn(|| {
                    pin_to(0);
                    within(&rt, async move {
                        company();
                        let taken = ping_later(count, there, from_back).await;
                        OVER.store(true, Ordering::Relaxed);
                        taken
                    })
                })
                .join()
                .unwrap()
        })
    });
}
