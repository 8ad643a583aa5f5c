//! Coroutines that change workers: what is theirs goes with them, and nothing is left behind.
//!
//! Each test function that suspends reads the thread it runs on through [`thread`], which is never
//! inlined, and everything of kcoro's own in the very function that suspends: there a cached address
//! would show.

use std::cell::Cell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use kcoro::cancel::CancelToken;
use kcoro::{Builder, Runtime, channel, yield_now};

mod scale;
mod watchdog;

use scale::scaled;
use watchdog::watchdog_with;

fn watched(name: &'static str, workers: usize) -> (Runtime, impl Drop) {
    let rt = Runtime::builder().workers(workers).name(name).build().unwrap();
    let observer = rt.observer();
    let dog = watchdog_with(name, move || eprintln!("{}", observer.dump(Duration::from_secs(2))));
    (rt, dog)
}

fn migratable() -> Builder {
    // SAFETY: the closures of this file hold nothing across their suspensions that is not `Send`,
    // and touch thread-locals only in `thread` and in kcoro's own calls.
    unsafe { Builder::new().migratable() }
}

/// The thread that the caller runs on at this moment.
#[inline(never)]
fn thread() -> ThreadId {
    std::thread::current().id()
}

/// Keeps the worker busy, so that others find something to take.
#[inline(never)]
fn compute() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_micros(20) {
        std::hint::spin_loop();
    }
}

/// One step of a walk: now and then a short sleep, so that workers run dry and look for others'.
#[inline(always)]
fn walk(step: u64) {
    compute();
    if step.is_multiple_of(4) {
        kcoro::sleep(Duration::from_micros(100));
    } else {
        yield_now();
    }
}

kcoro::coroutine_local! {
    static STEPS: Cell<u64> = Cell::new(0);
}

/// Many that give way: they spread over the workers, and each finds its own things wherever it is.
#[test]
fn what_is_its_own_goes_with_it() {
    let (rt, _dog) = watched("what_is_its_own_goes_with_it", 4);
    let moves = Arc::new(AtomicU64::new(0));
    let enough = scaled(2_000) as u64;
    let all: Vec<_> = (0..16)
        .map(|number| {
            let moves = Arc::clone(&moves);
            let name = format!("walker {number}");
            let body = move || {
                let (me, mut here, mut step) = (kcoro::current().unwrap().id(), thread(), 0);
                let mut seen = HashSet::from([here]);
                while moves.load(Ordering::Relaxed) < enough {
                    STEPS.with(|steps| steps.set(steps.get() + 1));
                    step += 1;
                    walk(step);
                    let current = kcoro::current().unwrap();
                    assert_eq!(current.id(), me);
                    assert_eq!(current.name(), Some(&*name));
                    assert_eq!(STEPS.with(Cell::get), step);
                    if thread() != here {
                        moves.fetch_add(1, Ordering::Relaxed);
                        here = thread();
                        seen.insert(here);
                    }
                }
                seen
            };
            rt.spawn_with(migratable().name(format!("walker {number}")), body).unwrap()
        })
        .collect();
    let threads: HashSet<_> = all.into_iter().flat_map(|walker| walker.join().unwrap()).collect();
    assert!(threads.len() > 1, "{} threads", threads.len());
    assert!(rt.metrics().migrations >= enough);
}

/// Those that may not leave stay, in the same crowd.
#[test]
fn the_others_stay() {
    let (rt, _dog) = watched("the_others_stay", 2);
    let stop = Arc::new(AtomicBool::new(false));
    let stayers: Vec<_> = (0..8)
        .map(|_| {
            let stop = Arc::clone(&stop);
            rt.spawn(move || {
                let here = thread();
                while !stop.load(Ordering::Relaxed) {
                    compute();
                    yield_now();
                    assert_eq!(thread(), here);
                }
            })
        })
        .collect();
    let walkers: Vec<_> = (0..8)
        .map(|_| {
            let stop = Arc::clone(&stop);
            let body = move || {
                while !stop.load(Ordering::Relaxed) {
                    compute();
                    yield_now();
                }
            };
            rt.spawn_with(migratable(), body).unwrap()
        })
        .collect();
    // One that may leave has no effect on what is spawned to stay.
    let local = rt.run(move || {
        let here = thread();
        let local = migratable()
            .try_spawn_local(move || {
                (0..1_000).for_each(|_| yield_now());
                thread() == here
            })
            .unwrap();
        local.join().unwrap()
    });
    assert!(local);
    std::thread::sleep(Duration::from_millis(50));
    stop.store(true, Ordering::Relaxed);
    walkers.into_iter().chain(stayers).for_each(|handle| handle.join().unwrap());
}

/// Every kind of wait, again and again, on changing workers: each wait ends as it should.
#[test]
fn waits_of_every_kind() {
    let (rt, _dog) = watched("waits_of_every_kind", 3);
    let rounds = scaled(2_000) as u64;
    let crowd: Vec<_> = (0..8)
        .map(|_| {
            let wait = move || {
                let (tx, rx) = channel::rendezvous::<u64>();
                let (back, echo) = channel::bounded::<u64>(1);
                let partner = migratable()
                    .spawn(move || {
                        for value in &rx {
                            compute();
                            back.send(value).unwrap();
                        }
                    })
                    .unwrap();
                for round in 0..rounds {
                    compute();
                    tx.send(round).unwrap();
                    // The deadline is armed here and disarmed wherever it goes on.
                    assert_eq!(echo.recv_timeout(Duration::from_secs(3_600)), Ok(round));
                    match round % 64 {
                        0 => {
                            let start = Instant::now();
                            kcoro::sleep(Duration::from_micros(50));
                            assert!(start.elapsed() >= Duration::from_micros(50));
                        }
                        1 => assert!(echo.recv_timeout(Duration::from_micros(50)).is_err()),
                        2 => {
                            let token = CancelToken::with_timeout(Duration::from_micros(50));
                            assert!(echo.recv_cancellable(&token).is_err());
                        }
                        3 => {
                            let unparker = kcoro::unparker();
                            let other = kcoro::spawn(move || unparker.unpark());
                            kcoro::park();
                            other.join().unwrap();
                        }
                        4 => assert_eq!(kcoro::blocking(move || round), round),
                        5 => {
                            let both = kcoro::join(
                                || {
                                    yield_now();
                                    round
                                },
                                || round + 1,
                            );
                            assert_eq!(both, (round, round + 1));
                        }
                        6 => kcoro::block_in_place(compute),
                        _ => {}
                    }
                }
                drop(tx);
                partner.join().unwrap();
            };
            rt.spawn_with(migratable(), wait).unwrap()
        })
        .collect();
    crowd.into_iter().for_each(|one| one.join().unwrap());
    // What was armed on one worker and is over must not end anything on another.
    let start = Instant::now();
    rt.run(|| kcoro::sleep(Duration::from_millis(5)));
    assert!(start.elapsed() >= Duration::from_millis(5));
}

/// A descriptor is waited for on one worker and read on another.
#[test]
fn descriptors() {
    let (rt, _dog) = watched("descriptors", 2);
    let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    let rounds = scaled(500);
    let echo = move || {
        let mut byte = [0];
        for _ in 0..rounds {
            kcoro::io::read_exact(&far, &mut byte, None).unwrap();
            compute();
            yield_now();
            kcoro::io::write_all(&far, &byte, None).unwrap();
        }
    };
    let walkers = Arc::new(AtomicBool::new(true));
    let crowd: Vec<_> = (0..4)
        .map(|_| {
            let walkers = Arc::clone(&walkers);
            let body = move || {
                while walkers.load(Ordering::Relaxed) {
                    compute();
                    yield_now();
                }
            };
            rt.spawn_with(migratable(), body).unwrap()
        })
        .collect();
    let echo = rt.spawn_with(migratable(), echo).unwrap();
    let ask = move || {
        let mut byte = [0];
        for round in 0..rounds {
            let soon = Instant::now() + Duration::from_micros(10);
            if round % 16 == 0 {
                assert!(kcoro::io::read(&near, &mut byte, Some(soon)).is_err());
            }
            kcoro::io::write_all(&near, &[round as u8], None).unwrap();
            kcoro::io::read_exact(&near, &mut byte, None).unwrap();
            assert_eq!(byte, [round as u8]);
        }
    };
    rt.spawn_with(migratable(), ask).unwrap().join().unwrap();
    echo.join().unwrap();
    walkers.store(false, Ordering::Relaxed);
    crowd.into_iter().for_each(|walker| walker.join().unwrap());
}

/// A panic after a move is caught in the frame it left, and comes back from the join.
#[test]
fn panics_after_a_move() {
    let (rt, _dog) = watched("panics_after_a_move", 2);
    let moved = Arc::new(AtomicUsize::new(0));
    let crowd: Vec<_> = (0..8)
        .map(|_| {
            let moved = Arc::clone(&moved);
            let body = move || {
                let caught = catch_unwind(AssertUnwindSafe(|| {
                    let (here, mut step) = (thread(), 0);
                    while thread() == here && moved.load(Ordering::Relaxed) < 4 {
                        step += 1;
                        walk(step);
                    }
                    moved.fetch_add(1, Ordering::Relaxed);
                    panic!("expected: caught");
                }));
                assert!(caught.is_err() && !std::thread::panicking());
                yield_now();
                panic!("expected: joined");
            };
            rt.spawn_with(migratable(), body).unwrap()
        })
        .collect();
    for one in crowd {
        let payload = one.join().unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"expected: joined"));
    }
}

/// Drops and notes that it did.
struct Noted(Arc<AtomicUsize>);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A runtime ends while some are parked, some are ready and some are on the way: every frame is
/// unwound, wherever it is.
#[test]
fn shutdown_unwinds_them_wherever_they_are() {
    for _ in 0..scaled(50) {
        let (rt, _dog) = watched("shutdown_unwinds_them_wherever_they_are", 3);
        let dropped = Arc::new(AtomicUsize::new(0));
        let started = Arc::new(AtomicUsize::new(0));
        let stop = CancelToken::new();
        for number in 0..30 {
            let (noted, started) = (Noted(Arc::clone(&dropped)), Arc::clone(&started));
            let stop = stop.clone();
            let body = move || {
                let _noted = noted;
                started.fetch_add(1, Ordering::Relaxed);
                for _ in 0..20 {
                    compute();
                    yield_now();
                }
                match number % 3 {
                    0 => kcoro::park(),
                    1 => kcoro::sleep(Duration::MAX),
                    _ => {
                        while !stop.is_cancelled() {
                            compute();
                            yield_now();
                        }
                    }
                }
            };
            rt.spawn_with(migratable(), body).unwrap().detach();
        }
        while started.load(Ordering::Relaxed) < 30 {
            std::thread::yield_now();
        }
        let seen = rt.observer().dump(Duration::from_secs(5));
        assert!(seen.coroutines().count() >= 20, "{seen}");
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(2));
            stop.cancel();
        });
        let _ = rt.shutdown(Duration::from_millis(1));
        assert_eq!(dropped.load(Ordering::Relaxed), 30);
    }
}

/// Who waits for whom across moves: a ring of coroutines hands a token round.
#[test]
fn a_ring_of_walkers() {
    let (rt, _dog) = watched("a_ring_of_walkers", 2);
    let laps = scaled(3_000) as u64;
    let log = Arc::new(Mutex::new(Vec::new()));
    let (first, mut incoming) = channel::bounded::<u64>(1);
    let mut ring = Vec::new();
    for _ in 0..4 {
        let (tx, rx) = channel::bounded::<u64>(1);
        let from = std::mem::replace(&mut incoming, rx);
        let hand_on = move || {
            let (mut moves, mut here) = (0, thread());
            while let Ok(lap) = from.recv() {
                compute();
                if thread() != here {
                    (moves, here) = (moves + 1, thread());
                }
                if tx.send(lap).is_err() {
                    break;
                }
            }
            moves
        };
        ring.push(rt.spawn_with(migratable(), hand_on).unwrap());
    }
    let logged = Arc::clone(&log);
    let turn = move || {
        for lap in 0..laps {
            first.send(lap).unwrap();
            let back = incoming.recv().unwrap();
            logged.lock().unwrap().push(back);
        }
    };
    rt.spawn_with(migratable(), turn).unwrap().join().unwrap();
    let moves: u64 = ring.into_iter().map(|one| one.join().unwrap()).sum();
    println!("{moves} moves in {laps} laps");
    assert_eq!(*log.lock().unwrap(), (0..laps).collect::<Vec<_>>());
}
