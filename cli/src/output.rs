//! Standard output, with its two ways to fail told apart.
//!
//! # Invariants
//!
//! 1. A write error is never ignored: it reaches `main`, which turns it into an exit code.
//! 2. Escape sequences go to a terminal only, unless `CLICOLOR_FORCE` asks for them, and never if
//!    `NO_COLOR` forbids them.

use std::ffi::OsStr;
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use clap::builder::StyledStr;

/// Why the program stops early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Whoever read the output has gone.
    ClosedPipe,
    /// The text for the user.
    Other(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::ClosedPipe,
            _ => Failure::Other(format!("cannot write the output: {error}")),
        }
    }
}

/// Buffered standard output.
#[derive(Debug)]
pub(crate) struct Output {
    stream: BufWriter<Stdout>,
    colors: bool,
    can_redraw: bool,
}

impl Output {
    /// The standard output of the process.
    pub(crate) fn stdout() -> Output {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let can_redraw = terminal && !is_dumb();
        Output { stream: BufWriter::new(stdout), colors: colors(terminal), can_redraw }
    }

    /// True if lines can be drawn in place: a terminal that moves its cursor.
    pub(crate) fn can_redraw(&self) -> bool {
        self.can_redraw
    }

    /// True if escape sequences are welcome.
    pub(crate) fn colors(&self) -> bool {
        self.colors
    }

    /// Writes text.
    pub(crate) fn text(&mut self, text: impl Display) -> Result<(), Failure> {
        write!(self.stream, "{text}").map_err(Failure::from)
    }

    /// Writes bytes.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(bytes).map_err(Failure::from)
    }

    /// Writes text that clap has styled.
    pub(crate) fn styled(&mut self, text: &StyledStr) -> Result<(), Failure> {
        if self.colors { self.text(text.ansi()) } else { self.text(text) }
    }

    /// Writes out what is buffered.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.stream.flush().map_err(Failure::from)
    }
}

/// Writes a message to standard error; if that fails too there is nowhere left to say so.
pub(crate) fn complain(message: &dyn Display) {
    let _ = write!(io::stderr(), "{message}");
}

/// Whether to use colors, by the conventions of no-color.org and bixense.com/clicolors.
fn colors(terminal: bool) -> bool {
    let set = |name| std::env::var_os(name);
    let is_set = |name| set(name).is_some_and(|value| !value.is_empty());
    let forced = set("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
    !is_set("NO_COLOR") && (forced || (terminal && !is_dumb()))
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").as_deref() == Some(OsStr::new("dumb"))
}
