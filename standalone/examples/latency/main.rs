//! Prints how long a 1:1 message takes at a given rate, from the moment it should have been sent to its response and to
//! its event at the other side, and what it costs each process.
//!
//! ```sh
//! cargo run --release --example latency -- --rate 200        # the whole service in one process
//! cargo run --release --example latency -- --rate 200 --address 127.0.0.1:8080 \
//!     --pid gateway=1234 --pid worker=1235 --pid nats=1236 --pid database=1237
//! ```
//!
//! The load is open: messages go out on time whatever the service does, and one that waits counts from its time. A
//! server that is given must run with `--auth insecure` and high `--rate-limit` and `--rate-burst`.

#![allow(clippy::print_stdout, reason = "a tool prints what it found")]
#![allow(
    missing_docs,
    unreachable_pub,
    reason = "a tool has no users but its own main"
)]

#[allow(dead_code, reason = "each tool uses its part of it")]
#[path = "../measure/mod.rs"]
mod measure;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::future::try_join_all;
use measure::{Client, Server};
use tokio::time::{Instant, sleep_until};

/// Senders, each with a receiver of its own.
const PAIRS: usize = 32;
/// Before it counts.
const WARM_UP: Duration = Duration::from_secs(3);
const MEASURED: Duration = Duration::from_secs(20);

/// How long what was sent took.
#[derive(Default)]
struct Took {
    response: Vec<Duration>,
    event: Vec<Duration>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let values = |flag: &str| {
        let named = args.windows(2).filter(|pair| pair[0] == flag);
        named.map(|pair| pair[1].clone()).collect::<Vec<_>>()
    };
    let rate: u32 = values("--rate").first().context("--rate is missing")?.parse()?;
    let mut processes = Vec::new();
    let mut address = values("--address").first().map(|text| text.parse()).transpose()?;
    let mut own = None;
    if address.is_none() {
        let server = Server::start(&[])?;
        processes.push(("service".to_owned(), Server::running(server.address, server.pid)?));
        address = Some(server.address);
        own = Some(server);
    }
    let address = address.context("no address")?;
    for named in values("--pid") {
        let Some((name, pid)) = named.split_once('=') else {
            bail!("--pid is name=pid, not {named}")
        };
        processes.push((name.to_owned(), Server::running(address, pid.parse()?)?));
    }
    measure(address, rate, &processes).await?;
    drop(own);
    Ok(())
}

async fn measure(address: std::net::SocketAddr, rate: u32, processes: &[(String, Server)]) -> Result<()> {
    let round = rand::random::<u32>();
    let mut pairs = Vec::new();
    for n in 0..PAIRS {
        let (from, to) = (format!("from{round}-{n}"), format!("to{round}-{n}"));
        let sender = Client::connect(address, n, &format!("user={from}")).await?;
        let receiver = Client::connect(address, n, &format!("user={to}")).await?;
        pairs.push((sender, receiver, to));
    }
    let every = Duration::from_secs(1) * u32::try_from(PAIRS)? / rate;
    run(&mut pairs, every, WARM_UP, 0).await?;
    let before: Vec<u64> = processes
        .iter()
        .map(|(_, one)| one.cpu_micros())
        .collect::<Result<_>>()?;
    let mut took = run(&mut pairs, every, MEASURED, 1_000_000).await?;
    let messages = took.response.len();
    println!("{messages} messages at {rate}/s");
    for (what, times) in [
        ("send to response", &mut took.response),
        ("send to event", &mut took.event),
    ] {
        times.sort_unstable();
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
        println!(
            "{what:>16}: p50 {:?}, p99 {:?}, longest {:?}",
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
    for ((name, process), before) in processes.iter().zip(before) {
        let each = (process.cpu_micros()? - before) as f64 / messages as f64;
        println!("{name:>16}: {each:.0} µs of CPU a message");
    }
    Ok(())
}

async fn run(
    pairs: &mut [(Client, Client, String)],
    every: Duration,
    time: Duration,
    first: usize,
) -> Result<Took> {
    let count = (time.as_secs_f64() / every.as_secs_f64()) as usize;
    let start = Instant::now() + Duration::from_millis(100);
    let all = pairs.iter_mut().enumerate().map(|(n, (sender, receiver, to))| {
        // Spread over the period, so that they do not all send at once.
        let offset = every * u32::try_from(n).unwrap_or(0) / u32::try_from(PAIRS).unwrap_or(1);
        let times: Vec<Instant> = (0..count)
            .map(|k| start + offset + every * u32::try_from(k).unwrap_or(0))
            .collect();
        async move {
            let (response, event) =
                tokio::try_join!(send(sender, to, first, &times), receive(receiver, first, &times))?;
            Ok::<_, anyhow::Error>(Took { response, event })
        }
    });
    let mut took = Took::default();
    for one in try_join_all(all).await? {
        took.response.extend(one.response);
        took.event.extend(one.event);
    }
    Ok(took)
}

/// Sends each message at its time, and takes the responses meanwhile.
async fn send(client: &mut Client, to: &str, first: usize, times: &[Instant]) -> Result<Vec<Duration>> {
    let mut took = Vec::with_capacity(times.len());
    let mut sent = 0;
    while took.len() < times.len() {
        tokio::select! {
            frame = client.next() => {
                let frame = frame?;
                if frame.contains(r#""error""#) {
                    bail!("{frame}");
                }
                if let Some(n) = number(&frame, r#""type":"response","id":""#) {
                    took.push(times[n - first].elapsed());
                }
            }
            () = sleep_until(times[sent.min(times.len() - 1)]), if sent < times.len() => {
                let n = first + sent;
                client
                    .send(format!(
                        r#"{{"type":"request","id":"{n}","payloadType":"new","payload":{{"chatId":"{to}","message":"Hello, this is a message","clientMessageId":"{n}"}}}}"#
                    ))
                    .await?;
                sent += 1;
            }
        }
    }
    Ok(took)
}

async fn receive(client: &mut Client, first: usize, times: &[Instant]) -> Result<Vec<Duration>> {
    let mut took = Vec::with_capacity(times.len());
    while took.len() < times.len() {
        let frame = client.next().await?;
        if let Some(n) = number(&frame, r#""clientMessageId":""#).filter(|n| *n >= first) {
            took.push(times[n - first].elapsed());
        }
    }
    Ok(took)
}

/// The number behind a marker.
fn number(frame: &str, marker: &str) -> Option<usize> {
    let rest = &frame[frame.find(marker)? + marker.len()..];
    rest.split('"').next()?.parse().ok()
}
