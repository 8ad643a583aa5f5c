//! The NDJSON lines of the demonstration. `type` and `schema` come first in each.
//!
//! | type          | when                                | from                            |
//! |---------------|-------------------------------------|---------------------------------|
//! | `start`       | once, first                         | here                            |
//! | `progress`    | each second                         | here                            |
//! | `pipe`, `wait`| each second, with `--status`        | `kcoro::monster::status`        |
//! | `coordinated` | each second, with `--status`        | `kcoro::monster::status`        |
//! | `summary`     | once per role at the end            | `kcoro::monster::status`        |
//! | `latency`     | once per hop at the end             | here                            |
//! | `busy`        | for the three busiest, at the end   | here                            |
//! | `end`         | once, last                          | here                            |
//!
//! Within a schema number fields are added, never changed or taken away.
//!
//! # Who calls this, and what it may call
//!
//! The main thread. Pure formatting.

use std::fmt::{Display, Write};

use kcoro::monster::status::{NDJSON_SCHEMA, StatusLine};

/// One object on one line.
#[derive(Debug)]
pub(super) struct Object(String);

impl Object {
    pub(super) fn new(kind: &str) -> Object {
        Object(format!("{{\"type\":\"{kind}\",\"schema\":{NDJSON_SCHEMA}"))
    }

    /// A number, a boolean, `null`, or an object that is written already.
    pub(super) fn plain(mut self, name: &str, value: impl Display) -> Object {
        let _ = write!(self.0, ",\"{name}\":{value}");
        self
    }

    /// Seconds or percent, to six places.
    pub(super) fn float(self, name: &str, value: f64) -> Object {
        self.plain(name, format_args!("{value:.6}"))
    }

    /// A number, or `null`.
    pub(super) fn option(self, name: &str, value: Option<impl Display>) -> Object {
        match value {
            Some(value) => self.plain(name, value),
            None => self.plain(name, "null"),
        }
    }

    pub(super) fn string(self, name: &str, value: &str) -> Object {
        let text = serde_json::Value::from(value);
        self.plain(name, text)
    }

    /// A list of numbers.
    pub(super) fn list(self, name: &str, values: &[u64]) -> Object {
        let values: Vec<_> = values.iter().map(u64::to_string).collect();
        self.plain(name, format_args!("[{}]", values.join(",")))
    }

    /// The line with its end.
    pub(super) fn line(mut self) -> String {
        self.0.push_str("}\n");
        self.0
    }
}

/// The line of a status view.
pub(super) fn status(line: &dyn StatusLine) -> String {
    let mut text = String::new();
    // A `String` takes everything.
    let _ = line.ndjson(&mut text);
    text.push('\n');
    text
}
