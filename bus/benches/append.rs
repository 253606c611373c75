//! What the log takes for a message: one alone until it is durable, and a hundred that share a commit.

#![allow(missing_docs, reason = "criterion's macros make functions without")]
#![allow(clippy::expect_used, reason = "a measurement")]

use std::sync::Arc;

use confab_bus::{Bus, Local, LocalOptions, PartitionReader, Position};
use confab_chat::{
    ChatKey, Command, EntryId, GatewayId, Op, Origin, Partition, RequestId, SessionId, UserId,
};
use confab_proto::message::{DeliveryBody, EntryBody, LogEntry, ToGateway};
use criterion::{Criterion, criterion_group, criterion_main};

fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a user id")
}

/// A message of 200 bytes.
fn entry() -> LogEntry {
    LogEntry {
        id: EntryId("entry".into()),
        body: EntryBody::Command(Command {
            chat: ChatKey::dialog(&user("alice"), &user("bob")),
            user: user("alice"),
            origin: Origin {
                gateway: GatewayId("gateway".into()),
                session: SessionId(1),
                request: RequestId(1),
            },
            op: Op::New {
                text: "x".repeat(200),
                attachments: Vec::new(),
                reply_to: None,
                client_message_id: Some("id".into()),
            },
        }),
    }
}

fn append(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let bus = Local::open(directory.path(), LocalOptions::new(Arc::new(|| 1))).expect("a log");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (partition, gateway) = (Partition(0), GatewayId("gateway".into()));
    let mut end = runtime.block_on(bus.join_as_gateway(&gateway));
    let mut reader = runtime
        .block_on(bus.open(partition, Position::default()))
        .expect("a reader");
    for count in [1, 100] {
        criterion.bench_function(&format!("{count} appended, durable, and answered"), |bencher| {
            bencher.iter(|| {
                runtime.block_on(async {
                    for _ in 0..count {
                        bus.append(partition, entry()).await.expect("appended");
                    }
                    let input = reader.input(count).await.expect("entries");
                    let last = input.entries.last().expect("an entry").seq;
                    // What is delivered waits for the commit of what it comes from.
                    let body = DeliveryBody::Contacts {
                        session: SessionId(1),
                        online: Vec::new(),
                    };
                    let user = user("alice");
                    bus.deliver(partition, last, &gateway, ToGateway { user, body })
                        .await;
                    end.deliveries.recv().await.expect("a delivery");
                    bus.trim(partition, Position { epoch: 1, seq: last }).await;
                });
            });
        });
    }
}

criterion_group!(benches, append);
criterion_main!(benches);
