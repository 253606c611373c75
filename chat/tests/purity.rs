//! The crate depends on nothing that could make two runs differ: no runtime, no randomness, no clock, no I/O.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::process::Command;

/// All that the state machines may be built from, dependencies of dependencies included. A name is added here
/// only for a crate that computes and nothing else.
const ALLOWED: [&str; 20] = [
    "block-buffer",
    "cfg-if",
    "confab-chat",
    "const-oid",
    "cpufeatures",
    "crypto-common",
    "data-encoding",
    "digest",
    "hybrid-array",
    "libc",
    "proc-macro2",
    "quote",
    "sha2",
    "smallvec",
    "syn",
    "thiserror",
    "thiserror-impl",
    "typenum",
    "unicode-ident",
    "xxhash-rust",
];

/// The crate's dependencies on any platform, as cargo resolves them.
fn dependencies() -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", "confab-chat", "--edges", "normal,build"])
        .args([
            "--target",
            "all",
            "--prefix",
            "none",
            "--format",
            "{p}",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "cargo tree: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
    text.lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_crate_depends_on_no_runtime() {
    let found = dependencies();
    assert!(found.contains("sha2"), "cargo tree lists dependencies: {found:?}");
    let allowed = BTreeSet::from(ALLOWED.map(str::to_owned));
    let strange: Vec<_> = found.difference(&allowed).collect();
    assert!(strange.is_empty(), "the pure crate may not depend on {strange:?}");
}
