//! The same pipes and wait states from coroutines, alone and mixed with threads.

use std::thread;
use std::time::{Duration, Instant};

use kcoro::error::{CoordError, ReadError};
use kcoro::monster::{
    Consumer, Filter, Monster, PipeId, Producer, Role, Sample, ShardId, WAIT_STATE_COUNT,
};
use kcoro::{run, spawn};

use crate::waits::watched;

fn pipe(id: usize) -> PipeId {
    PipeId::new(id).expect("below 15")
}

#[test]
fn three_stages_lose_nothing() {
    watched(|| {
        run(|| {
            let monster = Monster::new();
            let open = |id, role| monster.open(pipe(id), role).expect("not closed");
            let (total, kept) = (50_000, 40_000);
            let mut producer = Producer::new(open(0, Role::Producer), pipe(0));
            let (filter_in, filter_out) = (open(0, Role::Consumer), open(1, Role::Producer));
            let mut filter = Filter::new(filter_in, filter_out, pipe(1));
            let mut consumer = Consumer::new(open(1, Role::Consumer));
            let producer = spawn(move || {
                let flow = producer.write((0..total).map(|pid| Sample::new(pid, 0)), None);
                assert!(flow.is_continue());
                producer.sink().close();
                producer.summary().to_string()
            });
            let filter = spawn(move || {
                filter.run(|sample| {
                    sample.apply_hecke(pipe(3));
                    sample.pid % 5 != 0
                });
                filter.sink().close();
                filter.summary().to_string()
            });
            let mut last = None;
            consumer.run(|sample| last.replace(sample.pid) < Some(sample.pid));
            let lines = [
                producer.join().expect("no panic"),
                filter.join().expect("no panic"),
                consumer.summary().to_string(),
            ];
            assert_eq!(
                lines,
                [
                    format!("Producer: Wrote {total} samples to ring 0"),
                    format!("Filter: Read {total} samples, wrote {kept} to ring 1"),
                    format!("Consumer: Read {kept} samples, processed {kept}"),
                ]
            );
        });
    });
}

#[test]
fn a_thread_and_a_coroutine_share_a_pipe() {
    watched(|| {
        let monster = Monster::new();
        let producer = monster.open(pipe(0), Role::Producer).expect("the first");
        let writer = thread::spawn(move || {
            (0..30_000).try_for_each(|pid| producer.write(Sample::new(pid, 0), None))?;
            producer.close();
            Ok::<_, kcoro::error::WriteError<Sample>>(())
        });
        run(move || {
            let consumer = monster.open(pipe(0), Role::Consumer).expect("not closed");
            let reader = spawn(move || {
                for pid in 0..30_000 {
                    assert_eq!(consumer.read(None).map(|sample| sample.pid), Ok(pid));
                }
                consumer.read(None)
            });
            assert_eq!(reader.join().expect("no panic"), Err(ReadError::Closed));
        });
        assert_eq!(writer.join().expect("no panic"), Ok(()));
    });
}

#[test]
fn every_wait_state_of_a_shard_is_woken_by_one_call() {
    watched(|| {
        run(|| {
            let monster = Monster::new();
            let shard = ShardId::new(5).expect("below 15");
            let waiters: Vec<_> = (0..WAIT_STATE_COUNT)
                .map(|_| {
                    let state = monster.wait_state(shard).expect("there is room for 256");
                    spawn(move || state.wait_for_coord(None))
                })
                .collect();
            let mut woken = 0;
            while woken < WAIT_STATE_COUNT {
                kcoro::sleep(Duration::from_millis(1));
                woken += monster.coordinate_shard(shard).apps;
            }
            assert_eq!(woken, WAIT_STATE_COUNT);
            for waiter in waiters {
                assert_eq!(waiter.join().expect("no panic"), Ok(()));
            }
            assert_eq!(monster.waits_status(), [], "each was dropped with its coroutine");
        });
    });
}

#[test]
fn timeouts_end_the_waits_of_coroutines() {
    watched(|| {
        run(|| {
            let monster = Monster::new();
            let bound = Duration::from_millis(20);
            let state = monster.wait_state(ShardId::new(0).expect("below 15")).expect("room");
            let begin = Instant::now();
            assert_eq!(state.wait_for_coord(Some(bound)), Err(CoordError::Timeout));
            assert!(begin.elapsed() >= bound);
            let producer = monster.open(pipe(0), Role::Producer).expect("the first");
            assert_eq!(producer.read(Some(bound)), Err(ReadError::Timeout), "nobody there");
            let _consumer = monster.open(pipe(0), Role::Consumer).expect("not closed");
            assert_eq!(producer.read(Some(bound)), Err(ReadError::Timeout), "nothing there");
            assert!(begin.elapsed() >= 3 * bound);
        });
    });
}
