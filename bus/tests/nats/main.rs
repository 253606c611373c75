//! The NATS form against a real server, through the public doors of the bus.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: a failure is a panic"
)]

mod conformance;
mod connecting;
mod epochs;
mod fake;
mod full;
mod harness;
mod holes;
mod lost;
mod proxy;
mod soft;
