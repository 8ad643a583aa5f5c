//! A few lines at the bottom of a terminal that are drawn again and again.
//!
//! The cursor rests below the block and nothing of the terminal's state is changed, neither its
//! modes nor the cursor's shape. So there is nothing to restore, however the program ends.
//!
//! # Who calls this, and what it may call
//!
//! The main thread.

use crate::output::{Failure, Output};

/// The block of lines that stands on the terminal now.
#[derive(Debug, Default)]
pub(super) struct Screen {
    lines: usize,
}

impl Screen {
    /// Replaces the block.
    pub(super) fn draw(&mut self, lines: &[String], output: &mut Output) -> Result<(), Failure> {
        let mut text = self.begin();
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        self.lines = lines.len();
        output.text(text)?;
        output.flush()
    }

    /// Takes the block away, so that other lines can be written in its place.
    pub(super) fn clear(&mut self, output: &mut Output) -> Result<(), Failure> {
        let text = self.begin();
        self.lines = 0;
        output.text(text)
    }

    /// Goes to the first line of the block and clears from there on.
    fn begin(&self) -> String {
        match self.lines {
            0 => String::new(),
            lines => format!("\r\x1b[{lines}A\x1b[J"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_drawing_begins_where_the_last_one_began() {
        assert_eq!(Screen::default().begin(), "");
        assert_eq!(Screen { lines: 3 }.begin(), "\r\x1b[3A\x1b[J");
    }
}
