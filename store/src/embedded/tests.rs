mod cuts;
mod saving;
mod tables;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use confab_chat::{ActorKey, Timestamp};

use super::{Embedded, EmbeddedOptions};
use crate::conformance::{self, Subject, dialog, record, row, scan};
use crate::faulty::{Faulty, StoreFaults};
use crate::{Horizon, Key, NoLog, Range, StatePart, Store, Take};

/// Longer than any test takes.
const NEVER: Duration = Duration::from_secs(3600);

fn options() -> EmbeddedOptions {
    EmbeddedOptions::new(Arc::new(|| 1000))
}

fn open(dir: &Path, options: EmbeddedOptions) -> Embedded {
    Embedded::open(dir, options, Arc::new(NoLog)).unwrap()
}

/// A log that a test moves by hand.
#[derive(Debug, Default)]
struct Manual {
    appended: AtomicU64,
    committed: AtomicU64,
}

impl Horizon for Manual {
    fn appended(&self) -> u64 {
        self.appended.load(Ordering::SeqCst)
    }

    fn committed(&self) -> u64 {
        self.committed.load(Ordering::SeqCst)
    }
}

/// A store in a directory of its own, whose clock moves by hand.
fn subject(options: impl FnOnce(EmbeddedOptions) -> EmbeddedOptions) -> Subject<Embedded> {
    let clock = Arc::new(AtomicU64::new(1_000_000));
    let (read, moved) = (Arc::clone(&clock), Arc::clone(&clock));
    let dir = tempfile::tempdir().unwrap();
    let made = EmbeddedOptions::new(Arc::new(move || read.load(Ordering::SeqCst)));
    let store = open(dir.path(), options(made));
    Subject {
        store,
        now: Box::new(move || Timestamp(clock.load(Ordering::SeqCst))),
        pass: Box::new(move |time| {
            moved.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
            // The directory lives as long as this does.
            let _ = &dir;
            Box::pin(async {})
        }),
    }
}

#[tokio::test]
async fn passes_the_suite_with_everything_in_memory() {
    conformance::all(async || {
        subject(|options| EmbeddedOptions {
            save_every: NEVER,
            ..options
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite_while_everything_is_being_saved_and_merged() {
    conformance::all(async || {
        subject(|options| EmbeddedOptions {
            save_every: Duration::from_millis(1),
            save_bytes: 1,
            ..options
        })
    })
    .await;
}

#[tokio::test]
async fn passes_the_suite_through_a_wrapper_without_faults() {
    conformance::all(async || {
        let Subject { store, now, pass } = subject(|options| options);
        Subject {
            store: Faulty::new(store, 1, StoreFaults::default()),
            now,
            pass,
        }
    })
    .await;
}

#[tokio::test]
async fn faults_are_really_injected_and_a_retried_write_stands() {
    let faults = StoreFaults {
        write_lost: 150,
        write_stored: 150,
        write_late: 150,
        read_failed: 100,
    };
    for seed in 0..5 {
        let subject = subject(|options| EmbeddedOptions {
            save_every: Duration::from_millis(1),
            ..options
        });
        let store = Faulty::new(subject.store, seed, faults);
        let actor = ActorKey::Chat(dialog("ann", "bob"));
        for version in 1..=100 {
            let write = row(
                Key::Message(dialog("ann", "bob"), version % 7),
                version,
                version.to_string(),
            );
            while store.write(vec![write.clone()]).await.is_err() {}
            let part = row(
                Key::State(actor.clone(), StatePart::Head),
                version,
                version.to_string(),
            );
            while store
                .write_state(actor.clone(), vec![part.clone()])
                .await
                .is_err()
            {}
            let found = loop {
                if let Ok(found) = store.get(part.key.clone()).await {
                    break found;
                }
            };
            assert_eq!(found, Some(record(&part)));
        }
        store.settle().await.unwrap();
        let counts = store.counts();
        for count in [
            counts.write_lost,
            counts.write_stored,
            counts.write_late,
            counts.read_failed,
        ] {
            assert!(count > 0, "{counts:?}");
        }
        store.set_faults(StoreFaults::default());
        let all = Range::Messages {
            chat: dialog("ann", "bob"),
            from: 0,
            to: 9,
        };
        let times: Vec<_> = scan(&store, &all, Take::All)
            .await
            .iter()
            .map(|row| row.timestamp)
            .collect();
        assert_eq!(
            times,
            [98, 99, 100, 94, 95, 96, 97],
            "a late write beat a newer one"
        );
    }
}
