//! `confab chat`: a small chat client for a terminal, line by line, so that it works in a pipe as well.
//!
//! [`talk`] decides what a frame or a typed line means; [`link`] is the connection; here the two are tied together:
//! connect, talk until the connection ends, and connect again unless the service said not to.

mod link;
mod screen;
mod talk;

use std::io::BufRead;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::exit::{Code, Failure, OrFail};
use link::{Heard, Link, Refused};
use screen::Screen;
use talk::{Do, Talk};

/// Lines that may wait to be taken up; a longer pipe waits.
const LINES: usize = 64;
/// The first pause before connecting again, and the longest; it doubles in between.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// How often the client shows that it lives, and sends again what was refused for a moment.
const BEAT: Duration = Duration::from_secs(4);

/// What the command line says.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Who one is, without a token.
    pub(crate) user: Option<String>,
    /// Whom to chat with.
    pub(crate) to: String,
    /// The service.
    pub(crate) url: String,
    /// The token.
    pub(crate) token: Option<String>,
    /// The authorities to trust under wss://, a PEM file, instead of the public ones.
    pub(crate) ca: Option<PathBuf>,
    /// The device's name.
    pub(crate) device: String,
}

/// How a connection ended.
enum End {
    /// The user is done.
    Quit,
    /// Connect again, not before so much time has passed.
    Again(Option<Duration>),
    /// Connecting again would not help.
    Final(String),
}

/// Chats until the input ends, the user quits, or the service says no.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let me = link::user(options)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.or_fail(Code::Fault, "runtime")?;
    let outcome = runtime.block_on(chat(options, Talk::new(&me, &options.to), Screen::of_terminal()));
    // The thread that waits for input cannot be called back.
    runtime.shutdown_background();
    outcome
}

async fn chat(options: &Options, mut talk: Talk, mut screen: Screen) -> Result<(), Failure> {
    let mut lines = typed_lines()?;
    let mut pause = PAUSES.0;
    loop {
        let end = match Link::open(options, talk.last_event()).await {
            Ok(link) => {
                pause = PAUSES.0;
                connected(link, &mut talk, &mut screen, &mut lines).await
            }
            Err(Refused::Final(reason)) => End::Final(reason),
            Err(Refused::ForNow(reason)) => {
                screen.note_once(&format!("cannot connect to {}: {reason}; trying on", options.url));
                End::Again(None)
            }
        };
        match end {
            End::Quit => return Ok(()),
            End::Final(reason) => return Err(Failure::new(Code::Other, reason)),
            End::Again(delay) => {
                let until = Instant::now() + delay.unwrap_or(pause);
                pause = (pause * 2).min(PAUSES.1);
                if wait(until, &mut talk, &mut screen, &mut lines).await.is_break() {
                    return Ok(());
                }
            }
        }
    }
}

/// Lets time pass, and takes lines meanwhile: they are sent once there is a connection.
async fn wait(
    until: Instant,
    talk: &mut Talk,
    screen: &mut Screen,
    lines: &mut mpsc::Receiver<String>,
) -> std::ops::ControlFlow<()> {
    loop {
        tokio::select! {
            () = sleep_until(until) => return std::ops::ControlFlow::Continue(()),
            line = lines.recv(), if !talk.input_ended() => {
                let things = talk.typed(line.as_deref());
                if things.iter().any(|thing| matches!(thing, Do::Quit)) {
                    return std::ops::ControlFlow::Break(());
                }
                screen.show_all(&things);
            }
        }
    }
}

async fn connected(
    mut link: Link,
    talk: &mut Talk,
    screen: &mut Screen,
    lines: &mut mpsc::Receiver<String>,
) -> End {
    let mut beat = tokio::time::interval_at(Instant::now() + BEAT, BEAT);
    let mut things = talk.connected();
    loop {
        screen.show_all(&things);
        for thing in &things {
            match thing {
                Do::Quit => {
                    link.close().await;
                    return End::Quit;
                }
                Do::Send(frame) if link.send(frame).await.is_err() => return End::Again(None),
                Do::Send(_) | Do::Show(_) | Do::Erase => {}
            }
        }
        things = tokio::select! {
            heard = link.hear() => match heard {
                Heard::Frame(frame) => talk.heard(&frame),
                Heard::Nothing => Vec::new(),
                Heard::Closed(code, reason) => return closed(screen, code, &reason),
            },
            line = lines.recv(), if !talk.input_ended() => talk.typed(line.as_deref()),
            _ = beat.tick() => {
                if link.beat().await.is_err() {
                    return End::Again(None);
                }
                talk.again()
            }
        };
    }
}

/// What a close code asks of a client.
fn closed(screen: &mut Screen, code: Option<u16>, reason: &str) -> End {
    match code {
        Some(1001 | 1012) => End::Again(reason.parse().ok().map(Duration::from_millis)),
        Some(4001) => End::Final("the token has expired: get a new one".to_owned()),
        Some(4003) => End::Final("this user is banned".to_owned()),
        Some(4010) => {
            End::Final("the same device has connected elsewhere (give each its own --device)".to_owned())
        }
        Some(4029) => End::Again(Some(PAUSES.1)),
        _ => {
            screen.note("connection lost; trying again");
            End::Again(None)
        }
    }
}

/// The lines of standard input. A thread reads them, since a terminal cannot be waited for otherwise.
fn typed_lines() -> Result<mpsc::Receiver<String>, Failure> {
    let (sender, receiver) = mpsc::channel(LINES);
    let reader = move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("input".to_owned())
        .spawn(reader)
        .or_fail(Code::Fault, "thread")?;
    Ok(receiver)
}
