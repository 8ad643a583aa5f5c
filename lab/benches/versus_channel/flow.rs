//! Numbers from some senders to some receivers: every shape, capacity and number of workers.

use super::coroutines::{mays, ours};
use super::work::Shape;
use super::{own, tasks, threads};
use kcoro_lab::versus::{Bound, Case, Cpus, OWN};

const SHAPES: [Shape; 3] = [
    Shape { name: "spsc", senders: 1, receivers: 1 },
    Shape { name: "mpsc", senders: 4, receivers: 1 },
    Shape { name: "mpmc", senders: 4, receivers: 4 },
];

const CAPACITIES: [Option<usize>; 5] = [Some(0), Some(1), Some(64), Some(16384), None];

pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for shape in SHAPES {
        for capacity in CAPACITIES {
            for workers in [1, 2] {
                all.push(case(shape, capacity, workers));
            }
        }
    }
    all
}

fn case(shape: Shape, capacity: Option<usize>, workers: usize) -> Case {
    let room = capacity.map_or("inf".to_owned(), |capacity| capacity.to_string());
    let (cpus, step) = match workers {
        1 => (Cpus::One, "message, 1 worker"),
        _ => (Cpus::All, "message, 2 workers"),
    };
    let name = format!("{}-{room}-{workers}", shape.name);
    let mut case = Case::new(name, step, cpus).peer(OWN, move |sample| {
        ours::through(sample, workers, || shape.both(own(capacity)));
    });
    case = on_tokio(case, shape, capacity, workers);
    case = match capacity {
        None => on_may(case, shape, workers),
        Some(_) => {
            let (senders, receivers) = (shape.senders.to_string(), shape.receivers.to_string());
            case.go(&["through", &room, &senders, &receivers, &workers.to_string()])
        }
    };
    if workers == 2 {
        case = on_threads(case, shape, capacity);
    }
    goals(case, shape, capacity, workers)
}

fn goals(case: Case, shape: Shape, capacity: Option<usize>, workers: usize) -> Case {
    let least = match (shape.name, capacity, workers) {
        ("spsc", Some(0), 1) => Bound::Here(30.0),
        ("spsc", Some(64 | 16384), 1) => Bound::Here(60.0),
        ("spsc", None, 1) => Bound::Here(65.0),
        (_, Some(0 | 1), _) => return case,
        _ => return case.goal("rate", Bound::Ahead),
    };
    case.goal("rate", least).goal("rate", Bound::Ahead)
}

fn on_tokio(mut case: Case, shape: Shape, capacity: Option<usize>, workers: usize) -> Case {
    case = case.peer("kanal", move |sample| {
        tasks::through(sample, workers, || match capacity {
            Some(capacity) => shape.both(kanal::bounded_async(capacity)),
            None => shape.both(kanal::unbounded_async()),
        });
    });
    if capacity == Some(0) {
        return case;
    }
    case = case.peer("async-channel", move |sample| {
        tasks::through(sample, workers, || match capacity {
            Some(capacity) => shape.both(async_channel::bounded(capacity)),
            None => shape.both(async_channel::unbounded()),
        });
    });
    case = case.peer("flume", move |sample| {
        tasks::through(sample, workers, || match capacity {
            Some(capacity) => shape.both(flume::bounded(capacity)),
            None => shape.both(flume::unbounded()),
        });
    });
    if shape.receivers == 1 {
        case = case.peer("tokio", move |sample| match capacity {
            Some(capacity) => tasks::through(sample, workers, || {
                shape.senders(tokio::sync::mpsc::channel(capacity))
            }),
            None => tasks::through(sample, workers, || {
                shape.senders(tokio::sync::mpsc::unbounded_channel())
            }),
        });
    }
    case.peer("crossfire", move |sample| {
        use crossfire::{mpmc, mpsc, spsc};
        crossfire::detect_backoff_cfg();
        // It has a channel of its own for each shape.
        match (shape.name, capacity) {
            ("spsc", Some(n)) => {
                tasks::through(sample, workers, || shape.single(spsc::bounded_async(n)));
            }
            ("spsc", None) => {
                tasks::through(sample, workers, || shape.single(spsc::unbounded_async()));
            }
            ("mpsc", Some(n)) => {
                tasks::through(sample, workers, || shape.senders(mpsc::bounded_async(n)));
            }
            ("mpsc", None) => {
                tasks::through(sample, workers, || shape.senders(mpsc::unbounded_async()));
            }
            (_, Some(n)) => tasks::through(sample, workers, || shape.both(mpmc::bounded_async(n))),
            (_, None) => tasks::through(sample, workers, || shape.both(mpmc::unbounded_async())),
        }
    })
}

fn on_may(case: Case, shape: Shape, workers: usize) -> Case {
    case.peer("may", move |sample| {
        use may::sync::{mpmc, mpsc, spsc};
        match shape.name {
            "spsc" => mays::through(sample, workers, || shape.single(spsc::channel())),
            "mpsc" => mays::through(sample, workers, || shape.senders(mpsc::channel())),
            _ => mays::through(sample, workers, || shape.both(mpmc::channel())),
        }
    })
}

fn on_threads(mut case: Case, shape: Shape, capacity: Option<usize>) -> Case {
    case = case.peer("crossbeam, threads", move |sample| {
        threads::through(sample, || match capacity {
            Some(capacity) => shape.both(crossbeam_channel::bounded(capacity)),
            None => shape.both(crossbeam_channel::unbounded()),
        });
    });
    case = case.peer("kanal, threads", move |sample| {
        threads::through(sample, || match capacity {
            Some(capacity) => shape.both(kanal::bounded(capacity)),
            None => shape.both(kanal::unbounded()),
        });
    });
    if shape.receivers == 1 {
        case = case.peer("std, threads", move |sample| match capacity {
            Some(capacity) => {
                threads::through(sample, || shape.senders(std::sync::mpsc::sync_channel(capacity)))
            }
            None => threads::through(sample, || shape.senders(std::sync::mpsc::channel())),
        });
    }
    if capacity.is_none_or(|capacity| capacity >= 64) {
        // With room for one it may wait for half a minute.
        case = case.peer("crossfire, threads", move |sample| {
            use crossfire::{mpmc, mpsc, spsc};
            crossfire::detect_backoff_cfg();
            match (shape.name, capacity) {
                ("spsc", Some(n)) => {
                    threads::through(sample, || shape.single(spsc::bounded_blocking(n)));
                }
                ("spsc", None) => {
                    threads::through(sample, || shape.single(spsc::unbounded_blocking()));
                }
                ("mpsc", Some(n)) => {
                    threads::through(sample, || shape.senders(mpsc::bounded_blocking(n)));
                }
                ("mpsc", None) => {
                    threads::through(sample, || shape.senders(mpsc::unbounded_blocking()));
                }
                (_, Some(n)) => threads::through(sample, || shape.both(mpmc::bounded_blocking(n))),
                (_, None) => threads::through(sample, || shape.both(mpmc::unbounded_blocking())),
            }
        });
    }
    case
}
