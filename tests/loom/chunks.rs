//! Chunk pointers: whoever finds a chunk sees it as it was published. One mutant for each ordering.

use super::{Chunks, Orders, Shipped};
use crate::prim::{Arc, Ordering, UnsafeCell};
use loom::thread;
use std::ptr::NonNull;

struct RelaxedPublish;
impl Orders for RelaxedPublish {
    const PUBLISH: Ordering = Ordering::Relaxed;
}

struct RelaxedFind;
impl Orders for RelaxedFind {
    const FIND: Ordering = Ordering::Relaxed;
}

/// A header, whose content is written before its chunk is published.
type Header = UnsafeCell<u32>;

struct Model<O> {
    chunks: Chunks<Header, 2, O>,
    header: Box<Header>,
}

// SAFETY: what the model is to show: the header is read after it was published, and loom checks it.
unsafe impl<O> Sync for Model<O> {}
// SAFETY: as above.
unsafe impl<O> Send for Model<O> {}

fn found_as_published<O: Orders + 'static>() {
    loom::model(|| {
        let header = Box::new(UnsafeCell::new(0));
        let model = Arc::new(Model::<O> { chunks: Chunks::new(), header });
        let other = Arc::clone(&model);
        let finder = thread::spawn(move || {
            assert!(other.chunks.find(0).is_none() && other.chunks.find(2).is_none());
            if let Some(found) = other.chunks.find(1) {
                // SAFETY: the box lives as long as the model; nobody writes after publishing.
                unsafe { found.as_ref() }.with(|content| assert_eq!(unsafe { *content }, 7));
            }
        });
        // SAFETY: not published yet, so nobody else reaches it.
        model.header.with_mut(|content| unsafe { *content = 7 });
        model.chunks.publish(1, NonNull::from(&*model.header));
        finder.join().unwrap();
    });
}

#[test]
fn loom_chunks() {
    found_as_published::<Shipped>();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn loom_chunks_mutant_publish() {
    found_as_published::<RelaxedPublish>();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn loom_chunks_mutant_find() {
    found_as_published::<RelaxedFind>();
}
