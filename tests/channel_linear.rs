//! Every short concurrent history of a channel is one that a queue could have shown.
//!
//! Three parties make three calls each, on threads or on the workers of a runtime. Each call is
//! recorded with the moments at which it began and ended; afterwards a search looks for an order of
//! the calls that respects those moments and that a sequential channel could have answered so.
//!
//! Source: J. Wing, C. Gong, "Testing and Verifying Concurrent Objects", 1993, with G. Lowe's
//! memory of configurations that led nowhere.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use kcoro::channel::{self, Receiver, Sender};
use kcoro::error::{RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError};

mod scale;
mod watchdog;
use watchdog::watchdog;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Sent(u32),
    /// Not sent for lack of room, at once or after a time.
    NotSent,
    SendClosed,
    Received(u32),
    NotReceived,
    RecvClosed,
    Closed,
}

#[derive(Debug, Clone, Copy)]
struct Call {
    begin: u64,
    end: u64,
    answer: Answer,
}

/// Which calls the parties make.
#[derive(Debug, Clone, Copy)]
enum Style {
    /// Calls that never wait.
    Try,
    /// Calls that wait for a moment.
    Timed,
    /// Calls that never wait, on a channel where a value takes the place of the one before.
    Latest,
}

struct Clock(AtomicU64);

impl Clock {
    fn now(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

fn party(
    clock: &Clock,
    (tx, rx): (&Sender<u32>, &Receiver<u32>),
    style: Style,
    mut random: u64,
    name: u32,
) -> Vec<Call> {
    let moment = Duration::from_micros(30);
    (0..3)
        .map(|step| {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let value = name * 10 + step;
            let begin = clock.now();
            let answer = match ((random >> 33) % 9, style) {
                (0..=3, Style::Try | Style::Latest) => match tx.try_send(value) {
                    Ok(()) => Answer::Sent(value),
                    Err(TrySendError::Full(_)) => Answer::NotSent,
                    Err(TrySendError::Closed(_)) => Answer::SendClosed,
                    Err(other) => panic!("unheard of: {other:?}"),
                },
                (0..=3, Style::Timed) => match tx.send_timeout(value, moment) {
                    Ok(()) => Answer::Sent(value),
                    Err(SendTimeoutError::Timeout(_)) => Answer::NotSent,
                    Err(SendTimeoutError::Closed(_)) => Answer::SendClosed,
                    Err(other) => panic!("unheard of: {other:?}"),
                },
                (4..=7, Style::Try | Style::Latest) => match rx.try_recv() {
                    Ok(value) => Answer::Received(value),
                    Err(TryRecvError::Empty) => Answer::NotReceived,
                    Err(TryRecvError::Closed) => Answer::RecvClosed,
                    Err(other) => panic!("unheard of: {other:?}"),
                },
                (4..=7, Style::Timed) => match rx.recv_timeout(moment) {
                    Ok(value) => Answer::Received(value),
                    Err(RecvTimeoutError::Timeout) => Answer::NotReceived,
                    Err(RecvTimeoutError::Closed) => Answer::RecvClosed,
                    Err(other) => panic!("unheard of: {other:?}"),
                },
                _ => {
                    tx.close();
                    Answer::Closed
                }
            };
            Call { begin, end: clock.now(), answer }
        })
        .collect()
}

/// The sequential channel. A waiting call counts at the moment it took effect; one that gave up may
/// have found no partner at a moment when there was none, which with waiting partners is any.
#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    queue: VecDeque<u32>,
    closed: bool,
}

fn apply(state: &State, answer: Answer, capacity: usize, style: Style) -> Option<State> {
    let mut next = state.clone();
    let fits = match answer {
        Answer::Sent(value) if matches!(style, Style::Latest) => {
            next.queue = VecDeque::from([value]);
            !state.closed
        }
        Answer::Sent(value) => {
            next.queue.push_back(value);
            !state.closed && state.queue.len() < capacity
        }
        // A call that waited in vain was in the queue of waiters: a partner that came may have been
        // served by another one. What it may not do is to give up although there was room all along.
        Answer::NotSent => {
            !state.closed && (state.queue.len() >= capacity || matches!(style, Style::Timed))
        }
        Answer::SendClosed => state.closed,
        Answer::Received(value) => next.queue.pop_front() == Some(value),
        Answer::NotReceived => !state.closed && state.queue.is_empty(),
        Answer::RecvClosed => state.closed && state.queue.is_empty(),
        Answer::Closed => {
            next.closed = true;
            true
        }
    };
    fits.then_some(next)
}

/// Whether there is an order of `calls` that explains their answers.
fn is_linearizable(calls: &[Call], capacity: usize, style: Style) -> bool {
    fn search(
        calls: &[Call],
        done: u32,
        state: &State,
        capacity: usize,
        style: Style,
        dead: &mut HashSet<(u32, State)>,
    ) -> bool {
        if done == (1 << calls.len()) - 1 {
            return true;
        }
        if dead.contains(&(done, state.clone())) {
            return false;
        }
        let open = |i: usize| done & (1 << i) == 0;
        // A call may come next if none that is left had ended before it began.
        let limit = (0..calls.len()).filter(|i| open(*i)).map(|i| calls[i].end).min().unwrap();
        for i in (0..calls.len()).filter(|i| open(*i) && calls[*i].begin < limit) {
            if let Some(next) = apply(state, calls[i].answer, capacity, style)
                && search(calls, done | 1 << i, &next, capacity, style, dead)
            {
                return true;
            }
        }
        dead.insert((done, state.clone()));
        false
    }
    let empty = State { queue: VecDeque::new(), closed: false };
    search(calls, 0, &empty, capacity, style, &mut HashSet::new())
}

fn rounds() -> u64 {
    scale::scaled(if cfg!(debug_assertions) { 300 } else { 5_000 }) as u64
}

fn on_threads(make: fn() -> (Sender<u32>, Receiver<u32>), capacity: usize, style: Style) {
    for seed in 0..rounds() / 4 {
        let (tx, rx) = make();
        let clock = Clock(AtomicU64::new(0));
        let start = Barrier::new(3);
        let calls: Vec<Call> = std::thread::scope(|s| {
            let parties: Vec<_> = (1..=3)
                .map(|name| {
                    let (clock, start, ends) = (&clock, &start, (&tx, &rx));
                    s.spawn(move || {
                        start.wait();
                        party(clock, ends, style, seed * 31 + u64::from(name), name)
                    })
                })
                .collect();
            parties.into_iter().flat_map(|p| p.join().unwrap()).collect()
        });
        assert!(is_linearizable(&calls, capacity, style), "seed {seed}: {calls:#?}");
    }
}

fn on_workers(make: fn() -> (Sender<u32>, Receiver<u32>), capacity: usize, style: Style) {
    let rt = kcoro::Runtime::builder().workers(3).build().unwrap();
    for seed in 0..rounds() {
        let (tx, rx) = make();
        let clock = Arc::new(Clock(AtomicU64::new(0)));
        let parties: Vec<_> = (1..=3)
            .map(|name| {
                let (clock, tx, rx) = (Arc::clone(&clock), tx.clone(), rx.clone());
                rt.spawn(move || {
                    party(&clock, (&tx, &rx), style, seed * 37 + u64::from(name), name)
                })
            })
            .collect();
        let calls: Vec<Call> = parties.into_iter().flat_map(|p| p.join().unwrap()).collect();
        assert!(is_linearizable(&calls, capacity, style), "seed {seed}: {calls:#?}");
    }
}

#[test]
fn bounded() {
    let _dog = watchdog("bounded histories");
    for style in [Style::Try, Style::Timed] {
        on_threads(|| channel::bounded(1), 1, style);
        on_workers(|| channel::bounded(1), 1, style);
        on_workers(|| channel::bounded(2), 2, style);
    }
}

#[test]
fn conflated() {
    let _dog = watchdog("conflated histories");
    on_threads(channel::conflated, 1, Style::Latest);
    on_workers(channel::conflated, 1, Style::Latest);
}

#[test]
fn unbounded() {
    let _dog = watchdog("unbounded histories");
    for style in [Style::Try, Style::Timed] {
        on_threads(channel::unbounded, usize::MAX, style);
        on_workers(channel::unbounded, usize::MAX, style);
    }
}

/// A rendezvous has no place for values: a send and its receive happen at one moment, so their
/// calls overlap. As a queue of any length it must be linearizable all the same, but for sends that
/// give up.
#[test]
fn rendezvous() {
    let _dog = watchdog("rendezvous histories");
    let rt = kcoro::Runtime::builder().workers(3).build().unwrap();
    for seed in 0..rounds() {
        let (tx, rx) = channel::rendezvous();
        let clock = Arc::new(Clock(AtomicU64::new(0)));
        let parties: Vec<_> = (1..=3)
            .map(|name| {
                let (clock, tx, rx) = (Arc::clone(&clock), tx.clone(), rx.clone());
                rt.spawn(move || {
                    party(&clock, (&tx, &rx), Style::Timed, seed * 41 + u64::from(name), name)
                })
            })
            .collect();
        let calls: Vec<Call> = parties.into_iter().flat_map(|p| p.join().unwrap()).collect();
        let sent: Vec<_> = calls
            .iter()
            .filter_map(|c| if let Answer::Sent(v) = c.answer { Some((v, *c)) } else { None })
            .collect();
        let received: Vec<_> = calls
            .iter()
            .filter_map(|c| if let Answer::Received(v) = c.answer { Some((v, *c)) } else { None })
            .collect();
        assert_eq!(sent.len(), received.len(), "seed {seed}: {calls:#?}");
        for (value, send) in sent {
            let (_, recv) = received.iter().find(|(v, _)| *v == value).expect("received once");
            assert!(
                send.begin < recv.end && recv.begin < send.end,
                "seed {seed}: {value} was handed over by calls that did not overlap: {calls:#?}"
            );
        }
    }
}

/// The search itself: it must refuse histories that no queue shows.
#[test]
fn impossible_histories_are_refused() {
    let call = |begin, end, answer| Call { begin, end, answer };
    let overtaken = [
        call(0, 1, Answer::Sent(1)),
        call(2, 3, Answer::Sent(2)),
        call(4, 5, Answer::Received(2)),
        call(6, 7, Answer::Received(1)),
    ];
    assert!(!is_linearizable(&overtaken, 9, Style::Try));
    let lost = [call(0, 1, Answer::Sent(1)), call(2, 3, Answer::NotReceived)];
    assert!(!is_linearizable(&lost, 9, Style::Try));
    let twice = [
        call(0, 1, Answer::Sent(1)),
        call(2, 3, Answer::Received(1)),
        call(4, 5, Answer::Received(1)),
    ];
    assert!(!is_linearizable(&twice, 9, Style::Try));
    let overlapping = [call(0, 3, Answer::Sent(1)), call(1, 2, Answer::NotReceived)];
    assert!(is_linearizable(&overlapping, 9, Style::Try));
}
