//! `confab serve`: the whole service in one process, from opening its data to closing it.
//!
//! Order of starting: logs, the data directory, both addresses, the log and the tables, workers, gateway; ready. Order
//! of stopping: unready, clients, workers, tables, log. A signal during the start ends it at once, as does the second
//! signal of a stop: that is no different from a crash, which loses nothing either.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use confab_service::metrics::Metrics;
use confab_service::{Admin, Readiness, Signals, Stop, telemetry};
use tokio::net::{TcpListener, TcpSocket};

use crate::data_dir::DataDir;
use crate::embedded::Embedded;
use crate::exit::{Code, Failure, OrFail};
use crate::health;
use crate::settings::{AdminListen, Auth, LogFormat, Settings};

/// Connections that may wait to be accepted: many clients come back at once after a restart.
const BACKLOG: u32 = 4096;
/// The health endpoint's usual address.
const ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8081);
/// How long what still runs after everything has stopped may take to notice.
const LEFTOVERS: Duration = Duration::from_secs(1);

/// Serves until a signal or a fault ends it.
pub(crate) fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    let format = match settings.log_format {
        LogFormat::Text => telemetry::LogFormat::Text,
        LogFormat::Json => telemetry::LogFormat::Json,
    };
    telemetry::start(format, &settings.log).or_fail(Code::Setting, "log")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.or_fail(Code::Fault, "runtime")?;
    let outcome = runtime.block_on(serve(settings));
    runtime.shutdown_timeout(LEFTOVERS);
    outcome
}

async fn serve(settings: &Settings) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen().or_fail(Code::Fault, "signals")?;
    let metrics = Metrics::install().or_fail(Code::Fault, "metrics")?;
    let directory = DataDir::open(settings.data_dir()?)?;
    let _lock = directory.lock()?;
    let listener = listen(settings.listen).or_fail(
        Code::Address,
        format_args!("cannot listen on {}", settings.listen),
    )?;
    let readiness = Readiness::new();
    let admin = start_admin(settings, &directory, readiness.clone(), metrics)?;
    let service = tokio::select! {
        started = Embedded::start(settings, &directory, listener) => started?,
        stop = signals.next() => return Ok(ExitCode::from(stop.forced_exit_code())),
    };
    readiness.set(true);
    announce(
        settings,
        service.local_addr(),
        admin.as_ref().map(Admin::local_addr),
    );
    let stop = tokio::select! {
        stop = signals.next() => stop,
        failure = service.failed() => return Err(failure),
    };
    readiness.set(false);
    tracing::info!(drain = stop == Stop::Drain, "stopping");
    tokio::select! {
        stopped = service.stop(stop) => stopped?,
        again = signals.next() => {
            tracing::warn!("a second signal: ending at once");
            return Ok(ExitCode::from(again.forced_exit_code()));
        }
    }
    if let Some(admin) = admin {
        admin.stop();
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
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

/// Starts the health endpoint and writes down where, for `confab health`.
fn start_admin(
    settings: &Settings,
    directory: &DataDir,
    readiness: Readiness,
    metrics: Metrics,
) -> Result<Option<Admin>, Failure> {
    let bind = |address: SocketAddr| std::net::TcpListener::bind(address);
    let bound = match settings.admin_listen {
        AdminListen::Off => return Ok(None),
        AdminListen::At(address) => bind(address),
        AdminListen::Auto => match bind(ADMIN) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => bind(SocketAddr::new(ADMIN.ip(), 0)),
            bound => bound,
        },
    };
    let what = || format!("cannot serve health on {}", settings.admin_listen);
    let admin = Admin::start(bound.or_fail(Code::Address, what())?, readiness, metrics);
    let admin = admin.or_fail(Code::Address, what())?;
    let note = directory.join(health::ADDRESS_FILE);
    fs::write(&note, format!("{}\n", health::reachable(admin.local_addr())))
        .or_fail(Code::DataDir, note.display())?;
    Ok(Some(admin))
}

/// Says on standard output where the service is and how to try it. Nobody need listen.
fn announce(settings: &Settings, address: SocketAddr, admin: Option<SocketAddr>) {
    let scheme = if settings.tls_cert.is_some() { "wss" } else { "ws" };
    let mut text = format!("Confab listens on {scheme}://{address}/ws\n");
    if let Some(admin) = admin {
        text.push_str(&format!(
            "Health and metrics on http://{admin} (/healthz, /readyz, /metrics)\n"
        ));
    }
    if settings.tls_cert.is_none() {
        text.push_str("Try it in two more terminals:\n");
        text.push_str(&invitations(settings, address));
    }
    let mut out = std::io::stdout().lock();
    let _nobody_listens = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Two commands that chat with each other, as the service itself was started.
fn invitations(settings: &Settings, address: SocketAddr) -> String {
    let command = std::env::args().next().unwrap_or_else(|| "confab".to_owned());
    let usual = Settings::default();
    let elsewhere = |setting: bool, flag: String| if setting { flag } else { String::new() };
    let url = elsewhere(
        address != usual.listen,
        format!(" --url ws://{}/ws", health::reachable(address)),
    );
    let directory = settings
        .data_dir()
        .map(|path| path.display().to_string())
        .unwrap_or_default();
    let invite = |user: &str, to: &str| {
        let token = format!("CONFAB_TOKEN=$({command} token --user {user} --data-dir '{directory}') ");
        let token = elsewhere(
            settings.auth == Auth::Jwt && settings.uses_development_key(),
            token,
        );
        format!("  {token}{command} chat --user {user} --to {to}{url}\n")
    };
    invite("alice", "bob") + &invite("bob", "alice")
}
