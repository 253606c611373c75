//! Servers that no test could have for the asking: old ones, ones without JetStream, ones that let nobody in.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Speaks as much of the protocol as connecting takes.
pub(crate) struct Fake {
    pub(crate) address: String,
    /// Who the last one to connect said to be.
    said: Arc<Mutex<String>>,
    _running: JoinSet<()>,
}

/// What is wrong with it.
#[derive(Clone, Copy)]
pub(crate) enum Wrong {
    Version,
    NoJetStream,
    LetsNobodyIn,
}

impl Fake {
    pub(crate) async fn start(wrong: Wrong) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("nats://{}", listener.local_addr().unwrap());
        let said = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&said);
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut serving = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let heard = Arc::clone(&heard);
                serving.spawn(async move { serve(client, wrong, &heard).await.unwrap_or_default() });
            }
        });
        Self {
            address,
            said,
            _running: running,
        }
    }

    /// Who the last one to connect said to be.
    pub(crate) fn said(&self) -> serde_json::Value {
        serde_json::from_str(&self.said.lock().unwrap()).unwrap()
    }
}

async fn serve(client: TcpStream, wrong: Wrong, heard: &Mutex<String>) -> std::io::Result<()> {
    let version = if matches!(wrong, Wrong::Version) {
        "2.8.4"
    } else {
        "2.9.0"
    };
    let info = format!(
        "INFO {{\"server_id\":\"fake\",\"server_name\":\"fake\",\"version\":\"{version}\",\"headers\":true,\
         \"max_payload\":1048576,\"proto\":1,\"nonce\":\"abc\"}}\r\n"
    );
    let mut client = BufReader::new(client);
    client.write_all(info.as_bytes()).await?;
    let mut line = String::new();
    while client.read_line(&mut line).await? > 0 {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Some(who) = line.strip_prefix("CONNECT ") {
            who.clone_into(&mut heard.lock().unwrap());
        }
        match words.as_slice() {
            ["PING"] if matches!(wrong, Wrong::LetsNobodyIn) => {
                return client.write_all(b"-ERR 'Authorization Violation'\r\n").await;
            }
            ["PING"] => client.write_all(b"PONG\r\n").await?,
            // Whatever is asked for, nobody is there to answer.
            ["PUB", _, reply, length] => {
                let mut payload = vec![0; length.parse::<usize>().unwrap() + 2];
                client.read_exact(&mut payload).await?;
                let header = "NATS/1.0 503\r\n\r\n";
                let length = header.len();
                let answer = format!("HMSG {reply} 0 {length} {length}\r\n{header}\r\n");
                client.write_all(answer.as_bytes()).await?;
            }
            _ => {}
        }
        line.clear();
    }
    Ok(())
}
