//! The worker's letter box: what is pushed is taken once, in order, with what came before it.

use super::{Inbox, Linked};
use crate::prim::{Arc, AtomicUsize, Ordering};
use loom::cell::UnsafeCell;
use loom::thread;

struct Node {
    link: AtomicUsize,
    value: UnsafeCell<u32>,
}

#[derive(Clone, Copy)]
struct NodeRef(&'static Node);

// SAFETY: the value is written before the push and read after the take; loom checks that the box orders
// the two.
unsafe impl Send for NodeRef {}

impl Linked for NodeRef {
    fn address(self) -> usize {
        std::ptr::from_ref(self.0) as usize
    }
    fn at(address: usize) -> NodeRef {
        // SAFETY: the address is that of a node, which lives until `free`.
        NodeRef(unsafe { &*(address as *const Node) })
    }
    fn link(&self) -> &AtomicUsize {
        &self.0.link
    }
}

fn node() -> NodeRef {
    let node = Node { link: AtomicUsize::new(0), value: UnsafeCell::new(0) };
    NodeRef(Box::leak(Box::new(node)))
}

fn free(node: NodeRef) {
    // SAFETY: leaked by `node`, and freed once, when no thread has it any more.
    drop(unsafe { Box::from_raw(node.address() as *mut Node) });
}

fn two_pushers(publish: Ordering) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(move || {
        let inbox = Arc::new(Inbox::new());
        let nodes = [node(), node(), node()];
        let first = {
            let inbox = Arc::clone(&inbox);
            let [a, b, _] = nodes;
            thread::spawn(move || {
                for (n, v) in [(a, 1), (b, 2)] {
                    // SAFETY: not pushed yet, so nobody else reads it; loom checks.
                    n.0.value.with_mut(|p| unsafe { *p = v });
                    inbox.push_with(n, publish);
                }
            })
        };
        let second = {
            let inbox = Arc::clone(&inbox);
            let c = nodes[2];
            thread::spawn(move || {
                // SAFETY: as above.
                c.0.value.with_mut(|p| unsafe { *p = 3 });
                inbox.push_with(c, publish);
            })
        };
        let mut seen = Vec::new();
        while seen.len() < 3 {
            let before = seen.len();
            // SAFETY: taken, so nobody writes it any more; loom checks.
            inbox.take(|n: NodeRef| seen.push(n.0.value.with(|p| unsafe { *p })));
            if seen.len() == before {
                thread::yield_now();
            }
        }
        first.join().unwrap();
        second.join().unwrap();
        assert!(inbox.is_empty());
        let place = |v| seen.iter().position(|s| *s == v).unwrap();
        assert!(place(1) < place(2), "in order: {seen:?}");
        place(3);
        nodes.into_iter().for_each(free);
    });
}

#[test]
fn every_letter_arrives_once_and_in_order() {
    two_pushers(Ordering::Release);
}

#[test]
#[should_panic]
fn a_relaxed_push_is_caught() {
    two_pushers(Ordering::Relaxed);
}
