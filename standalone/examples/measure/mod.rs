//! What the measuring tools share: a server process of their own, what it costs, and a client that costs little.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Connections from one source address: below the number of ephemeral ports.
const PER_SOURCE: usize = 20_000;

/// A server to measure: one started here, or one that runs.
pub struct Server {
    pub address: SocketAddr,
    pub pid: u32,
    child: Option<(Child, tempfile::TempDir)>,
}

impl Server {
    /// Builds the command as this tool was built, and starts it on a directory of its own.
    pub fn start(flags: &[&str]) -> Result<Self> {
        raise_file_limit()?;
        Self::spawn(tempfile::tempdir()?, flags)
    }

    /// Ends the server and starts another one on the same directory.
    pub fn restart(mut self, flags: &[&str]) -> Result<Self> {
        let (mut child, dir) = self.child.take().context("a server started here")?;
        child.kill()?;
        child.wait()?;
        Self::spawn(dir, flags)
    }

    fn spawn(dir: tempfile::TempDir, flags: &[&str]) -> Result<Self> {
        let mut child = Command::new(build()?)
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--admin-listen",
                "off",
                "--ping-timeout",
                "1h",
            ])
            .args([
                "--rate-limit",
                "1000000000",
                "--rate-burst",
                "1000000000",
                "--log",
                "warn",
            ])
            .arg("--data-dir")
            .arg(dir.path())
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the server")?;
        let output = child.stdout.take().context("no output")?;
        let mut lines = BufReader::new(output).lines();
        let address = loop {
            let line = lines.next().context("the server ended")??;
            if let Some((_, rest)) = line.split_once("ws://") {
                break rest.split('/').next().unwrap_or(rest).parse()?;
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self {
            address,
            pid: child.id(),
            child: Some((child, dir)),
        })
    }

    /// One that runs already.
    pub fn running(address: SocketAddr, pid: u32) -> Result<Self> {
        raise_file_limit()?;
        Ok(Self {
            address,
            pid,
            child: None,
        })
    }

    /// Its resident memory, in KB.
    pub fn resident_kb(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .context("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).context("no number")?.parse()?)
    }

    /// The CPU time it has used, user and system together, in microseconds.
    pub fn cpu_micros(&self) -> Result<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        let (_, rest) = stat.rsplit_once(')').context("no process name")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        Ok(ticks * 1_000_000 / rustix::param::clock_ticks_per_second())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The `confab` command of this tool's own profile, up to date.
fn build() -> Result<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "confab", "--bin", "confab"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    if !cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status()?.success() {
        bail!("the server does not build");
    }
    let this = std::env::current_exe()?;
    let profile = this.ancestors().nth(2).context("no target directory")?;
    Ok(profile.join("confab"))
}

/// As many open files as the system allows, here and in the server started from here.
fn raise_file_limit() -> Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )
    .context("the limit of open files")
}

/// A connected client with small buffers.
pub struct Client {
    ws: WebSocketStream<TcpStream>,
}

impl Client {
    /// Connects the `n`th client with a query, and waits for its first answer. When one loopback address has not
    /// ports enough it comes from the next.
    pub async fn connect(address: SocketAddr, n: usize, query: &str) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if address.ip().is_loopback() && n >= PER_SOURCE {
            let source = Ipv4Addr::new(127, 0, 0, 1 + u8::try_from(n / PER_SOURCE)?);
            socket.bind((source, 0).into())?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        let request = format!("ws://{address}/ws?{query}").into_client_request()?;
        let small = WebSocketConfig::default()
            .read_buffer_size(1024)
            .write_buffer_size(0);
        let connected = tokio_tungstenite::client_async_with_config(request, stream, Some(small));
        let (ws, _) = Box::pin(connected).await.context("the handshake")?;
        let mut client = Self { ws };
        client
            .send(r#"{"type":"request","id":"first","payloadType":"chats","payload":{"count":1}}"#)
            .await?;
        client.response().await?;
        Ok(client)
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: impl Into<String>) -> Result<()> {
        Ok(self.ws.send(Message::text(frame.into())).await?)
    }

    /// Waits for the next frame.
    pub async fn next(&mut self) -> Result<String> {
        match self.ws.next().await.context("the connection ended")?? {
            Message::Text(text) => Ok(text.to_string()),
            other => bail!("no text frame: {other:?}"),
        }
    }

    /// Passes over events up to the next response, which must be no error.
    pub async fn response(&mut self) -> Result<String> {
        loop {
            let frame = self.next().await?;
            if frame.contains(r#""error""#) {
                bail!("{frame}");
            }
            if frame.contains(r#""type":"response""#) {
                return Ok(frame);
            }
        }
    }
}
