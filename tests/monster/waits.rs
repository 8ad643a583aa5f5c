//! Wait states and coordination: the contract, a sequential model, and threads in a crowd.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use kcoro::error::{CoordError, WaitStateError};
use kcoro::monster::{Monster, ShardId, WAIT_STATE_COUNT, WaitState};
use proptest::prelude::*;

fn shard(id: usize) -> ShardId {
    ShardId::new(id).expect("below 15")
}

/// Ends the test program if `test` does not come to an end.
pub(crate) fn watched<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, ended) = mpsc::channel::<()>();
    let runner = thread::spawn(move || {
        let _done = done;
        test()
    });
    if ended.recv_timeout(Duration::from_secs(60)) == Err(mpsc::RecvTimeoutError::Timeout) {
        eprintln!("the test hangs");
        std::process::abort();
    }
    runner.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[test]
fn the_257th_is_refused_until_one_is_dropped() {
    let monster = Monster::new();
    let create = || monster.wait_state(shard(0));
    let mut states: Vec<WaitState> =
        (0..WAIT_STATE_COUNT).map(|_| create().expect("there is room for 256")).collect();
    assert!(states.iter().map(WaitState::index).eq(0..256));
    let error = create().expect_err("the 257th");
    assert_eq!(error, WaitStateError::AllInUse);
    assert!(error.to_string().contains("all 256 wait states are in use"));
    assert_eq!(monster.waits_status().len(), 256);

    let last = states[255].sequence();
    drop(states.remove(100));
    let again = create().expect("one has gone");
    assert_eq!((again.index(), again.sequence()), (100, last + 1));
    assert!(create().is_err());
    drop((states, again));
    assert_eq!(monster.waits_status(), []);
}

#[test]
fn status_lines() {
    let monster = Monster::new();
    let gone = monster.wait_state(shard(1)).expect("there is room");
    let state = monster.wait_state(shard(5)).expect("there is room");
    drop(gone);
    let pid = std::process::id();
    let lines = || monster.waits_status().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(lines(), [format!("Wait 1: pid={pid}, shard=5, sequence=2, ready=0")]);
    state.signal_ready();
    assert_eq!(lines(), [format!("Wait 1: pid={pid}, shard=5, sequence=2, ready=1")]);
}

#[test]
fn a_timeout_is_an_error_and_leaves_nothing_behind() {
    let monster = Monster::new();
    let state = monster.wait_state(shard(3)).expect("there is room");
    let begin = Instant::now();
    let bound = Duration::from_millis(20);
    assert_eq!(state.wait_for_coord(Some(bound)), Err(CoordError::Timeout));
    assert!(begin.elapsed() >= bound);
    assert_eq!(state.wait_for_coord(Some(Duration::ZERO)), Err(CoordError::Timeout));
    assert_eq!(monster.coordinate_shard(shard(3)).apps, 0, "nobody waits any more");
}

#[test]
fn a_signal_is_kept_and_taken_once() {
    let monster = Monster::new();
    let state = monster.wait_state(shard(3)).expect("there is room");
    state.signal_ready();
    state.signal_ready();
    assert!(state.is_ready());
    assert_eq!(state.wait_for_coord(None), Ok(()));
    assert!(!state.is_ready());
    assert_eq!(state.wait_for_coord(Some(Duration::ZERO)), Err(CoordError::Timeout));
}

#[test]
fn coordination_wakes_the_shard_and_nobody_else() {
    watched(|| {
        let monster = Monster::new();
        let states: Vec<WaitState> =
            [5, 5, 6, 5].map(|id| monster.wait_state(shard(id)).expect("there is room")).into();
        thread::scope(|scope| {
            let waiting: Vec<_> =
                states.iter().map(|state| scope.spawn(|| state.wait_for_coord(None))).collect();
            let mut woken = 0;
            while woken < 3 {
                woken += monster.coordinate_shard(shard(5)).apps;
                thread::yield_now();
            }
            assert_eq!(
                monster.coordinate_shard(shard(5)).to_string(),
                "Coordinated 0 apps on shard 5"
            );
            assert!(!waiting[2].is_finished(), "it waits for another shard");
            states[2].signal_ready();
            for waiter in waiting {
                assert_eq!(waiter.join().expect("no panic"), Ok(()));
            }
        });
    });
}

#[test]
fn several_may_wait_in_one_state() {
    watched(|| {
        let monster = Monster::new();
        let state = monster.wait_state(shard(0)).expect("there is room");
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| state.wait_for_coord(None).expect("no timeout was given"));
            }
            let mut woken = 0;
            while woken < 4 {
                woken += monster.coordinate_shard(shard(0)).apps;
                thread::yield_now();
            }
            assert_eq!(woken, 4);
        });
    });
}

#[test]
fn every_wait_ends_once_and_is_counted_once() {
    watched(|| {
        const WAITERS: usize = 6;
        const ROUNDS: usize = if cfg!(miri) { 20 } else { 2_000 };
        let monster = Monster::new();
        let states: Vec<WaitState> = (0..WAITERS)
            .map(|index| monster.wait_state(shard(index % 2)).expect("there is room"))
            .collect();
        let (woken, coordinated) = thread::scope(|scope| {
            let waiters: Vec<_> = states
                .iter()
                .enumerate()
                .map(|(index, state)| {
                    scope.spawn(move || {
                        let bound = Duration::from_micros(5 + 20 * index as u64);
                        let ends = (0..ROUNDS).map(|_| state.wait_for_coord(Some(bound)));
                        ends.filter(Result::is_ok).count()
                    })
                })
                .collect();
            let mut coordinated = 0;
            while waiters.iter().any(|waiter| !waiter.is_finished()) {
                coordinated += monster.coordinate_shard(shard(0)).apps;
                coordinated += monster.coordinate_shard(shard(1)).apps;
            }
            let woken: usize = waiters.into_iter().map(|w| w.join().expect("no panic")).sum();
            (woken, coordinated)
        });
        assert_eq!(woken, coordinated);
    });
}

/// What the model test does.
#[derive(Debug, Clone)]
enum Step {
    Create(usize),
    Drop(usize),
    Signal(usize),
    Try(usize),
    Coordinate(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..15usize).prop_map(Step::Create),
        2 => (0..20usize).prop_map(Step::Drop),
        3 => (0..20usize).prop_map(Step::Signal),
        3 => (0..20usize).prop_map(Step::Try),
        1 => (0..15usize).prop_map(Step::Coordinate),
    ];
    prop::collection::vec(step, 0..80)
}

proptest! {
    #[test]
    fn behaves_like_a_sequential_model(steps in steps()) {
        let monster = Monster::new();
        let mut states: BTreeMap<usize, WaitState> = BTreeMap::new();
        let mut model: BTreeMap<usize, (usize, u64, bool)> = BTreeMap::new();
        let mut sequence = 0;
        for step in steps {
            match step {
                Step::Create(id) => {
                    let state = monster.wait_state(shard(id)).expect("fewer than 256");
                    let index = (0..).find(|index| !model.contains_key(index)).expect("endless");
                    sequence += 1;
                    prop_assert_eq!((state.index(), state.sequence()), (index, sequence));
                    model.insert(index, (id, sequence, false));
                    states.insert(index, state);
                }
                Step::Drop(index) => {
                    prop_assert_eq!(states.remove(&index).is_some(), model.remove(&index).is_some());
                }
                Step::Signal(index) => {
                    if let Some(state) = states.get(&index) {
                        state.signal_ready();
                        model.get_mut(&index).expect("as in states").2 = true;
                    }
                }
                Step::Try(index) => {
                    if let Some(state) = states.get(&index) {
                        let ready = &mut model.get_mut(&index).expect("as in states").2;
                        let through = state.wait_for_coord(Some(Duration::ZERO)).is_ok();
                        prop_assert_eq!(through, std::mem::take(ready));
                    }
                }
                Step::Coordinate(id) => {
                    prop_assert_eq!(monster.coordinate_shard(shard(id)).apps, 0);
                }
            }
            let shown: Vec<_> = monster
                .waits_status()
                .iter()
                .map(|line| (line.wait, (line.shard.index(), line.sequence, line.ready)))
                .collect();
            prop_assert_eq!(shown, model.clone().into_iter().collect::<Vec<_>>());
        }
    }
}
