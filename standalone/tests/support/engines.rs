//! An installation on real engines: a prefix on NATS and a keyspace of the database, both of a name that nobody else
//! uses, made before the first process starts and taken away after the last has ended.

use std::process::{Command, Stdio};

/// Partitions of the log in tests: enough that every worker has some.
pub(crate) const PARTITIONS: u16 = 8;

/// Addresses and names.
#[derive(Debug)]
pub(crate) struct Engines {
    nats: String,
    cql: String,
    name: String,
}

impl Engines {
    /// Only names: whoever uses them makes the keyspace.
    pub(crate) fn named() -> Self {
        Self {
            nats: address("CONFAB_TEST_NATS"),
            cql: address("CONFAB_TEST_CQL"),
            name: format!("t{:016x}", rand::random::<u64>()),
        }
    }

    /// Makes the keyspace. The streams are made by the first process.
    pub(crate) fn create() -> Self {
        let engines = Self::named();
        let (out, code) = engines.confab(&["schema", "apply"]);
        assert_eq!(code, Some(0), "the schema: {out}");
        engines
    }

    /// Another keyspace for the same log.
    pub(crate) fn beside(other: &Self) -> Self {
        let engines = Self {
            nats: other.nats.clone(),
            cql: other.cql.clone(),
            name: format!("{}b", other.name),
        };
        let (out, code) = engines.confab(&["schema", "apply"]);
        assert_eq!(code, Some(0), "the schema: {out}");
        engines
    }

    /// The flags by which a process finds both.
    pub(crate) fn flags(&self) -> Vec<String> {
        let partitions = PARTITIONS.to_string();
        let flags = [
            ("--nats", self.nats.as_str()),
            ("--nats-prefix", &self.name),
            ("--log-partitions", &partitions),
            ("--log-replicas", "1"),
            ("--log-partition-size", "32MiB"),
            ("--cql", &self.cql),
            ("--cql-keyspace", &self.name),
        ];
        flags
            .iter()
            .flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()])
            .collect()
    }

    /// Runs a command of the service on them to its end: what it printed, and its exit code.
    pub(crate) fn confab(&self, args: &[&str]) -> (String, Option<i32>) {
        let out = Command::new(env!("CARGO_BIN_EXE_confab"))
            .args(args)
            .args(self.flags())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = [out.stdout, out.stderr].concat();
        (String::from_utf8_lossy(&text).into_owned(), out.status.code())
    }

    /// The name of the keyspace, and what streams and subjects begin with.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where NATS is.
    pub(crate) fn nats(&self) -> &str {
        &self.nats
    }

    /// Where the database is.
    pub(crate) fn cql(&self) -> &str {
        &self.cql
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        let (nats, cql, name) = (self.nats.clone(), self.cql.clone(), self.name.clone());
        let swept = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(sweep(&nats, &cql, &name))
        });
        if !matches!(swept.join(), Ok(Ok(()))) {
            eprintln!("{}: its streams and keyspace are left behind", self.name);
        }
    }
}

async fn sweep(nats: &str, cql: &str, name: &str) -> anyhow::Result<()> {
    let jetstream = async_nats::jetstream::new(async_nats::connect(nats).await?);
    for partition in 0..PARTITIONS {
        // One that no process has made is not there.
        let _absent = jetstream.delete_stream(format!("{name}-log-{partition}")).await;
    }
    let session = scylla::client::session_builder::SessionBuilder::new().known_node(cql);
    let session = session.build().await?;
    session
        .query_unpaged(format!("DROP KEYSPACE IF EXISTS {name}"), ())
        .await?;
    Ok(())
}

fn address(variable: &str) -> String {
    told(variable).unwrap_or_else(|| {
        panic!(
            "{variable} is not set: run `cargo xtask test`, or export $(cargo xtask services up --print-env)"
        )
    })
}

/// What whoever runs the tests says in the environment.
#[expect(
    clippy::disallowed_methods,
    reason = "tests have no settings but what runs them says"
)]
pub(crate) fn told(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}
