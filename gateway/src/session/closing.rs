//! How a connection ends.

use std::borrow::Cow;

use confab_proto::client::CloseCode;
use futures_util::SinkExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::frames::Frames;
use super::{Ended, Socket};
use crate::config::{CLOSE_TIMEOUT, LAST_TIMEOUT};
use crate::registry::End;
use crate::stream::Transport;

/// What a broken stream of frames means.
pub(super) fn broken(error: &Error) -> Ended {
    let end = |code, reason| {
        Ended::By(End {
            code,
            reason: Cow::Borrowed(reason),
        })
    };
    match error {
        Error::Capacity(_) => Ended::By(End::of(CloseCode::TooLarge)),
        Error::Utf8(_) => end(1007, "a text frame is not UTF-8"),
        Error::Protocol(_) => end(1002, "this is not WebSocket"),
        _ => Ended::Gone,
    }
}

/// Sends the close frame, and reads on until the client has seen it: to drop a connection with unread bytes would be a
/// reset, in which the code gets lost.
pub(super) async fn close<S: Transport>(mut socket: Socket<S>, mut rest: Frames, ended: Ended) {
    let frame = match ended {
        Ended::Gone => None,
        Ended::By(end) => Some(CloseFrame {
            code: end.code.into(),
            reason: end.reason.into_owned().into(),
        }),
    };
    let last = async {
        // A frame that is half written is finished first, else the close frame would be taken for the rest of it.
        rest.write_to(socket.get_mut()).await?;
        match frame {
            Some(frame) => socket.send(Message::Close(Some(frame))).await,
            None => socket.flush().await,
        }
    };
    if !matches!(tokio::time::timeout(LAST_TIMEOUT, last).await, Ok(Ok(()))) {
        tracing::debug!("a client did not take its last frames");
        return;
    }
    let letting_go = async {
        let stream = socket.get_mut();
        if stream.shutdown().await.is_ok() {
            let mut rest = vec![0; 4096];
            while matches!(stream.read(&mut rest).await, Ok(read) if read > 0) {}
        }
    };
    if tokio::time::timeout(CLOSE_TIMEOUT, letting_go).await.is_err() {
        tracing::debug!("a client did not close in time");
    }
}
