//! The same seed is the same history, byte for byte; and a few seeds of every build hold.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

fn run(seed: &str, how: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_confab-sim"))
        .args(["run", seed, how])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.success(), text)
}

#[test]
fn the_same_seed_is_the_same_history_in_every_process() {
    for seed in ["11", "12", "13"] {
        let (_, first) = run(seed, "--lines");
        let (_, second) = run(seed, "--lines");
        assert!(
            first.lines().count() > 1_000,
            "seed {seed} has a history:\n{first}"
        );
        let differs = first
            .lines()
            .zip(second.lines())
            .find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first, second, "seed {seed}");
    }
}

#[test]
fn another_seed_is_another_history() {
    assert_ne!(run("11", "--brief").1, run("12", "--brief").1);
}

#[test]
fn a_few_seeds_hold() {
    for seed in 1..=10 {
        let (holds, line) = run(&seed.to_string(), "--brief");
        assert!(holds, "cargo xtask sim --seed {seed}\n{line}");
    }
}
