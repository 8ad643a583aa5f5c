//! Published tickets from outside the crate: ended once, by anyone, for every kind of party.

#![allow(clippy::disallowed_types, reason = "a test is not a protocol file")]

mod scale;
mod watchdog;

use kcoro::coroutine::Task;
use kcoro::error::{CancelReason, Stale, WaitError};
use kcoro::token::{self, Kernel, Payload, Ticket};
use scale::scaled;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

fn rounds() -> u64 {
    scaled(if cfg!(debug_assertions) { 30_000 } else { 1_000_000 }) as u64
}

/// Aborts the process when a test hangs, with the figures of the table.
fn watchdog(name: &'static str) -> impl Drop {
    watchdog::watchdog_with(name, || eprintln!("{:?}", Kernel::stats()))
}

#[test]
fn completed_before_and_after_the_wait() {
    let _watchdog = watchdog("completed_before_and_after_the_wait");
    let ticket = token::publish();
    assert!(ticket.is_open());
    ticket.complete(Payload::bytes(b"OK")).unwrap();
    assert!(!ticket.is_open());
    assert_eq!(token::wait(ticket).unwrap().as_bytes(), Some(&b"OK"[..]));
    assert_eq!(token::wait(ticket).unwrap_err(), WaitError::NotOwned);

    let ticket = token::publish();
    let completer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(5));
        ticket.complete(Payload::descriptor(0x10, 2, -3, 9)).unwrap();
    });
    let payload = token::wait(ticket).unwrap();
    let seen = (payload.addr(), payload.len(), payload.status(), payload.descriptor_id());
    assert_eq!(seen, (0x10, 2, -3, 9));
    completer.join().unwrap();
}

#[test]
fn stale_tickets_give_the_payload_back() {
    let ticket = token::publish();
    ticket.complete(Payload::value(1_u8)).unwrap();
    let Stale(back) = ticket.complete(Payload::value(2_u8)).unwrap_err();
    assert_eq!(back.downcast::<u8>().unwrap(), 2);
    assert!(ticket.cancel("late").is_err());
    assert_eq!(token::wait(ticket).unwrap().downcast::<u8>().unwrap(), 1);
    // The slot's next ticket has another generation.
    let next = token::publish();
    assert_ne!(next, ticket);
    assert!(ticket.complete(Payload::empty()).is_err());
    assert!(next.is_open());
    next.cancel(-7).unwrap();
    assert_eq!(token::wait(next).unwrap_err(), WaitError::Cancelled(CancelReason::Code(-7)));
}

#[test]
fn forged_numbers_are_stale() {
    for raw in [0, 1, 1 << 32, u64::MAX, 0xdead_beef_0000_0001] {
        let forged = Ticket::from_raw(raw);
        assert!(forged.complete(Payload::empty()).is_err());
        assert_eq!(token::wait(forged).unwrap_err(), WaitError::NotOwned);
        assert!(token::withdraw(forged).is_none());
    }
    let ticket = token::publish();
    Ticket::from_raw(ticket.into_raw()).complete(Payload::empty()).unwrap();
    token::wait(ticket).unwrap();
}

#[test]
fn only_the_publisher_waits() {
    let ticket = token::publish();
    let other = thread::spawn(move || token::wait(ticket).unwrap_err());
    assert_eq!(other.join().unwrap(), WaitError::NotOwned);
    assert!(token::withdraw(ticket).is_none());
    assert!(ticket.complete(Payload::empty()).is_err());
    let ticket = token::publish();
    ticket.complete(Payload::value(3_i64)).unwrap();
    assert_eq!(token::withdraw(ticket).unwrap().downcast::<i64>().unwrap(), 3);
}

#[test]
fn payload_forms_and_drops() {
    let counted = Arc::new(());
    let ticket = token::publish();
    ticket.complete(Payload::value(Arc::clone(&counted))).unwrap();
    let payload = token::wait(ticket).unwrap();
    assert!(!payload.is_empty());
    let payload = payload.downcast::<u8>().unwrap_err();
    assert_eq!(Arc::strong_count(&counted), 2);
    drop(payload);
    assert_eq!(Arc::strong_count(&counted), 1);
    assert!(Payload::empty().is_empty());
    assert_eq!(Payload::status_only(-11).status(), -11);
    assert_eq!(Payload::from(&b"abc"[..]).len(), 3);
    assert_eq!(format!("{:?}", Payload::empty()), "Payload::Empty");
}

#[test]
fn timeouts_end_the_ticket() {
    let _watchdog = watchdog("timeouts_end_the_ticket");
    let ticket = token::publish();
    let start = Instant::now();
    let error = token::wait_timeout(ticket, Duration::from_millis(3)).unwrap_err();
    assert_eq!(error, WaitError::Timeout);
    assert!(start.elapsed() >= Duration::from_millis(3));
    assert!(ticket.complete(Payload::empty()).is_err());
    let ticket = token::publish();
    ticket.complete(Payload::empty()).unwrap();
    token::wait_timeout(ticket, Duration::ZERO).unwrap();
    let ticket = token::publish();
    let completer = thread::spawn(move || ticket.complete(Payload::empty()));
    token::wait_timeout(ticket, Duration::MAX).unwrap();
    completer.join().unwrap().unwrap();
}

#[test]
fn hand_driven_coroutine_waits() {
    let _watchdog = watchdog("hand_driven_coroutine_waits");
    let log = Rc::new(RefCell::new(Vec::new()));
    let tickets = Rc::new(RefCell::new(Vec::new()));
    let task = Task::new({
        let (log, tickets) = (Rc::clone(&log), Rc::clone(&tickets));
        move || {
            // Two at once, waited for in the other order, with a third in between.
            let (first, second) = (token::publish(), token::publish());
            tickets.borrow_mut().extend([first, second]);
            let len = token::wait(second).unwrap().len();
            log.borrow_mut().push(len);
            let late = token::wait_timeout(token::publish(), Duration::from_millis(2));
            assert_eq!(late.unwrap_err(), WaitError::Timeout);
            let len = token::wait(first).unwrap().len();
            log.borrow_mut().push(len);
        }
    });
    task.resume().unwrap();
    let (first, second) = (tickets.borrow()[0], tickets.borrow()[1]);
    first.complete(Payload::bytes(b"a")).unwrap();
    task.resume().unwrap();
    assert!(log.borrow().is_empty(), "it waits for the second");
    thread::spawn(move || second.complete(Payload::bytes(b"bb")).unwrap()).join().unwrap();
    while !task.is_finished() {
        task.resume().unwrap();
        thread::yield_now();
    }
    assert_eq!(*log.borrow(), [2, 1]);
}

#[test]
fn dropped_coroutine_ends_its_ticket() {
    let ticket = Rc::new(RefCell::new(None));
    let task = Task::new({
        let ticket = Rc::clone(&ticket);
        move || {
            *ticket.borrow_mut() = Some(token::publish());
            let mine = ticket.borrow().unwrap();
            let _ = token::wait(mine);
        }
    });
    task.resume().unwrap();
    drop(task);
    let ticket = ticket.borrow().unwrap();
    assert!(ticket.complete(Payload::empty()).is_err());
}

#[test]
fn callbacks_run_once() {
    let _watchdog = watchdog("callbacks_run_once");
    let (tx, rx) = channel();
    let inline = token::publish_callback({
        let tx = tx.clone();
        move |result| tx.send((thread::current().id(), result.unwrap().len())).unwrap()
    });
    inline.complete(Payload::bytes(b"here")).unwrap();
    assert!(inline.complete(Payload::empty()).is_err());
    assert_eq!(rx.recv().unwrap(), (thread::current().id(), 4));

    let kernel = Kernel::start().unwrap();
    for early in [true, false] {
        let ticket = token::publish();
        if early {
            ticket.complete(Payload::bytes(b"there")).unwrap();
        }
        let tx = tx.clone();
        token::on_complete(ticket, move |result| {
            tx.send((thread::current().id(), result.unwrap().len())).unwrap();
        })
        .unwrap();
        if !early {
            ticket.complete(Payload::bytes(b"there")).unwrap();
        }
        let (thread, len) = rx.recv().unwrap();
        assert_eq!(len, 5);
        assert_ne!(thread, thread::current().id(), "the kernel's thread");
        assert_eq!(token::wait(ticket).unwrap_err(), WaitError::NotOwned);
    }
    // A callback may panic, publish, complete, and drop the last guard.
    let bad = token::publish();
    token::on_complete(bad, |_| panic!("a callback's panic is its own")).unwrap();
    bad.complete(Payload::empty()).unwrap();
    let last = token::publish();
    token::on_complete(last, move |_| {
        drop(kernel);
        let _again = Kernel::start().unwrap();
        token::publish_callback(move |_| tx.send((thread::current().id(), 1)).unwrap())
            .complete(Payload::empty())
            .unwrap();
    })
    .unwrap();
    last.cancel(()).unwrap();
    assert_eq!(rx.recv().unwrap().1, 1);
}

#[test]
fn signals_complete_through_the_kernel() {
    let _watchdog = watchdog("signals_complete_through_the_kernel");
    let kernel = Kernel::start().unwrap();
    let ticket = token::publish();
    let (ready, go) = channel();
    let handler = thread::spawn(move || {
        go.recv().unwrap();
        thread::sleep(Duration::from_millis(3));
        ticket.complete_from_signal(Payload::status_only(-4)).unwrap();
        assert!(ticket.complete_from_signal(Payload::empty()).is_err());
    });
    ready.send(()).unwrap();
    assert_eq!(token::wait(ticket).unwrap().status(), -4);
    handler.join().unwrap();
    let ticket = token::publish();
    assert!(ticket.complete_from_signal(Payload::value(1)).is_err(), "a box cannot be dropped");
    token::withdraw(ticket);
    drop(kernel);
}

#[test]
fn futures_are_woken_and_dropped() {
    let _watchdog = watchdog("futures_are_woken_and_dropped");
    let counted = Arc::new(());
    for round in 0..500_u32 {
        let (ticket, future) = token::publish_future();
        let payload = Payload::value(Arc::clone(&counted));
        let completer = thread::spawn(move || ticket.complete(payload).is_ok());
        if round % 2 == 0 {
            let payload = futures::executor::block_on(future).unwrap();
            payload.downcast::<Arc<()>>().unwrap();
            assert!(completer.join().unwrap());
        } else {
            drop(future);
            completer.join().unwrap();
            assert!(!ticket.is_open());
        }
        assert_eq!(Arc::strong_count(&counted), 1, "nothing is leaked in round {round}");
    }
}

#[test]
fn a_thousand_kernels() {
    let _watchdog = watchdog("a_thousand_kernels");
    let churn = |count: u32| {
        for _ in 0..count {
            let first = Kernel::start().unwrap();
            let second = Kernel::start().unwrap();
            assert!(Kernel::is_running());
            let ticket = token::publish();
            ticket.complete_from_signal(Payload::empty()).unwrap();
            drop(first);
            token::wait(ticket).unwrap();
            drop(second);
        }
    };
    let other = thread::spawn(move || churn(500));
    churn(500);
    other.join().unwrap();
}

#[test]
fn publish_and_complete_race() {
    let _watchdog = watchdog("publish_and_complete_race");
    let cell = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let completer = thread::spawn({
        let (cell, stop) = (Arc::clone(&cell), Arc::clone(&stop));
        move || {
            let (mut won, mut last) = (0, 0);
            while !stop.load(Ordering::Relaxed) {
                let raw = cell.load(Ordering::Relaxed);
                if raw == last {
                    thread::yield_now();
                    continue;
                }
                last = raw;
                // The number came by a relaxed load: the ticket itself must publish its party.
                won += u64::from(Ticket::from_raw(raw).complete(Payload::value(raw)).is_ok());
            }
            won
        }
    });
    let (mut completed, mut timed_out) = (0, 0);
    for round in 0..rounds() {
        let ticket = token::publish();
        cell.store(ticket.into_raw(), Ordering::Relaxed);
        let patience = Duration::from_nanos(if round % 8 == 0 { 1 } else { 200_000 });
        match token::wait_timeout(ticket, patience) {
            Ok(payload) => {
                assert_eq!(payload.downcast::<u64>().unwrap(), ticket.into_raw());
                completed += 1;
            }
            Err(WaitError::Timeout) => timed_out += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    stop.store(true, Ordering::Relaxed);
    assert_eq!(completer.join().unwrap(), completed);
    assert_eq!(completed + timed_out, rounds());
}

#[test]
fn eight_threads_race_for_everything() {
    let _watchdog = watchdog("eight_threads_race_for_everything");
    const THREADS: usize = 8;
    let rounds = rounds() / 100;
    let boards: Arc<Vec<AtomicU64>> = Arc::new((0..THREADS).map(|_| AtomicU64::new(0)).collect());
    let wins = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicU64::new(0));
    let barrier = Arc::new(Barrier::new(THREADS));
    let threads: Vec<_> = (0..THREADS)
        .map(|me| {
            let (boards, wins) = (Arc::clone(&boards), Arc::clone(&wins));
            let (done, barrier) = (Arc::clone(&done), Arc::clone(&barrier));
            thread::spawn(move || {
                barrier.wait();
                let meddle = |round: u64| {
                    let other = (me + 1 + round as usize % (THREADS - 1)) % THREADS;
                    let ticket = Ticket::from_raw(boards[other].load(Ordering::Relaxed));
                    let won = match round % 3 {
                        0 => ticket.cancel("race").is_ok(),
                        _ => ticket.complete(Payload::value(round)).is_ok(),
                    };
                    wins.fetch_add(u64::from(won), Ordering::Relaxed);
                };
                let mut ended = 0;
                for round in 0..rounds {
                    let ticket = token::publish();
                    boards[me].store(ticket.into_raw(), Ordering::Relaxed);
                    meddle(round);
                    match token::wait_timeout(ticket, Duration::from_micros(round % 50)) {
                        Ok(_) | Err(WaitError::Cancelled(_)) => ended += 1,
                        Err(WaitError::Timeout) => {}
                        Err(other) => panic!("{other:?}"),
                    }
                }
                done.fetch_add(ended, Ordering::Relaxed);
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(wins.load(Ordering::Relaxed), done.load(Ordering::Relaxed));
    // The record is one of samples, of which the statistics are one: it sees this ticket at least.
    let open = token::publish();
    let stats = Kernel::stats();
    // Other tests run beside this one, and the sums are of slightly different moments: no sum can be
    // held against another.
    assert!(stats.high_water > 0 && stats.slots > 0);
    assert!(token::withdraw(open).is_none());
    assert!(stats.published > 0 && stats.completed > 0);
}

#[test]
fn a_waker_that_panics_does_not_end_the_kernel() {
    struct Refuses;
    impl std::task::Wake for Refuses {
        fn wake(self: Arc<Self>) {
            panic!("as it was told to");
        }
    }
    let _kernel = Kernel::start().unwrap();
    let (ticket, mut future) = token::publish_future();
    let waker = std::task::Waker::from(Arc::new(Refuses));
    let poll = Pin::new(&mut future).poll(&mut std::task::Context::from_waker(&waker));
    assert!(poll.is_pending());
    // As from a signal handler: the kernel's thread wakes the owner.
    ticket.complete_from_signal(Payload::bytes(b"first")).unwrap();
    let ticket = token::publish();
    let completer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        ticket.complete_from_signal(Payload::bytes(b"second")).unwrap();
    });
    assert_eq!(token::wait_timeout(ticket, Duration::from_secs(60)).unwrap().len(), 6);
    completer.join().unwrap();
}

#[test]
fn what_the_kernel_s_thread_drops_at_its_end_may_start_the_kernel() {
    struct Starts(std::sync::mpsc::Sender<()>);
    impl Drop for Starts {
        fn drop(&mut self) {
            drop(Kernel::start().unwrap());
            self.0.send(()).unwrap();
        }
    }
    thread_local! {
        static AT_THE_END: RefCell<Option<Starts>> = const { RefCell::new(None) };
    }
    let _watchdog = watchdog("what_the_kernel_s_thread_drops_at_its_end_may_start_the_kernel");
    let (ended, end) = channel();
    let (called, call) = channel();
    // The token that holds the kernel up goes on the kernel's own thread.
    let token = kcoro::cancel::CancelToken::with_timeout(Duration::from_millis(20));
    let _ = token.on_cancel(move |_| {
        AT_THE_END.set(Some(Starts(ended)));
        called.send(()).unwrap();
        thread::sleep(Duration::from_millis(50));
    });
    call.recv().unwrap();
    drop(token);
    end.recv().unwrap();
    drop(Kernel::start().unwrap());
}
