//! Cancel tokens: trees, reasons, callbacks, deadlines, and everything that waits for one.

#![allow(clippy::disallowed_types, reason = "a test has no loom build")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use kcoro::cancel::CancelToken;
use kcoro::channel;
use kcoro::coroutine::Task;
use kcoro::error::{CancelReason, RecvCancelError, SendCancelError};

#[path = "channel/support.rs"]
#[allow(dead_code)]
mod support;

use support::{drive, watched};

#[test]
fn the_first_reason_stays() {
    let token = CancelToken::new();
    assert_eq!((token.is_cancelled(), token.reason()), (false, None));
    assert!(token.cancel_with(-5));
    assert!(!token.cancel_with("late"));
    assert!(token.clone().is_cancelled());
    assert_eq!(token.reason(), Some(CancelReason::Code(-5)));
}

#[test]
fn cancels_go_down_and_not_up() {
    let root = CancelToken::new();
    let left = root.child();
    let right = root.child();
    let below = left.child();
    assert!(left.cancel_with("left"));
    assert_eq!(below.reason(), Some("left".into()));
    assert!(!root.is_cancelled() && !right.is_cancelled());
    assert!(root.cancel());
    assert!(right.is_cancelled());
    assert_eq!(left.reason(), Some("left".into()));
    assert!(root.child().is_cancelled());
}

#[test]
fn depth_does_not_matter() {
    let root = CancelToken::new();
    let mut leaf = root.child();
    for _ in 0..200_000 {
        leaf = leaf.child();
    }
    root.cancel_with(1);
    assert_eq!(leaf.reason(), Some(1.into()));
    drop(root);
    drop(leaf);
    let mut leaf = CancelToken::new();
    for _ in 0..200_000 {
        leaf = leaf.child();
    }
    drop(leaf);
}

#[test]
fn children_that_are_gone_leave_nothing() {
    let root = CancelToken::new();
    for _ in 0..1000 {
        let _child = root.child();
    }
    assert!(format!("{root:?}").contains("entries: 0"), "{root:?}");
}

#[test]
fn callbacks_run_once_in_order() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = |n: u32| {
        let seen = Arc::clone(&seen);
        move |reason| seen.lock().unwrap().push((n, reason))
    };
    let token = CancelToken::new();
    let first = token.on_cancel(note(1));
    let _ = token.on_cancel(note(2));
    let _ = token.on_cancel(note(3));
    assert!(first.remove());
    let late = token.on_cancel(note(4));
    token.cancel_with(9);
    token.cancel_with(10);
    assert!(!late.remove());
    let _ = token.on_cancel(note(5));
    assert_eq!(*seen.lock().unwrap(), [2, 3, 4, 5].map(|n| (n, CancelReason::Code(9))));
}

#[test]
fn a_panicking_callback_stops_nobody() {
    let ran = Arc::new(AtomicUsize::new(0));
    let token = CancelToken::new();
    let child = token.child();
    let _ = token.on_cancel(|_| panic!("callback"));
    let count = Arc::clone(&ran);
    let _ = child.on_cancel(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let cancelled = token.clone();
    assert!(thread::spawn(move || cancelled.cancel()).join().is_err());
    assert!(token.is_cancelled() && child.is_cancelled());
    assert_eq!(ran.load(Ordering::Relaxed), 1);
}

#[test]
fn deadlines_come_by_themselves() {
    watched(|| {
        let soon = Instant::now() + Duration::from_millis(10);
        let token = CancelToken::with_deadline(soon);
        let child = token.child();
        assert_eq!(child.deadline(), Some(soon));
        assert_eq!(child.cancelled().wait(), CancelReason::Deadline);
        assert!(Instant::now() >= soon);
        let root = CancelToken::new();
        let timed = root.child_with_deadline(Instant::now() + Duration::from_secs(3600));
        root.cancel();
        assert_eq!(timed.reason(), Some(CancelReason::Unspecified));
        drop(CancelToken::with_timeout(Duration::MAX));
    });
}

/// A deadline that passes while the token is being made is not lost.
#[test]
fn a_deadline_that_has_passed_cancels() {
    watched(|| {
        let parent = CancelToken::new();
        for nanoseconds in 0..500 {
            let soon = Instant::now() + Duration::from_nanos(100 * nanoseconds);
            assert_eq!(CancelToken::with_deadline(soon).cancelled().wait(), CancelReason::Deadline);
            assert_eq!(parent.child_with_deadline(soon).cancelled().wait(), CancelReason::Deadline);
        }
        assert!(!parent.is_cancelled());
    });
}

#[test]
fn every_kind_of_party_is_woken() {
    watched(|| {
        let token = CancelToken::new();
        let waiting = {
            let token = token.clone();
            thread::spawn(move || token.cancelled().wait())
        };
        let polling = {
            let token = token.clone();
            thread::spawn(move || futures::executor::block_on(token.cancelled()))
        };
        let task = {
            let token = token.clone();
            Task::new(move || assert_eq!(token.cancelled().wait(), 3.into()))
        };
        task.resume().unwrap();
        assert!(task.is_parked());
        thread::sleep(Duration::from_millis(10));
        token.cancel_with(3);
        drive(&[task]);
        assert_eq!(waiting.join().unwrap(), 3.into());
        assert_eq!(polling.join().unwrap(), 3.into());
        assert_eq!(token.cancelled().wait(), 3.into());
        assert_eq!(futures::executor::block_on(token.cancelled()), 3.into());
    });
}

#[test]
fn a_cancelled_token_comes_before_a_value_and_a_deadline() {
    let token = CancelToken::new();
    token.cancel();
    let (tx, rx) = channel::bounded(1);
    let sent = tx.send_timeout_cancellable(1, Duration::ZERO, &token);
    assert_eq!(sent, Err(SendCancelError::Cancelled(1)));
    tx.send(2).unwrap();
    let received = rx.recv_timeout_cancellable(Duration::ZERO, &token);
    assert_eq!(received, Err(RecvCancelError::Cancelled));
    assert_eq!(rx.recv(), Ok(2));
}
