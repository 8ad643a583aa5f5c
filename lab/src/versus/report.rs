//! The Markdown table of a comparison, and what has become of the goals.

use std::collections::HashMap;

use super::{Bound, Case, Goal, OWN, Peer};

/// All samples of one metric of one peer.
#[derive(Debug, Clone)]
pub(super) struct Figure {
    metric: String,
    unit: String,
    samples: Vec<f64>,
}

impl Figure {
    fn more_is_better(&self) -> bool {
        self.unit.ends_with("/s") || self.unit == "x"
    }

    /// Best first.
    fn sorted(&self) -> Vec<f64> {
        let mut samples = self.samples.clone();
        samples.sort_by(f64::total_cmp);
        if self.more_is_better() {
            samples.reverse();
        }
        samples
    }

    fn best(&self) -> f64 {
        self.sorted()[0]
    }

    fn median(&self) -> f64 {
        self.sorted()[self.samples.len() / 2]
    }
}

/// Adds the lines `metric value unit` that a sample has written.
pub(super) fn collect(figures: &mut Vec<Figure>, text: &str) {
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(metric), Some(value), Some(unit)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let Ok(value) = value.parse() else { continue };
        match figures.iter_mut().find(|figure| figure.metric == metric) {
            Some(figure) => figure.samples.push(value),
            None => figures.push(Figure {
                metric: metric.to_owned(),
                unit: unit.to_owned(),
                samples: vec![value],
            }),
        }
    }
}

/// Title, machine and the head of the table.
pub(super) fn head(title: &str, rounds: usize) {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let workers = std::thread::available_parallelism().map_or(1, |count| count.get());
    println!("\n{title}\n");
    println!(
        "{model}, {workers} CPUs, load average {}; {rounds} rounds.\n",
        read("/proc/loadavg").split(' ').next().unwrap_or("unknown")
    );
    println!("| case | metric | peer | best | median | kcoro / peer | a step is |");
    println!("|---|---|---|---:|---:|---:|---|");
}

fn find<'a>(
    figures: &'a HashMap<&str, Vec<Figure>>,
    peer: &str,
    metric: &str,
) -> Option<&'a Figure> {
    figures.get(peer)?.iter().find(|figure| figure.metric == metric)
}

/// Three figures that matter.
fn short(value: f64) -> String {
    let digits = 2 - value.abs().max(1e-9).log10().floor().clamp(-2.0, 2.0) as i32;
    format!("{value:.*}", digits.max(0) as usize)
}

/// The rows of a case, then its goals.
pub(super) fn rows(case: &Case, peers: &[&Peer], figures: &HashMap<&str, Vec<Figure>>) {
    let mut metrics: Vec<&str> = Vec::new();
    for peer in peers {
        for figure in figures.get(peer.name).into_iter().flatten() {
            if !metrics.contains(&figure.metric.as_str()) {
                metrics.push(&figure.metric);
            }
        }
    }
    for metric in metrics {
        let own = find(figures, OWN, metric).map(Figure::best);
        for peer in peers {
            let Some(figure) = find(figures, peer.name, metric) else { continue };
            let (best, unit) = (figure.best(), &figure.unit);
            let ratio = own.filter(|_| peer.name != OWN).map(|own| short(own / best));
            println!(
                "| {} | {metric} | {} | {} {unit} | {} {unit} | {} | {} |",
                case.name,
                peer.name,
                short(best),
                short(figure.median()),
                ratio.unwrap_or_default(),
                case.step
            );
        }
    }
    for goal in &case.goals {
        VERDICTS.with_borrow_mut(|all| all.extend(verdict(case, goal, figures)));
    }
}

thread_local! {
    /// What has become of each goal so far.
    static VERDICTS: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// One line on a goal; nothing without figures.
fn verdict(case: &Case, goal: &Goal, figures: &HashMap<&str, Vec<Figure>>) -> Option<String> {
    let own = find(figures, OWN, goal.metric)?;
    let (value, unit, more) = (own.best(), &own.unit, own.more_is_better());
    let side = if more { "at least" } else { "at most" };
    let (bound, words) = match goal.bound {
        Bound::Here(bound) => (bound, format!("{side} {} {unit} here", short(bound))),
        Bound::Of(peer, factor) => {
            let theirs = find(figures, peer, goal.metric)?.best();
            (factor * theirs, format!("{side} {factor} x {peer} ({} {unit})", short(theirs)))
        }
        Bound::Ahead => {
            let all = figures.iter().filter(|(name, _)| !name.starts_with(OWN));
            let theirs = all.filter_map(|(name, _)| {
                Some((find(figures, name, goal.metric)?.best(), name.to_owned()))
            });
            let better = |a: &(f64, &str), b: &(f64, &str)| {
                let order = a.0.total_cmp(&b.0);
                if more { order.reverse() } else { order }
            };
            let (bound, name) = theirs.min_by(better)?;
            (bound, format!("ahead of every peer (best: {name}, {} {unit})", short(bound)))
        }
    };
    let met = if more { value >= bound } else { value <= bound };
    let name = &case.name;
    let metric = goal.metric;
    let outcome = if met { "met" } else { "missed" };
    Some(format!("| {name} | {metric} | {words} | {} {unit} | {outcome} |", short(value)))
}

/// The table of goals.
pub(super) fn foot() {
    VERDICTS.with_borrow(|all| {
        if all.is_empty() {
            return;
        }
        println!("\n| case | metric | goal | kcoro | |\n|---|---|---|---:|---|");
        for line in all {
            println!("{line}");
        }
    });
}
