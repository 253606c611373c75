//! The NATS form against a real server.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests: a failure is a panic")]

mod conformance;
mod harness;
