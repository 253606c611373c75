//! A pod as a local process. A pod has an address and files of its own: here these are a loopback address and a folder. What names them in
//! the rendered objects (0.0.0.0, /etc/confab) is made to name these; everything else is taken as it stands.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, interval, timeout};

use crate::chart::Chart;
use crate::support::process::{Process, end_of};

/// The image's program, and what stands in for it.
const PROGRAM: &str = "/usr/local/bin/confab";
/// Where everything is mounted.
const MOUNTS: &str = "/etc/confab";

/// The file of a Secret, or of a ConfigMap that is not the chart's: by the object's name and the key.
pub(crate) type Foreign<'a> = &'a dyn Fn(&str) -> Vec<(String, Vec<u8>)>;

/// A container's files and command.
pub(crate) struct Container {
    spec: Value,
    container: Value,
    address: Ipv4Addr,
    dir: tempfile::TempDir,
}

impl Container {
    /// Lays out the files of a pod.
    pub(crate) fn new(chart: &Chart, pod: &Value, foreign: Foreign<'_>) -> Self {
        let spec = pod["spec"].clone();
        let container = spec["containers"][0].clone();
        let made = Self {
            spec,
            container,
            address: next_address(),
            dir: tempfile::tempdir().unwrap(),
        };
        for mount in made.container["volumeMounts"].as_array().unwrap() {
            let volumes = made.spec["volumes"].as_array().unwrap();
            let volume = volumes
                .iter()
                .find(|volume| volume["name"] == mount["name"])
                .unwrap_or_else(|| panic!("no volume for {mount}"));
            let folder = made.local(mount["mountPath"].as_str().unwrap());
            fs::create_dir_all(&folder).unwrap();
            for (key, bytes) in made.files(chart, volume, foreign) {
                fs::write(Path::new(&folder).join(key), bytes).unwrap();
            }
        }
        made
    }

    fn files(&self, chart: &Chart, volume: &Value, foreign: Foreign<'_>) -> Vec<(String, Vec<u8>)> {
        if let Some(secret) = volume["secret"]["secretName"].as_str() {
            return foreign(secret);
        }
        let name = volume["configMap"]["name"].as_str().unwrap();
        if !name.starts_with("chat-") {
            return foreign(name);
        }
        let files = chart.config_map(name).into_iter();
        files
            .map(|(key, text)| (key, self.local(&text).into_bytes()))
            .collect()
    }

    /// A text with the pod's address and files in the place of those that it names.
    fn local(&self, text: &str) -> String {
        let folder = self.dir.path().join("etc/confab");
        text.replace(MOUNTS, &folder.display().to_string())
            .replace("0.0.0.0:", &format!("{}:", self.address))
    }

    /// Its command, with nothing in its environment but what the container has.
    pub(crate) fn command(&self) -> Command {
        self.command_with(&texts(&self.container["args"]))
    }

    /// The same with other arguments, as `kubectl exec` runs them.
    pub(crate) fn command_with(&self, arguments: &[String]) -> Command {
        assert_eq!(texts(&self.container["command"]), [PROGRAM]);
        let mut command = Command::new(env!("CARGO_BIN_EXE_confab"));
        command.env_clear().args(arguments);
        for variable in self.container["env"].as_array().unwrap() {
            let value = self.local(variable["value"].as_str().unwrap());
            command.env(variable["name"].as_str().unwrap(), value);
        }
        command
    }

    /// Where a port of the container is.
    fn port(&self, name: &str) -> SocketAddr {
        let ports = self.container["ports"].as_array().unwrap();
        let port = ports.iter().find(|port| port["name"] == name).unwrap();
        let port = port["containerPort"].as_u64().unwrap();
        (IpAddr::V4(self.address), u16::try_from(port).unwrap()).into()
    }
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().unwrap().iter();
    list.map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// An address that no other pod of this test process has, and hardly one of another.
fn next_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [low, high, ..] = std::process::id().to_le_bytes();
    Ipv4Addr::new(127, high.max(1), low, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A probe of a container.
struct Probe {
    at: SocketAddr,
    path: String,
    every: Duration,
    within: Duration,
    failures: u64,
}

impl Probe {
    fn of(container: &Container, name: &str) -> Self {
        let probe = &container.container[name];
        let seconds = |field: &str| Duration::from_secs(probe[field].as_u64().unwrap());
        Self {
            at: container.port(probe["httpGet"]["port"].as_str().unwrap()),
            path: probe["httpGet"]["path"].as_str().unwrap().to_owned(),
            every: seconds("periodSeconds"),
            within: seconds("timeoutSeconds"),
            failures: probe["failureThreshold"].as_u64().unwrap(),
        }
    }

    /// Asks once, as a kubelet does; nothing where nobody listens, or who listened is gone before it has answered.
    async fn ask(&self) -> Option<bool> {
        match timeout(self.within, get(self.at, &self.path)).await {
            Ok(Ok(answer)) => Some(answer.starts_with("HTTP/1.1 200 ")),
            Ok(Err(_)) => None,
            Err(_) => Some(false),
        }
    }

    async fn succeeds(&self) -> bool {
        self.ask().await == Some(true)
    }

    /// Asks again and again, as a kubelet does, until it succeeds; panics where a kubelet would give up.
    async fn until_it_succeeds(&self, process: &Process) {
        let mut every = interval(self.every);
        for _ in 0..self.failures {
            every.tick().await;
            if self.succeeds().await {
                return;
            }
        }
        panic!("{} never succeeded:\n{}", self.path, process.text());
    }
}

async fn get(at: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(at).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    // Who ends while it is asked hangs up like this: it has not said no.
    match answer.is_empty() {
        true => Err(ErrorKind::UnexpectedEof.into()),
        false => Ok(answer),
    }
}

/// A running pod of a Deployment.
pub(crate) struct Pod {
    container: Container,
    process: Process,
}

impl Pod {
    /// Starts it, and waits until its startup probe and then its readiness probe succeed.
    pub(crate) async fn start(container: Container) -> Self {
        let process = Process::run(container.command(), container.dir.path());
        Probe::of(&container, "startupProbe")
            .until_it_succeeds(&process)
            .await;
        let readiness = Probe {
            // A rollout waits for longer than a kubelet takes to call a pod unready.
            failures: 60,
            ..Probe::of(&container, "readinessProbe")
        };
        readiness.until_it_succeeds(&process).await;
        Self { container, process }
    }

    /// Where clients connect.
    pub(crate) fn clients(&self) -> SocketAddr {
        self.container.port("ws")
    }

    /// What `/metrics` says.
    pub(crate) async fn metrics(&self) -> String {
        get(self.container.port("admin"), "/metrics").await.unwrap()
    }

    /// Panics if the pod would be restarted.
    pub(crate) async fn must_be_alive(&self) {
        let liveness = Probe::of(&self.container, "livenessProbe");
        assert!(liveness.succeeds().await, "not alive:\n{}", self.process.text());
    }

    /// Ends it as Kubernetes does: `preStop`, then SIGTERM; what it is asked to do once nothing new is sent to it comes between.
    /// Panics if it would be killed. How long it took from SIGTERM on.
    pub(crate) async fn end(self, out_of_sight: impl FnOnce()) -> Duration {
        let begun = Instant::now();
        let grace = self.container.spec["terminationGracePeriodSeconds"].as_u64();
        let grace = Duration::from_secs(grace.unwrap());
        if let Some(seconds) = self.container.container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64() {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
        out_of_sight();
        self.process.signal("TERM");
        let told = Instant::now();
        self.process.says(|line| line.contains("stopping").then_some(()));
        self.must_drain().await;
        let status: ExitStatus = timeout(grace.saturating_sub(begun.elapsed()), end_of(self.process))
            .await
            .expect("it has ended before it would be killed");
        assert!(status.success(), "{status}");
        told.elapsed()
    }

    /// What ends is not ready, and alive until it is gone.
    async fn must_drain(&self) {
        let asked = async |name: &str| Probe::of(&self.container, name).ask().await;
        assert_ne!(
            asked("readinessProbe").await,
            Some(true),
            "it drains and is ready"
        );
        assert_ne!(
            asked("livenessProbe").await,
            Some(false),
            "it drains and is not alive"
        );
    }
}

/// A Job's container, run to its end: what it printed.
pub(crate) fn run_to_its_end(container: &Container) -> String {
    let out = container.command().output().unwrap();
    let text = String::from_utf8([out.stdout, out.stderr].concat()).unwrap();
    assert!(out.status.success(), "{text}");
    text
}

/// A folder that outlives nothing: for values.
pub(crate) fn write_values(folder: &Path, values: &Value) -> PathBuf {
    let file = folder.join("values.json");
    fs::write(&file, values.to_string()).unwrap();
    file
}
