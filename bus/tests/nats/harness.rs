//! An installation of its own on the server that tests may use; its streams are deleted when it is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::jetstream;
use confab_bus::nats::{Nats, NatsOptions};
use futures_util::TryStreamExt;

/// How long something that must happen may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The server, or `None` where no server is to be used.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests are told by the environment where the server is"
)]
pub fn server() -> Option<String> {
    if std::env::var("CONFAB_EMBEDDED_ONLY").is_ok_and(|only| only == "1") {
        println!("not run: CONFAB_EMBEDDED_ONLY=1");
        return None;
    }
    let server = std::env::var("CONFAB_TEST_NATS");
    Some(server.expect(
        "CONFAB_TEST_NATS is not set: run `cargo xtask test`, or `export $(cargo xtask services up --print-env)`",
    ))
}

/// What one test has on the server.
pub struct Installation {
    pub server: String,
    pub prefix: String,
}

impl Installation {
    /// One with a prefix that nobody else has. `None` where no server is to be used.
    pub fn new() -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let server = server()?;
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("t{}-{}-{number}", now() % 100_000_000, std::process::id());
        Some(Self { server, prefix })
    }

    /// Small: 4 partitions of 4 MiB, each kept once.
    pub fn options(&self) -> NatsOptions {
        NatsOptions {
            prefix: self.prefix.clone(),
            partitions: 4,
            replicas: 1,
            max_bytes: 4 << 20,
            name: "test".to_owned(),
            ..NatsOptions::new(vec![self.server.clone()], Arc::new(now))
        }
    }

    pub async fn connect(&self) -> Nats {
        Nats::connect(self.options()).await.unwrap()
    }

    /// The server by another way than ours.
    pub async fn jetstream(&self) -> jetstream::Context {
        jetstream::new(async_nats::connect(&self.server).await.unwrap())
    }

    pub fn stream(&self, partition: u16) -> String {
        format!("{}-log-{partition}", self.prefix)
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
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}
