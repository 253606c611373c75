//! Writes the corpus that fuzzing begins with: `cargo run --package confab-fuzz --example corpus`.

use std::path::Path;

use confab_fuzz::{pack, samples};
use confab_proto::message::LogEntry;
use confab_proto::wire::Wire;

fn main() -> std::io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let put = |target: &str, name: String, bytes: &[u8]| -> std::io::Result<()> {
        let folder = corpus.join(target);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(name), bytes)
    };
    for (nth, frame) in samples::FRAMES.iter().enumerate() {
        put("client_frame", format!("frame-{nth}"), frame.as_bytes())?;
    }
    let entries: Vec<LogEntry> = (0..26)
        .filter_map(|kind| samples::entry(kind, kind / 2, kind as u64 % 5 + 1, kind as u64))
        .collect();
    for (nth, entry) in entries.iter().enumerate() {
        put("wire", format!("entry-{nth}"), &entry.encode())?;
    }
    for (nth, some) in entries.chunks(9).enumerate() {
        put("apply", format!("entries-{nth}"), &pack(some))?;
    }
    let head = confab_chat::mailbox::Head {
        version: 7,
        epoch: 1,
        seq: 12,
        last: 5,
        ..confab_chat::mailbox::Head::default()
    };
    put("state", "mailbox-head".to_owned(), &head.encode())?;
    let ann = confab_chat::UserId::parse("ann").map_err(std::io::Error::other)?;
    let chat = confab_chat::conversation::State::new(confab_chat::ChatKey::dialog(&ann, &ann));
    put("state", "chat-head".to_owned(), &chat.head.encode())
}
