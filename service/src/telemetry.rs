//! Logs: one line an event, on standard error, as text or as JSON. Never a message's text, never a token.

use std::io::{self, IsTerminal};
use std::panic::{self, PanicHookInfo};

use tracing::subscriber::set_global_default;
use tracing_log::LogTracer;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt;

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// Logs cannot be written as asked.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is none.
    #[error("{0:?} is no log filter: {1}")]
    Filter(String, String),
    /// Logs are written already.
    #[error("logs are written already: {0}")]
    Twice(String),
}

/// A log filter: a level (`info`), or directives by module (`info,confab_gateway=debug`).
///
/// # Errors
/// Says what is wrong with it.
pub fn parse_filter(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder()
        .parse(filter)
        .map_err(|error| TelemetryError::Filter(filter.to_owned(), error.to_string()))
}

/// Begins to log, for the whole process, and turns a panic into one log line.
///
/// What libraries log through the `log` crate appears from the level `warn` on, whatever the filter says: below it
/// some of them print what they carry.
///
/// # Errors
/// When the filter is none, or logs are written already.
pub fn start(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    let builder = fmt()
        .with_env_filter(parse_filter(filter)?)
        .with_writer(io::stderr);
    let twice = |error: &dyn std::fmt::Display| TelemetryError::Twice(error.to_string());
    match format {
        LogFormat::Text => set_global_default(builder.with_ansi(io::stderr().is_terminal()).finish()),
        LogFormat::Json => set_global_default(builder.json().flatten_event(true).finish()),
    }
    .map_err(|error| twice(&error))?;
    let libraries = LogTracer::builder().with_max_level(tracing_log::log::LevelFilter::Warn);
    libraries.init().map_err(|error| twice(&error))?;
    panic::set_hook(Box::new(log_panic));
    Ok(())
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let payload = info.payload();
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref().map(String::as_str));
    let reason = text.unwrap_or("no reason given");
    tracing::error!(
        thread = thread.name().unwrap_or("unnamed"),
        location,
        reason,
        "panic"
    );
}

#[cfg(test)]
mod tests {
    use super::parse_filter;

    #[test]
    fn a_level_and_directives_are_filters() {
        parse_filter("info").unwrap();
        parse_filter("warn,confab_gateway=debug").unwrap();
    }

    #[test]
    fn what_is_no_filter_is_refused_with_its_text() {
        let error = parse_filter("confab=loudly").unwrap_err().to_string();
        assert!(error.starts_with("\"confab=loudly\" is no log filter"), "{error}");
    }
}
