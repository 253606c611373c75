//! An installation of the chart on real engines.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::chart::{Chart, deploy};
use crate::pod::{Container, Pod, run_to_its_end, write_values};
use crate::support::connect::SignIn;
use crate::support::engines::{Engines, PARTITIONS};

const SECRET: &[u8] = b"what the tokens of these tests are signed with";

/// Rendered objects, and the engines that their settings name.
pub(crate) struct Installation {
    chart: Chart,
    // After the pods: it takes their streams and tables away.
    _engines: Engines,
}

impl Installation {
    /// Renders the chart, and runs what runs before an installation. The values are the least that must be given, those of the
    /// engines, and some that make a test short.
    pub(crate) fn new() -> Self {
        let engines = Engines::named();
        let folder = tempfile::tempdir().unwrap();
        let values = write_values(folder.path(), &values(&engines));
        let least: PathBuf = deploy().join("checks/accepted/least.yaml");
        let chart = Chart::render(&[least, values]);
        let schema = &chart.object("Job", "-schema")["spec"]["template"];
        let said = run_to_its_end(&Container::new(&chart, schema, &secret));
        assert!(said.contains("has version"), "{said}");
        Self {
            chart,
            _engines: engines,
        }
    }

    /// How its clients sign in.
    pub(crate) fn sign_in() -> SignIn {
        SignIn::Hs256(SECRET.into())
    }

    /// How many pods a part has.
    pub(crate) fn replicas(&self, part: &str) -> u64 {
        self.deployment(part)["replicas"].as_u64().unwrap()
    }

    /// For how long a new pod must be ready before the next one is replaced.
    pub(crate) fn settles(&self, part: &str) -> std::time::Duration {
        std::time::Duration::from_secs(self.deployment(part)["minReadySeconds"].as_u64().unwrap())
    }

    /// Starts a pod of a part; returns when it is ready.
    pub(crate) async fn start(&self, part: &str) -> Pod {
        Pod::start(self.container(part)).await
    }

    pub(crate) fn container(&self, part: &str) -> Container {
        Container::new(&self.chart, &self.deployment(part)["template"], &secret)
    }

    fn deployment(&self, part: &str) -> &Value {
        &self.chart.object("Deployment", &format!("-{part}"))["spec"]
    }
}

fn values(engines: &Engines) -> Value {
    json!({
        "settings": {
            "nats": [engines.nats()],
            "nats_prefix": engines.name(),
            "log_partitions": PARTITIONS,
            "log_replicas": 1,
            "log_partition_size": "32MiB",
        },
        "gateway": {
            "replicas": 2,
            "preStopSeconds": 1,
            "drainSeconds": 3,
            "terminationGracePeriodSeconds": 12,
            "settings": {"ping_timeout": "10m", "rate_limit": 1_000_000, "rate_burst": 1_000_000},
        },
        "worker": {
            "settings": {
                "cql": [engines.cql()],
                "cql_keyspace": engines.name(),
                "cql_replication": "simple:1",
            },
        },
    })
}

/// The one Secret of these values.
fn secret(name: &str) -> Vec<(String, Vec<u8>)> {
    assert_eq!(name, "confab-tokens");
    vec![("hs256.key".to_owned(), SECRET.to_vec())]
}
