//! A running gateway.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use confab_bus::Bus;
use confab_chat::{EntryId, Partition, UserId};
use confab_proto::client::CloseCode;
use confab_proto::message::Signal;
use confab_service::Tasks;
use futures_util::FutureExt;
use parking_lot::RwLock;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{CLOSE_TIMEOUT, Config};
use crate::metrics::Meters;
use crate::registry::{End, Registry};
use crate::stream::{self, Transport};
use crate::{accept, beat, metrics};

/// The clients of a draining gateway are told to wait up to so long, so that those which were closed together do not come
/// together. The drain time spreads them already: this is short, since for so long a client is away.
const BACK_WITHIN_MS: u64 = 1_000;

/// What all sessions of a gateway share.
pub(crate) struct Core<B> {
    pub(crate) bus: B,
    pub(crate) config: Config,
    pub(crate) registry: Registry,
    pub(crate) tasks: Tasks,
    /// Takes no more connections.
    pub(crate) closed: AtomicBool,
    pub(crate) connections: AtomicUsize,
    pub(crate) banned: RwLock<HashSet<UserId>>,
    /// Held for writing while heartbeats are gathered and sent, for reading while a session says that it is gone.
    pub(crate) beating: tokio::sync::RwLock<()>,
    entries: AtomicU64,
    pub(crate) meters: Meters,
}

impl<B> Core<B> {
    /// The id of the next log entry of this gateway.
    pub(crate) fn entry_id(&self) -> EntryId {
        let number = self.entries.fetch_add(1, Ordering::Relaxed);
        EntryId(format!("{}-{number}", self.config.id.0).into())
    }
}

impl<B: Bus> Core<B> {
    /// Tells a partition's owner, if the bus takes it at once. Nobody waits for a bus that is full or away: any signal may
    /// be lost, and what matters is said again.
    pub(crate) fn signal(&self, partition: Partition, signal: Signal) {
        // Not for want of budget: a task that has done much in its turn would lose signals that there is room for.
        let sent = tokio::task::unconstrained(self.bus.signal(partition, signal));
        if sent.now_or_never().is_none() {
            metrics::signal_lost();
        }
    }
}

/// A running gateway. It ends with [`Gateway::shutdown`].
pub struct Gateway<B> {
    core: Arc<Core<B>>,
    address: SocketAddr,
    accepting: CancellationToken,
}

impl<B> std::fmt::Debug for Gateway<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl<B: Bus> Gateway<B> {
    /// Starts a gateway on a listener.
    ///
    /// # Errors
    /// The listener has no address.
    pub async fn start(config: Config, listener: TcpListener, bus: B) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let connections = stream::connections(listener);
        Ok(Self::start_on(config, address, connections, bus).await)
    }

    /// Starts a gateway on connections that come from wherever: each with the address of its other end.
    pub async fn start_on<S: Transport>(
        config: Config,
        address: SocketAddr,
        connections: impl futures_util::Stream<Item = io::Result<(S, SocketAddr)>> + Send + 'static,
        bus: B,
    ) -> Self {
        metrics::describe();
        let end = bus.join_as_gateway(&config.id).await;
        let core = Arc::new(Core {
            bus,
            registry: Registry::default(),
            tasks: Tasks::new(),
            closed: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            banned: RwLock::new(config.banned.clone()),
            beating: tokio::sync::RwLock::new(()),
            entries: AtomicU64::new(0),
            meters: Meters::default(),
            config,
        });
        let accepting = CancellationToken::new();
        core.tasks.spawn("route", beat::route(Arc::clone(&core), end));
        core.tasks.spawn("beat", beat::beat(Arc::clone(&core)));
        core.tasks.spawn("reattach", beat::reattach(Arc::clone(&core)));
        let accept = accept::accept(Arc::clone(&core), connections, accepting.clone());
        core.tasks.spawn("accept", accept);
        Self {
            core,
            address,
            accepting,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.core.connections.load(Ordering::Relaxed)
    }

    /// The part of the gateway that bans users, to be kept apart.
    #[must_use]
    pub fn banning(&self) -> Banning<B> {
        Banning(Arc::clone(&self.core))
    }

    /// Stops accepting, and sends the clients away over the given time, each told to come back after a while.
    pub async fn drain(&self, over: Duration) {
        self.stop_accepting();
        let sessions = self.core.registry.all();
        let start = Instant::now();
        let count = u32::try_from(sessions.len()).unwrap_or(u32::MAX).max(1);
        for (place, session) in (0_u32..).zip(sessions) {
            // The last goes a little before the end, so that its close frame is out in time.
            tokio::time::sleep_until(start + over * place / count).await;
            let back_after = BACK_WITHIN_MS * u64::from(place) / u64::from(count);
            session.end(End::draining(CloseCode::Restart, back_after));
        }
        for session in self.core.registry.all() {
            session.end(End::draining(CloseCode::Restart, 0));
        }
    }

    /// Ends: closes what is still open with 1001, and waits for all tasks.
    pub async fn shutdown(self) {
        self.stop_accepting();
        for session in self.core.registry.all() {
            session.end(End::draining(CloseCode::Away, 0));
        }
        let stopped = tokio::time::timeout(CLOSE_TIMEOUT * 2, self.core.tasks.stop()).await;
        if stopped.is_err() {
            tracing::warn!(
                left = self.core.tasks.running(),
                "connections did not end in time"
            );
        }
    }

    fn stop_accepting(&self) {
        self.core.closed.store(true, Ordering::Release);
        self.accepting.cancel();
    }
}

/// Sets who may not connect.
pub struct Banning<B>(Arc<Core<B>>);

impl<B> std::fmt::Debug for Banning<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Banning")
    }
}

impl<B: Bus> Banning<B> {
    /// From now on these users may not connect, and no others. Those of them who are connected are closed with 4003.
    pub fn ban(&self, users: HashSet<UserId>) {
        let banned: Vec<UserId> = users.iter().cloned().collect();
        *self.0.banned.write() = users;
        for user in &banned {
            self.0.registry.end_user(user, CloseCode::Banned);
        }
    }
}
