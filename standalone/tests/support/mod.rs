//! What the tests through real sockets share: a server process, a client, and the shapes of frames. Nothing here
//! knows the service's own code, so that a mistake in it cannot hide on both sides.

#![allow(dead_code, reason = "each test crate uses its part of it")]

pub(crate) mod actor;
pub(crate) mod checker;
pub(crate) mod client;
pub(crate) mod connect;
pub(crate) mod engines;
pub(crate) mod observe;
pub(crate) mod process;
pub(crate) mod schema;
pub(crate) mod server;
pub(crate) mod trial;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long anything that must come may take. Nothing waits for it to pass unless a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A name that no other test of the process uses.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
