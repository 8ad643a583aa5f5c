//! docs/PORTING.md names only what the crate has: each name in the columns for kcoro is looked up in
//! the source text.
//!
//! A name is what is called (`recv(`), reached by a path (`channel::bounded`) or written in capitals
//! (`RecvError`). The check sees names, not signatures.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Names of the standard library and of the language.
const FOREIGN: &[&str] = &["Option", "String", "Some", "None", "Ok", "Err", "Future", "Vec"];

fn source(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).expect("the sources are there") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            source(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).expect("a source file is text"));
        }
    }
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// The names in a code span.
fn names(code: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut start = None;
    for (at, letter) in code.char_indices().chain([(code.len(), ' ')]) {
        match (start, is_word(letter)) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                let (name, rest) = (&code[from..at], &code[at..]);
                let called = rest.starts_with('(') || code[..from].ends_with("::");
                let capital = name.starts_with(|first: char| first.is_ascii_uppercase())
                    && name.contains(|letter: char| letter.is_ascii_lowercase());
                if name.len() > 1 && (called || capital) && !FOREIGN.contains(&name) {
                    names.push(name);
                }
                start = None;
            }
            _ => {}
        }
    }
    names
}

/// What the text defines, and the first word of each line, which may be a variant of an enum.
fn defined(text: &str) -> BTreeSet<&str> {
    let mut defined = BTreeSet::new();
    for line in text.lines() {
        let words = || line.split(|letter| !is_word(letter)).filter(|word| !word.is_empty());
        defined.extend(words().next());
        for (keyword, name) in words().zip(words().skip(1)) {
            if ["fn", "struct", "enum", "mod", "type", "macro_rules", "trait"].contains(&keyword) {
                defined.insert(name);
            }
        }
    }
    defined
}

#[test]
fn every_name_of_the_porting_table_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    source(&root.join("src"), &mut text);
    let defined = defined(&text);
    let table = fs::read_to_string(root.join("docs/PORTING.md")).expect("the table is there");
    let mut missing = BTreeSet::new();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    for kcoro in rows.filter_map(|row| row.split('|').nth(2)) {
        let spans = kcoro.split('`').skip(1).step_by(2).filter(|span| !span.starts_with("kc"));
        let spans = spans
            .chain(kcoro.split('`').skip(1).step_by(2).filter(|span| span.starts_with("kcoro::")));
        missing.extend(spans.flat_map(names).filter(|name| !defined.contains(name)));
    }
    assert!(missing.is_empty(), "named in docs/PORTING.md and not there: {missing:?}");
}
