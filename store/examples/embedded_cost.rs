//! What the embedded store costs: the rows of so many messages written and saved, and rows read back.
//!
//! `cargo run --release -p confab-store --example embedded_cost -- <directory>`. The directory should be on the disk that the service
//! will use.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use confab_chat::row::MarkKind;
use confab_chat::{ActorKey, ChatKey, Timestamp, UserId};
use confab_store::{Embedded, EmbeddedOptions, Key, NoLog, Range, StatePart, Store, Take, Write};

const CHATS: u64 = 1000;
const MESSAGES: u64 = 300_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let directory = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "target/embedded-cost".to_owned());
    let _ = std::fs::remove_dir_all(&directory);
    let options = EmbeddedOptions::new(Arc::new(|| 1));
    let store = Embedded::open(Path::new(&directory), options.clone(), Arc::new(NoLog)).unwrap();
    for (name, with_state) in [("rows of a message", false), ("and two state rows", true)] {
        let (own, cpu, begun) = (thread_cpu(), cpu_time(), Instant::now());
        for message in 0..MESSAGES {
            store.write(rows(message)).await.unwrap();
            if with_state && message % 8 == 0 {
                let actor = ActorKey::Chat(chat(message % CHATS));
                store
                    .write_state(actor.clone(), vec![state(&actor, message)])
                    .await
                    .unwrap();
            }
        }
        let written = thread_cpu() - own;
        store.sync().await.unwrap();
        per(name, MESSAGES, written, cpu_time() - cpu, begun.elapsed());
    }
    read(&store, "in use").await;
    store.close();
    drop(store);
    let store = Embedded::open(Path::new(&directory), options, Arc::new(NoLog)).unwrap();
    read(&store, "reopened").await;
}

async fn read(store: &Embedded, round: &str) {
    let count = 100_000;
    let (own, cpu, begun) = (thread_cpu(), cpu_time(), Instant::now());
    for n in 0..count {
        let number = n * 7919 % MESSAGES;
        let key = Key::Message(chat(number % CHATS), 1 + number / CHATS);
        assert!(store.get(key).await.unwrap().is_some());
    }
    per(
        &format!("a message, {round}"),
        count,
        thread_cpu() - own,
        cpu_time() - cpu,
        begun.elapsed(),
    );
    let count = 20_000;
    let (own, cpu, begun) = (thread_cpu(), cpu_time(), Instant::now());
    for n in 0..count {
        let range = Range::Messages {
            chat: chat(n * 7919 % CHATS),
            from: 0,
            to: u64::MAX,
        };
        assert_eq!(store.scan(range, Take::Last(50)).await.unwrap().len(), 50);
    }
    per(
        &format!("the last 50, {round}"),
        count,
        thread_cpu() - own,
        cpu_time() - cpu,
        begun.elapsed(),
    );
    let (own, cpu, begun) = (thread_cpu(), cpu_time(), Instant::now());
    for n in 0..100_000 {
        let key = Key::ClientId(chat(n % CHATS), user(0), format!("none-{n}").into());
        assert!(store.get(key).await.unwrap().is_none());
    }
    per(
        &format!("a row that is not there, {round}"),
        100_000,
        thread_cpu() - own,
        cpu_time() - cpu,
        begun.elapsed(),
    );
}

fn per(what: &str, count: u64, own: Duration, all: Duration, time: Duration) {
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    println!(
        "{what:34} {:6.1} µs of the caller, {:6.1} µs of CPU in all, {:6.1} µs",
        micros(own),
        micros(all),
        micros(time)
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
            expires: Some(Timestamp(u64::MAX)),
            ..row(Key::Inbox(receiver, message), 320)
        },
    ]
}

fn state(actor: &ActorKey, message: u64) -> Write {
    let key = Key::State(actor.clone(), StatePart::Head);
    Write {
        key,
        timestamp: message,
        value: Bytes::from(vec![7; 2500]),
        expires: None,
    }
}

/// User and system time so far: of this process, and of this thread.
fn cpu_time() -> Duration {
    stat("/proc/self/stat")
}

fn thread_cpu() -> Duration {
    stat("/proc/thread-self/stat")
}

fn stat(path: &str) -> Duration {
    let stat = std::fs::read_to_string(path).unwrap();
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
