//! Prints how much server CPU a durable 1:1 message costs, end to end: request in, durable, response and both events
//! out.
//!
//! ```sh
//! cargo run --release --example message_cost
//! cargo run --release --example message_cost -- --pid 1234 --address 127.0.0.1:8080   # a server that runs
//! ```
//!
//! 64 senders write to a receiver each, first with one message in flight a sender, then with sixteen. With "acks" the
//! receivers acknowledge each event, as clients do. The CPU is user and system time of the server process. A server
//! given by `--pid` must run with `--auth insecure` and high `--rate-limit` and `--rate-burst`.

#![allow(clippy::print_stdout, reason = "a tool prints what it found")]
#![allow(
    missing_docs,
    unreachable_pub,
    reason = "a tool has no users but its own main"
)]

#[allow(dead_code, reason = "each tool uses its part of it")]
#[path = "../measure/mod.rs"]
mod measure;

use std::time::Instant;

use anyhow::{Context, Result, bail};
use futures_util::future::{join_all, try_join_all};
use measure::{Client, Server};

const SENDERS: usize = 64;
/// Messages of a measurement: a second of CPU or more, which /proc counts in hundredths.
const MESSAGES: usize = 38_400;
const WARM_UP: usize = 6_400;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let server = server()?;
    println!("in flight | acks | messages/s | server CPU µs/message");
    for (round, (in_flight, acks)) in [(1, false), (16, false), (1, true), (16, true)]
        .into_iter()
        .enumerate()
    {
        let mut pairs = connect(&server, round).await?;
        run(&mut pairs, WARM_UP, in_flight, acks).await?;
        let (start, before) = (Instant::now(), server.cpu_micros()?);
        run(&mut pairs, MESSAGES, in_flight, acks).await?;
        let (seconds, cpu) = (start.elapsed().as_secs_f64(), server.cpu_micros()? - before);
        let (rate, each) = (MESSAGES as f64 / seconds, cpu as f64 / MESSAGES as f64);
        println!(
            "{in_flight:>9} | {:<4} | {rate:>10.0} | {each:.1}",
            if acks { "yes" } else { "no" }
        );
    }
    Ok(())
}

fn server() -> Result<Server> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |flag: &str| {
        args.iter()
            .position(|arg| arg == flag)
            .and_then(|at| args.get(at + 1))
    };
    match (value("--pid"), value("--address")) {
        (None, None) => Server::start(&[]),
        (Some(pid), Some(address)) => Server::running(address.parse()?, pid.parse()?),
        _ => bail!("--pid and --address go together"),
    }
}

/// A sender, its receiver, and the receiver's name.
struct Pair {
    sender: Client,
    receiver: Client,
    to: String,
    sent: usize,
}

async fn connect(server: &Server, round: usize) -> Result<Vec<Pair>> {
    try_join_all((0..SENDERS).map(|n| async move {
        let (from, to) = (format!("from{round}-{n}"), format!("to{round}-{n}"));
        let sender = Client::connect(server.address, n, &format!("user={from}")).await?;
        let receiver = Client::connect(server.address, n, &format!("user={to}")).await?;
        Ok(Pair {
            sender,
            receiver,
            to,
            sent: 0,
        })
    }))
    .await
}

/// Sends `count` messages in all, and waits until every response and every event has come.
async fn run(pairs: &mut [Pair], count: usize, in_flight: usize, acks: bool) -> Result<()> {
    let each = count / pairs.len();
    let outcomes = join_all(pairs.iter_mut().map(|pair| async move {
        let first = pair.sent;
        pair.sent += each;
        let sending = send(&mut pair.sender, &pair.to, first, each, in_flight);
        let receiving = receive(&mut pair.receiver, each, acks);
        tokio::try_join!(sending, receiving).map(|_| ())
    }))
    .await;
    outcomes.into_iter().collect()
}

async fn send(client: &mut Client, to: &str, first: usize, count: usize, in_flight: usize) -> Result<()> {
    let (mut asked, mut answered) = (0, 0);
    while answered < count {
        while asked < count && asked - answered < in_flight {
            let n = first + asked;
            client
                .send(format!(
                    r#"{{"type":"request","id":"{n}","payloadType":"new","payload":{{"chatId":"{to}","message":"Hello, this is message number {n}","clientMessageId":"c{n}"}}}}"#
                ))
                .await?;
            asked += 1;
        }
        client.response().await?;
        answered += 1;
    }
    Ok(())
}

async fn receive(client: &mut Client, count: usize, acks: bool) -> Result<()> {
    let mut received = 0;
    while received < count {
        let frame = client.next().await?;
        if !frame.contains(r#""eventType":"new""#) {
            continue;
        }
        received += 1;
        if acks {
            let frame: serde_json::Value = serde_json::from_str(&frame)?;
            let id = frame["id"].as_u64().context("an event without an id")?;
            client.send(format!(r#"{{"type":"ack","id":{id}}}"#)).await?;
        }
    }
    Ok(())
}
