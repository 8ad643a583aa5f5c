//! Channels against a sequential model: whatever one party does, it sees what a queue would show.

mod scale;

use std::collections::VecDeque;
use std::time::Duration;

use kcoro::channel::{self, Overflow, Receiver, Sender};
use kcoro::error::{RecvTimeoutError, SendError, TryBroadcastError, TryRecvError, TrySendError};
use proptest::prelude::*;

/// A channel as a plain queue: what calls that never wait return.
struct Model {
    queue: VecDeque<u32>,
    capacity: usize,
    overflow: Overflow,
    closed: bool,
    senders: usize,
    receivers: usize,
    dropped: Vec<u32>,
}

impl Model {
    fn try_send(&mut self, value: u32) -> Result<(), TrySendError<u32>> {
        if self.closed {
            return Err(TrySendError::Closed(value));
        }
        if self.queue.len() < self.capacity {
            self.queue.push_back(value);
            return Ok(());
        }
        match self.overflow {
            Overflow::Suspend | Overflow::Fail => return Err(TrySendError::Full(value)),
            Overflow::DropLatest => self.dropped.push(value),
            Overflow::DropOldest => {
                self.queue.push_back(value);
                self.dropped.extend(self.queue.pop_front());
            }
        }
        Ok(())
    }

    fn try_recv(&mut self) -> Result<u32, TryRecvError> {
        let empty = if self.closed { TryRecvError::Closed } else { TryRecvError::Empty };
        self.queue.pop_front().ok_or(empty)
    }

    fn drop_sender(&mut self) {
        self.senders -= 1;
        self.closed |= self.senders == 0;
    }

    fn drop_receiver(&mut self) {
        self.receivers -= 1;
        if self.receivers == 0 {
            self.closed = true;
            self.dropped.extend(self.queue.drain(..));
        }
    }
}

#[derive(Debug, Clone)]
enum Call {
    TrySend,
    TryRecv,
    Close,
    CloneSender,
    CloneReceiver,
    DropSender,
    DropReceiver,
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        12 => Just(Call::TrySend),
        10 => Just(Call::TryRecv),
        1 => Just(Call::CloneSender),
        1 => Just(Call::CloneReceiver),
        1 => Just(Call::DropSender),
        1 => Just(Call::DropReceiver),
        1 => Just(Call::Close),
    ]
}

fn overflow() -> impl Strategy<Value = Overflow> {
    prop_oneof![
        Just(Overflow::Suspend),
        Just(Overflow::Fail),
        Just(Overflow::DropOldest),
        Just(Overflow::DropLatest),
    ]
}

fn check(capacity: Option<usize>, overflow: Overflow, calls: &[Call]) {
    let (hook, dropped) = std::sync::mpsc::channel();
    let hook = std::sync::Mutex::new(hook);
    let mut builder = channel::builder::<u32>()
        .overflow(overflow)
        .on_undelivered(move |value| hook.lock().unwrap().send(value).unwrap());
    if let Some(capacity) = capacity {
        builder = builder.capacity(capacity);
    }
    let (tx, rx) = builder.build();
    let (mut senders, mut receivers): (Vec<Sender<u32>>, Vec<Receiver<u32>>) = (vec![tx], vec![rx]);
    let mut model = Model {
        queue: VecDeque::new(),
        capacity: capacity.unwrap_or(usize::MAX),
        overflow,
        closed: false,
        senders: 1,
        receivers: 1,
        dropped: Vec::new(),
    };
    let mut next = 0;
    for call in calls {
        match call {
            Call::TrySend if !senders.is_empty() => {
                next += 1;
                let at = next as usize % senders.len();
                assert_eq!(senders[at].try_send(next), model.try_send(next));
            }
            Call::TryRecv if !receivers.is_empty() => {
                let at = next as usize % receivers.len();
                assert_eq!(receivers[at].try_recv(), model.try_recv());
            }
            Call::Close if !senders.is_empty() => {
                assert_eq!(senders[0].close(), !model.closed);
                model.closed = true;
            }
            Call::CloneSender if !senders.is_empty() => {
                senders.push(senders[0].clone());
                model.senders += 1;
            }
            Call::CloneReceiver if !receivers.is_empty() => {
                receivers.push(receivers[0].clone());
                model.receivers += 1;
            }
            Call::DropSender if !senders.is_empty() => {
                senders.pop();
                model.drop_sender();
            }
            Call::DropReceiver if !receivers.is_empty() => {
                receivers.pop();
                model.drop_receiver();
            }
            _ => {}
        }
        for tx in &senders {
            assert_eq!((tx.len(), tx.is_closed()), (model.queue.len(), model.closed));
            assert_eq!(tx.is_empty(), model.queue.is_empty());
        }
        assert_eq!(dropped.try_iter().collect::<Vec<_>>(), std::mem::take(&mut model.dropped));
    }
    // What is left goes to the hook with the last receiver, or is dropped with the channel.
    while !receivers.is_empty() {
        receivers.pop();
        model.drop_receiver();
    }
    assert_eq!(dropped.try_iter().collect::<Vec<_>>(), model.dropped);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: scale::scaled(if cfg!(debug_assertions) { 300 } else { 3000 }) as u32,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn bounded(capacity in prop_oneof![1usize..6, 8usize..14], overflow in overflow(),
               calls in prop::collection::vec(call(), 1..80)) {
        check(Some(capacity), overflow, &calls);
    }

    #[test]
    fn conflated(calls in prop::collection::vec(call(), 1..80)) {
        check(Some(1), Overflow::DropOldest, &calls);
    }

    #[test]
    fn unbounded(calls in prop::collection::vec(call(), 1..200)) {
        check(None, Overflow::Suspend, &calls);
    }
}

#[test]
fn rendezvous_without_a_partner_is_always_full_and_empty() {
    let (tx, rx) = channel::rendezvous();
    assert_eq!(tx.try_send(1), Err(TrySendError::Full(1)));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    assert_eq!((tx.len(), tx.capacity(), tx.is_full(), tx.is_empty()), (0, Some(0), true, true));
    assert!(tx.close());
    assert_eq!(tx.try_send(1), Err(TrySendError::Closed(1)));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
}

/// What may happen to a broadcast or a watched value; numbers choose among the receivers.
#[derive(Debug, Clone)]
enum Event {
    Send,
    Receive(usize),
    Subscribe,
    Clone(usize),
    Drop(usize),
    Close,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        10 => Just(Event::Send),
        12 => any::<usize>().prop_map(Event::Receive),
        1 => Just(Event::Subscribe),
        1 => any::<usize>().prop_map(Event::Clone),
        1 => any::<usize>().prop_map(Event::Drop),
        1 => Just(Event::Close),
    ]
}

/// Every value in order, the last `capacity` of them kept, and a place in it for each subscriber.
fn check_broadcast(capacity: usize, events: &[Event]) {
    let (tx, rx) = channel::broadcast(capacity);
    let mut ends = vec![(rx, 0)];
    let (mut sent, mut closed) = (0, false);
    for event in events {
        let count = ends.len().max(1);
        let chosen = |at: &usize| at % count;
        match event {
            Event::Send => {
                let expected = if closed { Err(SendError::Closed(sent)) } else { Ok(ends.len()) };
                assert_eq!(tx.send(sent), expected);
                sent += usize::from(!closed);
            }
            Event::Receive(at) if !ends.is_empty() => {
                let (rx, next) = &mut ends[chosen(at)];
                let oldest = sent.saturating_sub(capacity);
                // A value that a subscriber has skipped over may still be there for the others.
                let got = rx.try_recv();
                match got {
                    Ok(value) => assert!(value == *next && value >= oldest && value < sent),
                    Err(TryBroadcastError::Lagged(missed)) => {
                        assert!(missed > 0 && *next < oldest);
                        assert_eq!(*next + missed as usize, oldest);
                    }
                    Err(TryBroadcastError::Empty) => assert!(*next == sent && !closed),
                    Err(error) => {
                        assert_eq!(error, TryBroadcastError::Closed);
                        assert!(*next == sent && closed);
                    }
                }
                match got {
                    Ok(_) => *next += 1,
                    Err(TryBroadcastError::Lagged(_)) => *next = oldest,
                    Err(_) => {}
                }
            }
            Event::Subscribe => ends.push((tx.subscribe(), sent)),
            Event::Clone(at) if !ends.is_empty() => {
                let (rx, next) = &ends[chosen(at)];
                let copy = (rx.clone(), *next);
                ends.push(copy);
            }
            Event::Drop(at) if !ends.is_empty() => drop(ends.remove(chosen(at))),
            Event::Close => assert_eq!(tx.close(), !std::mem::replace(&mut closed, true)),
            _ => {}
        }
        assert_eq!(tx.subscribers(), ends.len());
        assert!(tx.len() <= capacity);
    }
}

/// A number of the latest value, and the number that each receiver has seen.
fn check_watch(events: &[Event]) {
    let (tx, rx) = channel::watch(0);
    let mut ends = vec![(rx, 0)];
    let (mut latest, mut closed) = (0, false);
    for event in events {
        let count = ends.len().max(1);
        let chosen = |at: &usize| at % count;
        match event {
            Event::Send => {
                let sent = tx.send(latest + 1).map(|before| *before);
                let refused = Err(SendError::Closed(latest + 1));
                assert_eq!(sent, if closed { refused } else { Ok(latest) });
                latest += usize::from(!closed);
            }
            Event::Receive(at) if !ends.is_empty() => {
                let (rx, seen) = &mut ends[chosen(at)];
                assert_eq!((*rx.borrow(), rx.has_changed()), (latest, *seen != latest));
                let news = rx.changed_timeout(Duration::ZERO);
                let nothing = match closed {
                    true => Err(RecvTimeoutError::Closed),
                    false => Err(RecvTimeoutError::Timeout),
                };
                assert_eq!(news, if *seen == latest { nothing } else { Ok(()) });
                *seen = latest;
            }
            Event::Subscribe => ends.push((tx.subscribe(), latest)),
            Event::Clone(at) if !ends.is_empty() => {
                let (rx, seen) = &ends[chosen(at)];
                let copy = (rx.clone(), *seen);
                ends.push(copy);
            }
            Event::Drop(at) if !ends.is_empty() => drop(ends.remove(chosen(at))),
            Event::Close => assert_eq!(tx.close(), !std::mem::replace(&mut closed, true)),
            _ => {}
        }
    }
    assert_eq!((*tx.borrow(), tx.is_closed()), (latest, closed));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(scale::scaled(256) as u32))]

    #[test]
    fn broadcast(capacity in 1usize..5, events in prop::collection::vec(event(), 1..80)) {
        check_broadcast(capacity, &events);
    }

    #[test]
    fn watch(events in prop::collection::vec(event(), 1..80)) {
        check_watch(&events);
    }
}
