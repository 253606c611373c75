//! What the bus on NATS costs this side of it: first each step alone, then all of them, as [`local_cost`](./local_cost.rs) does.
//!
//! `cargo run --release -p confab-bus --example nats_cost -- nats://127.0.0.1:4222`: prints messages a second, the CPU
//! time of this process a message and how long each took. Gateway and worker have a connection of their own. The streams
//! it makes are deleted.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use confab_bus::nats::{Nats, NatsOptions};
use confab_bus::{Bus, PartitionReader, Position};
use confab_chat::{
    ChatKey, Command, EntryId, GatewayId, Op, Origin, Partition, RequestId, SessionId, UserId,
};
use confab_proto::message::{DeliveryBody, EntryBody, LogEntry, ToGateway};
use futures_util::future::join_all;
use tokio::sync::Notify;

const RUN: Duration = Duration::from_secs(4);
const PARTITIONS: u16 = 8;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let server = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "nats://127.0.0.1:4222".to_owned());
    let prefix = format!("cost-{}", std::process::id());
    let options = NatsOptions {
        prefix: prefix.clone(),
        partitions: PARTITIONS,
        replicas: 1,
        ..NatsOptions::new(vec![server.clone()], Arc::new(|| 0))
    };
    let gateway = Nats::connect(options.clone()).await.unwrap();
    let worker = Nats::connect(options).await.unwrap();
    println!("what            clients  messages/s  CPU µs/message  p50 µs  p99 µs");
    for clients in [1, 16, 64, 512] {
        appends(&gateway, clients).await;
    }
    reads(&worker).await;
    spaced_reads(&gateway, &worker).await;
    deliveries(&gateway, &worker).await;
    answers(&gateway, &worker).await;
    delete(&server, &prefix).await;
}

async fn delete(server: &str, prefix: &str) {
    let jetstream = async_nats::jetstream::new(async_nats::connect(server).await.unwrap());
    for partition in 0..PARTITIONS {
        let name = format!("{prefix}-log-{partition}");
        jetstream.delete_stream(name).await.unwrap();
    }
}

/// Appends, each client one after the other.
async fn appends(bus: &Nats, clients: usize) {
    let (cpu, begun) = (cpu_time(), Instant::now());
    let client = async |client: usize| {
        let mut times = Vec::new();
        while begun.elapsed() < RUN {
            let sent = Instant::now();
            let entry = command(client);
            bus.append(partition(client), entry).await.unwrap();
            times.push(sent.elapsed());
        }
        times
    };
    let times = join_all((0..clients).map(client)).await.concat();
    print("append", clients, cpu, begun, times);
}

/// Reads all that was appended, as fast as it comes.
async fn reads(bus: &Nats) {
    let (cpu, begun) = (cpu_time(), Instant::now());
    let read = async |partition| {
        let mut reader = bus.open(partition, Position::default()).await.unwrap();
        let mut left = reader.end_at_open().seq;
        let mut times = Vec::new();
        while left > 0 {
            let asked = Instant::now();
            let entries = reader.next(256).await.unwrap().len() as u64;
            times.extend(std::iter::repeat_n(
                asked.elapsed(),
                usize::try_from(entries).unwrap(),
            ));
            left -= entries;
        }
        times
    };
    let times = join_all((0..PARTITIONS).map(Partition).map(read)).await.concat();
    print("read a batch", PARTITIONS.into(), cpu, begun, times);
}

/// From an append to the entry in its reader's hands, one at a time.
async fn spaced_reads(gateway: &Nats, worker: &Nats) {
    let end = worker
        .open(Partition(0), Position::default())
        .await
        .unwrap()
        .end_at_open();
    let mut reader = worker.open(Partition(0), end).await.unwrap();
    let (cpu, begun) = (cpu_time(), Instant::now());
    let mut times = Vec::new();
    while begun.elapsed() < RUN {
        let sent = Instant::now();
        let append = gateway.append(Partition(0), command(9999));
        let read = async {
            reader.next(1).await.unwrap();
            sent.elapsed()
        };
        let (appended, time) = tokio::join!(append, read);
        appended.unwrap();
        times.push(time);
    }
    print("append to read", 1, cpu, begun, times);
}

/// Deliveries from one to the other.
async fn deliveries(gateway: &Nats, worker: &Nats) {
    let name = GatewayId("gateway".into());
    let mut end = gateway.join_as_gateway(&name).await;
    let (cpu, begun) = (cpu_time(), Instant::now());
    let mut times = Vec::new();
    while begun.elapsed() < RUN {
        let sent = Instant::now();
        for _ in 0..64 {
            worker
                .deliver(Partition(0), 1, &name, answer_to(SessionId(1)))
                .await;
        }
        for _ in 0..64 {
            end.deliveries.recv().await.unwrap();
        }
        times.extend([sent.elapsed(); 64]);
    }
    print("64 deliveries", 1, cpu, begun, times);
}

/// Each client appends a command, the partition's reader delivers an answer, the gateway wakes the client.
async fn answers(gateway: &Nats, worker: &Nats) {
    let name = GatewayId("gateway".into());
    let mut end = gateway.join_as_gateway(&name).await;
    let answered: Arc<Vec<Notify>> = Arc::new((0..512).map(|_| Notify::new()).collect());
    for partition in (0..PARTITIONS).map(Partition) {
        let end = worker
            .open(partition, Position::default())
            .await
            .unwrap()
            .end_at_open();
        spawn(answer(worker.clone(), partition, end, name.clone()));
    }
    let ring = Arc::clone(&answered);
    spawn(async move {
        while let Some(message) = end.deliveries.recv().await {
            if let DeliveryBody::Contacts { session, .. } = message.body {
                ring[usize::try_from(session.0).unwrap()].notify_one();
            }
        }
    });
    for clients in [1, 16, 64, 512] {
        let (cpu, begun) = (cpu_time(), Instant::now());
        let client = async |client: usize| {
            let mut times = Vec::new();
            while begun.elapsed() < RUN {
                let sent = Instant::now();
                let entry = command(client);
                gateway.append(partition(client), entry).await.unwrap();
                answered[client].notified().await;
                times.push(sent.elapsed());
            }
            times
        };
        let times = join_all((0..clients).map(client)).await.concat();
        print("all", clients, cpu, begun, times);
    }
}

async fn answer(bus: Nats, partition: Partition, after: Position, gateway: GatewayId) {
    let mut reader = bus.open(partition, after).await.unwrap();
    while let Ok(input) = reader.input(256).await {
        for logged in &input.entries {
            if let EntryBody::Command(command) = &logged.entry.body {
                let message = answer_to(command.origin.session);
                bus.deliver(partition, logged.seq, &gateway, message).await;
            }
        }
    }
}

fn print(what: &str, clients: usize, cpu: Duration, begun: Instant, mut times: Vec<Duration>) {
    let (cpu, time) = (cpu_time() - cpu, begun.elapsed());
    times.sort_unstable();
    let count = times.len();
    let micros = |at: usize| times[at.min(count - 1)].as_micros();
    println!(
        "{what:14}  {clients:7}  {:10.0}  {:14.1}  {:6}  {:6}",
        count as f64 / time.as_secs_f64(),
        cpu.as_micros() as f64 / count as f64,
        micros(count / 2),
        micros(count / 100 * 99),
    );
}

fn partition(client: usize) -> Partition {
    Partition(u16::try_from(client).unwrap() % PARTITIONS)
}

fn answer_to(session: SessionId) -> ToGateway {
    ToGateway {
        user: UserId::parse("ann").unwrap(),
        body: DeliveryBody::Contacts {
            session,
            online: Vec::new(),
        },
    }
}

/// A message of 200 bytes.
fn command(client: usize) -> LogEntry {
    let user = UserId::parse("ann").unwrap();
    let chat = ChatKey::dialog(&user, &UserId::parse("bob").unwrap());
    let origin = Origin {
        gateway: GatewayId("gateway".into()),
        session: SessionId(client as u64),
        request: RequestId(1),
    };
    let op = Op::New {
        text: "x".repeat(200),
        attachments: Vec::new(),
        reply_to: None,
        client_message_id: Some("id".into()),
    };
    // Every append has an id of its own: one that was there before would not be stored.
    static MADE: AtomicU64 = AtomicU64::new(0);
    let id = format!("{client}.{}", MADE.fetch_add(1, Ordering::Relaxed));
    LogEntry {
        id: EntryId(id.into()),
        body: EntryBody::Command(Command {
            chat,
            user,
            origin,
            op,
        }),
    }
}

/// User and system time of this process so far.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<u64> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse().unwrap())
        .collect();
    // The kernel counts in hundredths of a second here, whatever its own clock.
    Duration::from_millis(10 * fields.iter().sum::<u64>())
}

#[expect(clippy::disallowed_methods, reason = "they end with the process")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}
