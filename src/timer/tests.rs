//! The wheel against a sorted list: same timers, same order, never early, the next deadline exact.

use super::{FOREVER, Progress, TimerKey, Wheel};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    Repeat,
    Cancel(usize),
    CancelLast,
    Advance(u64),
    AdvanceSome(u64, usize),
    ToNext,
    Back(u64),
}

/// A distance in time, from a few nanoseconds to centuries.
fn distance() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..200u64,
        0..1u64 << 17,
        0..1u64 << 23,
        0..1u64 << 35,
        any::<u64>().prop_map(|x| x >> (x % 40)),
        Just(FOREVER),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => distance().prop_map(Step::Insert),
        2 => Just(Step::Repeat),
        2 => any::<usize>().prop_map(Step::Cancel),
        1 => Just(Step::CancelLast),
        3 => distance().prop_map(|d| Step::Advance(d / 2)),
        2 => (distance(), 0..6usize).prop_map(|(d, n)| Step::AdvanceSome(d / 2, n)),
        3 => Just(Step::ToNext),
        1 => (0..1u64 << 20).prop_map(Step::Back),
    ]
}

#[derive(Debug, Default)]
struct Model {
    /// (deadline, payload); payloads are insertion numbers, so the order is total.
    pending: Vec<(u64, u64)>,
    keys: Vec<(Option<TimerKey>, u64)>,
}

impl Model {
    fn insert(&mut self, wheel: &mut Wheel, deadline: u64) {
        let payload = self.keys.len() as u64;
        let key = wheel.insert(deadline, payload);
        assert_eq!(key.is_none(), deadline == FOREVER);
        self.keys.push((key, payload));
        if deadline != FOREVER {
            self.pending.push((deadline, payload));
            self.pending.sort_unstable();
        }
    }

    fn cancel(&mut self, wheel: &mut Wheel, which: usize) {
        let Some(&(Some(key), payload)) = self.keys.get(which) else { return };
        let expected = self.pending.iter().position(|&(_, p)| p == payload);
        let expected = expected.map(|at| self.pending.remove(at).1);
        assert_eq!(wheel.cancel(key), expected);
        assert_eq!(wheel.cancel(key), None, "a stale key is harmless");
    }

    fn due(&self, now: u64) -> usize {
        self.pending.partition_point(|&(deadline, _)| deadline <= now)
    }

    fn advance(&mut self, wheel: &mut Wheel, now: u64, max: usize) {
        let mut fired = Vec::new();
        let progress = wheel.advance_some(now, max, |payload| fired.push(payload));
        let due = self.due(now);
        assert!(fired.len() <= due.min(max));
        let expected: Vec<u64> = self.pending.drain(..fired.len()).map(|(_, p)| p).collect();
        assert_eq!(fired, expected, "in order of deadline, equal ones in order of insertion");
        if progress == Progress::Done {
            assert_eq!(fired.len(), due);
        }
    }
}

fn run(start: u64, steps: Vec<Step>) {
    let mut now = start;
    let mut wheel = Wheel::new(now);
    let mut model = Model::default();
    let mut last = 0;
    for step in steps {
        match step {
            Step::Insert(distance) => {
                last = now.saturating_add(distance);
                model.insert(&mut wheel, last);
            }
            Step::Repeat => model.insert(&mut wheel, last),
            Step::Cancel(n) => model.cancel(&mut wheel, n % (last_index(&model) + 1)),
            Step::CancelLast => model.cancel(&mut wheel, last_index(&model)),
            Step::Advance(distance) => {
                now = now.saturating_add(distance);
                model.advance(&mut wheel, now, usize::MAX);
            }
            Step::AdvanceSome(distance, max) => {
                now = now.saturating_add(distance);
                model.advance(&mut wheel, now, max);
            }
            Step::ToNext => {
                let Some(next) = wheel.next_deadline() else { continue };
                if next > now {
                    model.advance(&mut wheel, next - 1, usize::MAX);
                    assert_eq!(model.due(next - 1), 0);
                }
                now = now.max(next);
                model.advance(&mut wheel, now, usize::MAX);
            }
            Step::Back(distance) => {
                model.advance(&mut wheel, now.saturating_sub(distance), usize::MAX);
            }
        }
        let earliest = model.pending.first().map(|&(deadline, _)| deadline);
        assert!(wheel.next_deadline_bound() <= earliest && wheel.len() == model.pending.len());
        assert_eq!(wheel.next_deadline_bound().is_some(), earliest.is_some());
        assert_eq!(wheel.next_deadline(), earliest);
        assert_eq!(wheel.next_deadline_bound(), earliest, "exact after it was made exact");
    }
}

fn last_index(model: &Model) -> usize {
    model.keys.len().saturating_sub(1)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 8 } else { ProptestConfig::default().cases.min(400) },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn wheel_equals_sorted_list(
        start in prop_oneof![0..1u64 << 20, any::<u64>()],
        steps in prop::collection::vec(step(), 0..120),
    ) {
        run(start, steps);
    }
}

#[test]
fn bounded_work_moves_a_crowded_slot_in_pieces() {
    let mut wheel = Wheel::new(0);
    for n in 0..1_000 {
        wheel.insert(1 << 40 | (999 - n), n);
    }
    let (mut calls, mut fired) = (0, Vec::new());
    while wheel.advance_some(1 << 41, 10, |n| fired.push(n)) == Progress::More {
        calls += 1;
        assert_eq!(wheel.next_deadline(), Some(1 << 40 | fired.len() as u64));
    }
    assert!(calls > 150, "moved and fired, ten at a time, took {calls} calls");
    assert!(fired.iter().copied().eq((0..1_000).rev()));
    wheel.shrink();
    assert_eq!((wheel.len(), wheel.next_deadline()), (0, None));
}
