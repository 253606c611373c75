//! Making room in a log that is nearly full: what is young cannot be waited for through the public door.

use std::sync::Arc;
use std::time::Duration;

use confab_chat::{ChatKey, Partition, UserId};
use confab_proto::message::{DeliverItem, EntryBody, LogEntry};

use super::core::Core;
use super::fill::try_trim;
use super::{Nats, NatsOptions};
use crate::conformance::entry;
use crate::{Bus, Position};

const HOUR: Duration = Duration::from_secs(3600);

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment where the server is"
)]
fn server() -> Option<String> {
    if std::env::var("CONFAB_TEST_EMBEDDED_ONLY").is_ok_and(|only| only == "1") {
        println!("not run: CONFAB_TEST_EMBEDDED_ONLY=1");
        return None;
    }
    let server = std::env::var("CONFAB_TEST_NATS");
    Some(server.expect(
        "CONFAB_TEST_NATS is not set: run `cargo xtask test`, or `export $(cargo xtask services up --print-env)`",
    ))
}

/// About 50 KB.
fn large(number: usize) -> LogEntry {
    let user = |n: usize| UserId::parse(&format!("{n:0>125}")).unwrap();
    LogEntry {
        id: entry(&number.to_string()).id,
        body: EntryBody::Deliver(vec![DeliverItem {
            chat: ChatKey::dialog(&user(1), &user(2)),
            version: 1,
            to: (0..400).map(user).collect(),
            events: confab_chat::Events::new(),
            greet: Vec::new(),
        }]),
    }
}

async fn first_seq(core: &Core, partition: Partition) -> u64 {
    core.look(partition).await.unwrap().0.state.first_seq
}

#[tokio::test]
async fn only_what_is_old_and_below_the_checkpoint_is_trimmed_and_only_when_room_is_short() {
    let Some(server) = server() else { return };
    let options = NatsOptions {
        prefix: format!("trim-{}", std::process::id()),
        partitions: 3,
        replicas: 1,
        max_bytes: 1 << 20,
        ..NatsOptions::new(vec![server], Arc::new(|| 0))
    };
    let bus = Nats::connect(options).await.unwrap();
    let core = &bus.0.core;
    let [one, two, roomy] = [0, 1, 2].map(Partition);
    for number in 0..19 {
        bus.append(one, large(number)).await.unwrap();
        bus.append(two, large(number)).await.unwrap();
    }
    for number in 0..10 {
        bus.append(roomy, large(number)).await.unwrap();
    }
    let at = |seq| Position { epoch: 1, seq };
    // So much as lies between the fifth entry and the last: the fifth is just old enough.
    let age = async |partition| {
        let stream = core.subjects.stream(partition);
        let fifth = core.api.time_of(&stream, 5).await.unwrap();
        let last = core.look(partition).await.unwrap().0.state.last_ts;
        Duration::try_from(last - fifth).unwrap()
    };
    assert_eq!(try_trim(core, one, at(19), HOUR).await, Ok(0), "all are young");
    let other = Position { epoch: 2, seq: 19 };
    assert_eq!(
        try_trim(core, one, other, Duration::ZERO).await,
        Ok(0),
        "it is another log"
    );
    assert_eq!(
        try_trim(core, one, at(3), age(one).await).await,
        Ok(3),
        "as far as the checkpoint"
    );
    assert_eq!(first_seq(core, one).await, 4);
    assert_eq!(
        try_trim(core, two, at(19), age(two).await).await,
        Ok(5),
        "as far as they are old"
    );
    assert_eq!(first_seq(core, two).await, 6);
    assert_eq!(
        try_trim(core, roomy, at(10), Duration::ZERO).await,
        Ok(0),
        "there is room"
    );
    for partition in [one, two, roomy] {
        core.api.delete(&core.subjects.stream(partition)).await.unwrap();
    }
}
