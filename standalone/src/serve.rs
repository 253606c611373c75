//! `confab serve`, `confab gateway` and `confab worker`: a process from its start to its end.
//!
//! Order of starting: logs, the data directory where there is one, both addresses, the log and the tables, workers,
//! gateway; ready. Order of stopping: unready, clients, workers, tables, log. A signal during the start ends it at once,
//! as does the second signal of a stop: that is no different from a crash, which loses nothing either.

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use confab_service::{Admin, Health, Signals, Stop, Tasks, telemetry};
use tokio::net::{TcpListener, TcpSocket};

use crate::cluster::Cluster;
use crate::data_dir::{DataDir, Lock};
use crate::embedded::Embedded;
use crate::exit::{Code, Failure, OrFail};
use crate::health as endpoint;
use crate::settings::{AdminListen, LogFormat, Settings};
use crate::threads;

mod greeting;

/// Connections that may wait to be accepted: many clients come back at once after a restart.
const BACKLOG: u32 = 4096;
/// How long what still runs after everything has stopped may take to notice.
const LEFTOVERS: Duration = Duration::from_secs(1);
/// How often the process looks whether it is still ready.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything: on the data directory, or on NATS and the database where the settings name them.
    Serve,
    /// The sockets of a cluster.
    Gateway,
    /// Partitions of a cluster.
    Worker,
}

impl Role {
    /// Its command.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Gateway => "gateway",
            Self::Worker => "worker",
        }
    }

    /// Refuses settings that this role cannot do with.
    fn check(self, settings: &Settings) -> Result<(), Failure> {
        if self == Self::Serve && settings.is_embedded() {
            return Ok(());
        }
        settings.require_nats(self.name())?;
        if self == Self::Gateway {
            return Ok(());
        }
        settings.require_cql(self.name())
    }
}

/// What runs.
enum Service {
    Embedded(Box<Embedded>),
    Cluster(Box<Cluster>),
}

impl Service {
    async fn start(
        role: Role,
        settings: &Settings,
        directory: Option<&DataDir>,
        listener: Option<TcpListener>,
    ) -> Result<Self, Failure> {
        match (directory, listener) {
            (Some(directory), Some(listener)) => {
                let service = Box::pin(Embedded::start(settings, directory, listener)).await?;
                Ok(Self::Embedded(Box::new(service)))
            }
            (_, listener) => {
                let service = Box::pin(Cluster::start(settings, role, listener)).await?;
                Ok(Self::Cluster(Box::new(service)))
            }
        }
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Embedded(service) => Some(service.local_addr()),
            Self::Cluster(service) => service.local_addr(),
        }
    }

    fn is_ready(&self) -> bool {
        match self {
            Self::Embedded(service) => service.is_ready(),
            Self::Cluster(service) => service.is_ready(),
        }
    }

    /// Waits until something has failed for good. In a cluster nothing does: engines come back, and a partition that
    /// has stopped takes no other down.
    async fn failed(&self) -> Failure {
        match self {
            Self::Embedded(service) => service.failed().await,
            Self::Cluster(_) => std::future::pending().await,
        }
    }

    async fn stop(self, stop: Stop) -> Result<(), Failure> {
        match self {
            Self::Embedded(service) => service.stop(stop).await,
            Self::Cluster(service) => {
                service.stop(stop).await;
                Ok(())
            }
        }
    }
}

/// Runs until a signal or a fault ends it.
pub(crate) fn run(role: Role, settings: &Settings) -> Result<ExitCode, Failure> {
    role.check(settings)?;
    let format = match settings.log_format {
        LogFormat::Text => telemetry::LogFormat::Text,
        LogFormat::Json => telemetry::LogFormat::Json,
    };
    telemetry::start(format, &settings.log).or_fail(Code::Setting, "log")?;
    let beside_tables = role == Role::Serve && settings.is_embedded();
    let runtime = threads::runtime(settings.threads, beside_tables).or_fail(Code::Fault, "runtime")?;
    let outcome = runtime.block_on(serve(role, settings));
    runtime.shutdown_timeout(LEFTOVERS);
    outcome
}

async fn serve(role: Role, settings: &Settings) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen().or_fail(Code::Fault, "signals")?;
    let held = hold_data_dir(role, settings)?;
    let directory = held.as_ref().map(|(directory, _)| directory);
    let listener = match role {
        Role::Worker => None,
        Role::Serve | Role::Gateway => {
            let what = format_args!("cannot listen on {}", settings.listen);
            Some(listen(settings.listen).or_fail(Code::Address, what)?)
        }
    };
    let health = Health::new();
    let pulse = Tasks::new();
    let beating = pulse
        .stopping()
        .clone()
        .run_until_cancelled_owned(health.clone().beat());
    pulse.spawn("pulse", async move {
        let _stopped = beating.await;
    });
    // Before anything is counted: what begins to count sooner counts nothing.
    let admin = start_admin(settings, directory, health.clone())?;
    count_this_program(role);
    let admin_at = admin.as_ref().map(Admin::local_addr);
    if role == Role::Worker {
        // One whose partitions have stopped does not get ready: whoever looks after it must find this.
        greeting::admin(admin_at);
    }
    let service = tokio::select! {
        started = Service::start(role, settings, directory, listener) => started?,
        stop = signals.next() => return Ok(ExitCode::from(stop.forced_exit_code())),
    };
    health.started();
    let greet = || greeting::announce(role, settings, service.local_addr(), admin_at);
    let stop = attend(&service, &health, &mut signals, greet).await?;
    health.set_ready(false);
    tracing::info!(drain = stop == Stop::Drain, "stopping");
    tokio::select! {
        stopped = Box::pin(service.stop(stop)) => stopped?,
        again = signals.next() => {
            tracing::warn!("a second signal: ending at once");
            return Ok(ExitCode::from(again.forced_exit_code()));
        }
    }
    if let Some(admin) = admin {
        admin.stop();
    }
    pulse.stop().await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Which program this is, among those that are scraped together.
fn count_this_program(role: Role) {
    const BUILD: &str = "confab_build_info";
    metrics::describe_gauge!(BUILD, "1; which version runs, and as what");
    metrics::gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION"), "role" => role.name()).set(1.0);
}

/// Waits for the signal to stop, and says meanwhile whether the service is ready; the first time with a greeting.
async fn attend(
    service: &Service,
    health: &Health,
    signals: &mut Signals,
    greet: impl FnOnce(),
) -> Result<Stop, Failure> {
    let mut look = tokio::time::interval(LOOK_EVERY);
    let mut failed = std::pin::pin!(service.failed());
    let mut greet = Some(greet);
    loop {
        tokio::select! {
            stop = signals.next() => return Ok(stop),
            failure = &mut failed => return Err(failure),
            _ = look.tick() => {}
        }
        let ready = service.is_ready();
        health.set_ready(ready);
        if ready && let Some(greet) = greet.take() {
            greet();
        }
    }
}

/// The data directory of a service that keeps its data itself.
fn hold_data_dir(role: Role, settings: &Settings) -> Result<Option<(DataDir, Lock)>, Failure> {
    if role != Role::Serve || !settings.is_embedded() {
        return Ok(None);
    }
    let directory = DataDir::open(settings.data_dir()?)?;
    let lock = directory.lock()?;
    Ok(Some((directory, lock)))
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Starts the health endpoint and, where there is a data directory, writes down where, for `confab health`.
fn start_admin(
    settings: &Settings,
    directory: Option<&DataDir>,
    health: Health,
) -> Result<Option<Admin>, Failure> {
    let bind = |address: SocketAddr| std::net::TcpListener::bind(address);
    let bound = match settings.admin_listen {
        AdminListen::Off => return Ok(None),
        AdminListen::At(address) => bind(address),
        AdminListen::Auto => match bind(endpoint::USUAL) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                bind(SocketAddr::new(endpoint::USUAL.ip(), 0))
            }
            bound => bound,
        },
    };
    let what = || format!("cannot serve health on {}", settings.admin_listen);
    let admin = Admin::start(bound.or_fail(Code::Address, what())?, health);
    let admin = admin.or_fail(Code::Address, what())?;
    if let Some(directory) = directory {
        let note = directory.join(endpoint::ADDRESS_FILE);
        fs::write(&note, format!("{}\n", endpoint::reachable(admin.local_addr())))
            .or_fail(Code::DataDir, note.display())?;
    }
    Ok(Some(admin))
}
