//! Everybody gets a turn, and in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kcoro::{channel, sleep_until, yield_now};

use super::support::{rounds, watched};

/// 1,000 coroutines that do the same get the same, on one worker to the very turn.
#[test]
fn equal_coroutines_progress_equally() {
    const EQUALS: usize = 1_000;
    let (rt, _dog) = watched("equal_coroutines_progress_equally", 1);
    let turns: Arc<Vec<AtomicU64>> = Arc::new((0..EQUALS).map(|_| AtomicU64::new(0)).collect());
    let started = Arc::new(AtomicUsize::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let equals: Vec<_> = (0..EQUALS)
        .map(|me| {
            let (turns, started, stop) =
                (Arc::clone(&turns), Arc::clone(&started), Arc::clone(&stop));
            rt.spawn(move || {
                started.fetch_add(1, Ordering::Relaxed);
                while started.load(Ordering::Relaxed) < EQUALS {
                    yield_now();
                }
                while !stop.load(Ordering::Relaxed) {
                    turns[me].fetch_add(1, Ordering::Relaxed);
                    yield_now();
                }
            })
        })
        .collect();
    while turns[EQUALS - 1].load(Ordering::Relaxed) < rounds(10_000) {
        std::thread::sleep(Duration::from_millis(1));
    }
    stop.store(true, Ordering::Relaxed);
    for equal in equals {
        equal.join().unwrap();
    }
    let turns: Vec<u64> = turns.iter().map(|t| t.load(Ordering::Relaxed)).collect();
    let (least, most) = (*turns.iter().min().unwrap(), *turns.iter().max().unwrap());
    println!("turns of {EQUALS} coroutines: {least} to {most}");
    assert!(most - least <= 1, "{least} to {most}");
}

/// A pair that wakes each other all the time does not keep others, timers or newcomers waiting for
/// ever.
#[test]
fn a_ping_pong_pair_starves_nobody() {
    let (rt, _dog) = watched("a_ping_pong_pair_starves_nobody", 1);
    let stop = Arc::new(AtomicBool::new(false));
    let (to, from) = channel::rendezvous::<()>();
    let stopped = Arc::clone(&stop);
    let ping = rt.spawn(move || while !stopped.load(Ordering::Relaxed) && to.send(()).is_ok() {});
    let pong = rt.spawn(move || while from.recv().is_ok() {});
    let sleeper = rt.spawn(|| (0..20).for_each(|_| kcoro::sleep(Duration::from_micros(100))));
    let yielder = rt.spawn(|| (0..1_000).for_each(|_| yield_now()));
    for _ in 0..100 {
        rt.spawn(|| kcoro::spawn(|| ()).join().unwrap()).join().unwrap();
    }
    sleeper.join().unwrap();
    yielder.join().unwrap();
    stop.store(true, Ordering::Relaxed);
    ping.join().unwrap();
    pong.join().unwrap();
}

/// How late a coroutine runs beside one that computes for a millisecond between two yields.
#[test]
fn ready_to_run_under_a_hog() {
    let (rt, _dog) = watched("ready_to_run_under_a_hog", 1);
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let hog = rt.spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(1) {
                std::hint::spin_loop();
            }
            yield_now();
        }
    });
    let samples = rounds(100_000).min(1_000);
    let sleeper = rt.spawn(move || {
        let mut late: Vec<Duration> = (0..samples)
            .map(|_| {
                let due = Instant::now() + Duration::from_micros(200);
                sleep_until(due);
                Instant::now().duration_since(due)
            })
            .collect();
        late.sort();
        late
    });
    let late = sleeper.join().unwrap();
    stop.store(true, Ordering::Relaxed);
    hog.join().unwrap();
    let at = |share: f64| late[((late.len() - 1) as f64 * share) as usize];
    println!("lateness beside a hog of 1 ms: p50 {:?}, p99.9 {:?}", at(0.5), at(0.999));
    assert_eq!(late.len() as u64, samples);
}
