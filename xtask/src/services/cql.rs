//! Where a CQL database comes from: ScyllaDB or Cassandra, whichever can be had.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::cassandra;
use super::container::{self, Container};
use super::pins::SCYLLA_IMAGE;
use super::site::Site;
use super::starting::{Plan, Recipe, Start};
use super::{Kind, process};

/// Ports: the native protocol, then what only the node itself and its tools use: two between nodes, one of administration.
pub(super) const PORTS: usize = 4;

/// The sources, in the order in which they are tried.
pub(super) const RECIPES: &[Recipe] = &[
    Recipe {
        name: "scylla on the PATH",
        prepare: scylla_on_path,
    },
    Recipe {
        name: "cassandra on the PATH",
        prepare: cassandra::on_path,
    },
    Recipe {
        name: "Docker",
        prepare: in_docker,
    },
    Recipe {
        name: "Maven",
        prepare: cassandra::by_maven,
    },
];

/// One core, one gigabyte, a lone node that waits for nobody. ScyllaDB's own flags, as its image takes them too.
const SCYLLA_FLAGS: [&str; 10] = [
    "--developer-mode",
    "1",
    "--smp",
    "1",
    "--memory",
    "1G",
    "--skip-wait-for-gossip-to-settle",
    "0",
    "--ring-delay-ms",
    "0",
];

fn scylla_on_path(site: &Site, ports: &[u16]) -> Result<Plan> {
    let program = site
        .environment
        .find("scylla")
        .context("scylla is not on the PATH")?;
    let mut command = Command::new(&program);
    command.arg("--version");
    let version = process::run(command, &site.tool_log(Kind::Cql), Duration::from_secs(20))?;
    let data = site.data("scylla");
    let file = site.configuration("scylla")?.join("scylla.yaml");
    let text = include_str!("cql/scylla.yaml")
        .replace("@data@", &format!("{data:?}"))
        .replace("@cql@", &ports[0].to_string())
        .replace("@storage@", &ports[1].to_string())
        .replace("@storage_tls@", &ports[2].to_string())
        .replace("@api@", &ports[3].to_string());
    fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
    let mut command = Command::new(&program);
    command
        .arg("--options-file")
        .arg(file)
        .args(SCYLLA_FLAGS)
        .arg("--overprovisioned");
    Ok(Plan {
        source: format!("ScyllaDB {} on the PATH ({})", version.trim(), program.display()),
        address: address(ports),
        start: Start::Program { command, data },
    })
}

fn in_docker(site: &Site, ports: &[u16]) -> Result<Plan> {
    let docker = container::engine(site, Kind::Cql)?;
    let mut arguments = SCYLLA_FLAGS.map(str::to_owned).to_vec();
    arguments.extend(["--overprovisioned", "1"].map(str::to_owned));
    Ok(Plan {
        source: format!("Docker image {SCYLLA_IMAGE}"),
        address: address(ports),
        start: Start::Container(Container {
            docker,
            image: SCYLLA_IMAGE,
            ports: (9042, ports[0]),
            data: "/var/lib/scylla",
            arguments,
        }),
    })
}

pub(super) fn address(ports: &[u16]) -> String {
    format!("127.0.0.1:{}", ports[0])
}
