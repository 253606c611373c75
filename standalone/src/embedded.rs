//! The whole service in one process: the journal, the tables behind it, the worker and the gateway, put together and
//! taken apart in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use confab_bus::journal::JournalError;
use confab_bus::local::{self, Local, LocalOptions};
use confab_chat::{GatewayId, Timestamp};
use confab_service::{Stop, clock};
use confab_store::Horizon;
use confab_store::embedded::{Embedded as Tables, EmbeddedOptions};
use confab_worker::Worker;
use tokio::net::TcpListener;

use crate::data_dir::DataDir;
use crate::exit::{Code, Failure, OrFail};
use crate::front::Front;
use crate::gateway;
use crate::settings::Settings;
use crate::threads::{self, QueryThreads};

/// How often the journal's oldest segments are looked at.
const RELEASE_EVERY: Duration = Duration::from_secs(5);
/// How many states are written at a time. A write into these tables never waits, so more of them gain nothing, and all sockets wait for
/// them.
const FLUSH_LOT: usize = 16;
/// How long the worker may take to finish what it has begun.
const WORKER_STOP: Duration = Duration::from_secs(10);

/// The running service.
pub(crate) struct Embedded {
    bus: Local,
    tables: Tables,
    worker: Worker,
    front: Front<Local>,
    keeper: Keeper,
    _query_threads: QueryThreads,
}

/// The journal's progress, as the tables ask for it.
struct Progress(local::Horizon);

impl Horizon for Progress {
    fn appended(&self) -> u64 {
        self.0.appended()
    }

    fn committed(&self) -> u64 {
        self.0.committed()
    }
}

impl Embedded {
    /// Opens the data and starts everything; returns once all that was in the log is applied.
    pub(crate) async fn start(
        settings: &Settings,
        directory: &DataDir,
        listener: TcpListener,
    ) -> Result<Self, Failure> {
        // What clients must bring is read first: a bad key file is found before anything is opened.
        let run: Arc<str> = format!("{:016x}", rand::random::<u64>()).into();
        let config = gateway::config(settings, GatewayId(Arc::clone(&run)))?;
        let (bus, tables) = open(settings, directory)?;
        let keeper = Keeper::start(bus.clone(), tables.clone())?;
        let mut worker = confab_worker::Config::new(&run);
        let query_threads =
            QueryThreads::start(worker.query_tasks).or_fail(Code::Fault, "threads for queries")?;
        worker.query_runtime = query_threads.handle();
        worker.inbox_retention = settings.event_retention.0;
        worker.rows_follow_log = true;
        worker.flush_lot = FLUSH_LOT;
        worker.alone_since = Some(Timestamp(clock::now_millis()));
        let worker = Worker::start(worker, bus.clone(), tables.clone()).await;
        worker.ready().await.or_fail(Code::Data, "the log")?;
        let front = Front::start(settings, config, listener, bus.clone()).await?;
        Ok(Self {
            bus,
            tables,
            worker,
            front,
            keeper,
            _query_threads: query_threads,
        })
    }

    /// Where clients connect.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.front.local_addr()
    }

    /// Whether every partition is at work.
    pub(crate) fn is_ready(&self) -> bool {
        self.worker.is_ready()
    }

    /// Waits until something has failed for good. The process should end: what it has not acknowledged is not lost by
    /// that, and nothing else will be acknowledged.
    pub(crate) async fn failed(&self) -> Failure {
        tokio::select! {
            reason = self.bus.failure() => Failure::new(Code::Io, format_args!("the journal has failed: {reason}")),
            reason = self.tables.failure() => Failure::new(Code::Io, format_args!("the tables have failed: {reason}")),
            reason = self.worker.failure() => Failure::new(Code::Data, reason),
        }
    }

    /// Stops: clients first, then the loops, then the data.
    pub(crate) async fn stop(self, stop: Stop) -> Result<(), Failure> {
        self.front.stop(stop).await;
        self.worker.shutdown(WORKER_STOP).await;
        let (bus, tables, keeper) = (self.bus, self.tables, self.keeper);
        let closed = tokio::task::spawn_blocking(move || {
            keeper.stop();
            let synced = tables.sync_blocking();
            tables.close();
            bus.close();
            synced
        });
        let synced = closed.await.or_fail(Code::Fault, "closing the data")?;
        synced.or_fail(Code::Io, "closing the tables")
    }
}

fn open(settings: &Settings, directory: &DataDir) -> Result<(Local, Tables), Failure> {
    let clock: local::Clock = Arc::new(clock::now_millis);
    let mut options = LocalOptions::new(Arc::clone(&clock));
    options.partitions = partitions();
    let bus = Local::open(&directory.join("log"), options);
    let bus = bus.map_err(|error| {
        let code = if matches!(error, JournalError::Disk { .. }) {
            Code::Io
        } else {
            Code::Data
        };
        Failure::new(code, format_args!("the log: {error}"))
    })?;
    let mut options = EmbeddedOptions::new(clock);
    options.cache_bytes = settings.cache_size.0;
    let horizon = Arc::new(Progress(bus.horizon()));
    let tables = Tables::open(&directory.join("store"), options, horizon);
    Ok((bus, tables.or_fail(Code::Data, "the tables")?))
}

/// How many partitions a new log gets: as many loops as cores can run. More of them only make smaller batches: on two cores a
/// message costs 16% more with eight.
fn partitions() -> u16 {
    // Below a small number by construction.
    u16::try_from(threads::cores().clamp(2, 64)).unwrap_or(64)
}

/// The thread that lets go of the journal's segments that nobody needs.
struct Keeper {
    stop: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Keeper {
    fn start(bus: Local, tables: Tables) -> Result<Self, Failure> {
        let (stop, stopped) = sync_channel(1);
        let keep = move || {
            while stopped.recv_timeout(RELEASE_EVERY) == Err(RecvTimeoutError::Timeout) {
                let released = bus.release_segments(|| tables.sync_blocking().map_err(std::io::Error::other));
                match released {
                    Ok(0) => {}
                    Ok(segments) => tracing::debug!(segments, "journal segments released"),
                    Err(error) => tracing::warn!(%error, "journal segments cannot be released"),
                }
            }
        };
        let thread = std::thread::Builder::new().name("confab-keeper".to_owned());
        let thread = thread.spawn(keep).or_fail(Code::Fault, "a thread")?;
        Ok(Self { stop, thread })
    }

    fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the thread that deletes journal segments has panicked");
        }
    }
}
