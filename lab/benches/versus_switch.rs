//! Switches and short lives, side by side with corosensei, the generator crate and a bare call.
//!
//! `cargo bench -p kcoro-lab --bench versus_switch [-- FILTER]` prints a Markdown table. All
//! contestants of a workload take turns in short rounds measured in the thread's own CPU time, so
//! that a busy machine disturbs them alike; the minimum is the figure, the median shows the noise.
//! Without `--bench` (as under `cargo test --benches`) everything runs once, briefly.
//!
//! Ratios are to the row marked 1.00: the rival, or the same thing done the plain way.

#![allow(clippy::disallowed_types, reason = "a benchmark is not below prim")]

use kcoro::coroutine::{self, Coroutine, Task, yield_to};
use kcoro_lab::ring::{Form, Layout, Ring};
use std::cell::Cell;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What one contestant does: `count` steps.
type Work = Box<dyn FnMut(u64)>;

/// A workload and those who take it on.
struct Workload {
    name: &'static str,
    /// What one step is.
    step: &'static str,
    /// Steps a round.
    count: u64,
    /// Which contestant the ratios are to.
    against: usize,
    contestants: Vec<(&'static str, Work)>,
}

/// CPU time of this thread in nanoseconds.
fn cpu_time() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the place is ours to write.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

fn measure(workload: &mut Workload, rounds: usize, brief: bool) {
    let count = if brief { workload.count.min(2000) } else { workload.count };
    let mut samples = vec![Vec::with_capacity(rounds); workload.contestants.len()];
    for _ in 0..rounds {
        for ((_, work), samples) in workload.contestants.iter_mut().zip(&mut samples) {
            let start = cpu_time();
            work(count);
            samples.push((cpu_time() - start) / count as f64);
        }
    }
    for samples in &mut samples {
        samples.sort_by(f64::total_cmp);
    }
    let base = samples[workload.against][0];
    for ((name, _), samples) in workload.contestants.iter().zip(&samples) {
        let (least, median) = (samples[0], samples[samples.len() / 2]);
        let ratio = least / base;
        let (what, step) = (workload.name, workload.step);
        println!("| {what} | {name} | {least:.2} | {median:.2} | {ratio:.2} | {step} |");
    }
}

fn pair() -> Workload {
    let mut own = Coroutine::<(), (), ()>::new(|y, ()| {
        loop {
            y.suspend(());
        }
    });
    let mut sensei = corosensei::Coroutine::<(), (), ()>::new(|y, ()| {
        loop {
            y.suspend(());
        }
    });
    let mut generator = generator::Gn::<()>::new_scoped_opt(0x1000, |mut scope| {
        loop {
            scope.yield_(());
        }
    });
    let task = Task::new(|| {
        loop {
            coroutine::yield_now();
        }
    });
    #[inline(never)]
    fn empty() {
        black_box(());
    }
    Workload {
        name: "generator pair",
        step: "resume and yield, two switches",
        count: 20_000,
        against: 1,
        contestants: vec![
            (
                "kcoro Coroutine",
                Box::new(move |n| {
                    for _ in 0..n {
                        own.resume(());
                    }
                }),
            ),
            (
                "corosensei",
                Box::new(move |n| {
                    for _ in 0..n {
                        sensei.resume(());
                    }
                }),
            ),
            (
                "generator crate",
                Box::new(move |n| {
                    for _ in 0..n {
                        generator.resume();
                    }
                }),
            ),
            (
                "kcoro Task, yield_now",
                Box::new(move |n| {
                    for _ in 0..n {
                        let _ = task.resume();
                    }
                }),
            ),
            (
                "two empty calls (floor)",
                Box::new(move |n| {
                    for _ in 0..n {
                        black_box(empty as fn())();
                        black_box(empty as fn())();
                    }
                }),
            ),
        ],
    }
}

fn ring_work(len: usize, form: Form, layout: Layout) -> Work {
    let ring = Ring::new(len, form, layout).unwrap_or_else(|error| panic!("{error}"));
    Box::new(move |n| ring.run(n))
}

/// A ring of tasks that hand on by `yield_to`.
fn task_ring(len: usize) -> Work {
    let places: Rc<Vec<Cell<Option<Rc<Task>>>>> =
        Rc::new((0..len).map(|_| Cell::new(None)).collect());
    let left = Rc::new(Cell::new(0u64));
    let first = (0..len).rev().map(|at| {
        let (places, left) = (Rc::clone(&places), Rc::clone(&left));
        Rc::new(Task::new(move || {
            let next = places[(at + 1) % len].take().expect("each place is taken once");
            loop {
                match left.get() {
                    0 => coroutine::yield_now(),
                    n => {
                        left.set(n - 1);
                        let _ = yield_to(&next);
                    }
                }
            }
        }))
    });
    let all: Vec<Rc<Task>> = first.collect();
    for (at, task) in all.iter().rev().enumerate() {
        places[at].set(Some(Rc::clone(task)));
    }
    let first = Rc::clone(all.last().expect("a ring has a place"));
    Box::new(move |n| {
        left.set(n);
        let _ = first.resume();
    })
}

/// Corosensei has no symmetric switch: its coroutines take turns through the one that resumes them.
fn sensei_ring(len: usize) -> Work {
    let mut all: Vec<_> = (0..len)
        .map(|_| {
            let stack = corosensei::stack::DefaultStack::new(64 * 1024)
                .unwrap_or_else(|error| panic!("{error}"));
            corosensei::Coroutine::<(), (), ()>::with_stack(stack, |y, ()| {
                loop {
                    y.suspend(());
                }
            })
        })
        .collect();
    let mut at = 0;
    Box::new(move |n| {
        for _ in 0..n {
            all[at].resume(());
            at = if at + 1 == all.len() { 0 } else { at + 1 };
        }
    })
}

fn ring(len: usize, name: &'static str) -> Workload {
    let mut contestants = vec![
        ("kcoro token switch", ring_work(len, Form::Token, Layout::Coloured)),
        ("kcoro called switch", ring_work(len, Form::Called, Layout::Coloured)),
        ("token, no colours, no prefetch", ring_work(len, Form::Token, Layout::Plain)),
        ("called, no colours, no prefetch", ring_work(len, Form::Called, Layout::Plain)),
    ];
    if len <= 1000 {
        contestants.push(("kcoro Task, yield_to", task_ring(len)));
        contestants.push(("corosensei, resumed in turn", sensei_ring(len)));
    }
    Workload {
        name,
        step: "one hand-over",
        count: if len <= 1000 { 40_000 } else { 4 * len as u64 },
        against: 2,
        contestants,
    }
}

fn life_pooled() -> Workload {
    static SUM: AtomicU64 = AtomicU64::new(0);
    fn bump() {
        SUM.store(SUM.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
    let mut kept = corosensei::stack::DefaultStack::new(64 * 1024).ok();
    let mut reused = generator::Gn::<()>::new_opt(8 * 1024, bump);
    reused.resume();
    Workload {
        name: "life, cached stack",
        step: "create, run, drop",
        count: 10_000,
        against: 1,
        contestants: vec![
            (
                "kcoro Coroutine",
                Box::new(|n| {
                    for _ in 0..n {
                        Coroutine::<(), (), ()>::new(|_, ()| bump()).resume(());
                    }
                }),
            ),
            (
                "corosensei, stack handed on",
                Box::new(move |n| {
                    for _ in 0..n {
                        let stack = kept.take().expect("handed on");
                        let mut one =
                            corosensei::Coroutine::<(), (), ()>::with_stack(stack, |_, ()| bump());
                        one.resume(());
                        kept = Some(one.into_stack());
                    }
                }),
            ),
            (
                "generator crate, reused",
                Box::new(move |n| {
                    for _ in 0..n {
                        reused.init_code(bump);
                        reused.resume();
                    }
                }),
            ),
            (
                "kcoro Task",
                Box::new(|n| {
                    for _ in 0..n {
                        let _ = Task::new(bump).resume();
                    }
                }),
            ),
        ],
    }
}

fn life_cold() -> Workload {
    Workload {
        name: "life, cold stack",
        step: "create, run, drop",
        count: 20_000,
        against: 1,
        contestants: vec![
            (
                "kcoro Coroutine, none reused",
                Box::new(|n| {
                    // All alive at once, so that each takes another stack; dropping them gives
                    // the pages back to the system.
                    let mut all = Vec::with_capacity(n as usize);
                    for _ in 0..n {
                        let mut one = Coroutine::<(), (), ()>::new(|_, ()| black_box(()));
                        one.resume(());
                        all.push(one);
                    }
                }),
            ),
            (
                "corosensei, mapped and unmapped",
                Box::new(|n| {
                    for _ in 0..n {
                        let stack = corosensei::stack::DefaultStack::new(64 * 1024)
                            .unwrap_or_else(|error| panic!("{error}"));
                        let mut one =
                            corosensei::Coroutine::<(), (), ()>::with_stack(stack, |_, ()| {
                                black_box(());
                            });
                        one.resume(());
                    }
                }),
            ),
            (
                "generator crate, mapped and unmapped",
                Box::new(|n| {
                    for _ in 0..n {
                        generator::Gn::<()>::new_opt(8 * 1024, || black_box(())).resume();
                    }
                }),
            ),
        ],
    }
}

fn main() {
    let brief = !std::env::args().any(|argument| argument == "--bench");
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    type Make = fn(bool) -> Workload;
    let all: [(&str, usize, Make); 7] = [
        ("pair", 400, |_| pair()),
        ("ring2", 400, |_| ring(2, "ring of 2")),
        ("ring10", 400, |_| ring(10, "ring of 10")),
        ("ring1000", 200, |_| ring(1000, "ring of 1,000")),
        ("ring100000", 20, |brief| {
            ring(if brief { 2_000 } else { 100_000 }, "ring of 100,000, in order")
        }),
        ("life", 400, |_| life_pooled()),
        ("cold", 10, |_| life_cold()),
    ];
    println!("| workload | contestant | min ns | median ns | ratio | a step is |");
    println!("|---|---|---|---|---|---|");
    for (name, rounds, make) in all {
        if filter.as_ref().is_none_or(|filter| name.contains(filter.as_str())) {
            measure(&mut make(brief), if brief { 1 } else { rounds }, brief);
        }
    }
}
