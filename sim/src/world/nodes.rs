//! The processes of a world.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use confab_bus::Position;
use confab_chat::{GatewayId, Partition};
use confab_gateway::{Auth, Config as GatewayConfig, Gateway};
use confab_proto::row::ReachRow;
use confab_proto::wire::Wire;
use confab_store::Key;
use confab_worker::{Config as WorkerConfig, Placement, Worker};
use futures_util::{FutureExt, stream};
use parking_lot::Mutex;

use super::World;
use crate::bus::SimBus;
use crate::client::Door;
use crate::faults::Fault;
use crate::host::Host;

/// A worker, and the process it is.
#[derive(Debug)]
pub struct WorkerNode {
    /// The process.
    pub host: Host,
    /// What runs in it.
    pub worker: Worker,
    /// It has taken its partitions whatever others do.
    pub second: bool,
}

/// A gateway, and the process it is.
#[derive(Debug)]
pub struct GatewayNode {
    /// The process.
    pub host: Host,
    /// What runs in it.
    pub gateway: Gateway<SimBus>,
}

/// All processes.
#[derive(Debug, Default)]
pub struct Nodes {
    /// The workers that run.
    pub workers: Vec<WorkerNode>,
    /// The gateways that run.
    pub gateways: Vec<GatewayNode>,
    /// How many there ever were.
    started: u64,
}

impl Nodes {
    fn number(&mut self) -> u64 {
        self.started += 1;
        self.started
    }
}

fn host(world: &World, name: &str) -> Host {
    let most = world.plan.skew.unsigned_abs();
    let skew = i64::try_from(world.faults.between(0, 2 * most)).unwrap_or(0) - world.plan.skew;
    if skew != 0 && !world.faults.healed() {
        world.faults.count(Fault::ClockSkew);
    }
    Host::new(name, skew)
}

/// Starts a worker that has its share of the partitions.
pub async fn start_worker(world: &World, nodes: &Mutex<Nodes>) {
    start_worker_on(world, nodes, Placement::Shared).await;
}

/// Starts a worker that has these partitions, whatever others do.
pub async fn start_second_owner(world: &World, nodes: &Mutex<Nodes>, partitions: Vec<Partition>) {
    start_worker_on(world, nodes, Placement::Fixed(partitions)).await;
}

async fn start_worker_on(world: &World, nodes: &Mutex<Nodes>, placement: Placement) {
    let name = format!("w{}", nodes.lock().number());
    let host = host(world, &name);
    let faults = &world.faults;
    let mut config = WorkerConfig::new(&name);
    let second = placement != Placement::Shared;
    config.placement = placement;
    config.batch = usize::try_from(faults.between(1, 64)).unwrap_or(1);
    // Without a roll of its own: the worlds of all seeds would be others.
    config.flush_lot = config.batch.div_ceil(8);
    config.flush_every = faults.while_of(40, 1_500);
    config.query_tasks = 4;
    config.inbox_retention = world.plan.retention;
    if faults.chance(40) {
        config.cached_states = usize::try_from(faults.between(1, 4)).unwrap_or(1);
        faults.count(Fault::TinyCache);
    }
    let (bus, store) = (world.hub.end(&host), world.tables.end(&host));
    world.history.note(&name, format_args!("starts"));
    let worker = Worker::start(config, bus, store).await;
    nodes.lock().workers.push(WorkerNode { host, worker, second });
}

/// Starts a gateway.
pub async fn start_gateway(world: &World, nodes: &Mutex<Nodes>) {
    let name = format!("g{}", nodes.lock().number());
    let host = host(world, &name);
    let config = GatewayConfig::new(GatewayId(name.as_str().into()), Auth::Insecure);
    let (door, accepted) = Door::new(&host);
    let accepted = stream::unfold(accepted, |mut accepted| async move {
        accepted.recv().await.map(|connection| (connection, accepted))
    });
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    world.history.note(&name, format_args!("starts"));
    let gateway = Gateway::start_on(config, address, accepted, world.hub.end(&host)).await;
    world.doors.open(door);
    nodes.lock().gateways.push(GatewayNode { host, gateway });
}

/// A worker dies where it stands.
pub fn kill_worker(world: &World, node: WorkerNode) {
    world.history.note(node.host.name(), format_args!("dies"));
    node.host.kill();
    world.tasks.spawn_bare(node.worker.abort());
}

/// A gateway dies where it stands.
pub fn kill_gateway(world: &World, node: GatewayNode) {
    world.history.note(node.host.name(), format_args!("dies"));
    world.doors.close(&node.host);
    node.host.kill();
    world.tasks.spawn_bare(node.gateway.shutdown());
}

/// Stops everything in order.
pub async fn stop(world: &World, nodes: &Arc<Mutex<Nodes>>, deadline: Duration) {
    let all = std::mem::take(&mut *nodes.lock());
    for node in all.workers {
        let name = Arc::clone(node.host.name());
        if !node.worker.shutdown(deadline).await {
            world.history.violation(format!("worker {name} does not stop"));
        }
    }
    for node in all.gateways {
        world.doors.close(&node.host);
        node.gateway.shutdown().await;
    }
}

/// What has stopped a worker's partition, if anything has.
#[must_use]
pub fn alarm(node: &WorkerNode) -> Option<String> {
    node.worker
        .failure()
        .now_or_never()
        .map(|stopped| stopped.to_string())
}

/// Up to which entry rows of a partition may stand. A row says so, on two replicas before any other row stands: what is on
/// one replica alone not every reader sees, and nothing has come of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reach {
    /// What every reader sees.
    pub least: Position,
    /// What a reader may see.
    pub most: Position,
}

/// The reach of a partition.
#[must_use]
pub fn reach(world: &World, partition: Partition) -> Reach {
    let quorums = world.tables.quorums();
    let seen = quorums.iter().map(|rows| {
        let row = rows.iter().find(|(key, _)| *key == Key::Reach(partition));
        let row = row.and_then(|(_, cell)| ReachRow::decode(&cell.value).ok());
        row.map_or_else(Position::default, |row| Position {
            epoch: row.epoch,
            seq: row.seq,
        })
    });
    Reach {
        least: seen.clone().min().unwrap_or_default(),
        most: seen.max().unwrap_or_default(),
    }
}

/// Whether a partition's log is told to be another one than the tables were made from.
pub async fn is_alarmed(world: &World, partition: Partition, within: Duration) -> bool {
    let host = Host::new("examiner", 0);
    let (bus, store) = (world.hub.end(&host), world.tables.end(&host));
    let examined = confab_worker::examine(&bus, &store, partition);
    let condition = tokio::time::timeout(within, examined).await;
    matches!(condition, Ok(Ok(condition)) if condition.fault.is_some())
}
