//! Servers that no test could have for the asking: old ones, ones without JetStream, ones that let nobody in.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Speaks as much of the protocol as connecting takes.
pub(crate) struct Fake {
    pub(crate) address: String,
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
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut serving = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                serving.spawn(async move { serve(client, wrong).await.unwrap_or_default() });
            }
        });
        Self {
            address,
            _running: running,
        }
    }
}

async fn serve(client: TcpStream, wrong: Wrong) -> std::io::Result<()> {
    let version = if matches!(wrong, Wrong::Version) {
        "2.8.4"
    } else {
        "2.9.0"
    };
    let info = format!(
        "INFO {{\"server_id\":\"fake\",\"server_name\":\"fake\",\"version\":\"{version}\",\"headers\":true,\
         \"max_payload\":1048576,\"proto\":1}}\r\n"
    );
    let mut client = BufReader::new(client);
    client.write_all(info.as_bytes()).await?;
    let mut line = String::new();
    while client.read_line(&mut line).await? > 0 {
        let words: Vec<&str> = line.split_whitespace().collect();
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
