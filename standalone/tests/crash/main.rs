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

mod actor;
mod doctored;

use std::time::Duration;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;

use actor::{Actor, Listener, Notes, Plan};
use support::checker::{Device, History, check};
use support::server::{Server, Settings};

/// How often the server is killed.
const KILLS: u32 = 24;

/// What is true of the server and the run, for all clients.
#[derive(Clone, Debug)]
struct Stage {
    /// Where the server listens; `None` while it is down.
    address: Option<std::net::SocketAddr>,
    /// No more new work: finish what was begun.
    ending: bool,
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed_at_random_moments() {
    let seed: u64 = option_env!("CONFAB_CRASH_SEED")
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(rand::random);
    eprintln!("seed {seed}: to run it again, CONFAB_CRASH_SEED={seed} cargo test --test crash");
    let mut server = Settings::lenient().start();
    let (stage, watch) = watch::channel(Stage {
        address: Some(server.address()),
        ending: false,
    });
    let notes = Notes::new();
    let plan = Plan::new(&server).await;

    let mut actors = Vec::new();
    let mut listeners = Vec::new();
    for (n, user) in plan.users.iter().enumerate() {
        let rng = StdRng::seed_from_u64(seed ^ (n as u64 + 1));
        actors.push(Actor::new(user, &plan, rng, watch.clone(), &notes).await);
        for name in ["desk", "tablet"] {
            let rng = StdRng::seed_from_u64(seed ^ (0x100 + listeners.len() as u64));
            listeners.push(Listener::new(user, name, &plan, rng, watch.clone()).await);
        }
    }
    let rng = StdRng::seed_from_u64(seed);
    let killer = kill_again_and_again(&mut server, stage, notes.answered.subscribe(), rng);
    let running = join_all(actors.iter_mut().map(Actor::run));
    let listening = join_all(listeners.iter_mut().map(Listener::run));
    tokio::join!(killer, running, listening);

    let mut devices: Vec<Device> = listeners.into_iter().map(Listener::into_device).collect();
    let mut views = Vec::new();
    for actor in actors {
        let (device, seen) = actor.into_observations().await;
        devices.push(device);
        views.extend(seen);
    }
    let history = History {
        devices,
        views,
        ..notes.history.into_inner()
    };
    let broken = check(&history);
    let shown = broken.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(
        broken.is_empty(),
        "seed {seed}: {} promises broken\n{shown}",
        broken.len()
    );
    eprintln!("{} messages, {} marks", history.sends.len(), history.marks.len());
    assert!(
        history.sends.len() > 100 && history.marks.len() > 20,
        "too little happened to prove anything"
    );
}

/// Kills the server after a random number of answers and a random moment more; in the end lets all come to rest.
async fn kill_again_and_again(
    server: &mut Server,
    stage: watch::Sender<Stage>,
    mut answered: watch::Receiver<u64>,
    mut rng: StdRng,
) {
    for _ in 0..KILLS {
        let target = *answered.borrow() + rng.random_range(1..60);
        answered.wait_for(|count| *count >= target).await.unwrap();
        tokio::time::sleep(Duration::from_micros(rng.random_range(0..15_000))).await;
        stage.send_modify(|stage| stage.address = None);
        server.kill();
        server.restart();
        stage.send_modify(|stage| stage.address = Some(server.address()));
    }
    stage.send_modify(|stage| stage.ending = true);
}
