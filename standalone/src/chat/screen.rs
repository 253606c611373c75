//! What the user sees: plain lines, with colours where the terminal has them.

use std::io::{self, IsTerminal, Write};

use super::talk::{Do, Tone};

/// Standard output.
#[derive(Debug)]
pub(crate) struct Screen {
    /// Whether it understands colours and can take a line back.
    capable: bool,
    noted: Option<String>,
}

impl Screen {
    /// Standard output as it is: colours only on a terminal that has them and whose user wants them.
    #[expect(clippy::disallowed_methods, reason = "conventions of terminals, no settings")]
    pub(crate) fn of_terminal() -> Self {
        let plain = std::env::var("TERM").map_or(true, |term| term == "dumb");
        let unwanted = std::env::var("NO_COLOR").is_ok_and(|value| !value.is_empty());
        let terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
        Self {
            capable: terminal && !plain && !unwanted,
            noted: None,
        }
    }

    pub(crate) fn show_all(&mut self, things: &[Do]) {
        for thing in things {
            match thing {
                Do::Show(line) => {
                    self.noted = None;
                    self.write(&line.parts);
                }
                // The typed line comes back as a message once it stands.
                Do::Erase if self.capable => write_out("\x1b[1A\x1b[2K"),
                Do::Erase | Do::Send(_) | Do::Quit => {}
            }
        }
    }

    /// A remark of the client's own.
    pub(crate) fn note(&mut self, text: &str) {
        self.write(&[(Tone::Faint, format!("* {text}"))]);
    }

    /// A remark that is not repeated as long as nothing else is shown.
    pub(crate) fn note_once(&mut self, text: &str) {
        if self.noted.as_deref() != Some(text) {
            self.note(text);
            self.noted = Some(text.to_owned());
        }
    }

    fn write(&self, parts: &[(Tone, String)]) {
        let mut line = String::new();
        for (tone, text) in parts {
            let colour = match tone {
                Tone::Plain => "",
                Tone::Faint => "\x1b[2m",
                Tone::Name => "\x1b[1m",
                Tone::Read => "\x1b[36m",
            };
            if self.capable && !colour.is_empty() {
                line.push_str(colour);
                line.push_str(text);
                line.push_str("\x1b[0m");
            } else {
                line.push_str(text);
            }
        }
        line.push('\n');
        write_out(&line);
    }
}

/// Whoever read the output may be gone; the chat ends with its input.
fn write_out(text: &str) {
    let mut out = io::stdout().lock();
    let _reader_gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
