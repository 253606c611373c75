//! Every promise that is broken is found, and named.

use serde_json::Value;

use crate::service::{Ran, Service, run};
use crate::tampering::{By, Fate, Proxy};

/// Two users, a few messages and marks.
const SCENARIO: &[&str] = &[
    "--set",
    "users.count=2",
    "--set",
    "users.devices=1",
    "--set",
    "chats.dialogs=1",
    "--set",
    "chats.groups=[]",
    "--set",
    "storms=[]",
    "--set",
    "churn.rate=0.001",
    "--set",
    "mix={ send = 2.0, read = 1.0, edit = 0.2 }",
    "--set",
    "load.rate=60.0",
    "--set",
    "load.warm_up=0s",
    "--set",
    "load.duration=2s",
    "--set",
    "load.settle=2s",
];

fn judged(tamper: impl FnMut(By, &str) -> Fate + Send + 'static) -> Ran {
    let service = Service::start();
    let proxy = Proxy::before(&service.address, tamper);
    run("smoke", &proxy.url, SCENARIO)
}

/// The run fails by a broken promise, and these kinds are among the violations.
fn found(ran: &Ran, kinds: &[&str]) {
    let violations = ran.violations();
    for kind in kinds {
        assert!(
            violations.iter().any(|one| one == kind),
            "no {kind}: {}",
            ran.said
        );
    }
    assert_eq!(ran.code, Some(2), "{}", ran.said);
    assert_eq!(ran.summary()["verdict"], "violated");
}

/// Changes the `n`th frame that the service says and that is about something.
fn nth(
    about: &'static str,
    n: usize,
    mut change: impl FnMut(&str) -> Fate + Send + 'static,
) -> impl FnMut(By, &str) -> Fate {
    let mut count = 0;
    move |by, text| {
        if by == By::Client || !text.contains(about) {
            return Fate::pass(text);
        }
        count += 1;
        if count == n {
            change(text)
        } else {
            Fate::pass(text)
        }
    }
}

fn changed(text: &str, change: impl FnOnce(&mut Value)) -> Fate {
    let mut frame: Value = serde_json::from_str(text).expect("a frame");
    change(&mut frame);
    Fate::say(frame.to_string())
}

const NEW: &str = r#""eventType":"new""#;

#[test]
fn an_honest_service_passes() {
    let ran = judged(|_, text| Fate::pass(text));
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert_eq!(ran.summary()["ledger"]["violations"], 0);
}

#[test]
fn a_lost_event_leaves_a_hole() {
    let ran = judged(nth(NEW, 9, |_| Fate::default()));
    found(&ran, &["event_hole", "message_hole"]);
}

#[test]
fn the_last_event_lost_is_a_message_that_is_missing() {
    // From some event on one user hears nothing more.
    let mut silent = None::<String>;
    let mut count = 0;
    let ran = judged(move |by, text| {
        if by == By::Client || !text.contains(NEW) {
            return Fate::pass(text);
        }
        count += 1;
        let frame: Value = serde_json::from_str(text).expect("a frame");
        let other = frame["payload"]["chatId"].as_str().expect("a chat").to_owned();
        if count == 20 {
            silent = Some(other.clone());
        }
        if silent.as_ref() == Some(&other) {
            Fate::default()
        } else {
            Fate::pass(text)
        }
    });
    found(&ran, &["missing"]);
}

#[test]
fn an_event_that_comes_twice_is_a_duplicate() {
    let ran = judged(nth(NEW, 9, |text| Fate {
        on: vec![text.to_owned(), text.to_owned()],
        back: Vec::new(),
    }));
    found(&ran, &["duplicate"]);
}

#[test]
fn one_message_under_two_ids_is_a_duplicate() {
    let ran = judged(nth(NEW, 9, |text| {
        changed(text, |frame| {
            let own = frame["payload"]["clientMessageId"].as_str().expect("an id");
            let earlier = own.parse::<u32>().expect("a number") - 1;
            frame["payload"]["clientMessageId"] = earlier.to_string().into();
        })
    }));
    found(&ran, &["duplicate"]);
}

#[test]
fn events_out_of_order_are_found() {
    let mut held = None::<String>;
    let mut count = 0;
    let ran = judged(move |by, text| {
        if by == By::Client || !text.contains(NEW) {
            return Fate::pass(text);
        }
        count += 1;
        match (count, held.take()) {
            (9, _) => {
                held = Some(text.to_owned());
                Fate::default()
            }
            (_, Some(before)) => Fate {
                on: vec![text.to_owned(), before],
                back: Vec::new(),
            },
            _ => Fate::pass(text),
        }
    });
    assert_eq!(ran.code, Some(2), "{}", ran.said);
    found(&ran, &["event_hole"]);
}

#[test]
fn a_mark_that_goes_back_is_found() {
    let ran = judged(nth(r#""eventType":"read""#, 8, |text| {
        changed(text, |frame| frame["payload"]["messageId"] = 0.into())
    }));
    found(&ran, &["mark_went_back"]);
}

#[test]
fn a_wrong_unread_count_is_found() {
    let ran = judged(|by, text| {
        let list = by == By::Service && text.contains("lastMessageStatus") && text.contains("response");
        if !list {
            return Fate::pass(text);
        }
        changed(text, |frame| {
            let missed = frame["payload"][0]["missed"].as_u64().unwrap_or(0);
            frame["payload"][0]["missed"] = (missed + 1).into();
        })
    });
    found(&ran, &["unread"]);
}

#[test]
fn a_history_that_says_something_else_is_found() {
    let ran = judged(|by, text| {
        if by == By::Client || !text.contains(r#""createdAt""#) || !text.contains("response") {
            return Fate::pass(text);
        }
        changed(text, |frame| {
            if frame["payload"][3]["message"].is_string() {
                frame["payload"][3]["message"] = "something else".into();
            }
        })
    });
    found(&ran, &["history"]);
}

#[test]
fn a_message_that_was_answered_and_never_kept_is_found() {
    let mut count = 0;
    let ran = judged(move |by, text| {
        if by == By::Service || !text.contains(r#""payloadType":"new""#) {
            return Fate::pass(text);
        }
        count += 1;
        if count < 6 {
            return Fate::pass(text);
        }
        // From here on it only says that it has stored what is sent.
        let request: Value = serde_json::from_str(text).expect("a frame");
        let (id, own) = (&request["id"], &request["payload"]["clientMessageId"]);
        let answer = serde_json::json!({
            "type": "response", "id": id, "timestamp": 1,
            "payload": { "messageId": count, "timestamp": 1, "clientMessageId": own },
        });
        Fate {
            on: Vec::new(),
            back: vec![answer.to_string()],
        }
    });
    found(&ran, &["missing", "history", "unread"]);
}
