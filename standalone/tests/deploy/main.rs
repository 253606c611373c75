//! What the Helm chart renders, run: its commands, settings, variables and probes, as local processes on real engines.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]
#![allow(clippy::print_stderr, reason = "a test says what clients noticed")]

#[path = "../support/mod.rs"]
mod support;

mod chart;
mod installation;
mod metrics;
mod pod;
mod rollout;
mod settings;

/// One installation at a time: what one is measured by must not be another's work.
async fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    TURN.lock().await
}

/// Whether tests on real engines are left out, as `cargo xtask test --embedded-only` has said aloud.
fn left_out() -> bool {
    support::engines::told("CONFAB_TEST_EMBEDDED_ONLY").is_some()
}
