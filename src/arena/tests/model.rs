//! Random programs against a model of plain byte strings: contents, reference counts, who may write,
//! which descriptors are stale, and the figures after each step.

use super::assert_empty;
use crate::arena::{Arena, Descriptor, Payload};
use crate::error::StaleDescriptor;
use crate::prim::Mutex;
use proptest::prelude::*;
use std::rc::Rc;

#[derive(Clone, Debug)]
enum Step {
    Copy(usize, u8),
    Alias(usize, u8),
    Clone(usize),
    Slice(usize, usize, usize),
    Drop(usize),
    Name(usize),
    Resolve(usize),
    Write(usize, u8),
    MakeMut(usize, u8),
    IntoMut(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![
        8 => Just(0usize),
        20 => 1..100usize,
        8 => Just(64),
        8 => Just(65),
        20 => 1..5000usize,
        2 => Just(1 << 16),
        1 => Just((1 << 20) + 1)
    ];
    let which = any::<usize>();
    prop_oneof![
        4 => (length.clone(), any::<u8>()).prop_map(|(n, b)| Step::Copy(n, b)),
        1 => (0..300usize, any::<u8>()).prop_map(|(n, b)| Step::Alias(n, b)),
        2 => which.prop_map(Step::Clone),
        2 => (which, which, which).prop_map(|(n, a, b)| Step::Slice(n, a, b)),
        5 => which.prop_map(Step::Drop),
        2 => which.prop_map(Step::Name),
        3 => which.prop_map(Step::Resolve),
        1 => (which, any::<u8>()).prop_map(|(n, b)| Step::Write(n, b)),
        1 => (which, any::<u8>()).prop_map(|(n, b)| Step::MakeMut(n, b)),
        1 => (which, which).prop_map(|(n, l)| Step::IntoMut(n, l)),
    ]
}

/// What the model knows of a block: its bytes, whether they are foreign, and its present name.
struct Block {
    bytes: Mutex<Vec<u8>>,
    foreign: bool,
    names: Mutex<Vec<Descriptor>>,
}

struct Handle {
    real: Payload,
    block: Rc<Block>,
    from: usize,
    to: usize,
}

impl Handle {
    fn new(real: Payload, bytes: Vec<u8>, foreign: bool) -> Handle {
        let to = bytes.len();
        let names = Mutex::new(Vec::new());
        Handle {
            real,
            block: Rc::new(Block { bytes: Mutex::new(bytes), foreign, names }),
            from: 0,
            to,
        }
    }

    fn alone(&self) -> bool {
        Rc::strong_count(&self.block) == 1
    }

    fn check(&self) {
        assert_eq!(self.real, self.block.bytes.lock()[self.from..self.to]);
        assert_eq!(self.real.references(), Rc::strong_count(&self.block));
    }
}

#[derive(Default)]
struct Model {
    handles: Vec<Handle>,
    /// Every descriptor ever taken, with its block if that still lives and the name is valid.
    named: Vec<(Descriptor, std::rc::Weak<Block>)>,
    allocations: u64,
}

impl Model {
    fn pick(&mut self, n: usize) -> Option<&mut Handle> {
        let count = self.handles.len();
        self.handles.get_mut(n % count.max(1))
    }

    fn apply(&mut self, arena: &Arena, step: Step) {
        match step {
            Step::Copy(length, byte) => {
                let bytes = vec![byte; length];
                let made = arena.copy(&bytes).unwrap();
                self.allocations += 1;
                self.handles.push(Handle::new(made, bytes, false));
            }
            Step::Alias(length, byte) => {
                let bytes = vec![byte; length];
                let owner = bytes.clone();
                let at = owner.as_ptr();
                let made = arena.alias(owner).unwrap();
                assert_eq!(at, made.as_ptr(), "not copied");
                self.allocations += 1;
                self.handles.push(Handle::new(made, bytes, true));
            }
            Step::Clone(n) => {
                let Some(Handle { real, block, from, to }) = self.pick(n) else { return };
                let real = real.clone();
                let again = Handle { real, block: block.clone(), from: *from, to: *to };
                self.handles.push(again);
            }
            Step::Slice(n, a, b) => {
                let Some(Handle { real, block, from, to }) = self.pick(n) else { return };
                let length = *to - *from;
                let (a, b) = (a % (length + 1), b % (length + 1));
                let (a, b) = (a.min(b), a.max(b));
                let real = real.slice(a..b);
                let part = Handle { real, block: block.clone(), from: *from + a, to: *from + b };
                self.handles.push(part);
            }
            Step::Drop(n) => {
                if !self.handles.is_empty() {
                    self.handles.swap_remove(n % self.handles.len());
                }
            }
            Step::Name(n) => {
                let Some(handle) = self.pick(n) else { return };
                let name = handle.real.descriptor();
                assert_eq!(name, handle.real.descriptor());
                handle.block.names.lock().push(name);
                let weak = Rc::downgrade(&handle.block);
                self.named.push((name, weak));
            }
            Step::Resolve(n) => {
                let Some((name, block)) = self.named.get(n % self.named.len().max(1)) else {
                    return;
                };
                let block = block.upgrade().filter(|block| block.names.lock().contains(name));
                match block {
                    Some(block) => {
                        let real = arena.resolve(*name).unwrap();
                        let to = block.bytes.lock().len();
                        self.handles.push(Handle { real, block, from: 0, to });
                    }
                    None => assert_eq!(arena.resolve(*name).unwrap_err(), StaleDescriptor),
                }
            }
            Step::Write(n, byte) => {
                let Some(handle) = self.pick(n) else { return };
                let allowed = handle.alone() && !handle.block.foreign;
                let real = handle.real.get_mut();
                assert_eq!(real.is_some(), allowed);
                if let Some(real) = real {
                    real.fill(byte);
                    handle.block.bytes.lock()[handle.from..handle.to].fill(byte);
                    handle.block.names.lock().clear();
                }
            }
            Step::MakeMut(n, byte) => {
                let Some(handle) = self.pick(n) else { return };
                let alone = handle.alone() && !handle.block.foreign;
                handle.real.make_mut().unwrap().fill(byte);
                if alone {
                    handle.block.bytes.lock()[handle.from..handle.to].fill(byte);
                    handle.block.names.lock().clear();
                } else {
                    let real = handle.real.clone();
                    *handle = Handle::new(real, vec![byte; handle.to - handle.from], false);
                    self.allocations += 1;
                }
            }
            Step::IntoMut(n, length) => {
                if self.handles.is_empty() {
                    return;
                }
                let n = n % self.handles.len();
                let Handle { real, block, from, to } = self.handles.swap_remove(n);
                let alone = Rc::strong_count(&block) == 1 && !block.foreign;
                match real.try_into_mut() {
                    Ok(mut real) => {
                        assert!(alone);
                        let length_before = to - from;
                        let keep = length % (length_before + 1);
                        real.truncate(keep);
                        let to = from + keep;
                        block.names.lock().clear();
                        if from == 0 && keep < length_before {
                            block.bytes.lock().truncate(to);
                        }
                        self.handles.push(Handle { real: real.freeze(), block, from, to });
                    }
                    Err(real) => {
                        assert!(!alone);
                        self.handles.push(Handle { real, block, from, to });
                    }
                }
            }
        }
    }

    fn check(&self, arena: &Arena) {
        self.handles.iter().for_each(Handle::check);
        let mut blocks: Vec<_> = self.handles.iter().map(|h| Rc::as_ptr(&h.block)).collect();
        blocks.sort_unstable();
        blocks.dedup();
        let stats = arena.stats();
        // Zero-sized difference: a block is counted once however many handles it has.
        assert_eq!((stats.depth, stats.allocations), (blocks.len(), self.allocations));
        let mut bytes = 0;
        for block in blocks {
            let handle = self.handles.iter().find(|h| Rc::as_ptr(&h.block) == block).unwrap();
            bytes += handle.block.bytes.lock().len() as u64;
        }
        assert_eq!(stats.bytes, bytes);
    }
}

fn run(arena: &Arena, steps: Vec<Step>) {
    let mut model = Model::default();
    for step in steps {
        model.apply(arena, step);
        model.check(arena);
    }
    model.handles.clear();
    for (name, _) in &model.named {
        assert_eq!(arena.resolve(*name).unwrap_err(), StaleDescriptor);
    }
    assert_empty(arena);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { ProptestConfig::default().cases.min(100) },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_program_equals_model(steps in prop::collection::vec(step(), 0..150)) {
        run(&Arena::new(), steps.clone());
        run(&Arena::builder().limit(1 << 30).build(), steps.clone());
        run(&Arena::builder().spill_above(4096).build(), steps);
    }
}
