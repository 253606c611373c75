//! A world of one seed: the processes, the clients, the log and the store, from the first connection to the last word.

pub mod nodes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use confab_chat::{ActorKey, mailbox};
use confab_proto::wire::Wire as _;
use confab_service::Tasks;
use confab_store::{Key, StatePart};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::bus::Hub;
use crate::chaos::Chaos;
use crate::check::{self, Finals};
use crate::client::{Device, Doors, Phase, Progress, Shared};
use crate::faults::Faults;
use crate::history::History;
use crate::plan::{Plan, Story};
use crate::store::Tables;
use crate::wire::Wire;
pub use nodes::Nodes;

/// After the last fault everything is where it belongs within this time.
const CONVERGES: Duration = Duration::from_secs(120);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long what arrives last is given to be applied.
const LAST: Duration = Duration::from_secs(10);
/// The longest that a worker may take to stop.
const STOP: Duration = Duration::from_secs(60);

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// What was broken, in words.
    pub violations: Vec<String>,
    /// Everything that went wrong by plan.
    pub faults: Arc<Faults>,
    /// What all saw.
    pub history: Arc<History>,
    /// Log entries in all.
    pub entries: usize,
    /// Simulated time.
    pub took: Duration,
    /// How many things came to the mind of each device.
    pub moves: BTreeMap<(String, String), u32>,
}

/// What all parts of a world share.
#[derive(Clone, Debug)]
pub struct World {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The dice.
    pub faults: Arc<Faults>,
    /// What arrives later.
    pub wire: Arc<Wire>,
    /// The bus.
    pub hub: Arc<Hub>,
    /// The store.
    pub tables: Arc<Tables>,
    /// The gateways' doors.
    pub doors: Arc<Doors>,
    /// What all saw.
    pub history: Arc<History>,
    /// What runs beside.
    pub tasks: Tasks,
}

impl World {
    fn new(plan: Plan, history: History) -> Self {
        let wire = Arc::new(Wire::default());
        let faults = Arc::new(Faults::new(plan.seed, plan.rates.clone()));
        Self {
            hub: Hub::new(plan.partitions, Arc::clone(&wire), Arc::clone(&faults)),
            tables: Tables::new(Arc::clone(&wire), Arc::clone(&faults)),
            doors: Arc::new(Doors::new(Arc::clone(&wire))),
            history: Arc::new(history),
            tasks: Tasks::new(),
            plan: Arc::new(plan),
            faults,
            wire,
        }
    }

    /// The number of each user's last event.
    fn last_events(&self) -> BTreeMap<String, u64> {
        let mut last = BTreeMap::new();
        for (key, cell) in self.tables.rows() {
            // Not the last row: where a log was lost, rows may stand that count for nothing.
            if let Key::State(ActorKey::Mailbox(user), StatePart::Head) = key
                && let Ok(head) = mailbox::Head::decode(&cell.value)
            {
                last.insert(user.as_str().to_owned(), head.last);
            }
        }
        last
    }
}

/// Runs a plan. Inside a paused runtime, once a process.
pub async fn run(plan: Plan, lines: bool) -> Outcome {
    crate::clock::start();
    let world = World::new(plan, History::with_lines(lines));
    let carrier = Arc::clone(&world.wire);
    world.tasks.spawn_bare(async move { carrier.carry().await });
    let nodes = Arc::new(Mutex::new(Nodes::default()));
    for _ in 0..world.plan.workers {
        nodes::start_worker(&world, &nodes).await;
    }
    for _ in 0..world.plan.gateways {
        nodes::start_gateway(&world, &nodes).await;
    }
    let (phase, shared) = start_clients(&world);
    let mut chaos = Chaos::new(world.clone(), Arc::clone(&nodes));
    chaos.rage().await;
    match world.plan.story {
        Story::Ordinary => chaos.end().await,
        Story::LostLog => {
            chaos.lose_the_log().await;
            if world.plan.lost_again {
                world.faults.relapse();
                chaos.rage().await;
                chaos.lose_the_log().await;
            }
        }
    }
    phase.send_replace(Phase::Settle);
    settle(&world, &shared).await;
    world.wire.arrive_all();
    tokio::time::sleep(LAST).await;
    nodes::stop(&world, &nodes, STOP).await;
    let mut outcome = finish(&world);
    let progress = shared.progress.lock();
    outcome.moves = progress
        .iter()
        .map(|(who, one)| (who.clone(), one.moves))
        .collect();
    outcome
}

fn start_clients(world: &World) -> (watch::Sender<Phase>, Arc<Shared>) {
    let (phase, phases) = watch::channel(Phase::Busy);
    let shared = Arc::new(Shared {
        history: Arc::clone(&world.history),
        doors: Arc::clone(&world.doors),
        faults: Arc::clone(&world.faults),
        users: world.plan.users.clone(),
        phase: phases,
        progress: Mutex::default(),
    });
    for someone in &world.plan.people {
        let device = Device::new(Arc::clone(&shared), someone);
        world.tasks.spawn_bare(device.run());
    }
    (phase, shared)
}

/// Waits until everybody has everything, for a while.
async fn settle(world: &World, shared: &Shared) {
    let until = Instant::now() + CONVERGES;
    loop {
        let behind = behind(world, shared);
        if behind.is_empty() {
            return;
        }
        if Instant::now() >= until {
            world.history.violation(format!(
                "after {CONVERGES:?} without a fault not everybody has everything: {}",
                behind.join("; ")
            ));
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Who is not where it should be.
fn behind(world: &World, shared: &Shared) -> Vec<String> {
    let progress = shared.progress.lock().clone();
    if progress.values().any(|one| one.open > 0 || !one.last_word) || progress.len() < world.plan.people.len()
    {
        let open = progress.iter().filter(|(_, one)| one.open > 0 || !one.last_word);
        return open
            .map(|(who, one)| format!("{who:?} {one:?}"))
            .chain([String::new()])
            .collect();
    }
    let mut behind = Vec::new();
    let last_events = world.last_events();
    for ((user, device), Progress { cursor, .. }) in progress {
        let last = last_events.get(&user).copied().unwrap_or(0);
        if cursor != Some(last) {
            behind.push(format!("{user}/{device} has {cursor:?} of {last}"));
        }
    }
    behind
}

fn finish(world: &World) -> Outcome {
    let logs = world.hub.logs();
    let eras: Vec<_> = (0..world.plan.partitions)
        .map(|number| logs.era(confab_chat::Partition(number)))
        .collect();
    let entries = eras.iter().map(|era| era.entries.len()).sum();
    let finals = Finals {
        partitions: world.plan.partitions,
        story: world.plan.story,
        eras,
        rows: world.tables.rows(),
        quorums: world.tables.quorums(),
        replies: world.hub.replies(),
        expires: world.plan.retention < Duration::from_secs(86_400),
        now: crate::clock::now(0),
    };
    let found = world.history.with(|records| check::check(records, &finals));
    for violation in found {
        world.history.violation(violation);
    }
    Outcome {
        violations: world.history.with(|records| records.violations.clone()),
        faults: Arc::clone(&world.faults),
        history: Arc::clone(&world.history),
        entries,
        took: crate::clock::elapsed(),
        moves: BTreeMap::new(),
    }
}
