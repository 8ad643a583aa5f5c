//! What allocates nothing: operations on channels, alone and as up to eight arms of a select, once
//! the buffers and stacks that they need are there.

#![allow(clippy::disallowed_types, reason = "a test has no loom build")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use kcoro::channel::{self, Arm, Receiver, Select, Sender, local};
use kcoro::coroutine::Task;
use kcoro::select;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, with a count of the calling thread's calls.
struct Counting;

// SAFETY: the system's allocator does everything; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: by the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: by the caller's contract.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of a hundred runs of `work`, after a few that may make what is kept.
fn allocations(mut work: impl FnMut()) -> usize {
    (0..10).for_each(|_| work());
    let before = ALLOCATIONS.with(Cell::get);
    (0..100).for_each(|_| work());
    ALLOCATIONS.with(Cell::get) - before
}

fn channels() -> (Vec<Sender<u64>>, [Receiver<u64>; 8]) {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..8).map(|_| channel::bounded(1)).unzip();
    (senders, receivers.try_into().expect("eight"))
}

#[test]
fn operations() {
    let (tx, rx) = channel::bounded(16);
    assert_eq!(
        allocations(|| {
            tx.send(1_u64).unwrap();
            rx.recv().unwrap();
        }),
        0
    );
    let (tx, rx) = channel::unbounded();
    assert_eq!(
        allocations(|| {
            tx.send(1_u64).unwrap();
            rx.recv().unwrap();
        }),
        0
    );
    let (tx, rx) = local::bounded(16);
    assert_eq!(
        allocations(|| {
            tx.send(1_u64).unwrap();
            rx.recv().unwrap();
        }),
        0
    );
    let (mut tx, mut rx) = channel::spsc(16);
    assert_eq!(
        allocations(|| {
            tx.send(1_u64).unwrap();
            rx.recv().unwrap();
        }),
        0
    );
    let (tx, rx) = channel::rendezvous();
    let receiver = Task::new(move || while rx.recv().is_ok() {});
    receiver.resume().unwrap();
    let waits = allocations(|| {
        tx.send(1_u64).unwrap();
        receiver.resume().unwrap();
    });
    assert_eq!(waits, 0);
    drop(tx);
    receiver.resume().unwrap();
}

#[test]
fn eight_arms_that_are_ready() {
    let (senders, receivers) = channels();
    let [a, b, c, d, e, f, g, h] = &receivers;
    let mut at = 0;
    let count = allocations(|| {
        at = (at + 1) % 8;
        senders[at].send(7).unwrap();
        let got = select! {
            v = a.recv() => v, v = b.recv() => v, v = c.recv() => v, v = d.recv() => v,
            v = e.recv() => v, v = f.recv() => v, v = g.recv() => v, v = h.recv() => v,
        };
        assert_eq!(got, Ok(7));
    });
    assert_eq!(count, 0);
    let count = allocations(|| {
        senders[3].send(8).unwrap();
        let mut arms: [_; 8] = std::array::from_fn(|at| receivers[at].arm());
        let mut select = Select::new();
        arms.iter_mut().for_each(|arm| _ = select.add(arm));
        assert_eq!((select.wait(), arms[3].take()), (3, Ok(8)));
    });
    assert_eq!(count, 0);
}

#[test]
fn eight_arms_that_wait() {
    let (senders, receivers) = channels();
    let selects = Task::new(move || {
        let [a, b, c, d, e, f, g, h] = &receivers;
        loop {
            let got = select! {
                v = a.recv() => v, v = b.recv() => v, v = c.recv() => v, v = d.recv() => v,
                v = e.recv() => v, v = f.recv() => v, v = g.recv() => v, v = h.recv() => v,
            };
            if got.is_err() {
                return;
            }
        }
    });
    selects.resume().unwrap();
    let mut at = 0;
    let count = allocations(|| {
        assert!(selects.is_parked());
        at = (at + 3) % 8;
        senders[at].send(7).unwrap();
        selects.resume().unwrap();
    });
    assert_eq!(count, 0);
    drop(senders);
    selects.resume().unwrap();
    assert!(selects.is_finished());
}
