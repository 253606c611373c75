//! Every promise that is broken is found, and named.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::{Value, json};

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
    "mix={ send = 2.0, read = 1.0, delivered = 0.5, edit = 0.4, delete = 0.2, history = 0.3, chats = 0.3 }",
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
        if by != By::Service || !text.contains(about) {
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

/// Changes every frame that the service says and that is about something.
fn every(
    about: &'static str,
    mut change: impl FnMut(&mut Value) + Send + 'static,
) -> impl FnMut(By, &str) -> Fate {
    move |by, text| {
        if by == By::Service && text.contains(about) {
            changed(text, &mut change)
        } else {
            Fate::pass(text)
        }
    }
}

/// From some message on, what the user who is told of it is told of something is dropped.
fn deaf(about: &'static str, from: usize) -> impl FnMut(By, &str) -> Fate {
    let (mut deaf, mut count) = (None::<Value>, 0);
    move |by, text| {
        if by != By::Service || !text.contains(about) {
            return Fate::pass(text);
        }
        count += 1;
        let frame: Value = serde_json::from_str(text).expect("a frame");
        let other = &frame["payload"]["chatId"];
        if count == from {
            deaf = Some(other.clone());
        }
        if deaf.as_ref() == Some(other) {
            Fate::default()
        } else {
            Fate::pass(text)
        }
    }
}

const NEW: &str = r#""eventType":"new""#;
const EDIT: &str = r#""eventType":"edit""#;
const DELETE: &str = r#""eventType":"delete""#;
const READ: &str = r#""eventType":"read""#;
const DELIVERED: &str = r#""eventType":"dlvrd""#;
const HISTORY: &str = r#""createdAt""#;
const LIST: &str = "lastMessageStatus";

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
    let ran = judged(deaf(NEW, 20));
    found(&ran, &["missing"]);
}

#[test]
fn an_event_that_comes_twice_is_a_duplicate() {
    let ran = judged(nth(NEW, 9, |text| Fate {
        on: vec![text.to_owned(), text.to_owned()],
        ..Fate::default()
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
        if by != By::Service || !text.contains(NEW) {
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
                ..Fate::default()
            },
            _ => Fate::pass(text),
        }
    });
    assert_eq!(ran.code, Some(2), "{}", ran.said);
    found(&ran, &["event_hole"]);
}

#[test]
fn a_message_that_is_told_after_a_later_one_is_found_though_its_event_is_the_next() {
    // One receiver is told of a message once more, as its next event; and all its later events are numbered one higher.
    let (mut receiver, mut count) = (None::<Value>, 0);
    let ran = judged(move |by, text| {
        if by != By::Service || !text.contains("eventType") {
            return Fate::pass(text);
        }
        let mut frame: Value = serde_json::from_str(text).expect("a frame");
        let to = frame["payload"]["chatId"].clone();
        let number = frame["id"].as_u64();
        frame["id"] = number.map(|number| number + 1).into();
        let higher = frame.to_string();
        count += usize::from(text.contains(NEW));
        if count == 9 && receiver.is_none() {
            receiver = Some(to);
            return Fate {
                on: vec![text.to_owned(), higher],
                ..Fate::default()
            };
        }
        if number.is_some() && receiver.as_ref() == Some(&to) {
            return Fate::say(higher);
        }
        Fate::pass(text)
    });
    found(&ran, &["order"]);
}

/// Answers the `n`th `new` of any client as refused for good; whether the service gets it all the same.
fn refusing(n: usize, stored: bool) -> impl FnMut(By, &str) -> Fate {
    let mut count = 0;
    move |by, text| {
        if by == By::Client && text.contains(r#""payloadType":"new""#) {
            count += 1;
            if count == n {
                let frame: Value = serde_json::from_str(text).expect("a frame");
                let error = json!({"code": "internal", "message": "so it is", "retryable": false});
                let answer =
                    json!({"type": "response", "id": frame["id"], "payloadType": "new", "error": error});
                let on = if stored { vec![text.to_owned()] } else { Vec::new() };
                return Fate {
                    on,
                    back: vec![answer.to_string()],
                    ..Fate::default()
                };
            }
        }
        Fate::pass(text)
    }
}

#[test]
fn a_message_that_was_refused_and_stands_is_found() {
    found(&judged(refusing(9, true)), &["refused"]);
}

#[test]
fn a_refusal_takes_no_chat_out_of_the_judgement() {
    let mut refusing = refusing(9, false);
    let ran = judged(move |by, text| {
        if by == By::Service && text.contains(LIST) {
            return changed(text, |frame| {
                for item in frame["payload"].as_array_mut().expect("a list") {
                    item["missed"] = 999.into();
                }
            });
        }
        refusing(by, text)
    });
    found(&ran, &["unread"]);
    assert_eq!(ran.summary()["counts"]["refused"], 1);
    let ledger = &ran.summary()["ledger"];
    assert_eq!(ledger["ambiguous_absent"], 0, "it is known not to be there");
}

/// Connections go and come back all the time, and name their last event, or do not.
const COMING_BACK: &[&str] = &["--set", "churn={ rate = 8.0, away = '50ms', forget = 0.0 }"];
const FORGETTING: &[&str] = &["--set", "churn={ rate = 8.0, away = '50ms', forget = 1.0 }"];

fn judged_with(more: &[&str], tamper: impl FnMut(By, &str) -> Fate + Send + 'static) -> Ran {
    let service = Service::start();
    let proxy = Proxy::before(&service.address, tamper);
    run("smoke", &proxy.url, &[SCENARIO, more].concat())
}

/// Who connects, as the query says it.
fn user(query: &str) -> String {
    let named = query
        .split(['?', '&'])
        .find_map(|part| part.strip_prefix("user="));
    named.expect("a user").to_owned()
}

/// The other one of two users, and the id of the event: of what is told of a dialog.
fn durable(text: &str) -> Option<(String, u64)> {
    let frame: Value = serde_json::from_str(text).expect("a frame");
    let id = frame["id"].as_u64()?;
    Some((frame["payload"]["chatId"].as_str()?.to_owned(), id))
}

#[test]
fn an_event_that_a_connection_has_named_and_comes_again_is_a_duplicate() {
    // Who comes back and names an event is told the first event of all once more, before any other.
    let mut first = HashMap::new();
    let mut back = None::<String>;
    let ran = judged_with(COMING_BACK, move |by, text| {
        if by == By::Door {
            back = text.contains("lastEventId=").then(|| user(text));
            return Fate::pass(text);
        }
        let Some((other, _)) = (by == By::Service).then(|| durable(text)).flatten() else {
            return Fate::pass(text);
        };
        let before = first.entry(other.clone()).or_insert_with(|| text.to_owned());
        if back.take_if(|back| *back != other).is_none() {
            return Fate::pass(text);
        }
        Fate {
            on: vec![before.clone(), text.to_owned()],
            ..Fate::default()
        }
    });
    found(&ran, &["duplicate"]);
}

#[test]
fn who_names_no_event_gets_what_was_not_acknowledged() {
    let ran = judged_with(FORGETTING, |_, text| Fate::pass(text));
    assert_eq!(ran.code, Some(0), "{}", ran.said);
}

#[test]
fn what_comes_again_to_who_names_no_event_comes_without_a_hole() {
    // No acknowledgement comes through, so everything comes again; but the second of what does is dropped, once.
    let (mut told, mut again) = (HashSet::new(), 0);
    let mut dropped = false;
    let ran = judged_with(FORGETTING, move |by, text| match by {
        By::Client if text.contains(r#""type":"ack""#) => Fate::default(),
        By::Service => {
            let Some(event) = durable(text) else {
                return Fate::pass(text);
            };
            again = if told.insert(event) { 0 } else { again + 1 };
            if again == 2 && !dropped {
                dropped = true;
                return Fate::default();
            }
            Fate::pass(text)
        }
        _ => Fate::pass(text),
    });
    found(&ran, &["event_hole"]);
}

#[test]
fn a_connection_that_is_lost_again_and_again_is_late_from_the_first_time_on() {
    const LOST_FOR: Duration = Duration::from_millis(1_500);
    let mut since = None::<std::time::Instant>;
    let (mut count, mut first) = (0, true);
    let ran = judged(move |by, text| {
        count += usize::from(by == By::Service && text.contains(NEW));
        if count >= 9 && first {
            first = false;
            since = Some(std::time::Instant::now());
        }
        if by == By::Service && since.is_some_and(|since| since.elapsed() < LOST_FOR) {
            return Fate {
                cut: true,
                ..Fate::default()
            };
        }
        Fate::pass(text)
    });
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let longest = ran.summary()["times"]["resume"]["max_ms"]
        .as_f64()
        .expect("a time");
    assert!(longest >= 1_400.0, "{longest} ms: {}", ran.said);
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
        if by != By::Service || !text.contains(r#""createdAt""#) || !text.contains("response") {
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
        if by != By::Client || !text.contains(r#""payloadType":"new""#) {
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
            back: vec![answer.to_string()],
            ..Fate::default()
        }
    });
    found(&ran, &["missing", "history", "unread"]);
}

#[test]
fn an_event_that_says_another_text_is_found() {
    let ran = judged(nth(NEW, 9, |text| {
        changed(text, |frame| frame["payload"]["message"] = "other".into())
    }));
    found(&ran, &["content"]);
}

#[test]
fn an_event_that_names_another_sender_is_found() {
    let ran = judged(every(NEW, |frame| {
        frame["payload"]["userId"] = other_user(&frame["payload"]["userId"], 1).into();
    }));
    found(&ran, &["content"]);
}

/// One of the first users, up to `last`, other than this one.
fn other_user(user: &Value, last: u32) -> String {
    let user = user.as_str().expect("a user");
    let (run, _) = user.rsplit_once('-').expect("a number");
    let mut all = (0..=last).map(|number| format!("{run}-{number}"));
    all.find(|one| one != user).expect("another one")
}

#[test]
fn an_edit_that_says_what_nobody_wrote_is_found() {
    let ran = judged(nth(EDIT, 3, |text| {
        changed(text, |frame| frame["payload"]["message"] = "7.1 other".into())
    }));
    found(&ran, &["content"]);
}

#[test]
fn an_edit_or_a_deletion_of_another_message_is_found() {
    for about in [EDIT, DELETE] {
        let ran = judged(every(about, |frame| {
            let id = frame["payload"]["messageId"].as_u64().expect("an id");
            frame["payload"]["messageId"] = (id.max(2) - 1).into();
        }));
        found(&ran, &["content"]);
    }
}

#[test]
fn an_edit_and_a_deletion_that_a_member_never_gets_are_missing() {
    for (about, what) in [(EDIT, "edit 1 of message"), (DELETE, "the deletion of message")] {
        let ran = judged(silent(about));
        found(&ran, &["missing"]);
        assert!(ran.said.contains(what), "{}", ran.said);
    }
}

/// Events of a kind become others that say nothing new, so that no id is missing.
fn silent(about: &'static str) -> impl FnMut(By, &str) -> Fate {
    every(about, |frame| {
        frame["eventType"] = "chats".into();
        frame["payload"] = Value::Array(Vec::new());
    })
}

#[test]
fn marks_that_an_author_never_gets_are_missing() {
    for (about, what) in [(READ, "as read"), (DELIVERED, "as dlvrd")] {
        let ran = judged(silent(about));
        found(&ran, &["missing"]);
        assert!(ran.said.contains(what), "{}", ran.said);
    }
}

#[test]
fn what_cannot_be_read_is_found() {
    let ran = judged(nth(READ, 5, |text| {
        changed(text, |frame| frame["payload"]["messageId"] = "five".into())
    }));
    found(&ran, &["unreadable"]);
    let ran = judged(nth(READ, 5, |text| {
        changed(text, |frame| frame["eventType"] = "seen".into())
    }));
    found(&ran, &["unreadable"]);
    let ran = judged(nth(EDIT, 2, |text| {
        changed(text, |frame| {
            drop(frame.as_object_mut().expect("a frame").remove("id"));
        })
    }));
    found(&ran, &["unreadable", "event_hole"]);
}

#[test]
fn a_mark_that_nobody_made_is_found() {
    // One more is more than there is; one less is none that was asked for.
    for shift in [1, -1] {
        let ran = judged(every(READ, move |frame| {
            let id = frame["payload"]["messageId"].as_i64().expect("an id");
            frame["payload"]["messageId"] = (id + shift).into();
        }));
        found(&ran, &["mark"]);
    }
}

#[test]
fn a_list_that_has_a_chat_twice_or_a_strangers_is_found() {
    let ran = judged(every(LIST, |frame| {
        let list = frame["payload"].as_array_mut().expect("a list");
        list.extend(list.first().cloned());
    }));
    found(&ran, &["list"]);
    let ran = judged(every(LIST, |frame| {
        let list = frame["payload"].as_array_mut().expect("a list");
        let mut stranger = list[0].clone();
        stranger["id"] = "bob".into();
        list.push(stranger);
    }));
    found(&ran, &["list"]);
}

#[test]
fn an_answer_of_the_wrong_shape_is_no_success() {
    for about in [HISTORY, LIST] {
        let ran = judged(nth(about, 4, |text| {
            changed(text, |frame| {
                frame["payload"] = serde_json::json!({ "items": [] });
            })
        }));
        found(&ran, &["unreadable"]);
    }
}

#[test]
fn a_page_of_the_load_that_lacks_what_was_acknowledged_is_found() {
    let ran = judged(nth(HISTORY, 4, |text| {
        changed(text, |frame| {
            let page = frame["payload"].as_array_mut().expect("a page");
            page.truncate(1);
        })
    }));
    found(&ran, &["history"]);
    let ran = judged(nth(HISTORY, 4, |text| {
        changed(text, |frame| frame["payload"][0]["message"] = "other".into())
    }));
    found(&ran, &["history"]);
    let ran = judged(nth(HISTORY, 4, |text| {
        changed(text, |frame| frame["payload"][0]["messageId"] = u32::MAX.into())
    }));
    found(&ran, &["history"]);
}

#[test]
fn a_message_in_another_chat_than_it_was_sent_to_is_found() {
    // With three users everybody has two chats.
    let three = ["--set", "users.count=3", "--set", "chats.dialogs=3"];
    let elsewhere = nth(NEW, 12, |text| {
        changed(text, |frame| {
            let (chat, by) = (&frame["payload"]["chatId"], &frame["payload"]["userId"]);
            // The one whom the receiver writes with there, if it is no own message, is the sender.
            let mut other = other_user(chat, 2);
            if chat != by && other == *by {
                other = other_user(&other.into(), 2);
            }
            frame["payload"]["chatId"] = other.into();
        })
    });
    let service = Service::start();
    let proxy = Proxy::before(&service.address, elsewhere);
    let ran = run("smoke", &proxy.url, &[SCENARIO, &three].concat());
    found(&ran, &["stranger"]);
}

#[test]
fn an_id_that_no_chat_can_have_is_a_violation_and_no_memory() {
    let service = Service::start();
    let answer = r#""clientMessageId""#;
    let proxy = Proxy::before(
        &service.address,
        every(answer, |frame| {
            if frame["type"] == "response" && frame["payload"]["messageId"] == 9 {
                frame["payload"]["messageId"] = 4_000_000_000_u32.into();
            }
        }),
    );
    let ran = run("smoke", &proxy.url, &settling("load.settle=2s"));
    found(&ran, &["message_hole"]);
}

/// A short scenario in which nothing needs long.
fn settling(settle: &'static str) -> Vec<&'static str> {
    let quick = ["--set", "mix={ send = 1.0 }", "--set", settle];
    [SCENARIO, &quick].concat()
}

#[test]
fn what_still_arrives_is_waited_for() {
    let service = Service::start();
    // Two seconds of 60 messages a second need four to come through.
    let proxy = Proxy::before(&service.address, |by, text| Fate {
        after: Duration::from_millis(if by == By::Service && text.contains(NEW) {
            35
        } else {
            0
        }),
        ..Fate::pass(text)
    });
    let ran = run("smoke", &proxy.url, &settling("load.settle=1s"));
    assert_eq!(ran.code, Some(0), "{}", ran.said);
}

/// Of two users: whoever names the chat by the first one is the second.
fn told_to_the_second(text: &str) -> bool {
    let frame: Value = serde_json::from_str(text).expect("a frame");
    frame["payload"]["chatId"]
        .as_str()
        .is_some_and(|chat| chat.ends_with("-0"))
}

#[test]
fn what_is_owed_to_a_connection_that_is_gone_is_late_and_not_lost() {
    let service = Service::start();
    let mut count = 0;
    let mut gone = false;
    let proxy = Proxy::before(&service.address, move |by, text| match by {
        By::Door if gone && text.contains("-1&") => Fate::default(),
        By::Service if text.contains(NEW) && told_to_the_second(text) => {
            count += 1;
            gone |= count == 20;
            Fate {
                cut: gone,
                ..Fate::pass(text)
            }
        }
        _ => Fate::pass(text),
    });
    let ran = run("smoke", &proxy.url, &settling("load.settle=1s"));
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert_eq!(ran.summary()["ledger"]["settled"], false);
    let said = "owed to 1 connections that were not there";
    assert!(ran.said.contains(said), "{}", ran.said);
}

#[test]
fn a_run_whose_connections_are_lost_for_good_does_not_pass() {
    let service = Service::start();
    let mut count = 0;
    let proxy = Proxy::before(&service.address, move |by, text| {
        count += usize::from(text.contains("typing"));
        let gone = count > 20;
        match by {
            By::Door if gone => Fate::default(),
            _ => Fate {
                cut: gone,
                ..Fate::pass(text)
            },
        }
    });
    let idle = ["--set", "mix={ typing = 1.0 }", "--set", "load.settle=1s"];
    let ran = run("smoke", &proxy.url, &[SCENARIO, &idle].concat());
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert!(
        ran.said.contains("2 connections did not come back"),
        "{}",
        ran.said
    );
}
