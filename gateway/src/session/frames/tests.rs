//! What a client reads is what was pushed, whatever the lengths and however the connection takes it.

use futures_util::StreamExt;
use tokio::io::AsyncReadExt;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::Frames;

const LENGTHS: [usize; 10] = [0, 1, 124, 125, 126, 127, 65_535, 65_536, 65_537, 300_000];

#[tokio::test]
async fn every_length_is_read_as_it_was_pushed() {
    let (mut ours, theirs) = tokio::io::duplex(1024);
    let mut client = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
    let texts: Vec<String> = LENGTHS
        .iter()
        .map(|length| "abcdefghij".chars().cycle().take(*length).collect())
        .collect();
    let mut frames = Frames::default();
    for text in &texts {
        frames.push(|out| out.extend_from_slice(text.as_bytes()));
    }
    assert_eq!(frames.count(), 10);
    let write = async {
        frames.write_to(&mut ours).await.unwrap();
        assert!(frames.is_empty());
        drop(ours);
    };
    let read = async {
        for text in &texts {
            let frame = client.next().await.unwrap().unwrap();
            assert!(frame == Message::text(text), "{} bytes", text.len());
        }
    };
    tokio::join!(write, read);
}

#[tokio::test]
async fn a_write_that_is_cut_off_goes_on_where_it_was() {
    let (mut ours, mut theirs) = tokio::io::duplex(16);
    let mut frames = Frames::default();
    let text: String = ('a'..='z').cycle().take(120).collect();
    frames.push(|out| out.extend_from_slice(text.as_bytes()));
    // The connection takes 16 bytes, and no more until somebody reads.
    let cut_off = futures_util::FutureExt::now_or_never(frames.write_to(&mut ours));
    assert!(cut_off.is_none());
    let mut read = vec![0; 122];
    let (written, ()) = tokio::join!(frames.write_to(&mut ours), async {
        theirs.read_exact(&mut read).await.unwrap();
    });
    written.unwrap();
    assert_eq!(&read[..2], [0x81, 120]);
    assert_eq!(&read[2..], text.as_bytes());
}

#[tokio::test]
async fn nothing_is_kept_once_all_is_written() {
    let mut frames = Frames::default();
    frames.push(|out| out.resize(200_000, b'a'));
    frames.write_to(&mut tokio::io::sink()).await.unwrap();
    assert_eq!(frames.bytes.capacity(), 0);
}
