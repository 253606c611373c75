//! What the CQL form costs: rows of messages written and read back, our CPU and the time they take.
//!
//! `cargo run --release -p confab-store --example scylla_cost -- 127.0.0.1:9042`. It makes a keyspace of its own, and
//! drops it.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use confab_chat::row::MarkKind;
use confab_chat::{ActorKey, ChatKey, Timestamp, UserId};
use confab_store::scylla::{Scylla, ScyllaOptions, schema};
use confab_store::{Key, Range, StatePart, Store, Take, Write};
use futures_util::StreamExt;
use futures_util::stream;
use scylla::client::session_builder::SessionBuilder;

const CHATS: u64 = 1000;
const KEYSPACE: &str = "confab_cost";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let node = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:9042".to_owned());
    let options = ScyllaOptions {
        keyspace: KEYSPACE.to_owned(),
        ..ScyllaOptions::new(vec![node.clone()], Arc::new(|| 1))
    };
    schema::apply(&options, &"simple:1".parse().unwrap())
        .await
        .unwrap();
    let store = Scylla::connect(options).await.unwrap();
    for (calls, messages, batch) in [(1, 300, 1), (1, 20_000, 20), (4, 40_000, 20), (16, 40_000, 5)] {
        write(&store, calls, messages, batch).await;
    }
    states(&store).await;
    read(&store).await;
    marks(&store).await;
    drop(store);
    let session = SessionBuilder::new().known_node(node).build().await.unwrap();
    session
        .query_unpaged(format!("DROP KEYSPACE {KEYSPACE}"), ())
        .await
        .unwrap();
}

/// Six rows a message, so many messages a call, so many calls at once.
async fn write(store: &Scylla, calls: usize, messages: u64, batch: u64) {
    let works = (0..messages / batch).map(|nth| {
        let rows: Vec<_> = (0..batch).flat_map(|n| rows(nth * batch + n)).collect();
        async move { store.write(rows).await.unwrap() }
    });
    let what = format!("a row written ({batch} messages a call, {calls} at once)");
    measure(&what, calls, 6 * messages, works).await;
}

async fn states(store: &Scylla) {
    let works = (0..2000).map(|n| {
        let actor = ActorKey::Chat(chat(n % CHATS));
        let part = |nth: u64| Write {
            key: Key::State(
                actor.clone(),
                match nth {
                    0 => StatePart::Head,
                    nth => StatePart::Member(user(nth)),
                },
            ),
            timestamp: n,
            value: Bytes::from(vec![7; 300]),
            expires: None,
        };
        let parts: Vec<_> = (0..3).map(part).collect();
        let actor = actor.clone();
        async move { store.write_state(actor, parts).await.unwrap() }
    });
    measure("a state of three parts written (8 at once)", 8, 2000, works).await;
}

async fn read(store: &Scylla) {
    let count = 20_000;
    let key = |n: u64| Key::Message(chat(n * 7919 % CHATS), 1 + n % 20);
    for (calls, count) in [(1, 1000), (32, count)] {
        let works = (0..count).map(|n| async move { assert!(store.get(key(n)).await.unwrap().is_some()) });
        measure(&format!("a message read ({calls} at once)"), calls, count, works).await;
    }
    let works = (0..count).map(|n| {
        let key = Key::ClientId(chat(n % CHATS), user(0), format!("none-{n}").into());
        async move { assert!(store.get(key).await.unwrap().is_none()) }
    });
    measure("a row that is not there (32 at once)", 32, count, works).await;
    let works = (0..2000).map(|n| async move {
        let range = Range::Messages {
            chat: chat(n % CHATS),
            from: 0,
            to: 40,
        };
        assert!(store.scan(range, Take::Last(20)).await.unwrap().len() == 20);
    });
    measure("the last 20 messages (8 at once)", 8, 2000, works).await;
    let works = (0..2000).map(|n| async move {
        let range = Range::State(ActorKey::Chat(chat(n % CHATS)));
        assert!(store.scan(range, Take::All).await.unwrap().len() == 3);
    });
    measure("a state of three parts (8 at once)", 8, 2000, works).await;
}

/// The marks on a page of a busy dialog: of everybody, and of each side and kind.
async fn marks(store: &Scylla) {
    let busy = chat(CHATS);
    let sides = [user(CHATS), user(CHATS + 1)];
    let kinds = [MarkKind::Delivered, MarkKind::Read];
    let all = (1..2048).flat_map(|id| {
        sides
            .iter()
            .flat_map(move |side| kinds.map(|kind| (side.clone(), kind, id)))
    });
    let rows = all.map(|(side, kind, id)| Write {
        key: Key::Mark(busy.clone(), side, kind, id),
        timestamp: 1,
        value: Bytes::from_static(b"12345678"),
        expires: None,
    });
    store.write(rows.collect::<Vec<_>>()).await.unwrap();
    let (from, to) = (1000, 1049);
    let works = (0..200).map(|_| async {
        let chat = busy.clone();
        let range = Range::AllMarks { chat, from, to };
        assert_eq!(store.scan(range, Take::All).await.unwrap().len(), 200);
    });
    measure(
        "everybody's marks on 50 of 2048 messages (2 at once)",
        2,
        200,
        works,
    )
    .await;
    let works = (0..200).map(|_| async {
        for (side, kind) in sides
            .iter()
            .flat_map(|side| kinds.map(|kind| (side.clone(), kind)))
        {
            let range = Range::Marks {
                chat: busy.clone(),
                user: side,
                kind,
                from,
                to,
            };
            assert_eq!(store.scan(range, Take::All).await.unwrap().len(), 50);
        }
    });
    measure("the same, by side and kind (2 at once)", 2, 200, works).await;
}

/// Does all the works, so many at once.
async fn measure<W: Future<Output = ()>>(
    what: &str,
    at_once: usize,
    count: u64,
    works: impl Iterator<Item = W>,
) {
    let (cpu, begun) = (cpu_time(), Instant::now());
    let timed = works.map(|work| async {
        let begun = Instant::now();
        work.await;
        begun.elapsed()
    });
    let mut took: Vec<Duration> = stream::iter(timed).buffer_unordered(at_once).collect().await;
    let (cpu, time) = (cpu_time() - cpu, begun.elapsed());
    took.sort();
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    let millis = |part: usize| took[(took.len() - 1) * part / 100].as_secs_f64() * 1e3;
    println!(
        "{what:58} {:6.1} µs of our CPU, {:7.1} µs; a call {:6.2} ms, 99% in {:6.2}",
        micros(cpu),
        micros(time),
        millis(50),
        millis(99),
    );
}

fn user(n: u64) -> UserId {
    UserId::parse(&format!("user-{n}")).unwrap()
}

fn chat(n: u64) -> ChatKey {
    ChatKey::dialog(&user(n), &user(n + 1))
}

fn rows(message: u64) -> Vec<Write> {
    let (n, id) = (message % CHATS, 1 + message / CHATS);
    let (chat, sender, receiver) = (chat(n), user(n), user(n + 1));
    let row = |key, size: usize| Write {
        key,
        timestamp: id,
        value: Bytes::from(vec![7; size]),
        expires: None,
    };
    vec![
        row(Key::Message(chat.clone(), id), 280),
        row(
            Key::ClientId(chat.clone(), sender.clone(), format!("client-{id}").into()),
            30,
        ),
        row(Key::Mark(chat.clone(), sender.clone(), MarkKind::Read, id), 8),
        row(Key::Head(chat.clone()), 300),
        row(Key::Membership(sender, chat), 40),
        Write {
            expires: Some(Timestamp(7 * 86_400_000)),
            ..row(Key::Inbox(receiver, message), 320)
        },
    ]
}

/// User and system time of this process so far.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let times = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .skip(11)
        .take(2);
    // The kernel counts in hundredths of a second here, whatever its own clock.
    Duration::from_millis(10 * times.map(|field| field.parse::<u64>().unwrap()).sum::<u64>())
}
