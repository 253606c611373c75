//! An installation of its own on the server that tests may use; its streams are deleted when it is dropped.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::jetstream;
use confab_bus::nats::{Nats, NatsOptions};
use confab_bus::{Bus, PartitionReader, Position, ReadError};
use confab_chat::{
    ChatKey, Command, DeviceId, EntryId, GatewayId, Op, Origin, Partition, RequestId, SessionId, UserId,
};
use confab_proto::message::{DeliverItem, DeliveryBody, EntryBody, LogEntry, Logged, Signal, ToGateway};
use futures_util::TryStreamExt;

/// The partition that most tests use.
pub(crate) const P: Partition = Partition(0);
/// How long something that must happen may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The server, or `None` where no server is to be used.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests are told by the environment where the server is"
)]
pub(crate) fn server() -> Option<String> {
    if std::env::var("CONFAB_TEST_EMBEDDED_ONLY").is_ok_and(|only| only == "1") {
        println!("not run: CONFAB_TEST_EMBEDDED_ONLY=1");
        return None;
    }
    let server = std::env::var("CONFAB_TEST_NATS");
    Some(server.expect(
        "CONFAB_TEST_NATS is not set: run `cargo xtask test`, or `export $(cargo xtask services up --print-env)`",
    ))
}

/// What one test has on the server.
pub(crate) struct Installation {
    pub(crate) server: String,
    pub(crate) prefix: String,
}

impl Installation {
    /// One with a prefix that nobody else has. `None` where no server is to be used.
    pub(crate) fn new() -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let server = server()?;
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("t{}-{}-{number}", now() % 100_000_000, std::process::id());
        Some(Self { server, prefix })
    }

    /// Small: 4 partitions of 4 MiB, each kept once.
    pub(crate) fn options(&self) -> NatsOptions {
        NatsOptions {
            prefix: self.prefix.clone(),
            partitions: 4,
            replicas: 1,
            max_bytes: 4 << 20,
            name: "test".to_owned(),
            ..NatsOptions::new(vec![self.server.clone()], Arc::new(now))
        }
    }

    pub(crate) async fn connect(&self) -> Nats {
        Nats::connect(self.options()).await.unwrap()
    }

    /// The server by another way than ours.
    pub(crate) async fn jetstream(&self) -> jetstream::Context {
        jetstream::new(async_nats::connect(&self.server).await.unwrap())
    }

    /// A partition's stream by another way than ours.
    pub(crate) async fn stream(&self, partition: Partition) -> jetstream::stream::Stream {
        let name = format!("{}-log-{}", self.prefix, partition.0);
        self.jetstream().await.get_stream(name).await.unwrap()
    }

    /// Loses a partition's stream.
    pub(crate) async fn delete_stream(&self, partition: Partition) {
        let name = format!("{}-log-{}", self.prefix, partition.0);
        self.jetstream().await.delete_stream(name).await.unwrap();
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        let (server, prefix) = (self.server.clone(), format!("{}-log-", self.prefix));
        let delete = async move {
            let jetstream = jetstream::new(async_nats::connect(server).await.unwrap());
            let names: Vec<String> = jetstream.stream_names().try_collect().await.unwrap();
            for name in names.iter().filter(|name| name.starts_with(&prefix)) {
                jetstream.delete_stream(name).await.unwrap();
            }
        };
        let thread = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(delete);
        });
        assert!(
            thread.join().is_ok() || std::thread::panicking(),
            "the streams of a test could not be deleted"
        );
    }
}

/// Milliseconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "a test's own clock")]
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// Waits for what must happen.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    let output = tokio::time::timeout(PATIENCE, future).await;
    assert!(output.is_ok(), "{what}: waited {PATIENCE:?} in vain");
    output.unwrap()
}

/// A command that says nothing but its id, and as many bytes as it is told to have.
pub(crate) fn command(id: &str, bytes: usize) -> LogEntry {
    let user = UserId::parse("ann").unwrap();
    let origin = Origin {
        gateway: GatewayId("gateway".into()),
        session: SessionId(1),
        request: RequestId(1),
    };
    let op = Op::New {
        text: "x".repeat(bytes),
        attachments: Vec::new(),
        reply_to: None,
        client_message_id: None,
    };
    let chat = ChatKey::dialog(&user, &user);
    let body = EntryBody::Command(Command {
        chat,
        user,
        origin,
        op,
    });
    LogEntry {
        id: EntryId(id.into()),
        body,
    }
}

/// About so many bytes, for many users.
pub(crate) fn large(number: u64, bytes: usize) -> LogEntry {
    let user = |n: usize| UserId::parse(&format!("{n:0>97}")).unwrap();
    let item = |n: usize| DeliverItem {
        chat: ChatKey::dialog(&user(1), &user(2)),
        version: n as u64,
        to: (0..100).map(user).collect(),
        events: confab_chat::Events::new(),
        greet: Vec::new(),
    };
    LogEntry {
        id: EntryId(number.to_string().into()),
        body: EntryBody::Deliver((0..bytes / 10_000).map(item).collect()),
    }
}

/// What follows from a command.
pub(crate) fn delivery(id: &str) -> LogEntry {
    LogEntry {
        id: EntryId(id.into()),
        body: EntryBody::Deliver(Vec::new()),
    }
}

pub(crate) async fn append(bus: &Nats, id: &str) -> Position {
    bus.append(P, command(id, 1)).await.unwrap()
}

/// Appends entries named by their numbers, many at once.
pub(crate) async fn append_all(bus: &Nats, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        assert_eq!(append(bus, &number.to_string()).await.seq, number);
    }
}

/// Reads so many entries.
pub(crate) async fn read(reader: &mut impl PartitionReader, count: usize) -> Vec<Logged> {
    let mut entries = Vec::new();
    while entries.len() < count {
        let next = soon("an entry", reader.next(count - entries.len()))
            .await
            .unwrap();
        entries.extend(next);
    }
    entries
}

/// Reads until that fails.
pub(crate) async fn read_to_end(reader: &mut impl PartitionReader) -> (Vec<Logged>, ReadError) {
    let mut entries = Vec::new();
    loop {
        match soon("an entry, or an end", reader.next(50)).await {
            Ok(next) => entries.extend(next),
            Err(error) => return (entries, error),
        }
    }
}

pub(crate) fn ids(entries: &[Logged]) -> Vec<String> {
    let id = |logged: &Logged| logged.entry.id.0.to_string();
    entries.iter().map(id).collect()
}

pub(crate) fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// A signal that says nothing but a number.
pub(crate) fn signal(number: u64) -> Signal {
    Signal::Ack {
        user: UserId::parse("ann").unwrap(),
        device: DeviceId::parse("phone").unwrap(),
        up_to: number,
    }
}

/// A delivery to a user that names another.
pub(crate) fn online(user: &str, who: &str) -> ToGateway {
    ToGateway {
        user: UserId::parse(user).unwrap(),
        body: DeliveryBody::Online(vec![UserId::parse(who).unwrap()]),
    }
}
