//! A trial: clients work on a server while something is done to it; at the end a checker reads back what was promised.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::watch;

use super::actor::{Actor, Listener, Notes, Plan};
use super::checker::{Device, History, check};
use super::connect::SignIn;
use super::server::Server;

/// What is true of the server and the run, for all clients.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    /// Where the server listens; nowhere while it is down.
    pub(crate) addresses: Vec<SocketAddr>,
    /// How clients say who they are.
    pub(crate) sign_in: SignIn,
    /// No more new work: finish what was begun.
    pub(crate) ending: bool,
}

/// What whoever troubles the server has in hand.
pub(crate) struct Trouble {
    stage: watch::Sender<Stage>,
    answered: watch::Receiver<u64>,
}

impl Trouble {
    /// Waits until so many more requests are answered.
    pub(crate) async fn answers(&mut self, more: u64) {
        let target = *self.answered.borrow() + more;
        self.answered.wait_for(|count| *count >= target).await.unwrap();
    }

    /// Tells the clients where to connect from now on.
    pub(crate) fn listens(&self, addresses: Vec<SocketAddr>) {
        self.stage.send_modify(|stage| stage.addresses = addresses);
    }
}

/// What a trial has shown, beside that no promise was broken.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) history: History,
    /// The longest that a request waited for its answer, all repeats included.
    pub(crate) longest_wait: Duration,
    /// The longest that a device had no connection though it wanted one.
    pub(crate) longest_away: Duration,
}

/// Runs it on a server.
pub(crate) async fn run(
    server: &mut Server,
    seed: u64,
    trouble: impl AsyncFnOnce(&mut Server, &mut Trouble),
) -> Outcome {
    let addresses = server.addresses();
    let trouble = async |hand: &mut Trouble| trouble(server, hand).await;
    run_at(addresses, SignIn::ByName, seed, trouble).await
}

/// Runs it. Panics where a promise is broken, and where too little happened to prove anything.
pub(crate) async fn run_at(
    addresses: Vec<SocketAddr>,
    sign_in: SignIn,
    seed: u64,
    trouble: impl AsyncFnOnce(&mut Trouble),
) -> Outcome {
    let stage = Stage {
        addresses,
        sign_in,
        ending: false,
    };
    let notes = Notes::new();
    let plan = Plan::new(&stage).await;
    let (stage, watch) = watch::channel(stage);
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
    let answered = notes.answered.subscribe();
    let mut hand = Trouble { stage, answered };
    let troubled = async {
        trouble(&mut hand).await;
        hand.stage.send_modify(|stage| stage.ending = true);
    };
    let running = join_all(actors.iter_mut().map(Actor::run));
    let listening = join_all(listeners.iter_mut().map(Listener::run));
    tokio::join!(troubled, running, listening);

    let away = listeners.iter().map(Listener::longest_away);
    let away = away.chain(actors.iter().map(Actor::longest_away)).max();
    let mut devices: Vec<Device> = listeners.into_iter().map(Listener::into_device).collect();
    let mut views = Vec::new();
    for actor in actors {
        let (device, seen) = actor.into_observations().await;
        devices.push(device);
        views.extend(seen);
    }
    let longest_wait = notes.longest_wait.get();
    let history = History {
        devices,
        views,
        ..notes.history.into_inner()
    };
    judge(&history, seed);
    Outcome {
        history,
        longest_wait,
        longest_away: away.unwrap_or_default(),
    }
}

fn judge(history: &History, seed: u64) {
    let broken = check(history);
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
