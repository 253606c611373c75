//! The CQL form against a real database.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod apart;
mod conformance;
mod harness;
mod outage;
mod refusals;
mod rows;
mod schema;
