//! Two gateways and three workers on real engines, under load, while one part after the other fails. After each trial
//! a checker reads back what was promised, from the clients' side and from the tables, and the test prints how long
//! users noticed it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]
#![allow(clippy::print_stderr, reason = "each trial says what users noticed")]

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod engines;
mod lost_log;
mod owners;
mod processes;
mod restored;
mod tables;

use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

use support::server::{Server, Settings};
use support::trial::{self, Outcome, Trouble};

/// Answers before something is done, so that it happens under load.
const BEFORE: u64 = 150;
/// Answers after it, so that what follows is seen.
const AFTER: u64 = 150;

/// One trial at a time: some of them end an engine that all share.
async fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

/// Whether tests on real engines are left out, as `cargo xtask test --embedded-only` has said aloud.
fn left_out() -> bool {
    support::engines::told("CONFAB_TEST_EMBEDDED_ONLY").is_some()
}

/// Runs a trial on a fresh cluster, reads the tables back too, and prints how long users noticed it.
async fn on_a_cluster(name: &str, trouble: impl AsyncFnOnce(&mut Server, &mut Trouble)) -> Outcome {
    let _alone = alone().await;
    let mut server = cluster();
    on(name, &mut server, trouble).await
}

/// Two gateways and three workers.
fn cluster() -> Server {
    Settings::lenient().flag("--drain-time", "1s").start_cluster()
}

async fn on(
    name: &str,
    server: &mut Server,
    trouble: impl AsyncFnOnce(&mut Server, &mut Trouble),
) -> Outcome {
    let outcome = trial::run(
        server,
        rand::random(),
        async |server: &mut Server, hand: &mut Trouble| {
            hand.answers(BEFORE).await;
            trouble(server, hand).await;
            hand.answers(AFTER).await;
        },
    )
    .await;
    tables::agree(server.engines(), &outcome.history).await;
    let noticed = outcome.longest_wait;
    eprintln!("{name}: the longest that a request waited for its answer was {noticed:?}");
    outcome
}

/// Time in which something is away, since that is what is tried.
async fn away_for(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
