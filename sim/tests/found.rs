//! What was once found stays mended: the plans of `plans/`, as `cargo xtask sim --minimise` printed them, hold.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

#[test]
fn every_plan_that_once_failed_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    for file in std::fs::read_dir(folder).unwrap() {
        let plan = file.unwrap().path();
        let output = Command::new(env!("CARGO_BIN_EXE_confab-sim"))
            .arg("run")
            .arg(&plan)
            .arg("--brief")
            .output()
            .unwrap();
        let line = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}\n{line}", plan.display());
    }
}
