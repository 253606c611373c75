//! Prints how much resident memory an idle, authenticated connection costs the server.
//!
//! ```sh
//! cargo run --release --example idle_memory            # 10,000 connections
//! cargo run --release --example idle_memory -- 50000
//! ```
//!
//! It starts a server of its own, connects as many users with a token each, and reads the server's resident memory
//! before and after. Then it starts the server anew and connects all again: the second figure is without the work of
//! remembering new devices. It needs as many open files as connections (`ulimit -Hn`).

#![allow(clippy::print_stdout, reason = "a tool prints what it found")]
#![allow(
    missing_docs,
    unreachable_pub,
    reason = "a tool has no users but its own main"
)]

#[allow(dead_code, reason = "each tool uses its part of it")]
#[path = "../measure/mod.rs"]
mod measure;

use std::io::Write;

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use measure::{Client, Server};
use serde_json::json;

const SECRET: &[u8] = b"a secret of this measurement, more than 32 bytes";
/// Long enough that what waits to be saved is saved.
const REST: std::time::Duration = std::time::Duration::from_secs(5);
/// Handshakes under way at a time.
const AT_ONCE: usize = 64;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let count: usize = std::env::args().nth(1).map_or(Ok(10_000), |text| text.parse())?;
    let mut key = tempfile::NamedTempFile::new()?;
    key.write_all(SECRET)?;
    let path = key.path().display().to_string();
    let most = (count + 10).to_string();
    let flags = ["--auth", "jwt", "--hs256-keys", &path, "--max-connections", &most];
    let mut server = Server::start(&flags)?;
    for devices in [
        "devices that connect for the first time",
        "devices that are known, to a server started anew",
    ] {
        // One connection first, so that what the first of all brings up is not counted.
        drop(connect(&server, count + 1).await?);
        let before = server.resident_kb()?;
        let start = std::time::Instant::now();
        let clients: Vec<Client> = stream::iter(0..count)
            .map(|n| connect(&server, n))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let seconds = start.elapsed().as_secs_f64();
        let after = server.resident_kb()?;
        tokio::time::sleep(REST).await;
        let rested = server.resident_kb()?;
        let each = |kb: u64| kb.saturating_sub(before) as f64 / count as f64;
        println!("{count} {devices}, in {seconds:.1} s:");
        println!(
            "  resident {before} KB before, {after} KB after, {:.2} KB a connection",
            each(after)
        );
        println!(
            "  after {} s of rest {rested} KB, {:.2} KB a connection",
            REST.as_secs(),
            each(rested)
        );
        drop(clients);
        server = server.restart(&flags)?;
    }
    Ok(())
}

async fn connect(server: &Server, n: usize) -> Result<Client> {
    let claims = json!({"sub": format!("user{n}"), "exp": 4_102_444_800_u64});
    let token = jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &claims,
        &EncodingKey::from_secret(SECRET),
    )?;
    Client::connect(server.address, n, &format!("token={token}")).await
}
