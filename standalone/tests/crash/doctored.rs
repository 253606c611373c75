//! The checker accepts a good history and notices every way to doctor it.

use std::collections::BTreeMap;

use crate::support::checker::{Changed, Device, Event, History, Marked, Sent, Stored, View, What, check};

const CHAT: &str = "ann+ben";

/// A user, and when a message was delivered to and read by them.
type By<'a> = (&'a str, (Option<u64>, Option<u64>));

fn stored(id: u64, sender: &str, text: Option<&str>, marks: &[By<'_>]) -> Stored {
    let marks: BTreeMap<_, _> = marks
        .iter()
        .map(|(user, times)| ((*user).to_owned(), *times))
        .collect();
    let (client_id, text) = (Some(format!("c{id}")), text.map(str::to_owned));
    Stored {
        id,
        sender: sender.to_owned(),
        client_id,
        text,
        created: 100 + id,
        marks,
    }
}

fn new(message: u64, sender: &str, text: &str) -> What {
    What::New {
        message,
        sender: sender.to_owned(),
        client_id: Some(format!("c{message}")),
        text: text.to_owned(),
    }
}

fn mark(read: bool, message: u64) -> What {
    What::Mark {
        read,
        user: "ben".to_owned(),
        message,
    }
}

fn events() -> Vec<Event> {
    let all = [
        (What::Chats, 0),
        (new(1, "ann", "one"), 101),
        (new(2, "ann", "two"), 102),
        (mark(false, 2), 110),
        (mark(true, 2), 110),
        (new(3, "ben", "three"), 103),
        (
            What::Edit {
                message: 1,
                text: "first".to_owned(),
            },
            120,
        ),
        (new(4, "ann", "four"), 104),
        (What::Delete { message: 2 }, 130),
    ];
    let chat = |what: &What| {
        if *what == What::Chats {
            String::new()
        } else {
            CHAT.to_owned()
        }
    };
    (1..)
        .zip(all)
        .map(|(id, (what, time))| Event {
            id,
            chat: chat(&what),
            what,
            time,
        })
        .collect()
}

/// Ann and Ben: four messages, an edit, a delete, a mark; two devices each, one of which reconnected.
fn good() -> History {
    let by_ben = [("ben", (Some(110), Some(110)))];
    let messages = |marked: bool| {
        let marks = if marked { &by_ben[..] } else { &[] };
        vec![
            stored(1, "ann", Some("first"), marks),
            stored(2, "ann", None, marks),
            stored(3, "ben", Some("three"), &[]),
            stored(4, "ann", Some("four"), &[]),
        ]
    };
    let view = |user: &str, missed| View {
        chat: CHAT.to_owned(),
        user: user.to_owned(),
        missed,
        messages: messages(user == "ann"),
    };
    let sent = |id: u64, sender: &str, text: &str| Sent {
        chat: CHAT.to_owned(),
        sender: sender.to_owned(),
        client_id: format!("c{id}"),
        answer: Some((id, 100 + id)),
        text: text.to_owned(),
    };
    let device = |user: &str, name: &str| {
        let all = events();
        let split = vec![all[..6].to_vec(), all[4..].to_vec()];
        let connections = if name == "phone" { split } else { vec![all] };
        Device {
            user: user.to_owned(),
            name: name.to_owned(),
            connections,
        }
    };
    let changed = |message, to: Option<&str>| Changed {
        chat: CHAT.to_owned(),
        message,
        to: to.map(str::to_owned),
    };
    let read = Marked {
        chat: CHAT.to_owned(),
        user: "ben".to_owned(),
        read: true,
        message: 2,
        time: 110,
    };
    History {
        sends: vec![
            sent(1, "ann", "one"),
            sent(2, "ann", "two"),
            sent(3, "ben", "three"),
            sent(4, "ann", "four"),
        ],
        changes: vec![changed(1, Some("first")), changed(2, None)],
        marks: vec![read.clone()],
        glimpses: vec![Marked { message: 1, ..read }],
        devices: [
            ("ann", "phone"),
            ("ann", "desk"),
            ("ben", "phone"),
            ("ben", "desk"),
        ]
        .map(|(user, name)| device(user, name))
        .to_vec(),
        views: vec![view("ann", 0), view("ben", 1)],
    }
}

#[test]
fn a_good_history_is_accepted() {
    assert_eq!(check(&good()), Vec::<String>::new());
}

/// The checker must complain, in words that contain `about`.
fn notices(about: &str, doctor: impl FnOnce(&mut History)) {
    let mut history = good();
    doctor(&mut history);
    let broken = check(&history);
    assert!(
        broken.iter().any(|line| line.contains(about)),
        "not noticed: {about}; noticed: {broken:#?}"
    );
}

#[test]
fn lost_messages_are_noticed() {
    notices("has it not", |history| {
        for view in &mut history.views {
            view.messages.pop();
        }
    });
    notices("see different messages", |history| {
        history.views[1].messages.pop();
    });
}

#[test]
fn holes_and_repeats_of_message_ids_are_noticed() {
    notices("message ids are", |history| {
        for view in &mut history.views {
            view.messages.remove(2);
        }
    });
    notices("message ids are", |history| {
        for view in &mut history.views {
            let again = view.messages[3].clone();
            view.messages.push(again);
        }
    });
    notices("is there twice", |history| {
        for view in &mut history.views {
            let again = Stored {
                id: 5,
                ..view.messages[3].clone()
            };
            view.messages.push(again);
        }
    });
    notices("two sends were answered", |history| {
        history.sends[3].answer = Some((1, 101));
    });
}

#[test]
fn lost_changes_are_noticed() {
    notices("acknowledged was Some(\"first\")", |history| {
        for view in &mut history.views {
            view.messages[0].text = Some("one".to_owned());
        }
    });
    notices("acknowledged was None", |history| {
        for view in &mut history.views {
            view.messages[1].text = Some("two".to_owned());
        }
    });
    notices("stored as", |history| {
        for view in &mut history.views {
            view.messages[0].created = 99;
        }
    });
}

#[test]
fn lost_and_changed_marks_are_noticed() {
    notices("is gone", |history| {
        history.views[0].messages[0].marks.clear();
    });
    notices("but it carries", |history| {
        history.views[0].messages[1]
            .marks
            .insert("ben".to_owned(), (Some(110), Some(111)));
    });
    notices("but it carries", |history| history.glimpses[0].time = 109);
    notices("hole or go back", |history| {
        history.views[0].messages[0]
            .marks
            .insert("ben".to_owned(), (Some(140), Some(140)));
    });
    notices("before it was delivered", |history| {
        history.views[0].messages[0]
            .marks
            .insert("ben".to_owned(), (None, Some(110)));
    });
}

#[test]
fn wrong_unread_counts_are_noticed() {
    notices("is told of 0 unread", |history| history.views[1].missed = 0);
    notices("is told of 2 unread", |history| history.views[0].missed = 2);
}

#[test]
fn lost_repeated_and_reordered_events_are_noticed() {
    notices("follows", |history| {
        history.devices[1].connections[0].remove(3);
    });
    notices("follows", |history| history.devices[1].connections[0].swap(3, 4));
    notices("came after", |history| {
        history.devices[0].connections[1].drain(..3);
    });
    notices("has 9 events", |history| {
        history.devices[1].connections[0].pop();
    });
    notices("with other content", |history| {
        history.devices[0].connections[1][1].time = 7;
    });
    notices("or others", |history| {
        history.devices[1].connections[0][5].time = 7;
    });
}

#[test]
fn events_that_do_not_tell_what_stands_are_noticed() {
    let everywhere = |history: &mut History, at: usize, what: &What, time: u64| {
        for device in &mut history.devices {
            for connection in &mut device.connections {
                for event in connection.iter_mut().filter(|event| event.id == at as u64) {
                    event.what = what.clone();
                    event.time = time;
                }
            }
        }
    };
    notices("is stored", |history| {
        everywhere(history, 6, &new(4, "ann", "four"), 104);
    });
    notices("delete events", |history| everywhere(history, 9, &What::Chats, 0));
    notices("edited to", |history| {
        everywhere(
            history,
            7,
            &What::Edit {
                message: 1,
                text: "other".to_owned(),
            },
            120,
        );
    });
    notices("marked #1 after #2", |history| {
        everywhere(history, 7, &mark(true, 1), 110);
    });
    notices("was not told of read", |history| {
        everywhere(history, 5, &What::Chats, 0);
    });
    notices("but it carries", |history| {
        everywhere(history, 5, &mark(true, 2), 111);
    });
}

#[test]
fn two_orders_are_noticed() {
    notices("different orders", |history| {
        for device in history.devices.iter_mut().filter(|device| device.user == "ben") {
            let mut all = events();
            let (one, two) = (all[6].clone(), all[8].clone());
            all[6] = Event { id: 7, ..two };
            all[8] = Event { id: 9, ..one };
            device.connections = vec![all];
        }
    });
}
