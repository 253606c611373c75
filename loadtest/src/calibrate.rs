//! The floor: what a message costs at least on this machine, in a server that does nothing but the inevitable.
//!
//! The bare server is this program again, in a process of its own, so that its CPU can be told from the tool's.

pub(crate) mod floor;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::future::try_join_all;
use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use tokio_tungstenite::tungstenite::Message;

use crate::device::{Socket, Target, Way};
use crate::protocol;
use crate::stats::Process;

/// Senders, each with a receiver.
const PAIRS: u32 = 64;
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(4);

/// See the module.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Floor {
    /// One message in flight a sender.
    pub(crate) one: Figure,
    /// Sixteen.
    pub(crate) sixteen: Figure,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) messages_per_second: f64,
    pub(crate) cpu_us_per_message: f64,
    /// Of a run: the CPU before it and after it, of which the figure is the mean. On a shared machine they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before_and_after: Option<(f64, f64)>,
}

impl Figure {
    fn words(&self, in_flight: u32) -> String {
        let Self {
            messages_per_second: rate,
            cpu_us_per_message: cpu,
            before_and_after,
        } = self;
        let each = before_and_after
            .map(|(before, after)| format!(" ({before:.1} before the run, {after:.1} after it)"))
            .unwrap_or_default();
        format!(
            "floor, {in_flight:>2} in flight a sender: {rate:.0} messages/s, {cpu:.1} µs of server CPU a message{each}\n"
        )
    }

    fn mean(self, after: Self) -> Self {
        let mean = |before: f64, after: f64| f64::midpoint(before, after);
        Self {
            messages_per_second: mean(self.messages_per_second, after.messages_per_second),
            cpu_us_per_message: mean(self.cpu_us_per_message, after.cpu_us_per_message),
            before_and_after: Some((self.cpu_us_per_message, after.cpu_us_per_message)),
        }
    }
}

impl Floor {
    /// Both figures, a line each.
    pub(crate) fn words(&self) -> String {
        self.one.words(1) + &self.sixteen.words(16)
    }

    /// The floor of a run, from what it was before and after.
    pub(crate) fn mean(self, after: Self) -> Self {
        Self {
            one: self.one.mean(after.one),
            sixteen: self.sixteen.mean(after.sixteen),
        }
    }

    /// The one that is nearest.
    pub(crate) fn at(&self, in_flight: u32) -> Figure {
        if in_flight < 4 { self.one } else { self.sixteen }
    }
}

/// Has the bare server write in a directory, which must be on a disk as the service's own is: in memory a sync costs nothing.
///
/// # Errors
///
/// Where the bare server does not start, cannot write there, or ends.
pub(crate) async fn calibrate(dir: &Path) -> Result<Floor> {
    let server = Server::start(dir)?;
    let target = Rc::new(Target::new(&format!("ws://{}/ws", server.address), false).await?);
    let mut process = Process::new(&[server.child.id()])?;
    let way = |user: String| Way {
        target: target.clone(),
        user,
        device: 0,
        source: 0,
        token: None,
        slow: false,
    };
    let mut pairs = Vec::new();
    for number in 0..PAIRS {
        let (from, to) = (way(format!("from{number}")), way(format!("to{number}")));
        pairs.push((from.connect(0).await?, to.connect(0).await?, to.user));
    }
    Ok(Floor {
        one: measure(&mut pairs, &mut process, 1).await?,
        sixteen: measure(&mut pairs, &mut process, 16).await?,
    })
}

type Pair = (Socket, Socket, String);

async fn measure(pairs: &mut [Pair], process: &mut Process, in_flight: u32) -> Result<Figure> {
    drive(pairs, in_flight, WARM_UP).await?;
    let used = |process: &mut Process| process.target().map_or(0.0, |usage| usage.cpu_seconds);
    let (before, start) = (used(process), Instant::now());
    let messages = f64::from(drive(pairs, in_flight, MEASURED).await?);
    let seconds = start.elapsed().as_secs_f64();
    Ok(Figure {
        messages_per_second: messages / seconds,
        cpu_us_per_message: (used(process) - before) * 1e6 / messages,
        before_and_after: None,
    })
}

/// Sends for so long, and waits until all has come: how many messages.
async fn drive(pairs: &mut [Pair], in_flight: u32, time: Duration) -> Result<u32> {
    let end = Instant::now() + time;
    let all = pairs.iter_mut().map(|(sender, receiver, to)| async move {
        let (done, mut all) = tokio::sync::oneshot::channel();
        let sending = async {
            let sent = send(sender, to, in_flight, end).await?;
            let _ = done.send(sent);
            Ok(sent)
        };
        let receiving = async {
            let (mut came, mut sent) = (0, None);
            while sent.is_none_or(|sent| came < sent) {
                tokio::select! {
                    frame = receiver.next() => {
                        frame.context("the bare server closed a connection")??;
                        came += 1;
                    }
                    all = &mut all, if sent.is_none() => sent = Some(all?),
                }
            }
            Ok::<_, anyhow::Error>(())
        };
        tokio::try_join!(sending, receiving).map(|(sent, ())| sent)
    });
    Ok(try_join_all(all).await?.into_iter().sum())
}

async fn send(socket: &mut Socket, to: &str, in_flight: u32, end: Instant) -> Result<u32> {
    let (mut sent, mut answered) = (0, 0);
    loop {
        while sent - answered < in_flight && Instant::now() < end {
            let text = protocol::text(sent, 0, 110);
            let payload = format!(r#"{{"chatId":"{to}","message":"{text}","clientMessageId":"{sent}"}}"#);
            socket
                .feed(Message::text(protocol::request(sent, "new", &payload)))
                .await?;
            sent += 1;
        }
        socket.flush().await?;
        if answered == sent {
            return Ok(sent);
        }
        socket
            .next()
            .await
            .context("the bare server closed a connection")??;
        answered += 1;
    }
}

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(dir: &Path) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("floor")
            .current_dir(dir)
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting the bare server in {}", dir.display()))?;
        let output = child.stdout.take().context("the bare server has no output")?;
        let mut address = String::new();
        BufReader::new(output).read_line(&mut address)?;
        if address.is_empty() {
            bail!("the bare server did not start: {}", child.wait()?);
        }
        Ok(Self {
            child,
            address: address.trim().to_owned(),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
