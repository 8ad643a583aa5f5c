//! The rules about which file may name what, checked on the source text.
//!
//! A module names only modules of lower layers, each package has one home, `unsafe` stays behind
//! its fence, and no file outgrows its reader. The rules are the tables at the top; a change to one
//! of them is a change of the architecture and says why in its commit.
//!
//! The scan works on identifiers, with comments and literals blanked out, so that prose may speak
//! of anything. It sees `crate::x`, `super::x` and groups of them; it does not expand macros.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The layer of each module of the crate root. A file names only modules of a lower layer, or of
/// its own directory.
const LAYERS: &[(&str, u8)] = &[
    ("prim", 0),
    ("error", 0),
    ("sys", 1),
    ("util", 1),
    ("arch", 2),
    ("stack", 3),
    ("arena", 3),
    ("coroutine", 4),
    ("machine", 4),
    ("raw", 5),
    ("token", 5),
    ("timer", 6),
    ("cancel", 6),
    ("sched", 7),
    ("channel", 7),
    ("sync", 7),
    ("time", 8),
    ("future", 8),
    ("wait", 8),
    ("io", 8),
    ("scope", 8),
    ("observe", 8),
    ("ipc", 9),
    ("actor", 9),
    ("runtime", 10),
    ("services", 11),
];

/// The only places that may contain `unsafe`: a directory with its slash, or a file without `.rs`.
const UNSAFE_FENCE: &[&str] = &[
    "arch/",
    "src/arch",
    "src/arch/",
    "src/sys/",
    "src/stack/",
    // Blocks, their headers and the handles that own them.
    "src/arena/handle",
    "src/arena/magazine",
    "src/arena/payload",
    "src/arena/region",
    "src/arena/slab",
    "src/arena/store",
    "src/arena/tests/",
    // Control blocks on stacks, and the switches around them.
    "src/coroutine/",
    // The union in which a ticket's result lies.
    "src/token/cargo",
    "src/token/table",
    // Turns the opaque word of a control block into a slot.
    "src/token/party",
    // The worker's pointers to what its thread owns, and the type-erased job.
    "src/timer/timers",
    // The pointer to the runtime that a thread has entered.
    "src/sched/enter",
    "src/sched/fork",
    "src/sched/job",
    // Takes coroutines off one core and puts them on another, on the root context of each.
    "src/sched/migrate",
    // Looks at the words that another thread's core shows, while that core exists.
    "src/sched/monitor",
    "src/sched/join",
    "src/sched/shutdown",
    // Declares what only its caller can vouch for.
    "src/sched/spawn",
    "src/sched/worker",
    // Waiters on the frames of those who wait, and the cells they exchange.
    "src/channel/node",
    // Cells that two ends hand each other, each inside its own gate.
    "src/channel/end",
    "src/channel/queue",
    // Enlists and reads the nodes that the arms of a select hold.
    "src/channel/select/arm",
    "src/channel/shared",
    "src/channel/wait",
    "src/channel/deadline",
    // The operation of a future, shared with the winner of its wait.
    "src/channel/future",
    // Waiters on the frames of coroutines of one thread, and their cells.
    "src/channel/local/core",
    // The operation of a local future, pinned with its node.
    "src/channel/local/future",
    // Cells and seats of a ring with one user at each end.
    "src/channel/spsc/flow",
    "src/channel/spsc/half",
    "src/util/list",
    "src/ipc/shm",
    "src/ipc/ring",
];

/// What is outside its place and not decided: each moves to where the tables say, or the table is
/// extended with a reason. An entry that is no longer needed fails.
const UNDECIDED: &[(&str, &str)] =
    &[("memmap2", "src/arena/handle.rs"), ("memmap2", "src/arena/slab.rs")];

/// Words that have homes: the path that may not be named, where it may be, and what to do instead.
const HOMES: &[(&[&str], &[&str], &str)] = &[
    (&["libc"], &["src/sys/"], "the system is named only in src/sys/"),
    (&["sync", "atomic"], &["src/prim"], "atomics come from crate::prim"),
    (&["parking_lot"], &["src/prim"], "locks come from crate::prim"),
    (&["loom", ""], &["src/prim"], "loom is named only in src/prim.rs"),
    (&["crossbeam_deque"], &["src/sched/"], "the deque is named only in src/sched/"),
    (&["memmap2"], &["src/ipc/", "src/arena/region"], "maps are named only where regions live"),
    (
        &["thread_local"],
        // Each is reached only off the hot path, by a function that does not switch while it holds
        // a reference to it.
        &[
            "src/coroutine/core",
            "src/coroutine/local",
            "src/channel/select/order",
            "src/token/thread",
            "src/arena/magazine",
            "src/sys/",
        ],
        "a thread-local's address must not live across a switch: see coroutine/current",
    ),
    (&["transmute"], &[], "name the conversion that is meant"),
];

/// Facts about the target, which end at layer 2.
const TARGET_FACTS: &[&str] = &[
    "target_arch",
    "target_endian",
    "target_env",
    "target_family",
    "target_feature",
    "target_os",
    "target_pointer_width",
    "target_vendor",
];
const TARGET_LAYER: u8 = 2;

/// A file over the first number says why in its header, with [`LONG_NOTE`]; none is over the second.
const LONG: usize = 600;
const TOO_LONG: usize = 900;
const LONG_NOTE: &str = "Long because:";

#[test]
fn every_file_keeps_to_its_layer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    collect(&root.join("arch"), &mut files);
    assert!(files.len() > 3, "the sources were not found under {}", root.display());
    files.sort();
    let mut report = String::new();
    let mut undecided = UNDECIDED.to_vec();
    for file in files {
        let name = file.strip_prefix(root).expect("collected below the root");
        let name = name.to_str().expect("file names are plain").replace('\\', "/");
        let text = fs::read_to_string(&file).expect("a source file is readable text");
        for offence in check(&name, &text) {
            let known = |(word, place): &(&str, &str)| {
                *place == name && offence.contains(&format!(": `{word}`"))
            };
            if UNDECIDED.iter().any(known) {
                undecided.retain(|entry| !known(entry));
            } else {
                writeln!(report, "{offence}").expect("writing to a string");
            }
        }
    }
    for (word, place) in undecided {
        writeln!(report, "{place}:1: no `{word}` is left here: take it off UNDECIDED")
            .expect("writing to a string");
    }
    assert!(report.is_empty(), "\n{report}");
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries {
        let path = entry.expect("a directory entry is readable").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs" || end == "s") {
            files.push(path);
        }
    }
}

/// Every offence of one file, each as `path:line: what`.
fn check(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    let excused = text.lines().take(40).any(|line| line.contains(LONG_NOTE));
    if lines > TOO_LONG {
        found.push(format!("{name}:{lines}: over {TOO_LONG} lines"));
    } else if lines > LONG && !excused {
        found
            .push(format!("{name}:{lines}: over {LONG} lines without `{LONG_NOTE}` in its header"));
    }
    if !name.ends_with(".rs") || name == "src/lib.rs" {
        return found;
    }
    let module = module_path(name);
    let own = module[0].as_str();
    let Some(layer) = layer_of(own) else {
        found.push(format!("{name}:1: module `{own}` has no layer"));
        return found;
    };
    let words = words(text);
    for (at, (line, word)) in words.iter().enumerate() {
        let mut offend = |what: String| found.push(format!("{name}:{line}: {what}"));
        let follows = |path: &[&str]| {
            path.iter().enumerate().all(|(step, part)| {
                let Some((_, got)) = words.get(at + 2 * step) else { return false };
                (step == 0 || words[at + 2 * step - 1].1 == "::")
                    && (part.is_empty() || got == part)
            })
        };
        match word.as_str() {
            "unsafe" if !is_at(name, UNSAFE_FENCE) => {
                offend("`unsafe` outside the fence".into());
            }
            "static" if words.get(at + 1).is_some_and(|(_, next)| next == "mut") => {
                offend("`static mut`".into());
            }
            fact if layer > TARGET_LAYER && TARGET_FACTS.contains(&fact) => {
                offend(format!("`{fact}` above layer {TARGET_LAYER}"));
            }
            "crate" | "super" if at == 0 || words[at - 1].1 != "::" => {
                for named in roots(&words, at, &module) {
                    match layer_of(&named) {
                        _ if named == own => {}
                        Some(other) if other >= layer => offend(format!(
                            "`{own}` (layer {layer}) names `{named}` (layer {other})"
                        )),
                        Some(_) => {}
                        None => offend(format!("`crate::{named}` goes through the crate root")),
                    }
                }
            }
            _ => {}
        }
        for (path, homes, advice) in HOMES {
            if follows(path) && !is_at(name, homes) {
                offend(format!("`{}`: {advice}", path.join("::").trim_end_matches("::")));
            }
        }
    }
    found
}

/// `src/token/state.rs` is the module `token::state`, `src/token/mod.rs` is `token`; everything
/// under the outer `arch/` belongs to `arch`.
fn module_path(name: &str) -> Vec<String> {
    let name = name.strip_suffix(".rs").expect("a Rust file");
    let inner = name.strip_prefix("src/").unwrap_or(name);
    let mut path: Vec<String> = inner.split('/').map(String::from).collect();
    if path.len() > 1 && path.last().is_some_and(|last| last == "mod") {
        path.pop();
    }
    path
}

fn layer_of(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

fn is_at(name: &str, places: &[&str]) -> bool {
    places.iter().any(|place| {
        if place.ends_with('/') {
            name.starts_with(place)
        } else {
            name.strip_suffix(".rs").is_some_and(|stem| stem == *place)
        }
    })
}

/// The modules of the crate root that the path beginning at `words[at]` names: several for a
/// group, none for a path that stays below the root or for a macro.
fn roots(words: &[(usize, String)], mut at: usize, module: &[String]) -> Vec<String> {
    let word = |at: usize| words.get(at).map_or("", |(_, word)| word.as_str());
    let mut depth = if word(at) == "crate" { 0 } else { module.len() };
    let in_macro = at > 0 && word(at - 1) == "$";
    while word(at) == "super" {
        depth = depth.saturating_sub(1);
        if word(at + 2) != "super" {
            break;
        }
        at += 2;
    }
    if depth > 0 || word(at + 1) != "::" {
        return Vec::new();
    }
    let from_super = word(at) == "super";
    at += 2;
    let mut named = Vec::new();
    if word(at) == "{" {
        let mut nesting = 0;
        loop {
            match word(at) {
                "{" => nesting += 1,
                "}" => nesting -= 1,
                "," | "::" | "" => {}
                first if nesting == 1 && matches!(word(at - 1), "{" | ",") => {
                    named.push(first.to_string());
                }
                _ => {}
            }
            if nesting == 0 || at >= words.len() {
                break;
            }
            at += 1;
        }
    } else if word(at + 1) != "!" {
        named.push(word(at).to_string());
    }
    // An inline module's `super` is this file, and a macro may name what the root exports.
    named.retain(|name| layer_of(name).is_some() || !(from_super || in_macro));
    named
}

/// Identifiers, `::` and single other characters of the code, each with its line; comments,
/// strings and character literals are left out.
fn words(text: &str) -> Vec<(usize, String)> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let rest = &text.as_bytes()[at..];
        let length = match rest[0] {
            b'/' if rest.starts_with(b"//") => until(rest, b"\n") - 1,
            b'/' if rest.starts_with(b"/*") => block_comment(rest),
            b'"' => string(rest),
            b'r' | b'b' | b'c' if literal_prefix(rest).is_some() => {
                literal_prefix(rest).expect("just seen")
            }
            b'\'' => character(rest),
            byte if is_word(byte) => {
                let length = rest.iter().take_while(|byte| is_word(**byte)).count();
                found.push((line, text[at..at + length].to_string()));
                length
            }
            b':' if rest.starts_with(b"::") => {
                found.push((line, "::".into()));
                2
            }
            byte if byte.is_ascii_whitespace() || !byte.is_ascii() => 1,
            byte => {
                found.push((line, char::from(byte).into()));
                1
            }
        };
        let length = length.clamp(1, rest.len());
        line += rest[..length].iter().filter(|byte| **byte == b'\n').count();
        at += length;
    }
    found
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// How many bytes up to and with the first `end`.
fn until(rest: &[u8], end: &[u8]) -> usize {
    rest.windows(end.len()).position(|window| window == end).map_or(rest.len(), |at| at + end.len())
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// A string that begins at its quote.
fn string(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != b'"' {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// The length of a literal with a prefix such as `r#"`, `b"`, `br"`, `c"` or `b'`, if it is one.
fn literal_prefix(rest: &[u8]) -> Option<usize> {
    let letters = rest.iter().take_while(|byte| matches!(byte, b'r' | b'b' | b'c')).count();
    let hashes = rest[letters..].iter().take_while(|byte| **byte == b'#').count();
    match rest.get(letters + hashes)? {
        b'"' if letters <= 2 && rest[..letters].contains(&b'r') => {
            let start = letters + hashes + 1;
            let end = [&b"\""[..], &b"#".repeat(hashes)].concat();
            Some(start + until(&rest[start..], &end))
        }
        b'"' if letters == 1 && hashes == 0 => Some(1 + string(&rest[1..])),
        b'\'' if letters == 1 && hashes == 0 => Some(1 + character(&rest[1..])),
        _ => None,
    }
}

/// A character literal, or the quote of a lifetime.
fn character(rest: &[u8]) -> usize {
    match rest {
        [b'\'', b'\\', _, tail @ ..] => 3 + until(tail, b"'"),
        _ => {
            let text = String::from_utf8_lossy(&rest[1..rest.len().min(6)]);
            let first = text.chars().next().map_or(0, char::len_utf8);
            if rest.get(1 + first) == Some(&b'\'') { first + 2 } else { 1 }
        }
    }
}

/// The check sees each kind of offence, and nothing where there is none.
#[test]
fn offences_are_seen() {
    let cases: &[(&str, &str, &str)] = &[
        ("src/token/state.rs", "use crate::sched::Queue;", "1: `token` (layer 5) names `sched`"),
        ("src/stack/mod.rs", "use crate::arena::Slab;", "names `arena` (layer 3)"),
        (
            "src/stack/mod.rs",
            "\nuse super::{sys, token::Slot};",
            "2: `stack` (layer 3) names `token`",
        ),
        ("src/stack/pool.rs", "use super::super::runtime::X;", "names `runtime`"),
        ("src/stack/pool.rs", "use crate::{sys::{a, b},\n prim, channel};", "names `channel`"),
        ("src/stack/pool.rs", "fn f() { crate::spawn(); }", "goes through the crate root"),
        ("src/novel.rs", "", "`novel` has no layer"),
        ("src/token/kernel.rs", "use libc::c_int;", "`libc`"),
        ("arch/x86_64/mod.rs", "type A = libc::c_int;", "`libc`"),
        ("src/token/state.rs", "use std::sync::atomic::AtomicU8;", "`sync::atomic`"),
        ("src/token/state.rs", "use parking_lot::Mutex;", "`parking_lot`"),
        ("src/token/state.rs", "use loom::sync::Arc;", "`loom`"),
        ("src/token/state.rs", "use crossbeam_deque::Worker;", "`crossbeam_deque`"),
        ("src/token/state.rs", "use memmap2::Mmap;", "`memmap2`"),
        ("src/token/state.rs", "thread_local! {}", "`thread_local`"),
        ("src/sys/memory.rs", "fn f() { transmute(1) }", "`transmute`"),
        ("src/sys/memory.rs", "static mut X: u8 = 0;", "`static mut`"),
        ("src/token/state.rs", "fn f() { unsafe { g() } }", "`unsafe`"),
        ("src/stack/mod.rs", "#[cfg(target_arch = \"x86_64\")] fn f() {}", "`target_arch`"),
        ("arch/x86_64/entry.s", &"nop\n".repeat(601), "over 600"),
        ("src/sys/memory.rs", &format!("//! {LONG_NOTE} x\n{}", "\n".repeat(900)), "over 900"),
    ];
    for (name, text, expected) in cases {
        let found = check(name, text);
        assert!(found.iter().any(|line| line.contains(expected)), "{name}: {text}\n{found:?}");
    }
}

#[test]
fn what_is_allowed_passes() {
    let cases: &[(&str, &str)] = &[
        ("src/token/state.rs", "use crate::prim::AtomicU64; use super::table::Slot;"),
        ("src/token/state.rs", "use crate::token::table::Slot; // crate::sched"),
        (
            "src/token/state.rs",
            "/// [`x`](crate::sched)\n/* crate::sched /* */ unsafe */ fn f() {}",
        ),
        ("src/token/state.rs", "const A: &str = \"unsafe \\\" libc\"; const B: char = '\"';"),
        ("src/token/state.rs", "const A: &str = r#\"unsafe \" libc\"#; fn f<'a>(x: &'a u8) {}"),
        ("src/token/state.rs", "#![forbid(unsafe_code)]\nfn f() { crate::bug!(); }"),
        ("src/token/state.rs", "#[cfg(all(test, loom))] mod loom_tests;"),
        ("src/token/mod.rs", "mod tests { use super::*; use super::Slot; }"),
        ("src/sys/memory.rs", "use libc::c_int; fn f() { unsafe { g() } }"),
        ("src/lib.rs", "pub use sched::spawn; #[cfg(target_os = \"linux\")] mod x;"),
        ("src/prim.rs", "pub use std::sync::atomic::AtomicU8; pub use loom::cell::UnsafeCell;"),
        ("src/channel/select.rs", "macro_rules! s { () => { $crate::after!(); $crate::Select } }"),
    ];
    for (name, text) in cases {
        assert_eq!(check(name, text), Vec::<String>::new(), "{text}");
    }
}
