//! A real server under load is killed again and again, at random moments; at the end a checker reads back what was
//! promised. And the checker itself is checked: it must notice a doctored history.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::print_stderr,
    reason = "a failing test shows the server's output and the seed"
)]

#[path = "../support/mod.rs"]
mod support;

mod doctored;

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use support::server::{Server, Settings};
use support::trial::{self, Trouble};

/// How often the server is killed.
const KILLS: u32 = 24;

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed_at_random_moments() {
    let seed: u64 = option_env!("CONFAB_CRASH_SEED")
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(rand::random);
    eprintln!("seed {seed}: to run it again, CONFAB_CRASH_SEED={seed} cargo test --test crash");
    let mut server = Settings::lenient().start();
    let mut rng = StdRng::seed_from_u64(seed);
    trial::run(
        &mut server,
        seed,
        async |server: &mut Server, trouble: &mut Trouble| {
            for _ in 0..KILLS {
                kill_at_a_random_moment(server, trouble, &mut rng).await;
            }
        },
    )
    .await;
}

/// Kills the server after a random number of answers and a random moment more, and starts it again.
async fn kill_at_a_random_moment(server: &mut Server, trouble: &mut Trouble, rng: &mut StdRng) {
    trouble.answers(rng.random_range(1..60)).await;
    tokio::time::sleep(Duration::from_micros(rng.random_range(0..15_000))).await;
    trouble.listens(Vec::new());
    server.kill();
    server.restart();
    trouble.listens(server.addresses());
}
