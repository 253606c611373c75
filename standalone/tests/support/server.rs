//! A server process: started on free ports and a directory of its own, stopped with its test, and restarted on the
//! same directory when a test says so.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::connect::Connecting;

/// What a process has printed.
#[derive(Default)]
struct Output {
    lines: Mutex<(Vec<String>, usize)>,
    changed: Condvar,
}

impl Output {
    fn push(&self, line: String) {
        self.lines.lock().unwrap().0.push(line);
        self.changed.notify_all();
    }

    fn closed(&self) {
        self.lines.lock().unwrap().1 += 1;
        self.changed.notify_all();
    }

    fn text(&self) -> String {
        self.lines.lock().unwrap().0.join("\n")
    }

    /// Waits for a line in which `find` finds something; `None` when both streams ended without.
    fn wait<T>(&self, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.lines.lock().unwrap();
        loop {
            if let Some(found) = lines.0.iter().find_map(|line| find(line)) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if lines.1 == 2 || left.is_zero() {
                return None;
            }
            lines = self.changed.wait_timeout(lines, left).unwrap().0;
        }
    }
}

/// How to start a server.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    args: Vec<String>,
    admin: bool,
}

impl Settings {
    /// A server that closes nothing for slowness of the machine and limits no rate.
    pub(crate) fn lenient() -> Self {
        Self::default_limits()
            .flag("--ping-timeout", "10m")
            .flag("--rate-limit", "1000000")
            .flag("--rate-burst", "1000000")
    }

    /// A server with the limits that it has by default.
    pub(crate) fn default_limits() -> Self {
        Self {
            args: Vec::new(),
            admin: false,
        }
    }

    /// Adds a flag with its value.
    pub(crate) fn flag(mut self, name: &str, value: &str) -> Self {
        if let Some(at) = self.args.iter().position(|arg| arg == name) {
            value.clone_into(&mut self.args[at + 1]);
        } else {
            self.args.extend([name.to_owned(), value.to_owned()]);
        }
        self
    }

    /// With the health endpoint.
    pub(crate) fn with_admin(mut self) -> Self {
        self.admin = true;
        self
    }

    /// Starts on a fresh directory.
    pub(crate) fn start(self) -> Server {
        Server::start(self, tempfile::tempdir().unwrap().keep())
    }
}

/// A running server. Dropping it kills it and removes its directory.
pub(crate) struct Server {
    settings: Settings,
    dir: PathBuf,
    running: Option<Running>,
    address: SocketAddr,
}

struct Running {
    child: Child,
    output: Arc<Output>,
    reaper: Reaper,
    admin: Option<SocketAddr>,
}

/// Ends the server should the test process end without doing so: a shell that waits for its input to close.
struct Reaper {
    shell: Child,
    input: Option<ChildStdin>,
}

impl Reaper {
    fn watch(pid: u32, dir: &Path) -> Self {
        let script = r#"read -r _; kill -9 "$0" 2>/dev/null; sleep 1; rm -rf -- "$1""#;
        let mut shell = Command::new("sh")
            .args(["-c", script, &pid.to_string()])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = shell.stdin.take();
        Self { shell, input }
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
        self.input.take();
    }
}

impl Server {
    fn start(settings: Settings, dir: PathBuf) -> Self {
        let mut server = Self {
            settings,
            dir,
            running: None,
            address: ([127, 0, 0, 1], 0).into(),
        };
        server.run();
        server
    }

    fn run(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_confab"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&self.dir);
        command.args([
            "--admin-listen",
            if self.settings.admin { "127.0.0.1:0" } else { "off" },
        ]);
        command
            .args(&self.settings.args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = Arc::new(Output::default());
        follow(&output, child.stdout.take().unwrap());
        follow(&output, child.stderr.take().unwrap());
        let reaper = Reaper::watch(child.id(), &self.dir);
        let found = output.wait(|line| address_after(line, "ws://"));
        let Some(address) = found else {
            let _ = child.kill();
            panic!("the server did not start: {command:?}\n{}", output.text());
        };
        let admin = self
            .settings
            .admin
            .then(|| output.wait(admin_address).expect("it says where its health is"));
        self.address = address;
        self.running = Some(Running {
            child,
            output,
            reaper,
            admin,
        });
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.running.as_ref().unwrap().child.id()
    }

    /// Its data directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it has printed since its start.
    pub(crate) fn output(&self) -> String {
        self.running
            .as_ref()
            .map(|running| running.output.text())
            .unwrap_or_default()
    }

    /// Begins a connection as a user.
    pub(crate) fn connect(&self, user: &str) -> Connecting {
        Connecting::new(self.address).user(user)
    }

    /// Begins a connection that says nothing about who it is.
    pub(crate) fn connect_as_nobody(&self) -> Connecting {
        Connecting::new(self.address)
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        let mut running = self.running.take().unwrap();
        running.child.kill().unwrap();
        running.child.wait().unwrap();
        drop(running.reaper);
    }

    /// Starts it again on the same directory, at another port.
    pub(crate) fn restart(&mut self) {
        assert!(self.running.is_none(), "it still runs");
        self.run();
    }

    /// Sends it a signal by its name, without waiting for anything.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.pid().to_string())
            .status()
            .unwrap();
        assert!(status.success(), "no process to send {name} to");
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut running = self.running.take().unwrap();
        let ended = running.output.wait(|_| None::<()>).is_none();
        let status = running.child.try_wait().unwrap();
        let status = status.or_else(|| ended.then(|| running.child.wait().unwrap()));
        drop(running.reaper);
        status.expect("the server did not end")
    }

    /// Asks the health endpoint; the status line and all that follows.
    pub(crate) fn admin(&self, path: &str) -> String {
        let address = self
            .running
            .as_ref()
            .unwrap()
            .admin
            .expect("started with its health endpoint");
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            if std::thread::panicking() {
                let text = running.output.text();
                eprintln!(
                    "--- the server's output\n{}",
                    &text[text.len().saturating_sub(8000)..]
                );
            }
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn follow(output: &Arc<Output>, stream: impl Read + Send + 'static) {
    let output = Arc::clone(output);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            output.push(line);
        }
        output.closed();
    });
}

fn address_after(line: &str, prefix: &str) -> Option<SocketAddr> {
    let rest = &line[line.find(prefix)? + prefix.len()..];
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':')
        .unwrap_or(rest.len());
    rest[..end].trim_end_matches(['.', ':']).parse().ok()
}

fn admin_address(line: &str) -> Option<SocketAddr> {
    address_after(line, "http://")
}

/// Runs the command with arguments to its end.
pub(crate) fn confab(args: &[&str]) -> (ExitStatus, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_confab"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (out.status, text(out.stdout), text(out.stderr))
}

/// Longer than anything a test measures.
pub(crate) const LONG: Duration = Duration::from_secs(600);
