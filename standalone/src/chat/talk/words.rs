//! What a conversation has done, and the lines it shows.

use serde_json::Value;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Do {
    /// Send a frame.
    Send(String),
    /// Show a line.
    Show(Line),
    /// Take the line just typed off the screen.
    Erase,
    /// The end.
    Quit,
}

/// How a part of a line looks, where colours are to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it is.
    Plain,
    /// A remark.
    Faint,
    /// Who wrote it.
    Name,
    /// It has been read.
    Read,
}

/// A line of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its parts, from left to right.
    pub(crate) parts: Vec<(Tone, String)>,
}

pub(super) fn remark(text: &str) -> Do {
    Do::Show(Line {
        parts: vec![(Tone::Faint, format!("* {text}"))],
    })
}

pub(super) fn told(what: &str, error: &Value) -> Do {
    let (code, message) = (&error["code"], &error["message"]);
    let text = clean(message.as_str().unwrap_or_default());
    remark(&format!(
        "not {what}: {text} ({})",
        clean(code.as_str().unwrap_or_default())
    ))
}

/// A text of another's on one line and without what a terminal would obey.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c == '\n' {
                '⏎'
            } else if c.is_control() {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}
