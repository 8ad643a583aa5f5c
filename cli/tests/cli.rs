//! The program as a user or a script meets it: usage errors, streams that fail, colors, completions.
//!
//! `KCORO_TEST_RUNNER` is put in front of the program if it is set, as an emulator must be.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

/// The program with these arguments and an environment of its own.
fn kcoro(arguments: &[&str]) -> Command {
    let program = env!("CARGO_BIN_EXE_kcoro");
    let runner = std::env::var("KCORO_TEST_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace().chain([program]);
    let mut command = Command::new(words.next().expect("at least the program"));
    command.args(words).args(arguments);
    for variable in ["KCORO_WORKERS", "NO_COLOR", "CLICOLOR_FORCE", "TERM"] {
        command.env_remove(variable);
    }
    command
}

fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().expect("the program starts")
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("the output is UTF-8")
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("the messages are UTF-8")
}

#[test]
fn wrong_usage_is_exit_code_2_and_a_message() {
    let wrong: [&[&str]; 17] = [
        &[],
        &["no-such-command"],
        &["--no-such-flag"],
        &["doctor", "--format", "xml"],
        &["doctor", "--format"],
        &["doctor", "extra"],
        &["completions", "tcsh-like"],
        &["monster"],
        &["monster", "demo", "extra"],
        &["monster", "demo", "--rate", "101"],
        &["monster", "demo", "--rate", "0"],
        &["monster", "demo", "--rate", "NaN"],
        &["monster", "demo", "--seconds", "-1"],
        &["monster", "demo", "--seconds", "inf"],
        &["monster", "demo", "--workers", "0"],
        &["monster", "demo", "--format", "json"],
        &["monster", "demo", "--record", "a", "--replay", "b"],
    ];
    for arguments in wrong {
        let output = run(&mut kcoro(arguments));
        assert_eq!(code(&output), Some(2), "{arguments:?}");
        assert_eq!(out(&output), "", "{arguments:?}");
        let message = err(&output);
        let helps = message.contains("Usage: kcoro") || message.contains("try '--help'");
        assert!(helps, "{arguments:?}: {message}");
    }
}

#[test]
fn help_has_examples_everywhere() {
    let commands: [&[&str]; 5] = [
        &["--help"],
        &["doctor", "--help"],
        &["completions", "--help"],
        &["monster", "--help"],
        &["monster", "demo", "--help"],
    ];
    for arguments in commands {
        let output = run(&mut kcoro(arguments));
        assert_eq!((code(&output), err(&output)), (Some(0), ""), "{arguments:?}");
        assert!(out(&output).contains("Examples:\n  kcoro "), "{arguments:?}");
    }
    let output = run(&mut kcoro(&["--help"]));
    for word in ["Exit codes:", "KCORO_WORKERS", "NO_COLOR", "doctor", "completions"] {
        assert!(out(&output).contains(word), "{word}");
    }
}

#[test]
fn version() {
    let output = run(&mut kcoro(&["--version"]));
    assert_eq!(code(&output), Some(0));
    assert_eq!(out(&output), format!("kcoro {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn doctor_reports_for_people_and_programs() {
    let text = run(&mut kcoro(&["doctor"]));
    assert_eq!((code(&text), err(&text)), (Some(0), ""));
    for name in ["kernel", "guards", "vm.max_map_count", "open files", "cpu quota", "workers"] {
        assert!(out(&text).contains(name), "{name} in {}", out(&text));
    }
    let json = run(&mut kcoro(&["doctor", "--format", "json"]));
    assert_eq!((code(&json), out(&json).lines().count()), (Some(0), 1));
    let report: serde_json::Value = serde_json::from_str(out(&json)).expect("it is JSON");
    assert_eq!(report["type"], "doctor");
    assert_eq!(report["schema"], 1);
    assert!(report["workers"].as_u64() >= Some(1));
    let checks = report["checks"].as_array().expect("a list of checks");
    for check in checks {
        assert!(check["name"].is_string() && check["value"].is_string(), "{check}");
        let ok = check["status"] == "ok";
        assert_eq!(check["advice"].is_null(), ok, "advice where something can be better: {check}");
        assert!(out(&text).contains(check["name"].as_str().unwrap_or_default()), "{check}");
    }
}

#[test]
fn doctor_follows_the_workers_variable() {
    let json = |value: &str| {
        let output = run(kcoro(&["doctor", "--format", "json"]).env("KCORO_WORKERS", value));
        let report: serde_json::Value = serde_json::from_str(out(&output)).expect("it is JSON");
        (code(&output), report["workers"].as_u64())
    };
    assert_eq!(json("1"), (Some(0), Some(1)));
    assert_eq!(json("lots"), (Some(3), None));
    let text = run(kcoro(&["doctor"]).env("KCORO_WORKERS", "lots"));
    assert!(out(&text).contains("KCORO_WORKERS is `lots`: expected a whole number"));
}

#[test]
fn colors_only_where_they_are_wanted() {
    let escapes = |command: &mut Command| {
        let output = run(command);
        out(&output).contains('\x1b') || err(&output).contains('\x1b')
    };
    for arguments in [&["doctor"][..], &["--help"]] {
        assert!(!escapes(&mut kcoro(arguments)), "a pipe is not a terminal: {arguments:?}");
        assert!(escapes(kcoro(arguments).env("CLICOLOR_FORCE", "1")), "{arguments:?}");
        let both = escapes(kcoro(arguments).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1"));
        assert!(!both, "NO_COLOR wins: {arguments:?}");
    }
    assert!(!escapes(&mut kcoro(&["--no-such-flag"])));
}

/// Each command that prints something.
const PRINTING: [&[&str]; 8] = [
    &["--help"],
    &["--version"],
    &["doctor"],
    &["doctor", "--format", "json"],
    &["completions", "bash"],
    &["help", "doctor"],
    &["monster", "demo", "--seconds", "0.2"],
    &["monster", "demo", "--seconds", "60", "--format", "ndjson"],
];

#[test]
fn a_reader_that_has_gone_ends_it_quietly() {
    for arguments in PRINTING {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = kcoro(arguments)
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .and_then(std::process::Child::wait_with_output)
            .expect("the program starts");
        assert_eq!((code(&output), err(&output)), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn a_full_disk_is_exit_code_1_and_a_message() {
    for arguments in PRINTING {
        let full = File::options().write(true).open("/dev/full").expect("/dev/full is there");
        let output = kcoro(arguments)
            .stdin(Stdio::null())
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .and_then(std::process::Child::wait_with_output)
            .expect("the program starts");
        assert_eq!(code(&output), Some(1), "{arguments:?}");
        let message = err(&output);
        assert!(message.starts_with("kcoro: cannot write the output: No space"), "{message}");
    }
}

#[test]
fn messages_that_nobody_can_read_do_not_panic() {
    let full = || File::options().write(true).open("/dev/full").expect("/dev/full is there");
    let status = kcoro(&["no-such-command"]).stderr(full()).status().expect("it starts");
    assert_eq!(status.code(), Some(2));
    let status = kcoro(&["doctor"]).stdout(full()).stderr(full()).status().expect("it starts");
    assert_eq!(status.code(), Some(1));
}

#[test]
fn completions_parse() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = run(&mut kcoro(&["completions", shell]));
        assert_eq!((code(&output), err(&output)), (Some(0), ""), "{shell}");
        assert!(out(&output).contains("doctor"), "{shell}");
        if shell == "bash" || is_installed(shell) && shell != "powershell" {
            parse(shell, out(&output));
        }
    }
}

fn is_installed(shell: &str) -> bool {
    let mut command = Command::new(shell);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Has the shell read the script without running it.
fn parse(shell: &str, script: &str) {
    let flag = if shell == "elvish" { "-compileonly" } else { "-n" };
    let mut child = Command::new(shell)
        .args([flag, "/dev/stdin"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the shell starts");
    let mut stdin = child.stdin.take().expect("it is a pipe");
    stdin.write_all(script.as_bytes()).expect("the shell reads the script");
    drop(stdin);
    let errors = BufReader::new(child.stderr.take().expect("it is a pipe"));
    let errors: Vec<_> = errors.lines().map_while(Result::ok).collect();
    let status = child.wait().expect("the shell ends");
    assert!(status.success() && errors.is_empty(), "{shell}: {errors:?}");
}
