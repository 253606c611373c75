//! Apache Cassandra as a lone node on loopback: one that is installed, or its artifacts from Maven started directly.
//!
//! Its heap is at most 1 GB, its writes are acknowledged when the commit log is on disk, and it has no JMX port (an installed one has,
//! on loopback: its scripts insist).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::java::{self, Java};
use super::pins::{CASSANDRA_MAJOR, CASSANDRA_VERSION, MAVEN_COPY};
use super::site::Site;
use super::starting::{Plan, Start};
use super::{Kind, cql, process};

const FETCH: Duration = Duration::from_secs(900);

/// An installed Cassandra, with its own scripts and flags for Java, but the configuration of here.
pub(super) fn on_path(site: &Site, ports: &[u16]) -> Result<Plan> {
    let program = site
        .environment
        .find("cassandra")
        .context("cassandra is not on the PATH")?;
    let java = java::find(site)?;
    let mut command = Command::new(&program);
    command.arg("-v").env("JAVA_HOME", &java.home);
    let said = process::run(command, &site.tool_log(Kind::Cql), Duration::from_secs(60))?;
    let version = said.lines().last().unwrap_or_default().trim().to_owned();
    ensure!(
        version.starts_with(&format!("{CASSANDRA_MAJOR}.")),
        "{} is version {version}; Confab is tested on Cassandra {CASSANDRA_MAJOR}",
        program.display()
    );
    let data = site.data("cassandra");
    let mut flags = properties(site, ports, &data)?;
    flags.push(format!("-Dcassandra.jmx.local.port={}", ports[3]));
    let lone = include_str!("cassandra/jvm.options").lines();
    flags.extend(
        lone.filter(|line| line.starts_with("-Dcassandra."))
            .map(str::to_owned),
    );
    let mut command = Command::new(&program);
    // In the foreground, and as whoever calls.
    command
        .args(["-f", "-R"])
        .env("JVM_EXTRA_OPTS", flags.join(" "))
        .env("JAVA_HOME", &java.home);
    command
        .env("MAX_HEAP_SIZE", "1G")
        .env("HEAP_NEWSIZE", "256M")
        .env("CASSANDRA_LOG_DIR", &data);
    Ok(plan(
        ports,
        format!("Cassandra {version} on the PATH ({})", program.display()),
        command,
        data,
    ))
}

/// The artifacts from Maven.
pub(super) fn by_maven(site: &Site, ports: &[u16]) -> Result<Plan> {
    let java = java::find(site)?;
    let jars = site
        .cached(&format!("cassandra-{CASSANDRA_VERSION}"), |draft| {
            fetch(site, &java, draft)
        })?
        .join("lib");
    let data = site.data("cassandra");
    let mut command = Command::new(java.home.join("bin").join("java"));
    // Fewer arenas: glibc's default lets a server of many threads grow far beyond its heap.
    command.env("MALLOC_ARENA_MAX", "4");
    let options = include_str!("cassandra/jvm.options").lines();
    command.args(options.filter(|line| !line.is_empty() && !line.starts_with('#')));
    command.arg(format!("-javaagent:{}", agent(&jars)?.display()));
    command
        .args(properties(site, ports, &data)?)
        .arg("-Dcassandra-foreground=yes");
    command
        .arg("-cp")
        .arg(jars.join("*"))
        .arg("org.apache.cassandra.service.CassandraDaemon");
    let source = format!(
        "Cassandra {CASSANDRA_VERSION} from Maven, on Java {} ({})",
        java.version,
        java.home.display()
    );
    Ok(plan(ports, source, command, data))
}

fn plan(ports: &[u16], source: String, command: Command, data: PathBuf) -> Plan {
    Plan {
        source,
        address: cql::address(ports),
        start: Start::Program { command, data },
    }
}

fn fetch(site: &Site, java: &Java, draft: &Path) -> Result<()> {
    let maven = site
        .environment
        .find("mvn")
        .context("mvn (Maven) is not on the PATH")?;
    eprintln!("cql: fetching Cassandra {CASSANDRA_VERSION} with Maven (once; 65 MB)");
    let pom = draft.join("pom.xml");
    fs::write(
        &pom,
        include_str!("cassandra/pom.xml").replace("@version@", CASSANDRA_VERSION),
    )?;
    let mut command = Command::new(maven);
    command
        .args(["--quiet", "--batch-mode", "--file"])
        .arg(&pom)
        .args([MAVEN_COPY, "-DincludeScope=runtime"]);
    command
        .arg(format!("-DoutputDirectory={}", draft.join("lib").display()))
        .env("JAVA_HOME", &java.home);
    process::fetch(Kind::Cql, command, &site.tool_log(Kind::Cql), FETCH)?;
    agent(&draft.join("lib")).map(|_| ())
}

/// The agent that measures objects, without which Cassandra does not start.
fn agent(jars: &Path) -> Result<PathBuf> {
    let files = fs::read_dir(jars)
        .with_context(|| format!("reading {}", jars.display()))?
        .flatten();
    let mut files = files.map(|entry| entry.path());
    let is_agent = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("jamm-") && name.ends_with(".jar")
    };
    files
        .find(is_agent)
        .with_context(|| format!("no jamm agent in {}", jars.display()))
}

/// Writes the configuration, and returns the properties that point at it.
fn properties(site: &Site, ports: &[u16], data: &Path) -> Result<Vec<String>> {
    let folder = site.configuration("cassandra")?;
    let (yaml, logback) = (folder.join("cassandra.yaml"), folder.join("logback.xml"));
    fs::write(&yaml, configuration(ports, data)).with_context(|| format!("writing {}", yaml.display()))?;
    fs::write(&logback, include_str!("cassandra/logback.xml"))
        .with_context(|| format!("writing {}", logback.display()))?;
    Ok(vec![
        format!("-Dcassandra.config=file://{}", yaml.display()),
        format!("-Dlogback.configurationFile=file://{}", logback.display()),
        format!("-Dcassandra.storagedir={}", data.display()),
        format!("-Dcassandra.logdir={}", data.display()),
    ])
}

fn configuration(ports: &[u16], data: &Path) -> String {
    let mut text = include_str!("cassandra/cassandra.yaml").to_owned();
    for (name, port) in ["@cql@", "@storage@", "@storage_tls@"].into_iter().zip(ports) {
        text = text.replace(name, &port.to_string());
    }
    for folder in ["data", "commitlog", "hints", "saved_caches", "cdc"] {
        text = text.replace(&format!("@{folder}@"), &format!("{:?}", data.join(folder)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::configuration;
    use std::path::Path;

    #[test]
    fn every_blank_of_the_configuration_is_filled() {
        let text = configuration(&[1, 2, 3, 4], Path::new("/some where"));
        let kept = text.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(
            kept.filter(|line| line.contains('@')).collect::<Vec<_>>(),
            Vec::<&str>::new()
        );
        assert!(text.contains("native_transport_port: 1\n") && text.contains("ssl_storage_port: 3\n"));
        assert!(text.contains("commitlog_directory: \"/some where/commitlog\"\n"));
    }

    #[test]
    fn it_listens_on_loopback_and_syncs_before_it_acknowledges() {
        let text = configuration(&[1, 2, 3, 4], Path::new("/x"));
        for line in [
            "listen_address: 127.0.0.1",
            "rpc_address: 127.0.0.1",
            "commitlog_sync: batch",
        ] {
            assert!(text.lines().any(|each| each == line), "{line}");
        }
    }
}
