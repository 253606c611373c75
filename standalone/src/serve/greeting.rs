//! What a process says of itself once it runs.

use std::io::Write;
use std::net::SocketAddr;

use super::Role;
use crate::health;
use crate::settings::{Auth, Settings};

/// Says where the health endpoint is.
pub(super) fn admin(address: Option<SocketAddr>) {
    if let Some(address) = address {
        say(&format!(
            "Health and metrics on http://{address} (/startupz, /healthz, /readyz, /metrics)\n"
        ));
    }
}

/// Says where the process is, now that it is ready, and how to try it.
pub(super) fn announce(
    role: Role,
    settings: &Settings,
    address: Option<SocketAddr>,
    admin_at: Option<SocketAddr>,
) {
    let Some(address) = address else {
        let (nats, cql) = (settings.nats.join(", "), settings.cql.join(", "));
        return say(&format!("A Confab worker runs on {nats} and {cql}\n"));
    };
    let scheme = if settings.tls_cert.is_some() { "wss" } else { "ws" };
    say(&format!("Confab listens on {scheme}://{address}/ws\n"));
    admin(admin_at);
    if settings.tls_cert.is_none() && role == Role::Serve {
        let invitations = invitations(settings, address);
        say(&format!("Try it in two more terminals:\n{invitations}"));
    }
}

/// On standard output. Nobody need listen.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _nobody_listens = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Two commands that chat with each other, as the service itself was started.
fn invitations(settings: &Settings, address: SocketAddr) -> String {
    let command = std::env::args().next().unwrap_or_else(|| "confab".to_owned());
    let usual = Settings::default();
    let elsewhere = |setting: bool, flag: String| if setting { flag } else { String::new() };
    let url = elsewhere(
        address != usual.listen,
        format!(" --url ws://{}/ws", health::reachable(address)),
    );
    let directory = settings
        .data_dir()
        .map(|path| path.display().to_string())
        .unwrap_or_default();
    let invite = |user: &str, to: &str| {
        let token = format!("CONFAB_TOKEN=$({command} token --user {user} --data-dir '{directory}') ");
        let token = elsewhere(
            settings.auth == Auth::Jwt && settings.uses_development_key(),
            token,
        );
        format!("  {token}{command} chat --user {user} --to {to}{url}\n")
    };
    invite("alice", "bob") + &invite("bob", "alice")
}
