//! A process of the service: what it prints, and its end with its test's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use super::PATIENCE;

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

/// Ends a process should the test process end without doing so: a shell that waits for its input to close.
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

/// A running process. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    output: Arc<Output>,
    _reaper: Reaper,
}

impl Process {
    /// Starts the command with arguments; `dir` is removed with it should the test process die.
    pub(crate) fn start(args: &[String], dir: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_confab"));
        command.args(args);
        Self::run(command, dir)
    }

    /// Starts a command.
    pub(crate) fn run(mut command: Command, dir: &Path) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = Arc::new(Output::default());
        follow(&output, child.stdout.take().unwrap());
        follow(&output, child.stderr.take().unwrap());
        let reaper = Reaper::watch(child.id(), dir);
        Self {
            child,
            output,
            _reaper: reaper,
        }
    }

    /// Waits for a line in which `find` finds something.
    pub(crate) fn says<T>(&self, find: impl Fn(&str) -> Option<T>) -> T {
        let found = self.output.wait(find);
        found.unwrap_or_else(|| panic!("a process did not start:\n{}", self.output.text()))
    }

    /// Waits until it says where clients connect.
    pub(crate) fn clients_address(&self) -> SocketAddr {
        self.says(|line| address_after(line, "ws://"))
    }

    /// Waits until it says where its health endpoint is.
    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.says(|line| address_after(line, "http://"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed.
    pub(crate) fn text(&self) -> String {
        self.output.text()
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
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
    pub(crate) fn wait(mut self) -> ExitStatus {
        let ended = self.output.wait(|_| None::<()>).is_none();
        let status = self.child.try_wait().unwrap();
        let status = status.or_else(|| ended.then(|| self.child.wait().unwrap()));
        status.expect("the process did not end")
    }
}

/// Waits for a process's end without holding up anything else.
pub(crate) async fn end_of(process: Process) -> ExitStatus {
    tokio::task::spawn_blocking(move || process.wait()).await.unwrap()
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = self.output.text();
            let tail = text.len().saturating_sub(8000);
            let tail = (tail..text.len())
                .find(|at| text.is_char_boundary(*at))
                .unwrap_or(tail);
            eprintln!("--- the output of process {}\n{}", self.pid(), &text[tail..]);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks a health endpoint; the status line and all that follows.
pub(crate) fn ask_admin(address: SocketAddr, path: &str) -> String {
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
