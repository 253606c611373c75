//! The rules of the house that no lint knows.
//!
//! - A source file has at most [`FILE_LINES`] lines, its tests not counted.
//! - The length of functions is clippy's to judge (`too_many_lines`); nobody silences it.
//! - `chat` is pure: it depends on what [`PURE`] lists, and nothing in its whole tree runs, waits, or rolls dice.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Longest source file.
const FILE_LINES: usize = 600;

/// What `chat` may depend on by itself.
const PURE: [&str; 5] = ["data-encoding", "sha2", "smallvec", "thiserror", "xxhash-rust"];

/// What may stand nowhere in the tree below `chat`, by the beginning of its name.
const IMPURE: [&str; 12] = [
    "tokio",
    "async-",
    "futures",
    "mio",
    "smol",
    "polling",
    "socket2",
    "rand",
    "getrandom",
    "chrono",
    "time",
    "hyper",
];

/// Checks them all, and says everything that is wrong.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut wrong = Vec::new();
    for file in sources(root)? {
        let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let shown = file.strip_prefix(root).unwrap_or(&file).display();
        let lines = lines_without_tests(&text);
        if !is_test(&file) && lines > FILE_LINES {
            wrong.push(format!(
                "{shown}: {lines} lines without tests, more than {FILE_LINES}"
            ));
        }
        if silences_length(&text) {
            wrong.push(format!("{shown}: silences too_many_lines"));
        }
    }
    wrong.extend(impure(&tree(root, "1")?, &tree(root, "100")?));
    if !wrong.is_empty() {
        bail!("the rules of the house are broken:\n  {}", wrong.join("\n  "));
    }
    println!("xtask: the rules of the house hold");
    Ok(())
}

/// Every Rust source below the workspace's folders.
fn sources(root: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = vec![root.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_test(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == "tests")
        || file.file_name().is_some_and(|name| name == "tests.rs")
}

/// The lines up to the module of tests at a file's end, if it has one.
fn lines_without_tests(text: &str) -> usize {
    let tests = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..tests].lines().count()
}

/// Put together here, so that this file does not break its own rule.
fn silences_length(text: &str) -> bool {
    ["allow", "expect"]
        .iter()
        .any(|word| text.contains(&format!("{word}(clippy::too_many_lines")))
}

/// The names of the packages that `chat` depends on, down to a depth.
fn tree(root: &Path, depth: &str) -> Result<Vec<String>> {
    let arguments = [
        "tree",
        "--package",
        "confab-chat",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--depth",
        depth,
    ];
    let out = Command::new("cargo")
        .args(arguments)
        .current_dir(root)
        .output()
        .context("starting cargo tree")?;
    if !out.status.success() {
        bail!("cargo tree failed: {}", String::from_utf8_lossy(&out.stderr));
    }
    let text = String::from_utf8_lossy(&out.stdout);
    // The first line is the package itself.
    Ok(text
        .lines()
        .skip(1)
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect())
}

fn impure(direct: &[String], all: &[String]) -> Vec<String> {
    let uninvited = direct.iter().filter(|name| !PURE.contains(&name.as_str()));
    let uninvited = uninvited.map(|name| format!("chat depends on {name}, which is not among its five"));
    let running = all
        .iter()
        .filter(|name| IMPURE.iter().any(|start| name.starts_with(start)));
    uninvited
        .chain(running.map(|name| format!("chat has {name} below it, which is not pure")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{impure, is_test, lines_without_tests, silences_length};
    use std::path::Path;

    #[test]
    fn tests_do_not_count() {
        assert_eq!(
            lines_without_tests("a\nb\n#[cfg(test)]\nmod tests {\n    c\n}\n"),
            2
        );
        assert_eq!(lines_without_tests("a\n#[cfg(test)]\nmod tests;\n"), 3);
        assert!(is_test(Path::new("/x/bus/tests/all.rs")));
        assert!(is_test(Path::new("/x/bus/src/local/tests.rs")));
        assert!(!is_test(Path::new("/x/bus/src/testing.rs")));
    }

    #[test]
    fn silencing_is_seen_in_both_forms() {
        assert!(silences_length(
            &["#[allow(", "clippy::too_many_lines)]"].concat()
        ));
        assert!(silences_length(
            &["#[expect(", "clippy::too_many_lines, reason = \"x\")]"].concat()
        ));
        assert!(!silences_length("too_many_lines"));
    }

    #[test]
    fn what_is_not_pure_is_named() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(impure(&names(&["sha2"]), &names(&["sha2", "digest"])).is_empty());
        assert_eq!(impure(&names(&["bytes"]), &names(&["bytes"])).len(), 1);
        assert_eq!(impure(&names(&["sha2"]), &names(&["sha2", "getrandom"])).len(), 1);
    }
}
