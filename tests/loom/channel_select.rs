//! Selects under loom: the engine, the nodes and the choice that ship, behind loom's lock.
//!
//! Two selects on the same two channels in opposite order meet on exactly one of them; a select that
//! tries, waits and leaves loses nothing against a plain partner; close, a partner and a cancel that
//! want the same waiter end its wait once. Each mutant leaves one rule out, and is seen to fail.

use super::super::super::engine::{Engine, Received, Sent, Values};
use super::super::super::node::{Node, Waiter, Wake};
use super::super::super::policy::Overflow;
use super::super::operation::Sealed;
use super::{Operation, Place, choose_wait};
use crate::coroutine::WaitReason;
use crate::token::{Outcome, Wait};
use loom::sync::Mutex;
use loom::thread;
use std::collections::VecDeque;
use std::marker::PhantomData;

/// Which rule is left out.
trait Rules: 'static {
    /// An arm looks, under the lock, whether it need not wait.
    const LOOK: bool = true;
    /// An arm's wait is claimed by compare-and-swap, since other arms may end it.
    const COMPARE: bool = true;
    /// A close wakes those who wait.
    const DISMISS: bool = true;
}

struct Shipped;
impl Rules for Shipped {}

struct Blind;
impl Rules for Blind {
    const LOOK: bool = false;
}

struct Alone;
impl Rules for Alone {
    const COMPARE: bool = false;
}

struct Quiet;
impl Rules for Quiet {
    const DISMISS: bool = false;
}

#[derive(Default)]
struct Buffer(VecDeque<u32>);

impl Values<u32> for Buffer {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn push(&mut self, value: u32) {
        self.0.push_back(value);
    }

    fn pop(&mut self) -> Option<u32> {
        self.0.pop_front()
    }

    fn unpop(&mut self, value: u32) {
        self.0.push_front(value);
    }
}

/// The engine with its values, as the lock that ships has them.
struct State {
    engine: Engine<u32>,
    buffer: Buffer,
}

struct Channel<R> {
    state: Mutex<State>,
    rules: PhantomData<R>,
}

impl<R: Rules> Channel<R> {
    fn new(capacity: usize) -> Channel<R> {
        let engine = Engine::new(Some(capacity), Overflow::Suspend);
        let state = Mutex::new(State { engine, buffer: Buffer::default() });
        Channel { state, rules: PhantomData }
    }

    fn close(&self) {
        let mut state = self.state.lock().unwrap();
        state.engine.close();
        let mut wakes: Vec<Wake> = Vec::new();
        while R::DISMISS
            && let Some(wake) = state.engine.dismiss()
        {
            wakes.push(wake);
        }
        drop(state);
        wakes.into_iter().for_each(Wake::wake);
    }

    fn try_recv(&self) -> Option<u32> {
        let mut cell = None;
        let mut state = self.state.lock().unwrap();
        let State { engine, buffer } = &mut *state;
        if let Received::Value(wake) = engine.recv(buffer, &mut cell) {
            drop(state);
            wake.into_iter().for_each(Wake::wake);
        }
        cell
    }

    fn is_deserted(&self) -> bool {
        let state = self.state.lock().unwrap();
        let engine = &state.engine;
        engine.senders.is_empty() && engine.receivers.is_empty() && state.buffer.0.is_empty()
    }
}

/// Not to be dropped: a mutant that sleeps for ever is unwound when loom can do nothing any more.
fn forever<V>(value: V) -> &'static V {
    Box::leak(Box::new(value))
}

/// An arm: with a value it sends, without it receives.
struct Arm<'a, R> {
    channel: &'a Channel<R>,
    node: Node<u32>,
    sends: bool,
}

impl<'a, R> Arm<'a, R> {
    fn new(channel: &'a Channel<R>, value: Option<u32>) -> Arm<'a, R> {
        Arm { channel, sends: value.is_some(), node: Node::new(value) }
    }

    fn value(self) -> Option<u32> {
        self.node.into_value()
    }
}

impl<R: Rules> Sealed for Arm<'_, R> {}

impl<R: Rules> Operation for Arm<'_, R> {
    fn try_now(&mut self) -> bool {
        // SAFETY: the node is the arm's and not linked; the reference ends with the call.
        let cell = unsafe { self.node.cell() };
        let mut state = self.channel.state.lock().unwrap();
        let State { engine, buffer } = &mut *state;
        let wake = if self.sends {
            match engine.send(buffer, cell) {
                Sent::Stored | Sent::Closed => None,
                Sent::Handed(wake) => Some(wake),
                _ => return false,
            }
        } else {
            match engine.recv(buffer, cell) {
                Received::Value(wake) => wake,
                Received::Closed => None,
                Received::Empty => return false,
            }
        };
        drop(state);
        wake.into_iter().for_each(Wake::wake);
        true
    }

    fn enlist(&mut self, Place { slot, generation, arm, .. }: Place) -> bool {
        let mut state = self.channel.state.lock().unwrap();
        let State { engine, buffer } = &mut *state;
        let ready =
            if self.sends { engine.can_send(buffer, slot) } else { engine.can_recv(buffer, slot) };
        if ready && R::LOOK {
            return false;
        }
        let waiter = match R::COMPARE {
            true => Waiter::Shared { slot, generation, arm },
            false => Waiter::Alone { slot, generation },
        };
        let list = if self.sends { &mut engine.senders } else { &mut engine.receivers };
        // SAFETY: the arm stays on its frame, and `leave` comes before it goes.
        unsafe { list.push(&self.node, waiter) };
        true
    }

    fn leave(&mut self) {
        if std::thread::panicking() {
            // A mutant has failed, and loom runs no thread any more.
            return;
        }
        let engine = &mut self.channel.state.lock().unwrap().engine;
        let list = if self.sends { &mut engine.senders } else { &mut engine.receivers };
        // SAFETY: linked in this list, if at all.
        drop(unsafe { list.remove(&self.node) });
    }
}

/// The arms `one` and `two`: which one was chosen, and what both cells hold then.
fn select<R: Rules>(
    one: (&Channel<R>, Option<u32>),
    two: (&Channel<R>, Option<u32>),
) -> (usize, Option<u32>, Option<u32>) {
    let (mut first, mut second) = (Arm::new(one.0, one.1), Arm::new(two.0, two.1));
    let chosen = choose_wait(&mut [&mut first, &mut second], true);
    (chosen, first.value(), second.value())
}

/// Both receive from one channel and send into the other, in opposite order.
fn opposite<R: Rules>() {
    loom::model(|| {
        let channels = forever([Channel::<R>::new(0), Channel::<R>::new(0)]);
        let other = thread::spawn(move || select((&channels[1], None), (&channels[0], Some(7))));
        let here = select((&channels[0], None), (&channels[1], Some(8)));
        match (here, other.join().unwrap()) {
            // The other's 7 came over channel 0, and this one still has its 8.
            ((0, Some(7), Some(8)), (1, None, None)) => {}
            // This one's 8 went over channel 1, and the other still has its 7.
            ((1, None, None), (0, Some(8), Some(7))) => {}
            met => panic!("met twice, or not at all: {met:?}"),
        }
        assert!(channels.iter().all(Channel::is_deserted));
    });
}

#[test]
fn opposite_orders_meet_once() {
    opposite::<Shipped>();
}

#[test]
#[should_panic(expected = "deadlock")]
fn arms_that_do_not_look_sleep() {
    opposite::<Blind>();
}

/// One select waits for two channels; two partners send, each into one of them.
fn two_partners<R: Rules>() {
    loom::model(|| {
        let channels = forever([Channel::<R>::new(1), Channel::<R>::new(1)]);
        let partners = [0, 1].map(|at| {
            thread::spawn(move || {
                let mut arm = Arm::new(&channels[at], Some(at as u32));
                assert!(arm.try_now(), "there is room");
                assert_eq!(arm.value(), None);
            })
        });
        let (chosen, first, second) = select((&channels[0], None), (&channels[1], None));
        partners.map(|partner| partner.join().unwrap());
        let left = channels[1 - chosen].try_recv();
        let got = [first, second];
        assert_eq!((got[chosen], got[1 - chosen]), (Some(chosen as u32), None));
        assert_eq!(left, Some(1 - chosen as u32), "the value of the arm that lost is still there");
        assert!(channels.iter().all(Channel::is_deserted));
    });
}

#[test]
fn the_losing_arm_takes_nothing() {
    two_partners::<Shipped>();
}

#[test]
#[should_panic]
fn without_compare_and_swap_two_partners_win() {
    two_partners::<Alone>();
}

/// Who else wants to end a wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Other {
    Receiver,
    Cancel,
    Nobody,
}

/// A send waits; a close wants to end it, and somebody else.
fn three_ends<R: Rules>(other: Other) {
    loom::model(move || {
        let channel = forever(Channel::<R>::new(0));
        let wait = Wait::begin_for(WaitReason::Send, 0);
        let (slot, generation) = (wait.slot(), wait.generation());
        let node = Node::new(Some(5));
        // SAFETY: the node stays on this frame, and is unlinked below before it goes.
        let waiter = Waiter::Shared { slot, generation, arm: 0 };
        unsafe { channel.state.lock().unwrap().engine.senders.push(&node, waiter) };
        let closer = thread::spawn(move || channel.close());
        let other = thread::spawn(move || {
            if other == Other::Receiver {
                return channel.try_recv();
            }
            if other == Other::Cancel
                && let Some(claim) = slot.claim(generation, Outcome::Cancelled)
            {
                claim.wake();
            }
            None
        });
        let outcome = wait.park();
        // SAFETY: linked in this list, if at all.
        drop(unsafe { channel.state.lock().unwrap().engine.senders.remove(&node) });
        closer.join().unwrap();
        let received = other.join().unwrap();
        let left = node.into_value();
        assert_eq!(left.or(received), Some(5), "the value is with one of the two");
        assert!(left.is_none() || received.is_none());
        assert!(outcome != Outcome::Cancelled || left.is_some());
        assert!(channel.is_deserted());
    });
}

#[test]
fn close_against_receive() {
    three_ends::<Shipped>(Other::Receiver);
}

#[test]
fn close_against_cancel() {
    three_ends::<Shipped>(Other::Cancel);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_close_that_wakes_nobody() {
    three_ends::<Quiet>(Other::Nobody);
}
