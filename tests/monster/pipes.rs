//! Pipes: the contract line by line, a sequential model, and both directions under load.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use kcoro::error::{PipeOpenError, ReadError, WriteError};
use kcoro::monster::{Monster, PIPE_COUNT, PipeEnd, PipeId, RING_CAPACITY, Role, Sample};
use proptest::prelude::*;

use crate::waits::watched;

const TRY: Option<Duration> = Some(Duration::ZERO);

fn pipe(id: usize) -> PipeId {
    PipeId::new(id).expect("below 15")
}

fn sample(number: u32) -> Sample {
    Sample::new(number, u64::from(number))
}

fn ends(monster: &Monster, id: usize) -> (PipeEnd, PipeEnd) {
    let open = |role| monster.open(pipe(id), role).expect("the pipe is not closed");
    (open(Role::Producer), open(Role::Consumer))
}

#[test]
fn samples_come_in_order_in_both_directions() {
    let monster = Monster::new();
    let (producer, consumer) = ends(&monster, 0);
    for number in 0..100 {
        producer.write(sample(number), None).expect("there is room");
        consumer.write(sample(1000 + number), None).expect("there is room");
    }
    for number in 0..100 {
        assert_eq!(consumer.read(None), Ok(sample(number)));
        assert_eq!(producer.read(None), Ok(sample(1000 + number)));
    }
    assert_eq!(consumer.read(TRY), Err(ReadError::Timeout));
}

#[test]
fn the_ring_holds_ten_thousand() {
    let monster = Monster::new();
    let (producer, consumer) = ends(&monster, 14);
    for number in 0..RING_CAPACITY as u32 {
        producer.write(sample(number), TRY).expect("there is room");
    }
    assert_eq!(RING_CAPACITY, 10_000);
    assert_eq!(producer.write(sample(7), TRY), Err(WriteError::Timeout(sample(7))));
    assert_eq!(monster.pipes_status()[14].depth, RING_CAPACITY);
    consumer.read(TRY).expect("it is full");
    producer.write(sample(7), TRY).expect("there is room again");
}

#[test]
fn nothing_moves_without_a_partner() {
    let monster = Monster::new();
    let producer = monster.open(pipe(3), Role::Producer).expect("the first");
    let bound = Duration::from_millis(20);
    let begin = Instant::now();
    assert_eq!(producer.write(sample(1), Some(bound)), Err(WriteError::Timeout(sample(1))));
    assert!(begin.elapsed() >= bound);
    assert_eq!(producer.write(sample(1), TRY), Err(WriteError::Timeout(sample(1))));
    assert_eq!(producer.read(Some(bound)), Err(ReadError::Timeout));

    let consumer = monster.open(pipe(3), Role::Consumer).expect("not closed");
    producer.write(sample(1), TRY).expect("there is a consumer now");
    drop(producer);
    assert_eq!(consumer.read(TRY), Err(ReadError::Timeout), "no producer is registered");
    let producer = monster.open(pipe(3), Role::Producer).expect("not closed");
    assert_eq!(consumer.read(TRY), Ok(sample(1)), "it was kept");
    drop(consumer);
    assert_eq!(producer.write(sample(2), TRY), Err(WriteError::Timeout(sample(2))));
}

#[test]
fn opening_wakes_who_waits_for_a_partner() {
    watched(|| {
        let monster = Monster::new();
        let producer = monster.open(pipe(1), Role::Producer).expect("the first");
        thread::scope(|scope| {
            let writer = scope.spawn(|| producer.write(sample(5), None));
            let reader = scope.spawn(|| producer.read(Some(Duration::from_secs(3600))));
            thread::sleep(Duration::from_millis(10));
            let consumer = monster.open(pipe(1), Role::Consumer).expect("not closed");
            assert_eq!(consumer.read(None), Ok(sample(5)));
            consumer.write(sample(6), None).expect("not closed");
            assert_eq!(writer.join().expect("no panic"), Ok(()));
            assert_eq!(reader.join().expect("no panic"), Ok(sample(6)));
        });
    });
}

#[test]
fn a_full_ring_blocks_and_a_read_lets_the_writer_go_on() {
    watched(|| {
        let monster = Monster::new();
        let (producer, consumer) = ends(&monster, 2);
        let total = RING_CAPACITY as u32 + 500;
        thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..total {
                    producer.write(sample(number), None).expect("not closed");
                }
            });
            for number in 0..total {
                assert_eq!(consumer.read(None), Ok(sample(number)));
            }
        });
    });
}

#[test]
fn close_wakes_everybody_and_lets_reads_drain() {
    watched(|| {
        let monster = Monster::new();
        let (producer, consumer) = ends(&monster, 4);
        let lonely = monster.open(pipe(5), Role::Consumer).expect("the first");
        consumer.write(sample(9), None).expect("there is room");
        thread::scope(|scope| {
            let readers: Vec<_> = (0..6).map(|_| scope.spawn(|| consumer.read(None))).collect();
            let waiting: Vec<_> = (0..6).map(|_| scope.spawn(|| lonely.read(None))).collect();
            let writer = scope.spawn(|| lonely.write(sample(1), None));
            thread::sleep(Duration::from_millis(10));
            assert!(producer.close());
            assert!(!consumer.close(), "the second time");
            assert!(lonely.close());
            for reader in readers.into_iter().chain(waiting) {
                assert_eq!(reader.join().expect("no panic"), Err(ReadError::Closed));
            }
            let refused = Err(WriteError::Closed(sample(1)));
            assert_eq!(writer.join().expect("no panic"), refused);
        });
        drop(consumer);
        assert_eq!(producer.read(None), Ok(sample(9)), "written before the close");
        assert_eq!(producer.read(None), Err(ReadError::Closed));
        assert_eq!(producer.write(sample(1), None), Err(WriteError::Closed(sample(1))));
    });
}

#[test]
fn a_closed_pipe_opens_again_when_all_ends_have_gone() {
    let monster = Monster::new();
    let (producer, consumer) = ends(&monster, 0);
    producer.write(sample(1), None).expect("there is room");
    producer.close();
    drop(producer);
    let again = monster.open(pipe(0), Role::Producer).expect_err("an end is left");
    assert_eq!(again, PipeOpenError::Closed(0));
    assert!(again.to_string().contains("pipe 0 is closed"));
    drop(consumer);
    let (producer, consumer) = ends(&monster, 0);
    assert_eq!(consumer.read(TRY), Err(ReadError::Timeout), "it starts empty");
    producer.write(sample(2), None).expect("it is open");
    assert_eq!(consumer.read(TRY), Ok(sample(2)));
}

#[test]
fn status_shows_identities_and_ends() {
    let monster = Monster::new();
    let pid = std::process::id();
    let line = |id: usize| monster.pipes_status()[id].to_string();
    assert_eq!(monster.pipes_status().len(), PIPE_COUNT);
    assert_eq!(line(0), "Pipe 0: producer=0, consumer=0, readers=0, writers=0, closed=0");
    let (producer, consumer) = ends(&monster, 0);
    let second = consumer.clone();
    assert_eq!(
        line(0),
        format!("Pipe 0: producer={pid}, consumer={pid}, readers=2, writers=1, closed=0")
    );
    drop((producer, second));
    consumer.close();
    assert_eq!(
        line(0),
        format!("Pipe 0: producer=0, consumer={pid}, readers=1, writers=0, closed=1")
    );
    assert_eq!(line(1), "Pipe 1: producer=0, consumer=0, readers=0, writers=0, closed=0");
}

#[test]
fn nothing_is_lost_or_doubled_among_many() {
    watched(|| {
        const WRITERS: u32 = 3;
        const EACH: u32 = if cfg!(miri) { 50 } else { 20_000 };
        let monster = Monster::new();
        let (producer, consumer) = ends(&monster, 7);
        let mut seen: Vec<u32> = thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let producer = producer.clone();
                    scope.spawn(move || {
                        for number in 0..EACH {
                            producer.write(sample(writer * EACH + number), None).expect("open");
                        }
                    })
                })
                .collect();
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    let consumer = consumer.clone();
                    scope.spawn(move || {
                        std::iter::from_fn(|| consumer.read(None).ok()).map(|s| s.pid).collect()
                    })
                })
                .collect();
            writers.into_iter().for_each(|writer| writer.join().expect("no panic"));
            producer.close();
            readers.into_iter().flat_map(|r| -> Vec<u32> { r.join().expect("no panic") }).collect()
        });
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..WRITERS * EACH));
    });
}

/// What the model test does, to one pipe.
#[derive(Debug, Clone)]
enum Step {
    Open(Role),
    Drop(Role),
    Write(Role),
    Read(Role),
    Close(Role),
}

/// What the pipe should be, with at most one end a role.
#[derive(Default)]
struct Model {
    open: [bool; 2],
    rings: [VecDeque<u32>; 2],
    closed: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let role = || prop_oneof![Just(Role::Producer), Just(Role::Consumer)];
    let step = prop_oneof![
        4 => role().prop_map(Step::Open),
        2 => role().prop_map(Step::Drop),
        8 => role().prop_map(Step::Write),
        6 => role().prop_map(Step::Read),
        1 => role().prop_map(Step::Close),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn behaves_like_a_sequential_model(steps in steps()) {
        let monster = Monster::new();
        let mut ends: [Option<PipeEnd>; 2] = [None, None];
        let mut model = Model::default();
        for (number, step) in (0..).zip(steps) {
            match step {
                Step::Open(role) if ends[role as usize].is_none() => {
                    let opened = monster.open(pipe(0), role);
                    if model.closed && model.open == [false; 2] {
                        model = Model::default();
                    }
                    prop_assert_eq!(opened.is_err(), model.closed);
                    model.open[role as usize] = !model.closed;
                    ends[role as usize] = opened.ok();
                }
                Step::Drop(role) => {
                    ends[role as usize] = None;
                    model.open[role as usize] = false;
                }
                Step::Write(role) => if let Some(end) = &ends[role as usize] {
                    let partner = model.open[1 - role as usize];
                    let expected = if model.closed {
                        Err(WriteError::Closed(sample(number)))
                    } else if partner {
                        model.rings[role as usize].push_back(number);
                        Ok(())
                    } else {
                        Err(WriteError::Timeout(sample(number)))
                    };
                    prop_assert_eq!(end.write(sample(number), TRY), expected);
                },
                Step::Read(role) => if let Some(end) = &ends[role as usize] {
                    let partner = model.open[1 - role as usize];
                    let next = (partner || model.closed)
                        .then(|| model.rings[1 - role as usize].pop_front())
                        .flatten();
                    let none = if model.closed { ReadError::Closed } else { ReadError::Timeout };
                    prop_assert_eq!(end.read(TRY), next.map(sample).ok_or(none));
                },
                Step::Close(role) => if let Some(end) = &ends[role as usize] {
                    prop_assert_eq!(end.close(), !std::mem::replace(&mut model.closed, true));
                },
                Step::Open(_) => {}
            }
            let status = monster.pipes_status()[0];
            prop_assert_eq!(status.closed, model.closed);
            prop_assert_eq!([status.writers, status.readers], model.open.map(usize::from));
            let depths = [status.depth, status.depth_back];
            prop_assert_eq!(depths, [model.rings[0].len(), model.rings[1].len()]);
        }
    }
}
