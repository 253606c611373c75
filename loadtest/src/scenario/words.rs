//! What is wrong with a scenario's text, in one line.

use toml::de::Error;

/// Names of types, and what a reader calls them.
const TYPES: [(&str, &str); 5] = [
    ("expected f64", "expected a number"),
    ("expected u32", "expected a whole number"),
    ("expected u64", "expected a whole number"),
    ("expected i64", "expected a whole number"),
    ("expected struct ", "expected a table: "),
];

/// A text that is no TOML: where, and why.
pub(super) fn syntax(text: &str, error: &Error) -> String {
    let why = one_line(error.message());
    let before = error.span().and_then(|span| text.get(..span.start));
    let Some(before) = before else { return why };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    format!("line {line}, column {column}: {why}")
}

/// A value that does not belong where it is.
pub(super) fn types(error: &Error) -> String {
    let text = one_line(&error.to_string());
    TYPES
        .iter()
        .fold(text, |text, (rust, plain)| text.replace(rust, plain))
}

fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(", ")
}
