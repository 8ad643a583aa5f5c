//! `kcoro monster demo` as a user or a script meets it: on the real `/proc`, from a recording, ended
//! by signals, on terminals of any size, and with everything that can be in its way.
//!
//! `KCORO_TEST_RUNNER` is put in front of the program if it is set, as an emulator must be.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

fn runner() -> String {
    std::env::var("KCORO_TEST_RUNNER").unwrap_or_default()
}

/// `kcoro monster demo` with these arguments and an environment of its own.
fn demo(arguments: &[&str]) -> Command {
    let runner = runner();
    let mut words = runner.split_whitespace().chain([env!("CARGO_BIN_EXE_kcoro")]);
    let mut command = Command::new(words.next().expect("at least the program"));
    command.args(words).args(["monster", "demo"]).args(arguments).stdin(Stdio::null());
    for variable in ["KCORO_WORKERS", "NO_COLOR", "CLICOLOR_FORCE", "TERM"] {
        command.env_remove(variable);
    }
    command
}

fn run(arguments: &[&str]) -> Output {
    demo(arguments).output().expect("the program starts")
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("the output is UTF-8")
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("the messages are UTF-8")
}

fn succeeded(output: &Output) {
    assert_eq!((output.status.code(), err(output)), (Some(0), ""), "{}", out(output));
}

/// The lines of an NDJSON run; each has a type and the schema.
fn objects(output: &Output) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str::<Value>(line).expect("each line is JSON");
    let lines: Vec<Value> = out(output).lines().map(parse).collect();
    assert!(lines.iter().all(|line| line["type"].is_string() && line["schema"] == 1));
    lines
}

fn of<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

fn number(line: &Value, field: &str) -> u64 {
    line[field].as_u64().unwrap_or_else(|| panic!("no number {field} in {line}"))
}

/// The last line, after checking that its numbers agree with each other and with the summaries.
fn checked_end(lines: &[Value]) -> &Value {
    let end = lines.last().expect("there are lines");
    assert_eq!(
        (&end["type"], &end["balanced"]),
        (&Value::from("end"), &Value::from(true)),
        "{end}"
    );
    let get = |field| number(end, field);
    assert_eq!(get("sampled"), get("written") + get("dropped"), "{end}");
    assert_eq!(get("written"), get("filter_read"), "{end}");
    assert_eq!(get("filter_read"), get("filter_wrote") + get("held_back"), "{end}");
    assert!(get("filter_read") >= get("filter_wrote"), "{end}");
    assert_eq!(get("filter_wrote"), get("consumed"), "{end}");
    assert_eq!(get("coordinated"), get("woken"), "{end}");
    let shards = end["shards"].as_array().expect("a list").iter().filter_map(Value::as_u64);
    assert_eq!(shards.sum::<u64>(), get("consumed"), "{end}");
    let summaries = of(lines, "summary");
    let role = |role: &str| {
        summaries.iter().find(|line| line["role"] == role).expect("each role says what it did")
    };
    assert_eq!(number(role("producer"), "wrote"), get("written"));
    assert_eq!(number(role("filter"), "wrote"), get("filter_wrote"));
    assert_eq!(number(role("consumer"), "processed"), get("consumed"));
    let apps = summaries.iter().filter(|line| line["role"] == "coordinator");
    assert_eq!(apps.map(|line| number(line, "apps")).sum::<u64>(), get("coordinated"));
    end
}

/// A directory of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("kcoro-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("can make a directory");
        Scratch(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a plain name").to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_real_processes_and_counts_that_add_up() {
    for workers in ["1", "2", "3"] {
        let output = run(&["--seconds", "1.3", "--format", "ndjson", "--workers", workers]);
        succeeded(&output);
        let lines = objects(&output);
        assert_eq!(lines[0]["type"], "start");
        assert!(!of(&lines, "progress").is_empty());
        let end = checked_end(&lines);
        // At least this process and its parent, in each sweep but those where one is just starting.
        assert!(number(end, "sampled") >= number(end, "sweeps"), "{end}");
        assert!(number(end, "consumed") > 0 && number(end, "sweeps") > 0, "{end}");
        assert!(number(end, "coordinated") > 0, "{end}");
        assert_eq!(number(end, "workers").to_string(), workers);
        assert!(end["elapsed_s"].as_f64() >= Some(1.3), "{end}");
        for hop in of(&lines, "latency") {
            let (p50, p99) = (number(hop, "p50_ns"), number(hop, "p99_ns"));
            assert!(0 < p50 && p50 <= p99 && p99 <= number(hop, "max_ns"), "{hop}");
        }
        let hops: Vec<_> = of(&lines, "latency").into_iter().map(|hop| &hop["hop"]).collect();
        assert_eq!(hops, ["pipe_0", "pipe_1", "both_pipes", "sweep"]);
    }
}

#[test]
fn text_ends_with_the_lines_of_the_roles() {
    let output = run(&["--seconds", "1.2", "--rate", "20"]);
    succeeded(&output);
    let text = out(&output);
    assert!(!text.contains('\x1b'), "not a terminal");
    assert!(text.lines().next().is_some_and(|line| line.starts_with("   1.0 s: ")), "{text}");
    let starts = |prefix: &str| text.lines().filter(|line| line.starts_with(prefix)).count();
    for (prefix, times) in [
        ("Producer: Wrote ", 1),
        ("Filter: Read ", 1),
        ("Consumer: Read ", 1),
        ("Coordinator: Coordinated ", 15),
        ("pipe 0 ", 1),
        ("pipe 1 ", 1),
        ("Counts: sampled ", 1),
    ] {
        assert_eq!(starts(prefix), times, "{prefix}\n{text}");
    }
    assert!(text.contains(": they add up\n"), "{text}");
}

#[test]
fn status_views_each_second() {
    let output = run(&["--seconds", "1.2", "--status"]);
    succeeded(&output);
    let lines = |prefix: &str| out(&output).lines().filter(|line| line.starts_with(prefix)).count();
    let pid = |line: &str| line.contains(", readers=1, writers=1, closed=0");
    let (pipes, waits) = (lines("Pipe "), lines("Wait "));
    assert!(pipes >= 15 && pipes.is_multiple_of(15) && waits == 3 * pipes, "{pipes} {waits}");
    assert!(out(&output).lines().any(|line| line.starts_with("Pipe 1: producer=") && pid(line)));
    assert!(out(&output).contains("\nPipe 14: producer=0, consumer=0, readers=0, writers=0"));
    assert!(out(&output).contains(", shard=14, sequence=45, ready=0\n"));

    let output = run(&["--seconds", "2.2", "--status", "--format", "ndjson"]);
    succeeded(&output);
    let lines = objects(&output);
    let (pipes, waits) = (of(&lines, "pipe").len(), of(&lines, "wait").len());
    assert!(pipes >= 15 && pipes.is_multiple_of(15) && waits == 3 * pipes, "{pipes} {waits}");
    let log = of(&lines, "coordinated");
    assert!(log.len() >= 15 && log.iter().all(|line| line["apps"].as_u64() <= Some(3)), "{log:?}");
}

#[test]
fn a_replay_gives_the_same_counts_each_time() {
    let scratch = Scratch::new("replay");
    let file = scratch.file("run");
    let recorded = run(&["--seconds", "0.5", "--record", &file, "--format", "ndjson"]);
    succeeded(&recorded);
    let recorded = objects(&recorded);
    let recorded = checked_end(&recorded);
    for (rate, workers) in [("max", "1"), ("max", "2"), ("100", "2")] {
        let replayed = ["--replay", &file, "--rate", rate, "--workers", workers];
        let replayed = run(&[&replayed[..], &["--format", "ndjson"]].concat());
        succeeded(&replayed);
        let replayed = objects(&replayed);
        let replayed = checked_end(&replayed);
        for field in ["sweeps", "sampled", "written", "filter_wrote", "consumed", "shards"] {
            // A live run may drop samples, which are in the recording all the same.
            if field != "sweeps" && field != "sampled" && number(recorded, "dropped") > 0 {
                continue;
            }
            assert_eq!(recorded[field], replayed[field], "{field} at rate {rate}");
        }
    }
}

#[test]
fn recordings_that_fail_say_why() {
    let scratch = Scratch::new("broken");
    let (whole, cut) = (scratch.file("whole"), scratch.file("cut"));
    succeeded(&run(&["--seconds", "0.2", "--record", &whole]));
    let bytes = fs::read(&whole).expect("it was recorded");
    fs::write(&cut, &bytes[..bytes.len() - 10]).expect("can write");
    let output = run(&["--replay", &cut, "--rate", "max"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).starts_with(&format!("kcoro: cannot replay {cut}: ")), "{}", err(&output));
    assert!(out(&output).contains(": they add up"), "the whole blocks count: {}", out(&output));

    let text = scratch.file("text");
    fs::write(&text, "no recording").expect("can write");
    for (arguments, message) in [
        (["--replay", &text], "kcoro: cannot replay "),
        (["--replay", "/no/such/file"], "kcoro: cannot replay /no/such/file: "),
        (["--record", "/no/such/file"], "kcoro: cannot record to /no/such/file: No such file"),
        (["--record", "/dev/full"], "kcoro: cannot record to /dev/full: No space left"),
        (["--proc", "/no/such/dir"], "kcoro: cannot list processes in /no/such/dir: "),
    ] {
        let output = run(&arguments);
        assert_eq!((output.status.code(), out(&output)), (Some(1), ""), "{arguments:?}");
        assert!(err(&output).starts_with(message), "{arguments:?}: {}", err(&output));
    }
}

#[test]
fn what_may_not_be_read_is_counted_and_shown() {
    let scratch = Scratch::new("proc");
    let stat = fs::read("/proc/self/stat").expect("/proc is mounted");
    for (pid, text) in [("1", Some(&stat[..])), ("2", Some(b"nonsense")), ("3", None)] {
        let directory = scratch.0.join(pid);
        fs::create_dir_all(&directory).expect("can make a directory");
        if let Some(text) = text {
            fs::write(directory.join("stat"), text).expect("can write");
        }
    }
    let forbidden = scratch.0.join("4");
    fs::create_dir_all(&forbidden).expect("can make a directory");
    fs::write(forbidden.join("stat"), &stat).expect("can write");
    let chmod = Command::new("chmod").arg("000").arg(forbidden.join("stat")).status();
    assert!(chmod.is_ok_and(|status| status.success()));
    // Root may read everything.
    let denied = u64::from(fs::read(forbidden.join("stat")).is_err());

    let root = scratch.0.to_str().expect("a plain name");
    let output = run(&["--proc", root, "--seconds", "0.3", "--format", "ndjson"]);
    succeeded(&output);
    let lines = objects(&output);
    let end = checked_end(&lines);
    let sweeps = number(end, "sweeps");
    assert_eq!(number(end, "malformed"), sweeps, "{end}");
    assert_eq!(number(end, "vanished"), sweeps, "{end}");
    assert_eq!(number(end, "denied"), denied * sweeps, "{end}");
    assert_eq!(number(end, "sampled"), (2 - denied) * sweeps, "{end}");
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let status = Command::new("kill").args([&format!("-{name}"), &pid]).status();
    assert!(status.is_ok_and(|status| status.success()), "kill -{name} {pid}");
}

#[test]
fn sigint_and_sigterm_end_it_with_the_summary() {
    for name in ["INT", "TERM"] {
        for rate in ["100", "max", "0.01"] {
            let mut child = demo(&["--seconds", "60", "--format", "ndjson", "--rate", rate])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("the program starts");
            let mut stdout = BufReader::new(child.stdout.take().expect("it is a pipe"));
            let mut start = String::new();
            stdout.read_line(&mut start).expect("it says that it started");
            thread::sleep(Duration::from_millis(50));
            signal(&child, name);
            let mut lines: Vec<Value> = vec![serde_json::from_str(&start).expect("it is JSON")];
            for line in stdout.lines() {
                lines.push(serde_json::from_str(&line.expect("it is text")).expect("it is JSON"));
            }
            let output = child.wait_with_output().expect("it ends");
            assert_eq!((output.status.code(), err(&output)), (Some(0), ""), "{name}");
            checked_end(&lines);
        }
    }
}

/// Whether the program catches SIGINT by now.
fn catches_sigint(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("the mask");
    u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & (1 << 1) != 0)
}

#[test]
fn a_second_sigint_ends_what_hangs() {
    if !runner().is_empty() {
        return; // An emulator catches signals on its own account.
    }
    // A pipe that is full and that nobody reads: the program hangs in its first write.
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    writer.write_all(&[b'\n'; 65_536]).expect("that much fits");
    let mut child = demo(&["--seconds", "60", "--format", "ndjson"])
        .stdout(writer)
        .spawn()
        .expect("the program starts");
    while !catches_sigint(child.id()) {
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(Duration::from_millis(100));
    signal(&child, "INT");
    thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().expect("it can be asked").is_none(), "the first one asks it to end");
    signal(&child, "INT");
    assert_eq!(child.wait().expect("it ends").signal(), Some(2));
    drop(reader);
}

/// Runs the program on a terminal of this size, by the `script` command; `None` without one.
fn on_terminal(columns: u32, rows: u32, environment: &str) -> Option<String> {
    if !Path::new("/usr/bin/script").exists() || !runner().is_empty() {
        return None;
    }
    let program = env!("CARGO_BIN_EXE_kcoro");
    let line = format!(
        "stty cols {columns} rows {rows}; {environment} {program} monster demo --seconds 0.6"
    );
    let output = Command::new("/usr/bin/script")
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .output()
        .expect("script starts");
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).expect("the output is UTF-8"))
}

#[test]
fn a_terminal_is_drawn_in_place() {
    let Some(text) = on_terminal(80, 24, "") else { return };
    assert!(text.contains("\x1b[10A\x1b[J"), "ten lines are drawn again: {text:?}");
    assert!(text.contains("\x1b[1mpipe 0\x1b[0m     ["), "{text:?}");
    let end = text.rfind("\x1b[J").expect("it was drawn");
    let report = &text[end..];
    assert!(report.contains("Producer: Wrote ") && report.contains("they add up"), "{text:?}");
    assert!(!report[4..].contains('\x1b'), "nothing is left to restore: {report:?}");
    for private_mode in ["\x1b[?", "\x1b7"] {
        assert!(!text.contains(private_mode), "no mode is changed: {text:?}");
    }

    let Some(text) = on_terminal(80, 24, "NO_COLOR=1") else { return };
    assert!(text.contains("\x1b[10A\x1b[J") && !text.contains("\x1b[1m"), "{text:?}");
    let Some(text) = on_terminal(80, 24, "TERM=dumb") else { return };
    assert!(!text.contains('\x1b') && text.contains("they add up"), "{text:?}");
}

#[test]
fn tiny_terminals_are_no_trouble() {
    for (columns, rows) in [(1, 1), (12, 5), (200, 3)] {
        let Some(text) = on_terminal(columns, rows, "") else { return };
        assert!(text.contains("\x1b[1A\x1b[J"), "one line is drawn again: {text:?}");
        let drawn = &text[..text.rfind("\x1b[J").expect("it was drawn")];
        for line in drawn.split("\r\n") {
            let plain: String = line
                .split('\x1b')
                .skip(1)
                .filter_map(|part| part.split_once(['m', 'J', 'A']).map(|(_, text)| text))
                .collect();
            assert!(plain.chars().count() < columns.max(2) as usize, "{columns}: {line:?}");
        }
        assert!(text.contains("they add up"), "{text:?}");
    }
}
