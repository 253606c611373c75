//! The bare server of `calibrate`: it reads a frame, makes one group-committed append that is synced to the disk, answers
//! the sender and sends an event to the receiver. No chat server that keeps its word can do less.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Written before it is used, so that a sync writes no metadata.
const FILE: usize = 64 << 20;
const QUEUE: usize = 4_096;

/// A frame of a connection.
type Frames = mpsc::Sender<String>;

#[derive(Deserialize)]
struct Incoming<'a> {
    id: &'a str,
    payload: New<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct New<'a> {
    chat_id: &'a str,
    message: &'a str,
    client_message_id: &'a str,
}

/// What is written, and what goes out once it stands.
struct Append {
    record: String,
    out: [(Option<Frames>, String); 2],
}

struct Shared {
    connections: Mutex<HashMap<String, Frames>>,
    appends: SyncSender<Append>,
    last: AtomicU32,
}

/// Prints its address, and serves until it is ended.
///
/// # Errors
///
/// Where it can neither listen nor write.
#[allow(clippy::print_stdout, reason = "the address is what its parent waits for")]
pub(crate) async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (appends, receiver) = sync_channel(QUEUE);
    let file = preallocated()?;
    std::thread::Builder::new()
        .name("commit".to_owned())
        .spawn(move || commit(file, &receiver))?;
    println!("{}", listener.local_addr()?);
    let shared = Arc::new(Shared {
        connections: Mutex::default(),
        appends,
        last: AtomicU32::new(0),
    });
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        connections.spawn(connection(stream, shared.clone()));
    }
}

fn preallocated() -> Result<File> {
    // In the directory that it was started in.
    let path = format!(".confab-floor-{}", std::process::id());
    let mut file = File::create(&path).with_context(|| format!("creating {path}"))?;
    // It is gone with the process.
    std::fs::remove_file(&path)?;
    file.write_all(&vec![0; FILE])?;
    file.sync_all()?;
    file.rewind()?;
    Ok(file)
}

/// All that waits is one write and one sync.
fn commit(mut file: File, appends: &Receiver<Append>) {
    let mut at = 0;
    let mut bytes = Vec::new();
    while let Ok(first) = appends.recv() {
        let batch: Vec<_> = std::iter::once(first)
            .chain(appends.try_iter().take(QUEUE))
            .collect();
        bytes.clear();
        batch
            .iter()
            .for_each(|append| bytes.extend_from_slice(append.record.as_bytes()));
        if at + bytes.len() > FILE {
            at = 0;
        }
        let place = SeekFrom::Start(at as u64);
        let written = file
            .seek(place)
            .and_then(|_| file.write_all(&bytes))
            .and_then(|()| file.sync_data());
        if written.is_err() {
            return;
        }
        at += bytes.len();
        for (to, frame) in batch.into_iter().flat_map(|append| append.out) {
            // A receiver that is full or gone loses its frame: it is a floor, no chat.
            let _ = to.map(|to| to.try_send(frame));
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) -> Result<()> {
    let small = WebSocketConfig::default()
        .read_buffer_size(4_096)
        .write_buffer_size(4_096);
    let (frames, mut queue) = mpsc::channel(QUEUE);
    #[allow(clippy::result_large_err, reason = "the type is the library's")]
    let named = |request: &Request, response: Response| {
        let query = request.uri().query().unwrap_or_default();
        let user = query.split('&').find_map(|pair| pair.strip_prefix("user="));
        let mut connections = shared.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.insert(user.unwrap_or_default().to_owned(), frames.clone());
        Ok(response)
    };
    let accepted = tokio_tungstenite::accept_hdr_async_with_config(stream, named, Some(small));
    let mut socket = Box::pin(accepted).await?;
    loop {
        tokio::select! {
            frame = socket.next() => {
                let Some(frame) = frame else { return Ok(()) };
                if let Message::Text(text) = frame? {
                    append(&text, &frames, &shared)?;
                }
            }
            Some(frame) = queue.recv() => {
                socket.feed(Message::text(frame)).await?;
                while let Some(Some(frame)) = queue.recv().now_or_never() {
                    socket.feed(Message::text(frame)).await?;
                }
                socket.flush().await?;
            }
        }
    }
}

fn append(text: &str, sender: &Frames, shared: &Shared) -> Result<()> {
    let incoming: Incoming<'_> = serde_json::from_str(text)?;
    let New {
        chat_id,
        message,
        client_message_id,
    } = incoming.payload;
    let id = shared.last.fetch_add(1, Ordering::Relaxed);
    let response = format!(
        r#"{{"type":"response","id":"{}","timestamp":1790000000000,"payload":{{"messageId":{id},"timestamp":1790000000000,"clientMessageId":"{client_message_id}"}}}}"#,
        incoming.id
    );
    let event = format!(
        r#"{{"type":"event","id":{id},"eventType":"new","timestamp":1790000000000,"payload":{{"id":{id},"chatId":"{chat_id}","userId":"{chat_id}","messageId":{id},"clientMessageId":"{client_message_id}","message":"{message}","timestamp":1790000000000}}}}"#
    );
    let receiver = shared
        .connections
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(chat_id)
        .cloned();
    let append = Append {
        record: text.to_owned(),
        out: [(Some(sender.clone()), response), (receiver, event)],
    };
    match shared.appends.try_send(append) {
        Ok(()) => Ok(()),
        // It holds this connection up, which is what it should do.
        Err(TrySendError::Full(append)) => {
            tokio::task::block_in_place(|| shared.appends.send(append)).context("the disk")
        }
        Err(TrySendError::Disconnected(_)) => bail!("the disk"),
    }
}
