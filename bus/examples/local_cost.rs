//! What the in-process bus costs: each client appends a command, the partition's reader delivers an answer, the gateway wakes the client.
//!
//! `cargo run --release -p confab-bus --example local_cost -- <directory>`: prints messages a second, CPU a message and the time
//! from append to answer, for one client and for many. The directory should be on the disk that the service will use.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use confab_bus::{Bus, Local, LocalOptions, PartitionReader, Position};
use confab_chat::{
    ChatKey, Command, EntryId, GatewayId, Op, Origin, Partition, RequestId, SessionId, UserId,
};
use confab_proto::message::{DeliveryBody, EntryBody, LogEntry, ToGateway};
use tokio::sync::Notify;

const RUN: Duration = Duration::from_secs(4);
const PARTITIONS: u16 = 8;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let directory = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "target/local-cost".to_owned());
    println!("clients  messages/s  CPU µs/message  p50 µs  p99 µs");
    for clients in [1, 16, 64, 512] {
        measure(Path::new(&directory), clients).await;
    }
}

async fn measure(directory: &Path, clients: usize) {
    let _ = std::fs::remove_dir_all(directory);
    let clock = Arc::new(|| std::process::id().into());
    let bus = Local::open(directory, LocalOptions::new(clock)).unwrap();
    let gateway = GatewayId("gateway".into());
    let mut end = bus.join_as_gateway(&gateway).await;
    let answered: Arc<Vec<Notify>> = Arc::new((0..clients).map(|_| Notify::new()).collect());
    for partition in (0..PARTITIONS).map(Partition) {
        spawn(answer(bus.clone(), partition, gateway.clone()));
    }
    let ring = Arc::clone(&answered);
    spawn(async move {
        while let Some(message) = end.deliveries.recv().await {
            if let DeliveryBody::Contacts { session, .. } = message.body {
                ring[usize::try_from(session.0).unwrap()].notify_one();
            }
        }
    });
    let (cpu, begun) = (cpu_time(), Instant::now());
    let mut running = Vec::new();
    for client in 0..clients {
        let (bus, answered) = (bus.clone(), Arc::clone(&answered));
        let (ended, end) = tokio::sync::oneshot::channel();
        spawn(async move {
            let mut times = Vec::new();
            while begun.elapsed() < RUN {
                let sent = Instant::now();
                let partition = Partition(u16::try_from(client).unwrap() % PARTITIONS);
                bus.append(partition, command(client)).await.unwrap();
                answered[client].notified().await;
                times.push(sent.elapsed());
            }
            ended.send(times).unwrap();
        });
        running.push(end);
    }
    let mut times = Vec::new();
    for end in running {
        times.extend(end.await.unwrap());
    }
    let (cpu, time) = (cpu_time() - cpu, begun.elapsed());
    times.sort_unstable();
    let count = times.len();
    let micros = |at: usize| times[at.min(count - 1)].as_micros();
    println!(
        "{clients:7}  {:10.0}  {:14.1}  {:6}  {:6}",
        count as f64 / time.as_secs_f64(),
        cpu.as_micros() as f64 / count as f64,
        micros(count / 2),
        micros(count / 100 * 99),
    );
}

async fn answer(bus: Local, partition: Partition, gateway: GatewayId) {
    let mut reader = bus.open(partition, Position::default()).await.unwrap();
    while let Ok(input) = reader.input(256).await {
        let Some(last) = input.entries.last().map(|logged| logged.seq) else {
            continue;
        };
        for logged in &input.entries {
            let EntryBody::Command(command) = &logged.entry.body else {
                continue;
            };
            let body = DeliveryBody::Contacts {
                session: command.origin.session,
                online: Vec::new(),
            };
            let message = ToGateway {
                user: command.user.clone(),
                body,
            };
            bus.deliver(partition, logged.seq, &gateway, message).await;
        }
        bus.trim(partition, Position { epoch: 1, seq: last }).await;
    }
}

/// A message of 200 bytes.
fn command(client: usize) -> LogEntry {
    let user = UserId::parse("ann").unwrap();
    let chat = ChatKey::dialog(&user, &UserId::parse("bob").unwrap());
    let session = SessionId(client as u64);
    let origin = Origin {
        gateway: GatewayId("gateway".into()),
        session,
        request: RequestId(1),
    };
    let op = Op::New {
        text: "x".repeat(200),
        attachments: Vec::new(),
        reply_to: None,
        client_message_id: Some("id".into()),
    };
    LogEntry {
        id: EntryId("entry".into()),
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
