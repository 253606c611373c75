//! A process of a cluster: a gateway, a worker, or both, on NATS and the database.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use confab_bus::nats::Nats;
use confab_chat::GatewayId;
use confab_service::Stop;
use confab_worker::{Placement, Worker};
use tokio::net::TcpListener;

use crate::engines;
use crate::exit::Failure;
use crate::front::Front;
use crate::gateway;
use crate::serve::Role;
use crate::settings::{Owned, Settings};

/// How long the worker may take to finish what it has begun.
const WORKER_STOP: Duration = Duration::from_secs(10);

/// The running process.
pub(crate) struct Cluster {
    bus: Nats,
    worker: Option<Worker>,
    front: Option<Front<Nats>>,
}

impl Cluster {
    /// Connects, and starts what is wanted. A gateway takes clients from then on; whether workers serve them is
    /// another process's affair.
    pub(crate) async fn start(
        settings: &Settings,
        role: Role,
        listener: Option<TcpListener>,
    ) -> Result<Self, Failure> {
        // Unique to this run: it stands in the ids of log entries.
        let run: Arc<str> = format!("{:016x}", rand::random::<u64>()).into();
        let sockets = match listener {
            Some(listener) => Some((listener, gateway::config(settings, GatewayId(Arc::clone(&run)))?)),
            None => None,
        };
        let bus = engines::nats(settings, &format!("confab {} {run}", role.name())).await?;
        let worker = match role {
            Role::Gateway => None,
            Role::Worker | Role::Serve => Some(start_worker(settings, &run, &bus).await?),
        };
        let front = match sockets {
            Some((listener, config)) => Some(Front::start(settings, config, listener, bus.clone()).await?),
            None => None,
        };
        Ok(Self { bus, worker, front })
    }

    /// Where clients connect.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.front.as_ref().map(Front::local_addr)
    }

    /// Whether it does its work at this moment.
    pub(crate) fn is_ready(&self) -> bool {
        self.bus.is_connected() && self.worker.as_ref().is_none_or(Worker::is_ready)
    }

    /// Stops: clients first, then the loops, whose partitions go to other workers, then the connections.
    pub(crate) async fn stop(self, stop: Stop) {
        if let Some(front) = self.front {
            front.stop(stop).await;
        }
        if let Some(worker) = self.worker {
            worker.shutdown(WORKER_STOP).await;
        }
        self.bus.close().await;
    }
}

async fn start_worker(settings: &Settings, run: &str, bus: &Nats) -> Result<Worker, Failure> {
    let store = engines::cql(settings).await?;
    let mut config = confab_worker::Config::new(run);
    config.inbox_retention = settings.event_retention.0;
    config.placement = match &settings.own_partitions {
        Owned::Shared => Placement::Shared,
        Owned::All => Placement::All,
        these @ Owned::These(_) => Placement::Fixed(these.of(settings.log_partitions)),
    };
    Ok(Worker::start(config, bus.clone(), store).await)
}
