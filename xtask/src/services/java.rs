//! The Java that Cassandra runs on.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

use super::environment::is_program;
use super::pins::JAVA_VERSIONS;
use super::site::Site;
use super::{Kind, process};

/// An installation of Java that Cassandra runs on.
#[derive(Debug)]
pub(super) struct Java {
    pub(super) home: PathBuf,
    pub(super) version: u32,
}

/// Looks at JAVA_HOME, then where systems put installations, then at the `java` on the PATH; the best version of the first that has one.
pub(super) fn find(site: &Site) -> Result<Java> {
    let mut others = Vec::new();
    for homes in [named(site), installed(), on_path(site)] {
        let found: Vec<Java> = homes.into_iter().filter_map(|home| look(site, home)).collect();
        for wanted in JAVA_VERSIONS {
            if let Some(java) = found.iter().find(|java| java.version == wanted) {
                return Ok(Java {
                    home: java.home.clone(),
                    version: wanted,
                });
            }
        }
        others.extend(
            found
                .iter()
                .map(|java| format!("Java {} ({})", java.version, java.home.display())),
        );
    }
    if others.is_empty() {
        bail!("Cassandra needs Java 17 or 11, and there is no Java: install one, or name it in JAVA_HOME");
    }
    bail!(
        "Cassandra needs Java 17 or 11, and there is only {}: install one, or name it in JAVA_HOME",
        others.join(", ")
    )
}

fn named(site: &Site) -> Vec<PathBuf> {
    site.environment.java_home.iter().cloned().collect()
}

fn installed() -> Vec<PathBuf> {
    let below = |folder: &str| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut homes: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        homes.sort();
        homes
    };
    let mut homes = below("/usr/lib/jvm");
    homes.extend(
        below("/Library/Java/JavaVirtualMachines")
            .into_iter()
            .map(|java| java.join("Contents/Home")),
    );
    homes
}

fn on_path(site: &Site) -> Vec<PathBuf> {
    let java = site
        .environment
        .find("java")
        .and_then(|java| java.canonicalize().ok());
    java.iter()
        .filter_map(|java| Some(java.parent()?.parent()?.to_owned()))
        .collect()
}

/// The installation in a folder, if one is there and tells its version.
fn look(site: &Site, home: PathBuf) -> Option<Java> {
    let java = home.join("bin").join("java");
    if !is_program(&java) {
        return None;
    }
    let version = released(&home).or_else(|| asked(site, &java))?;
    Some(Java { home, version })
}

/// What the file says that installations carry: the fast way.
fn released(home: &Path) -> Option<u32> {
    let release = fs::read_to_string(home.join("release")).ok()?;
    release
        .lines()
        .find_map(|line| line.strip_prefix("JAVA_VERSION="))
        .and_then(major)
}

fn asked(site: &Site, java: &Path) -> Option<u32> {
    let mut command = std::process::Command::new(java);
    command.arg("-version");
    let said = process::run(command, &site.tool_log(Kind::Cql), Duration::from_secs(20)).ok()?;
    said.split_once(" version ").and_then(|(_, rest)| major(rest))
}

/// The major version at the beginning of a quoted one: 17 of `"17.0.15"`, 8 of `"1.8.0_402"`.
fn major(quoted: &str) -> Option<u32> {
    let mut numbers = quoted
        .trim_start_matches('"')
        .split(|letter: char| !letter.is_ascii_digit());
    match numbers.next()?.parse().ok()? {
        1 => numbers.next()?.parse().ok(),
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::{find, major};
    use crate::services::environment::Environment;
    use crate::services::site::Site;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    fn install(home: &Path, version: &str) {
        fs::create_dir_all(home.join("bin")).unwrap();
        fs::write(home.join("bin/java"), "").unwrap();
        fs::set_permissions(home.join("bin/java"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(
            home.join("release"),
            format!("IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"{version}\"\n"),
        )
        .unwrap();
    }

    #[test]
    fn versions_of_all_forms_are_read() {
        assert_eq!(major("\"17.0.15\""), Some(17));
        assert_eq!(major("\"1.8.0_402\""), Some(8));
        assert_eq!(major("\"25\" 2025-09-16"), Some(25));
        assert_eq!(major("\"\""), None);
    }

    #[test]
    fn java_home_goes_first_if_its_version_will_do() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("java");
        install(&home, "11.0.2");
        let environment = Environment {
            java_home: Some(home.clone()),
            ..Environment::default()
        };
        let java = find(&Site::new(folder.path(), environment).unwrap()).unwrap();
        assert_eq!((java.version, java.home), (11, home));
    }

    #[test]
    fn another_version_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("java");
        install(&home, "25.0.1");
        let environment = Environment {
            java_home: Some(home.clone()),
            ..Environment::default()
        };
        match find(&Site::new(folder.path(), environment).unwrap()) {
            // The machine has one of its own.
            Ok(java) => assert_ne!(java.home, home),
            Err(error) => assert!(error.to_string().contains("there is only Java 25 ("), "{error}"),
        }
    }
}
