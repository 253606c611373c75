//! `cargo xtask optimize`: the program once more, laid out by what it was seen to do.
//!
//! A message takes so many different paths through the program that fetching its instructions is a large part of what it costs.
//! A compiler that knows which of them are taken puts those together. So: a build that counts, load on it, and a build by the counts.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf, absolute};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::services::ports;
use crate::services::process::wait_until;

pub(crate) const HELP: &str = "
  optimize   build confab by a profile of itself under load, as target/optimized/confab, in half an hour on two cores; needs
             llvm-profdata of the compiler's LLVM (rustup component add llvm-tools, or named by LLVM_PROFDATA)
";

/// What the program is seen under: scenarios, and how they are changed.
const LOADS: [&[&str]; 5] = [
    &["message-cost", "--set", "load.duration=30s"],
    &[
        "message-cost",
        "--set",
        "load.in_flight=16",
        "--set",
        "load.duration=10s",
    ],
    &["dialogs", "--set", "load.duration=15s"],
    &["groups", "--set", "load.duration=15s"],
    &["chat-list", "--set", "load.duration=10s"],
];
/// How the load generator ends where the service was slow, as one that counts is, or itself was too slow for the plan.
const SLOW: [i32; 3] = [0, 1, 3];
/// How long the service may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a build is made with.
struct Cargo {
    root: PathBuf,
    /// Where this machine's own things go.
    target: PathBuf,
    /// The platform. Named, so that what runs in the build itself is neither counted nor built by counts.
    host: String,
}

/// Builds, runs, and builds again.
pub(crate) fn run(root: &Path) -> Result<()> {
    let profdata = profdata()?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let cargo = Cargo {
        root: root.to_owned(),
        target: absolute(target)?,
        host: said("host")?,
    };
    let (counting, optimized) = (cargo.target.join("counting"), cargo.target.join("optimized"));
    let counts = counting.join("service.profraw");
    println!("xtask: 1 of 4: the load generator, and a service that counts");
    let generator = cargo.build("confab-loadtest", &cargo.target, &[])?;
    // In the very same profile: functions have other names in another one, and none of the counts would be found.
    let counted = [("CARGO_ENCODED_RUSTFLAGS", flags("profile-generate", &counting))];
    let service = cargo.build("confab", &counting, &counted)?;
    println!("xtask: 2 of 4: load on it");
    count(&service, &generator, &counting, &counts)?;
    println!("xtask: 3 of 4: the profile");
    let profile = cargo.target.join("confab.profdata");
    let mut merge = Command::new(profdata);
    check(merge.arg("merge").arg("--output").arg(&profile).arg(&counts))?;
    println!("xtask: 4 of 4: the service by that profile");
    let by_profile = [("CARGO_ENCODED_RUSTFLAGS", flags("profile-use", &profile))];
    let service = cargo.build("confab", &optimized, &by_profile)?;
    let place = optimized.join("confab");
    fs::copy(service, &place)?;
    println!("xtask: {}", place.display());
    Ok(())
}

impl Cargo {
    /// Builds a program, and says where it is.
    fn build(&self, package: &str, target: &Path, variables: &[(&str, OsString)]) -> Result<PathBuf> {
        let mut cargo = Command::new("cargo");
        cargo
            .args(["build", "--release", "--package", package, "--target", &self.host])
            .arg("--target-dir")
            .arg(target)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.root);
        check(&mut cargo)?;
        Ok(target.join(&self.host).join("release").join(package))
    }
}

/// The tool that makes a profile of counts.
fn profdata() -> Result<PathBuf> {
    let llvm = llvm()?;
    let candidates = match env::var_os("LLVM_PROFDATA") {
        Some(named) => vec![PathBuf::from(named)],
        None => of_toolchain()
            .into_iter()
            .chain(["llvm-profdata".into()])
            .collect(),
    };
    for candidate in &candidates {
        let out = Command::new(candidate).arg("--version").output();
        // An earlier one does not know the form of the counts.
        let fits = |text: &[u8]| String::from_utf8_lossy(text).contains(&format!("version {llvm}."));
        if out.is_ok_and(|out| fits(&out.stdout)) {
            return Ok(candidate.clone());
        }
    }
    bail!(
        "none of {candidates:?} is llvm-profdata of LLVM {llvm}, which this compiler is made with: rustup component add llvm-tools, or the system's \
         package llvm-{llvm} and the path of its llvm-profdata in LLVM_PROFDATA"
    )
}

/// Where rustup puts it.
fn of_toolchain() -> Option<PathBuf> {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().ok()?;
    let sysroot = PathBuf::from(String::from_utf8(sysroot.stdout).ok()?.trim());
    let host = said("host").ok()?;
    Some(sysroot.join("lib/rustlib").join(host).join("bin/llvm-profdata"))
}

/// The version of the compiler's LLVM: its first number.
fn llvm() -> Result<String> {
    let version = said("LLVM version")?;
    Ok(version.split('.').next().unwrap_or_default().to_owned())
}

/// What the compiler says of itself.
fn said(name: &str) -> Result<String> {
    let out = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("starting rustc")?;
    let out = String::from_utf8(out.stdout)?;
    let line = out
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    Ok(line
        .with_context(|| format!("rustc -vV tells no {name}"))?
        .to_owned())
}

/// The flags that are given to the compiler anyway, and one more. A path in them may hold spaces.
fn flags(name: &str, path: &Path) -> OsString {
    let given = env::var_os("CARGO_ENCODED_RUSTFLAGS").or_else(|| {
        let plain = env::var_os("RUSTFLAGS")?.into_string().ok()?;
        let words: Vec<_> = plain.split_whitespace().collect();
        Some(words.join("\x1f").into())
    });
    let mut flags = given.filter(|given| !given.is_empty()).unwrap_or_default();
    if !flags.is_empty() {
        flags.push("\x1f");
    }
    flags.push(format!("-C{name}="));
    flags.push(path);
    flags
}

/// The service that counts. It ends with this command, however that ends.
struct Counting(Child);

impl Drop for Counting {
    fn drop(&mut self) {
        // Where it has ended already there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the service under load, then stops it in order: it writes its counts at its end.
fn count(service: &Path, generator: &Path, place: &Path, counts: &Path) -> Result<()> {
    let data = place.join("data");
    for stale in [&data, &place.join("runs")] {
        if stale.exists() {
            fs::remove_dir_all(stale)?;
        }
    }
    if counts.exists() {
        fs::remove_file(counts)?;
    }
    let [listen, admin] = ports::choose(2, &mut Vec::new())?[..] else {
        bail!("two ports were asked for");
    };
    let (listen, admin) = (format!("127.0.0.1:{listen}"), format!("127.0.0.1:{admin}"));
    let mut command = of_no_environment(service);
    command
        .args([
            "serve",
            "--log",
            "warn",
            "--listen",
            &listen,
            "--admin-listen",
            &admin,
        ])
        .args([
            "--rate-limit",
            "1000000000",
            "--rate-burst",
            "1000000000",
            "--data-dir",
        ])
        .arg(&data)
        .env("LLVM_PROFILE_FILE", counts)
        .stdout(Stdio::null());
    let child = command.spawn().with_context(|| format!("starting {command:?}"))?;
    let mut running = Counting(child);
    let is_ready = || {
        let mut health = of_no_environment(service);
        health
            .args(["health", "--ready", "--admin-listen", &admin])
            .env("LLVM_PROFILE_FILE", place.join("health.profraw"));
        health.output().is_ok_and(|out| out.status.success())
    };
    if !wait_until(PATIENCE, is_ready) {
        bail!("the service is not ready in {} s", PATIENCE.as_secs());
    }
    for (number, load) in LOADS.iter().enumerate() {
        let mut run = of_no_environment(generator);
        run.arg("run")
            .args(*load)
            .args(["--target", &format!("ws://{listen}"), "--out"]);
        let status = run.arg(place.join(format!("runs/{number}"))).status()?;
        if !status.code().is_some_and(|code| SLOW.contains(&code)) {
            bail!("{run:?} ended with {status}");
        }
    }
    kill_process(Pid::from_child(&running.0), Signal::TERM)?;
    let status = running.0.wait()?;
    if !status.success() || !counts.exists() {
        bail!(
            "the service ended with {status}, and has to leave its counts in {}",
            counts.display()
        );
    }
    fs::remove_dir_all(&data)?;
    Ok(())
}

/// A program of ours with none of its settings from the environment.
fn of_no_environment(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("CONFAB_") {
            command.env_remove(name);
        }
    }
    command
}

fn check(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("starting {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}
