//! What bytes cost: client frames read and written, rows and log entries encoded and decoded.

#![allow(missing_docs, reason = "criterion's macros make functions without")]
#![allow(clippy::expect_used, reason = "a measurement")]

use std::hint::black_box;
use std::sync::Arc;

use confab_chat::row::MessageRow;
use confab_chat::{ChatKey, Event, Reply, Timestamp, UserId};
use confab_proto::client::{self, encode};
use confab_proto::message::MailboxEvent;
use confab_proto::wire::Wire;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a user id")
}

fn frames(criterion: &mut Criterion) {
    let (alice, bob) = (user("alice"), user("bob"));
    let text = "x".repeat(150);
    let request = format!(
        r#"{{"type":"request","id":"17","payloadType":"new","payload":{{"chatId":"bob","message":"{text}","clientMessageId":"m17"}}}}"#
    );
    let event = MailboxEvent {
        id: 9,
        at: Timestamp(1_790_000_000_000),
        event: Arc::new(Event::New {
            chat: ChatKey::dialog(&alice, &bob),
            message_id: 7,
            sender: alice.clone(),
            client_message_id: Some("m17".into()),
            text,
            attachments: Vec::new(),
            reply_to: None,
            at: Timestamp(1_790_000_000_000),
        }),
        quoted: None,
    };
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

criterion_group!(benches, frames, rows);
criterion_main!(benches);
