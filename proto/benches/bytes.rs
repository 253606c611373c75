//! What bytes cost: client frames read and written, rows, log entries and deliveries encoded and decoded.

#![allow(missing_docs, reason = "criterion's macros make functions without")]
#![allow(clippy::expect_used, reason = "a measurement")]

use std::hint::black_box;
use std::sync::Arc;

use confab_chat::row::MessageRow;
use confab_chat::{
    ChatKey, Command, EntryId, Event, GatewayId, Op, Origin, Reply, RequestId, SessionId, Timestamp, UserId,
};
use confab_proto::client::{self, encode};
use confab_proto::message::{DeliverItem, DeliveryBody, EntryBody, LogEntry, MailboxEvent, ToGateway};
use confab_proto::wire::Wire;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a user id")
}

/// The event of a message from `alice` to `bob`.
fn sent(text: String) -> MailboxEvent {
    let (alice, bob) = (user("alice"), user("bob"));
    MailboxEvent {
        id: 9,
        at: Timestamp(1_790_000_000_000),
        event: Arc::new(Event::New {
            chat: ChatKey::dialog(&alice, &bob),
            message_id: 7,
            sender: alice,
            client_message_id: Some("m17".into()),
            text,
            attachments: Vec::new(),
            reply_to: None,
            at: Timestamp(1_790_000_000_000),
        }),
        quoted: None,
    }
}

fn frames(criterion: &mut Criterion) {
    let (alice, bob) = (user("alice"), user("bob"));
    let text = "x".repeat(150);
    let request = format!(
        r#"{{"type":"request","id":"17","payloadType":"new","payload":{{"chatId":"bob","message":"{text}","clientMessageId":"m17"}}}}"#
    );
    let event = sent(text);
    let reply = Reply::Message {
        message_id: 7,
        at: Timestamp(1_790_000_000_000),
        client_message_id: Some("m17".into()),
    };
    let mut group = criterion.benchmark_group("frames");
    group.throughput(Throughput::Elements(1));
    group.bench_function("a request read", |bencher| {
        bencher.iter(|| client::decode(&alice, black_box(request.as_bytes())));
    });
    let mut out = Vec::with_capacity(1024);
    group.bench_function("a response written", |bencher| {
        bencher.iter(|| {
            out.clear();
            encode::response(&mut out, "17", Timestamp(1), "bob", black_box(&reply));
        });
    });
    group.bench_function("an event written", |bencher| {
        bencher.iter(|| {
            out.clear();
            encode::event(&mut out, &bob, black_box(&event))
        });
    });
    group.finish();
}

fn rows(criterion: &mut Criterion) {
    let row = MessageRow {
        message_id: 7,
        sender: user("alice"),
        client_message_id: Some("m17".into()),
        text: "x".repeat(150),
        attachments: Vec::new(),
        reply_to: None,
        created_at: Timestamp(1_790_000_000_000),
        version: 7,
        updated_at: None,
        deleted: None,
    };
    let bytes = row.encode();
    let mut group = criterion.benchmark_group("rows");
    group.bench_function("a message encoded", |bencher| {
        bencher.iter(|| black_box(&row).encode());
    });
    group.bench_function("a message decoded", |bencher| {
        bencher.iter(|| MessageRow::decode(black_box(&bytes)));
    });
    group.finish();
}

/// The message that goes into the log for its chat, from there for its receivers, and on to a gateway.
fn messages(criterion: &mut Criterion) {
    let (alice, bob) = (user("alice"), user("bob"));
    let event = sent("x".repeat(150));
    let command = EntryBody::Command(Command {
        chat: ChatKey::dialog(&alice, &bob),
        user: alice.clone(),
        origin: Origin {
            gateway: GatewayId("gateway-1-5f3a".into()),
            session: SessionId(71),
            request: RequestId(17),
        },
        op: Op::New {
            text: "x".repeat(150),
            attachments: Vec::new(),
            reply_to: None,
            client_message_id: Some("m17".into()),
        },
    });
    let deliver = EntryBody::Deliver(vec![DeliverItem {
        chat: ChatKey::dialog(&alice, &bob),
        version: 7,
        to: [alice, bob.clone()].into(),
        events: [Arc::clone(&event.event)].into(),
        greet: Vec::new(),
    }]);
    let entry = |body| LogEntry {
        id: EntryId("worker-2-9c41-100017".into()),
        body,
    };
    let (command, deliver) = (entry(command), entry(deliver));
    let live = ToGateway {
        user: bob,
        body: DeliveryBody::Live(vec![event]),
    };
    let mut group = criterion.benchmark_group("messages");
    group.bench_function("a command encoded", |bencher| {
        bencher.iter(|| black_box(&command).encode());
    });
    group.bench_function("a delivery encoded", |bencher| {
        bencher.iter(|| black_box(&deliver).encode());
    });
    group.bench_function("a live event encoded", |bencher| {
        bencher.iter(|| black_box(&live).encode());
    });
    let mut out = Vec::with_capacity(1024);
    group.bench_function("a command appended", |bencher| {
        bencher.iter(|| {
            out.clear();
            black_box(&command).encode_to(&mut out);
        });
    });
    group.finish();
}

criterion_group!(benches, frames, rows, messages);
criterion_main!(benches);
