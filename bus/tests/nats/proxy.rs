//! A network between the bus and the server that can be broken.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Passes bytes to the server and back, until told otherwise.
pub(crate) struct Proxy {
    address: SocketAddr,
    cut: watch::Sender<bool>,
    deaf: Arc<AtomicBool>,
    _running: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn start(server: &str) -> Self {
        let server = server.trim_start_matches("nats://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cut = watch::Sender::new(false);
        let deaf = Arc::new(AtomicBool::new(false));
        let mut running = JoinSet::new();
        running.spawn(accept(listener, server, cut.subscribe(), Arc::clone(&deaf)));
        Self {
            address,
            cut,
            deaf,
            _running: running,
        }
    }

    pub(crate) fn address(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Ends all connections, and takes no new ones.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// Takes connections again, which work.
    pub(crate) fn heal(&self) {
        self.deaf.store(false, Ordering::SeqCst);
        self.cut.send_replace(false);
    }

    /// From here on the server hears what is sent, and its answers are lost.
    pub(crate) fn lose_answers(&self) {
        self.deaf.store(true, Ordering::SeqCst);
    }
}

async fn accept(listener: TcpListener, server: String, cut: watch::Receiver<bool>, deaf: Arc<AtomicBool>) {
    let mut passing = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        if *cut.borrow() {
            continue;
        }
        passing.spawn(pass(client, server.clone(), cut.clone(), Arc::clone(&deaf)));
    }
}

async fn pass(mut client: TcpStream, server: String, mut cut: watch::Receiver<bool>, deaf: Arc<AtomicBool>) {
    let mut server = TcpStream::connect(server).await.unwrap();
    let (mut there, mut back) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            biased;
            _ = async { cut.wait_for(|cut| *cut).await.is_ok() } => return,
            read = client.read(&mut there) => match read {
                Ok(1..) if server.write_all(&there[..read.unwrap()]).await.is_ok() => {}
                _ => return,
            },
            read = server.read(&mut back) => match read {
                Ok(1..) if deaf.load(Ordering::SeqCst) => {}
                Ok(1..) if client.write_all(&back[..read.unwrap()]).await.is_ok() => {}
                _ => return,
            },
        }
    }
}
