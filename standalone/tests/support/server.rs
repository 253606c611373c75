//! A server: one process on a directory of its own or, where `CONFAB_TEST_FORM` is `cluster`, two gateways and three
//! workers on real engines. Started on free ports, stopped with its test, and restarted with its data when a test says
//! so. Tests do not know which form they run on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::connect::Connecting;
use super::engines::{Engines, told};
use super::process::{Process, ask_admin};

const GATEWAYS: usize = 2;
const WORKERS: usize = 3;

/// How to start a server.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    args: Vec<String>,
    admin: bool,
    gateways: usize,
}

impl Settings {
    /// A server that closes nothing for slowness of the machine and limits no rate.
    pub(crate) fn lenient() -> Self {
        Self::default_limits()
            .flag("--ping-timeout", "10m")
            .flag("--rate-limit", "1000000")
            .flag("--rate-burst", "1000000")
    }

    /// A server with the limits that it has by default.
    pub(crate) fn default_limits() -> Self {
        Self {
            args: Vec::new(),
            admin: false,
            gateways: GATEWAYS,
        }
    }

    /// Adds a flag with its value.
    pub(crate) fn flag(mut self, name: &str, value: &str) -> Self {
        if let Some(at) = self.args.iter().position(|arg| arg == name) {
            value.clone_into(&mut self.args[at + 1]);
        } else {
            self.args.extend([name.to_owned(), value.to_owned()]);
        }
        self
    }

    /// With the health endpoint.
    pub(crate) fn with_admin(mut self) -> Self {
        self.admin = true;
        self
    }

    /// All clients connect to one process: what is set is a limit of each process by itself.
    pub(crate) fn one_gateway(mut self) -> Self {
        self.gateways = 1;
        self
    }

    /// Starts on fresh data.
    pub(crate) fn start(self) -> Server {
        let cluster = told("CONFAB_TEST_FORM").is_some_and(|form| form == "cluster");
        Server::start(self, cluster.then(Engines::create))
    }

    /// Starts two gateways and three workers on fresh data, whatever form other tests run on.
    pub(crate) fn start_cluster(self) -> Server {
        Server::start(self, Some(Engines::create()))
    }

    fn admin_listen(&self) -> [String; 2] {
        let at = if self.admin { "127.0.0.1:0" } else { "off" };
        ["--admin-listen".to_owned(), at.to_owned()]
    }

    /// The command line of one process.
    fn process(&self, role: &str, engines: Option<&Engines>, dir: &Path) -> Vec<String> {
        let mut args = vec![role.to_owned()];
        args.extend(["--data-dir".to_owned(), dir.display().to_string()]);
        args.extend(["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
        args.extend(self.admin_listen());
        args.extend(self.args.iter().cloned());
        args.extend(engines.map(Engines::flags).unwrap_or_default());
        args
    }
}

/// A running server. Dropping it kills it and removes its data.
pub(crate) struct Server {
    settings: Settings,
    dir: PathBuf,
    engines: Option<Engines>,
    running: Option<Running>,
    connected: AtomicUsize,
}

/// Its processes.
struct Running {
    /// Those with sockets, and where each listens.
    front: Vec<(Process, SocketAddr)>,
    workers: Vec<Process>,
    admin: Option<SocketAddr>,
}

impl Running {
    fn start(settings: &Settings, engines: Option<&Engines>, dir: &Path) -> Self {
        let start = |role: &str| Process::start(&settings.process(role, engines, dir), dir);
        let workers: Vec<Process> = match engines {
            Some(_) => (0..WORKERS).map(|_| start("worker")).collect(),
            None => Vec::new(),
        };
        workers.iter().for_each(until_it_works);
        let front: Vec<Process> = match engines {
            Some(_) => (0..settings.gateways).map(|_| start("gateway")).collect(),
            None => vec![start("serve")],
        };
        let front: Vec<_> = front.into_iter().map(with_address).collect();
        let admin = settings.admin.then(|| front[0].0.admin_address());
        Self {
            front,
            workers,
            admin,
        }
    }

    /// Gateways first: so a cluster is stopped in order.
    fn processes(self) -> impl Iterator<Item = Process> {
        self.front
            .into_iter()
            .map(|(process, _)| process)
            .chain(self.workers)
    }
}

/// Waits until a worker has its share of the partitions.
fn until_it_works(worker: &Process) {
    worker.says(|line| line.starts_with("A Confab worker runs").then_some(()));
}

fn with_address(process: Process) -> (Process, SocketAddr) {
    let address = process.clients_address();
    (process, address)
}

impl Server {
    fn start(settings: Settings, engines: Option<Engines>) -> Self {
        let dir = tempfile::tempdir().unwrap().keep();
        let running = Running::start(&settings, engines.as_ref(), &dir);
        Self {
            settings,
            dir,
            engines,
            running: Some(running),
            connected: AtomicUsize::new(0),
        }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs")
    }

    /// Where it listens: at each call the next of its gateways.
    pub(crate) fn address(&self) -> SocketAddr {
        let front = &self.running().front;
        front[self.connected.fetch_add(1, Ordering::Relaxed) % front.len()].1
    }

    /// The data directory of its processes.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The first process that holds sockets.
    pub(crate) fn pid(&self) -> u32 {
        self.running().front[0].0.pid()
    }

    /// What it has printed since its start.
    pub(crate) fn output(&self) -> String {
        let Some(running) = &self.running else {
            return String::new();
        };
        let front = running.front.iter().map(|(process, _)| process.text());
        let workers = running.workers.iter().map(Process::text);
        front.chain(workers).collect::<Vec<_>>().join("\n")
    }

    /// Begins a connection as a user.
    pub(crate) fn connect(&self, user: &str) -> Connecting {
        Connecting::new(self.address()).user(user)
    }

    /// Begins a connection that says nothing about who it is.
    pub(crate) fn connect_as_nobody(&self) -> Connecting {
        Connecting::new(self.address())
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.running.take().unwrap().processes().for_each(Process::kill);
    }

    /// Starts it again on the same data, at other ports.
    pub(crate) fn restart(&mut self) {
        assert!(self.running.is_none(), "it still runs");
        self.running = Some(Running::start(&self.settings, self.engines.as_ref(), &self.dir));
    }

    /// Sends it a signal by its name, without waiting for anything. Workers of a cluster outlive their gateways: they
    /// get it in [`Server::wait`].
    pub(crate) fn signal(&self, name: &str) {
        for (process, _) in &self.running().front {
            process.signal(name);
        }
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let running = self.running.take().unwrap();
        let ended: Vec<_> = running
            .front
            .into_iter()
            .map(|(process, _)| process.wait())
            .collect();
        let stopped = running.workers.into_iter().map(|worker| {
            worker.signal("TERM");
            worker.wait()
        });
        let all: Vec<_> = ended.into_iter().chain(stopped).collect();
        *all.iter().find(|status| !status.success()).unwrap_or(&all[0])
    }

    /// Asks the health endpoint; the status line and all that follows.
    pub(crate) fn admin(&self, path: &str) -> String {
        ask_admin(
            self.running().admin.expect("started with its health endpoint"),
            path,
        )
    }
}

/// What only a cluster has.
impl Server {
    /// Where each of its gateways listens.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.running().front.iter().map(|(_, address)| *address).collect()
    }

    /// Its keyspace, and where its engines are.
    pub(crate) fn engines(&self) -> &Engines {
        self.engines.as_ref().expect("a cluster")
    }

    fn start_one(&self, role: &str, more: &[&str]) -> Process {
        let mut args = self.settings.process(role, self.engines.as_ref(), &self.dir);
        for pair in more.chunks(2) {
            match args.iter().position(|arg| arg == pair[0]) {
                Some(at) => pair[1].clone_into(&mut args[at + 1]),
                None => args.extend(pair.iter().map(|arg| (*arg).to_owned())),
            }
        }
        Process::start(&args, &self.dir)
    }

    /// Starts one more worker, with more flags; returns when it has its share.
    pub(crate) async fn add_worker(&mut self, more: &[&str]) {
        let worker = self.start_one("worker", more);
        let works = tokio::task::spawn_blocking(move || {
            until_it_works(&worker);
            worker
        });
        let worker = works.await.unwrap();
        self.running.as_mut().unwrap().workers.push(worker);
    }

    /// Starts a worker that cannot go on, and waits until it says so. It is not one of the cluster's.
    pub(crate) async fn add_worker_that_stops(&mut self) -> Process {
        let worker = self.start_one("worker", &[]);
        let stops = tokio::task::spawn_blocking(move || {
            worker.says(|line| line.contains("the partition has stopped").then_some(()));
            worker
        });
        stops.await.unwrap()
    }

    /// Starts one more gateway.
    pub(crate) async fn add_gateway(&mut self) {
        let gateway = self.start_one("gateway", &[]);
        let gateway = tokio::task::spawn_blocking(move || with_address(gateway));
        self.running.as_mut().unwrap().front.push(gateway.await.unwrap());
    }

    /// Takes a worker out, for whatever is to be done to it.
    pub(crate) fn take_worker(&mut self) -> Process {
        self.running.as_mut().unwrap().workers.remove(0)
    }

    /// Puts a worker back.
    pub(crate) fn return_worker(&mut self, worker: Process) {
        self.running.as_mut().unwrap().workers.push(worker);
    }

    /// Takes a gateway out.
    pub(crate) fn take_gateway(&mut self) -> Process {
        self.running.as_mut().unwrap().front.remove(0).0
    }

    /// How many workers run.
    pub(crate) fn workers(&self) -> usize {
        self.running().workers.len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.running.take());
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Runs the command with arguments to its end.
pub(crate) fn confab(args: &[&str]) -> (ExitStatus, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_confab"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (out.status, text(out.stdout), text(out.stderr))
}

/// Longer than anything a test measures.
pub(crate) const LONG: Duration = Duration::from_secs(600);
