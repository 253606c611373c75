//! How the command ends: exit codes (those of `sysexits.h` where one fits), and one line that says why.

use std::fmt;
use std::process::ExitCode;

/// Why the command failed, by what its user can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    /// What was asked for did not work out: a refused connection, an unhealthy service.
    Other = 1,
    /// A flag, a variable or a line of the settings file is wrong.
    Setting = 64,
    /// What the data directory holds cannot be read.
    Data = 65,
    /// A file that a setting names (a key, a certificate) is missing, unreadable, or not what it should be.
    File = 66,
    /// NATS or the database is out of reach, or is not as this program needs it.
    Engine = 68,
    /// An address cannot be listened on.
    Address = 69,
    /// The service met a fault of its own.
    Fault = 70,
    /// The data directory cannot be made or written, or is not Confab's.
    DataDir = 73,
    /// Input or output failed while the service ran.
    Io = 74,
    /// Another process uses the data directory.
    InUse = 75,
}

/// The end of a command that did not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    reason: String,
}

impl Failure {
    pub(crate) fn new(code: Code, reason: impl fmt::Display) -> Self {
        // One line, whatever a library wrote.
        let reason = reason
            .to_string()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        Self { code, reason }
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.code as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// Gives an error its exit code and says what was being done.
pub(crate) trait OrFail<T> {
    /// `what` was being done: the line becomes `<what>: <error>`.
    fn or_fail(self, code: Code, what: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: fmt::Display> OrFail<T> for Result<T, E> {
    fn or_fail(self, code: Code, what: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(code, format_args!("{what}: {error}")))
    }
}
