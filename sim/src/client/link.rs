//! How a device gets a connection: through memory, to the real edge of a gateway.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::Rng;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::Device;
use crate::history::Connection;
use crate::host::Host;
use crate::wire::Wire;

pub(super) type Socket = WebSocketStream<DuplexStream>;

/// What a gateway accepts.
pub type Accepted = io::Result<(DuplexStream, SocketAddr)>;

/// The way into a gateway.
#[derive(Clone, Debug)]
pub struct Door {
    host: Host,
    to: mpsc::Sender<Accepted>,
}

impl Door {
    /// The way into a gateway, and what it is to accept.
    #[must_use]
    pub fn new(host: &Host) -> (Self, mpsc::Receiver<Accepted>) {
        let (to, accepted) = mpsc::channel(1024);
        let door = Self {
            host: host.clone(),
            to,
        };
        (door, accepted)
    }

    pub(super) fn host(&self) -> &Host {
        &self.host
    }
}

/// The gateways that take connections.
#[derive(Debug)]
pub struct Doors {
    open: Mutex<Vec<Door>>,
    wire: Arc<Wire>,
}

impl Doors {
    /// None yet.
    #[must_use]
    pub fn new(wire: Arc<Wire>) -> Self {
        Self {
            open: Mutex::default(),
            wire,
        }
    }

    /// Opens one.
    pub fn open(&self, door: Door) {
        self.open.lock().push(door);
    }

    /// Closes that of a process.
    pub fn close(&self, host: &Host) {
        self.open.lock().retain(|door| door.host.name() != host.name());
    }

    /// Keeps a connection open that nobody uses.
    pub(super) fn bury(&self, socket: Socket, while_of: Duration) {
        self.wire.after(while_of, move || drop(socket));
    }

    fn one(&self, nth: usize) -> Option<Door> {
        let open = self.open.lock();
        let count = open.len().max(1);
        open.get(nth % count).cloned()
    }
}

/// Bytes of a client's read buffer.
const READ_BUFFER: usize = 4 * 1024;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(12);

impl Device {
    /// Connects to any gateway.
    pub(super) async fn connect(&mut self) -> Option<(Socket, Door)> {
        let door = self.shared.doors.one(self.rng.random_range(0..1000))?;
        let bytes = match self.rng.random_range(0..10) {
            0..=1 => 1024,
            _ => 64 * 1024,
        };
        let (ours, theirs) = tokio::io::duplex(bytes);
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        door.to.try_send(Ok((theirs, peer))).ok()?;
        let names_cursor = self.rng.random_range(1..=100) <= self.someone.habits.names_cursor;
        let asked = self.cursor.filter(|_| names_cursor);
        let mut url = format!("ws://sim/ws?user={}&device={}", self.user, self.name);
        if let Some(id) = asked {
            url.push_str(&format!("&lastEventId={id}"));
        }
        if let Some(id) = asked {
            self.acks.all_up_to(id);
        }
        self.note(format_args!("connects to {} after {asked:?}", door.host.name()));
        // The usual buffer would be most of the work of a run: it is cleared for every read.
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
        let shaking = tokio_tungstenite::client_async_with_config(url, ours, Some(config));
        let shaken = tokio::select! {
            biased;
            () = door.host.death() => return None,
            shaken = tokio::time::timeout(HANDSHAKE, shaking) => shaken,
        };
        let (socket, _) = match shaken {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => {
                self.note(format_args!("is not let in: {error}"));
                return None;
            }
            Err(_) => {
                self.note(format_args!("is not let in in time"));
                return None;
            }
        };
        let connection = Connection {
            user: self.user.clone(),
            device: self.name.clone(),
            asked,
            acked: self.acks.up_to(),
            events: Vec::new(),
        };
        self.connection = self.shared.history.with(|records| {
            records.connections.push(connection);
            records.connections.len() - 1
        });
        self.note(format_args!("is connected"));
        Some((socket, door))
    }
}
