//! Whether a service answers, asked over its own protocol by hand: no driver belongs into this tool.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

const CONNECT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);

fn connect(host_port: &str) -> Result<TcpStream> {
    let mut last = None;
    for address in host_port
        .to_socket_addrs()
        .with_context(|| format!("{host_port} is no address"))?
    {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(ANSWER))?;
                stream.set_write_timeout(Some(ANSWER))?;
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => Err(error).with_context(|| format!("connecting to {host_port}")),
        None => bail!("{host_port} has no address"),
    }
}

/// The first host and port of a list of servers, which may be URLs.
fn host_port(address: &str, default_port: u16) -> String {
    let first = address.split(',').next().unwrap_or_default().trim();
    let first = first.split_once("://").map_or(first, |(_, rest)| rest);
    let first = first
        .rsplit_once('@')
        .map_or(first, |(_, rest)| rest)
        .trim_end_matches('/');
    let has_port = first
        .rsplit_once(':')
        .is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
    if has_port {
        first.to_owned()
    } else {
        format!("{first}:{default_port}")
    }
}

/// Handshake with a NATS server, and a question to its JetStream. A server that asks for credentials, or for TLS, counts as well.
pub(super) fn nats(address: &str) -> Result<String> {
    let mut stream = connect(&host_port(address, 4222))?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let greeting = line(&mut lines)?;
    let info = greeting
        .strip_prefix("INFO ")
        .context("it does not greet as a NATS server")?;
    let info: Value = serde_json::from_str(info).context("its INFO is not JSON")?;
    let version = info["version"].as_str().context("its INFO has no version")?;
    ensure!(
        info["jetstream"] == true,
        "nats-server {version} runs without JetStream"
    );
    for (field, what) in [("auth_required", "credentials"), ("tls_required", "TLS")] {
        if info[field] == true {
            return Ok(format!("nats-server {version}, asks for {what}"));
        }
    }
    let question = "CONNECT {\"verbose\":false,\"pedantic\":false,\"name\":\"confab services\",\"protocol\":1}\r\n\
                    SUB _INBOX.confab 1\r\nPUB $JS.API.INFO _INBOX.confab 0\r\n\r\n";
    stream.write_all(question.as_bytes())?;
    loop {
        let answer = line(&mut lines)?;
        match answer.split(' ').next().unwrap_or_default() {
            "MSG" => break,
            "-ERR" => bail!("nats-server {version} says {answer}"),
            "PING" => stream.write_all(b"PONG\r\n")?,
            _ => {}
        }
    }
    let account: Value =
        serde_json::from_str(&line(&mut lines)?).context("JetStream's answer is not JSON")?;
    ensure!(account["error"].is_null(), "JetStream says {}", account["error"]);
    Ok(format!(
        "nats-server {version}, JetStream answers ({} streams)",
        account["streams"]
    ))
}

fn line(lines: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    ensure!(
        lines.read_line(&mut line).context("no answer")? > 0,
        "it closed the connection"
    );
    Ok(line.trim_end().to_owned())
}

/// Version 4 of the native protocol: what ScyllaDB and Cassandra both speak.
const VERSION: u8 = 4;
const ERROR: u8 = 0x00;
const STARTUP: u8 = 0x01;
const READY: u8 = 0x02;
const AUTHENTICATE: u8 = 0x03;
const OPTIONS: u8 = 0x05;
const SUPPORTED: u8 = 0x06;
const QUERY: u8 = 0x07;
const RESULT: u8 = 0x08;

/// Opens a session of the CQL native protocol and reads a row. A server that asks for credentials counts as well.
pub(super) fn cql(address: &str) -> Result<String> {
    let mut stream = connect(&host_port(address, 9042))?;
    let (answer, supported) = ask(&mut stream, OPTIONS, &[])?;
    ensure!(answer == SUPPORTED, "it answers OPTIONS with opcode {answer}");
    let engine = if supported.windows(7).any(|word| word == b"SCYLLA_") {
        "ScyllaDB"
    } else {
        "Cassandra"
    };

    let mut startup = 1_u16.to_be_bytes().to_vec();
    for text in ["CQL_VERSION", "3.0.0"] {
        startup.extend(u16::try_from(text.len())?.to_be_bytes());
        startup.extend(text.as_bytes());
    }
    let (answer, _) = ask(&mut stream, STARTUP, &startup)?;
    if answer == AUTHENTICATE {
        return Ok(format!("{engine}, asks for credentials"));
    }
    ensure!(answer == READY, "it answers STARTUP with opcode {answer}");

    let text = "SELECT release_version FROM system.local";
    let mut query = u32::try_from(text.len())?.to_be_bytes().to_vec();
    query.extend(text.as_bytes());
    query.extend([0, 1, 0]); // consistency ONE, no flags
    let (answer, rows) = ask(&mut stream, QUERY, &query)?;
    ensure!(answer == RESULT, "it answers a query with opcode {answer}");
    let version = only_text(&rows).context("its answer to a query cannot be read")?;
    Ok(format!("{engine}, release {version}, answers queries"))
}

/// Sends one frame and reads its answer.
fn ask(stream: &mut TcpStream, opcode: u8, body: &[u8]) -> Result<(u8, Vec<u8>)> {
    const LONGEST: u32 = 1 << 20;
    let mut frame = vec![VERSION, 0, 0, 0, opcode];
    frame.extend(u32::try_from(body.len())?.to_be_bytes());
    frame.extend(body);
    stream.write_all(&frame)?;
    let mut header = [0; 9];
    stream.read_exact(&mut header).context("no answer")?;
    ensure!(
        header[0] == VERSION | 0x80,
        "it does not speak version {VERSION} of the native protocol"
    );
    let length = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
    ensure!(length <= LONGEST, "an answer of {length} bytes");
    let mut body = vec![0; usize::try_from(length)?];
    stream.read_exact(&mut body).context("half an answer")?;
    if header[4] == ERROR {
        let mut fields = Fields(body.get(4..).unwrap_or_default());
        bail!("it says: {}", fields.text().unwrap_or_default());
    }
    Ok((header[4], body))
}

/// The text in the one column of the one row of a result.
fn only_text(result: &[u8]) -> Option<String> {
    const ROWS: u32 = 2;
    const GLOBAL_TABLE: u32 = 1;
    let mut fields = Fields(result);
    let is_rows = fields.int()? == ROWS;
    let flags = fields.int()?;
    let columns = fields.int()?;
    if !is_rows || columns != 1 || flags & !GLOBAL_TABLE != 0 {
        return None;
    }
    let (_keyspace, _table, _column) = (fields.text()?, fields.text()?, fields.text()?);
    let _type = fields.take(2)?;
    let rows = fields.int()?;
    let length = usize::try_from(fields.int()?).ok()?;
    let value = fields.take(length)?;
    (rows == 1).then(|| String::from_utf8_lossy(value).into_owned())
}

/// The fields of a frame's body, from the front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn int(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<String> {
        let length = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        Some(String::from_utf8_lossy(self.take(length.into())?).into_owned())
    }
}

#[cfg(test)]
mod tests;
