//! Where a nats-server comes from, and how it is set up.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::container::{self, Container};
use super::pins::{NATS_IMAGE, NATS_MODULE, NATS_OLDEST, NATS_VERSION};
use super::site::Site;
use super::starting::{Plan, Recipe, Start};
use super::{Kind, process};

/// One port: that of the clients.
pub(super) const PORTS: usize = 1;

const BUILD: Duration = Duration::from_secs(900);

/// The sources, in the order in which they are tried.
pub(super) const RECIPES: &[Recipe] = &[
    Recipe {
        name: "nats-server on the PATH",
        prepare: on_path,
    },
    Recipe {
        name: "Docker",
        prepare: in_docker,
    },
    Recipe {
        name: "Go module",
        prepare: by_go,
    },
    Recipe {
        name: "Debian package",
        prepare: by_apt,
    },
];

fn on_path(site: &Site, ports: &[u16]) -> Result<Plan> {
    let program = site
        .environment
        .find("nats-server")
        .context("nats-server is not on the PATH")?;
    plan(site, ports, &program, "on the PATH")
}

fn in_docker(site: &Site, ports: &[u16]) -> Result<Plan> {
    let docker = container::engine(site, Kind::Nats)?;
    Ok(Plan {
        source: format!("Docker image {NATS_IMAGE}"),
        address: address(ports),
        start: Start::Container(Container {
            docker,
            image: NATS_IMAGE,
            ports: (4222, ports[0]),
            data: "/data",
            arguments: ["--jetstream", "--store_dir", "/data"]
                .map(str::to_owned)
                .to_vec(),
        }),
    })
}

fn by_go(site: &Site, ports: &[u16]) -> Result<Plan> {
    let folder = site.cached(&format!("nats-server-{NATS_VERSION}"), |draft| {
        let go = site.environment.find("go").context("go is not on the PATH")?;
        eprintln!("nats: building nats-server {NATS_VERSION} with Go (once; about half a minute)");
        let mut command = Command::new(go);
        command.args(["install", &format!("{NATS_MODULE}@{NATS_VERSION}")]);
        // Go refuses GOBIN when it builds for another system, and these could say so.
        command
            .current_dir(draft)
            .env("GOBIN", draft)
            .env_remove("GOOS")
            .env_remove("GOARCH")
            .env_remove("GOFLAGS");
        process::fetch(Kind::Nats, command, &site.tool_log(Kind::Nats), BUILD)
    })?;
    plan(site, ports, &folder.join("nats-server"), "as a Go module")
}

/// The package is unpacked, not installed: that needs no rights, and changes nothing of the machine.
fn by_apt(site: &Site, ports: &[u16]) -> Result<Plan> {
    let folder = site.cached("nats-server-debian", |draft| {
        let apt = site
            .environment
            .find("apt-get")
            .context("apt-get is not on the PATH")?;
        let unpack = site
            .environment
            .find("dpkg-deb")
            .context("dpkg-deb is not on the PATH")?;
        let log = site.tool_log(Kind::Nats);
        eprintln!("nats: fetching the distribution's nats-server (once; 4 MB)");
        let mut command = Command::new(apt);
        command.args(["download", "nats-server"]).current_dir(draft);
        process::fetch(Kind::Nats, command, &log, BUILD)?;
        let package = fs::read_dir(draft)?.flatten().map(|entry| entry.path());
        let package = package
            .into_iter()
            .find(|path| path.extension().is_some_and(|end| end == "deb"));
        let mut command = Command::new(unpack);
        command
            .arg("--extract")
            .arg(package.context("apt-get downloaded no package")?)
            .arg(draft);
        process::fetch(Kind::Nats, command, &log, BUILD)
    })?;
    plan(
        site,
        ports,
        &folder.join("usr").join("sbin").join("nats-server"),
        "from the distribution's package",
    )
}

/// How to start a program, once it has said a version that will do.
fn plan(site: &Site, ports: &[u16], program: &Path, origin: &str) -> Result<Plan> {
    let mut command = Command::new(program);
    command.arg("--version");
    let said = process::run(command, &site.tool_log(Kind::Nats), Duration::from_secs(20))?;
    let version = said
        .trim()
        .rsplit(' ')
        .next()
        .unwrap_or_default()
        .trim_start_matches('v')
        .to_owned();
    let (major, minor) = NATS_OLDEST;
    ensure!(
        two_numbers(&version).is_some_and(|numbers| numbers >= NATS_OLDEST),
        "{} is version {version}; Confab needs {major}.{minor} or later",
        program.display()
    );
    let data = site.data("nats");
    let mut command = Command::new(program);
    command.arg("--config").arg(configure(site, ports, &data)?);
    Ok(Plan {
        source: format!("nats-server {version} {origin} ({})", program.display()),
        address: address(ports),
        start: Start::Program { command, data },
    })
}

fn address(ports: &[u16]) -> String {
    format!("nats://127.0.0.1:{}", ports[0])
}

fn configure(site: &Site, ports: &[u16], data: &Path) -> Result<PathBuf> {
    let file = site.configuration("nats")?.join("nats.conf");
    let text = format!(
        "server_name: confab_services\nlisten: 127.0.0.1:{}\njetstream {{ store_dir: {:?} }}\n",
        ports[0],
        data.join("store")
    );
    fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
    Ok(file)
}

/// The first two numbers of a version.
fn two_numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{NATS_OLDEST, two_numbers};

    #[test]
    fn versions_compare_as_numbers() {
        assert!(two_numbers("2.9.10").unwrap() >= NATS_OLDEST);
        assert!(two_numbers("2.14.8").unwrap() >= NATS_OLDEST);
        assert!(two_numbers("2.8.4").unwrap() < NATS_OLDEST);
        assert_eq!(two_numbers("main"), None);
    }
}
