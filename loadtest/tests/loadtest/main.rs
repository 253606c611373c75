//! The tool as whoever runs it sees it: its command line, exit codes and files, against the real service, and against
//! one that breaks its promises.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod endings;
mod promises;
mod runs;
mod service;
mod tampering;
mod usage;
