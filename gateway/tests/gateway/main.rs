//! The gateway through its public doors: real sockets on one side, a scripted bus on the other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    reason = "a test fails by panicking, and is nobody's library"
)]

mod appends;
mod attach;
mod closing;
mod connecting;
mod desk;
mod frames;
mod outage;
mod requests;
mod script;

use std::future::Future;
use std::time::Duration;

/// Waits for what must come, and fails where it does not.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what)
        .await
        .expect("this comes in time")
}
