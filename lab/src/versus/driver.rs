//! The process that starts the samples, and the one that takes a sample.

use std::collections::HashMap;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::report::{self, Figure};
use super::{Case, Cpus, OWN, Peer, Sample, Size, Work, go, pin, system};

/// A sample that takes longer than this is given up.
const LIMIT: Duration = Duration::from_secs(150);

/// What the command line asks for.
#[derive(Debug)]
struct Options {
    only: Vec<String>,
    rounds: Option<usize>,
    size: Size,
    list: bool,
    case: Option<String>,
    peer: Option<String>,
}

impl Options {
    /// Reads the command line; what is not known is cargo's own.
    fn read() -> Options {
        let mut options = Options {
            only: Vec::new(),
            rounds: None,
            size: Size::Brief,
            list: false,
            case: None,
            peer: None,
        };
        let mut quick = false;
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--only" => {
                    let names = arguments.next().unwrap_or_default();
                    options.only.extend(names.split(',').map(str::to_owned));
                }
                "--rounds" => options.rounds = arguments.next().and_then(|text| text.parse().ok()),
                "--case" => options.case = arguments.next(),
                "--peer" => options.peer = arguments.next(),
                "--quick" => quick = true,
                "--list" => options.list = true,
                "--bench" => options.size = Size::Full,
                _ => {}
            }
        }
        if quick {
            options.size = Size::Quick;
        }
        options
    }

    /// The word that tells a sample's process its size.
    fn size_flag(&self) -> &'static str {
        match self.size {
            Size::Full => "--bench",
            Size::Quick => "--quick",
            Size::Brief => "--test",
        }
    }

    /// A case is chosen by its name or by the words before a dash in it.
    fn chosen(&self, case: &Case) -> bool {
        self.only.is_empty()
            || self.only.iter().any(|name| {
                case.name == *name
                    || case.name.strip_prefix(name.as_str()).is_some_and(|r| r.starts_with('-'))
            })
    }
}

/// Runs a benchmark with these cases; `title` heads its table.
///
/// # Panics
///
/// If our own side of a case fails in the brief form, or a process cannot be started.
pub fn main(title: &str, cases: &[Case]) {
    let options = Options::read();
    if let Some(name) = &options.case {
        return take(cases, name, options.peer.as_deref().unwrap_or(OWN), &options);
    }
    if options.list {
        for case in cases {
            let peers: Vec<_> = case.peers.iter().map(|peer| peer.name).collect();
            println!("{:<24} {} ({})", case.name, case.step, peers.join(", "));
        }
        return;
    }
    let brief = options.size == Size::Brief;
    let has_go = !brief && go_note();
    let rounds = options.rounds.unwrap_or(if options.size == Size::Full { 5 } else { 1 }).max(1);
    if !brief {
        report::head(title, rounds);
    }
    for case in cases.iter().filter(|case| options.chosen(case)) {
        let takes_part = |peer: &&Peer| match peer.work {
            Work::Here(_) => !brief || peer.name.starts_with(OWN),
            Work::Go(_) => has_go,
        };
        let peers: Vec<&Peer> = case.peers.iter().filter(takes_part).collect();
        let mut figures: HashMap<&str, Vec<Figure>> = HashMap::new();
        for round in 0..rounds {
            // Whoever goes first is another one each time.
            for at in 0..peers.len() {
                let peer = peers[(at + round) % peers.len()];
                match sample(case, peer, options.size_flag()) {
                    Ok(text) => report::collect(figures.entry(peer.name).or_default(), &text),
                    Err(error) if brief => panic!("{} of {}: {error}", peer.name, case.name),
                    Err(error) => eprintln!("{} of {}: {error}", peer.name, case.name),
                }
            }
        }
        if !brief {
            report::rows(case, &peers, &figures);
        }
    }
    if !brief {
        report::foot();
    }
}

fn go_note() -> bool {
    match go::build() {
        Ok(version) => {
            println!("Go: {version}");
            true
        }
        Err(why) => {
            println!("Go is left out: {why}");
            false
        }
    }
}

/// Takes one sample, in this process.
fn take(cases: &[Case], case: &str, peer: &str, options: &Options) {
    let Some(case) = cases.iter().find(|one| one.name == case) else { panic!("no case {case}") };
    let Some(peer) = case.peers.iter().find(|one| one.name == peer) else {
        panic!("no peer {peer} of {}", case.name)
    };
    if case.cpus == Cpus::One {
        pin(system::last_cpu());
    }
    match &peer.work {
        Work::Here(work) => {
            work(&mut Sample::new(options.size, case.cpus));
            // Taking down what is left, a million coroutines perhaps, is no part of it.
            use std::io::Write;
            let _ = std::io::stdout().flush();
            // SAFETY: ends the process without running anything of it.
            unsafe { libc::_exit(0) }
        }
        Work::Go(arguments) => {
            let error = go::become_go(options.size_flag(), arguments);
            panic!("the Go program does not start: {error}")
        }
    }
}

/// Has a process of its own take a sample; what it wrote, or why there is nothing.
fn sample(case: &Case, peer: &Peer, size: &str) -> Result<String, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut child = Command::new(own)
        .args([size, "--case", &case.name, "--peer", peer.name])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let start = Instant::now();
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if start.elapsed() > LIMIT => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("no result in {LIMIT:?}"));
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    let (mut text, mut complaint) = (String::new(), String::new());
    if let Some(mut out) = child.stdout.take() {
        let _ = out.read_to_string(&mut text);
    }
    if let Some(mut err) = child.stderr.take() {
        let _ = err.read_to_string(&mut complaint);
    }
    // What comes after the message is a backtrace.
    let complaint = complaint.lines().take(2).collect::<Vec<_>>().join(" ");
    if status.success() { Ok(text) } else { Err(format!("{status}: {complaint}")) }
}
