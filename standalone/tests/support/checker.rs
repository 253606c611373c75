//! Decides whether a history keeps the service's promises: nothing acknowledged is lost, ids have no holes, nothing
//! is there twice, everybody sees one order, marks never go back, and unread counts are what the history says.
//!
//! It knows nothing of how a history was observed. `check` lists every promise that was broken.

use std::collections::{BTreeMap, BTreeSet};

/// All that was observed, by all clients.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// Every message that was sent, answered or not.
    pub(crate) sends: Vec<Sent>,
    /// Every answered edit and delete, in the order in which one author made them.
    pub(crate) changes: Vec<Changed>,
    /// Every answered mark.
    pub(crate) marks: Vec<Marked>,
    /// Times of marks seen on the way: they must stand at the end.
    pub(crate) glimpses: Vec<Marked>,
    /// What each device received.
    pub(crate) devices: Vec<Device>,
    /// What each member sees of each chat at the end.
    pub(crate) views: Vec<View>,
}

/// A message on its way in.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) chat: String,
    pub(crate) sender: String,
    pub(crate) client_id: String,
    /// Its id and time, as answered.
    pub(crate) answer: Option<(u64, u64)>,
    pub(crate) text: String,
}

/// An answered edit (`Some` text) or delete (`None`).
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    pub(crate) chat: String,
    pub(crate) message: u64,
    pub(crate) to: Option<String>,
}

/// A mark: answered, or seen on a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marked {
    pub(crate) chat: String,
    pub(crate) user: String,
    pub(crate) read: bool,
    pub(crate) message: u64,
    pub(crate) time: u64,
}

/// One device, and what each of its connections received. It was there before the first event.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) user: String,
    pub(crate) name: String,
    pub(crate) connections: Vec<Vec<Event>>,
}

/// A durable event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: u64,
    pub(crate) chat: String,
    pub(crate) what: What,
    pub(crate) time: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Chats,
    New {
        message: u64,
        sender: String,
        client_id: Option<String>,
        text: String,
    },
    Edit {
        message: u64,
        text: String,
    },
    Delete {
        message: u64,
    },
    Mark {
        read: bool,
        user: String,
        message: u64,
    },
}

/// A chat as a member sees it at the end, when everything was answered.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) chat: String,
    pub(crate) user: String,
    pub(crate) missed: u64,
    pub(crate) messages: Vec<Stored>,
}

/// A message as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) id: u64,
    pub(crate) sender: String,
    pub(crate) client_id: Option<String>,
    /// `None` when it was deleted.
    pub(crate) text: Option<String>,
    pub(crate) created: u64,
    /// By user: when it was delivered, when it was read. Its author sees this.
    pub(crate) marks: BTreeMap<String, (Option<u64>, Option<u64>)>,
}

/// Every broken promise, in words.
pub(crate) fn check(history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    views_agree(history, &mut broken);
    for view in &history.views {
        ids_have_no_holes(view, &mut broken);
        client_ids_are_once(view, &mut broken);
        unread_count_is_right(history, view, &mut broken);
        marks_form_prefixes(view, &mut broken);
    }
    sends_stand(history, &mut broken);
    changes_stand(history, &mut broken);
    for mark in history.marks.iter().chain(&history.glimpses) {
        mark_stands(history, mark, &mut broken);
    }
    for device in &history.devices {
        let events = resumed(device, &mut broken);
        events_match_views(history, &device.user, &events, &mut broken);
        mark_events_go_forward(history, &device.user, &events, &mut broken);
    }
    devices_agree(history, &mut broken);
    members_see_one_order(history, &mut broken);
    broken
}

impl History {
    fn views_of<'a, 'c>(&'a self, chat: &'c str) -> impl Iterator<Item = &'a View> + use<'a, 'c> {
        self.views.iter().filter(move |view| view.chat == chat)
    }

    /// A message as its author sees it, where the marks stand.
    fn at_author(&self, chat: &str, message: u64) -> Option<&Stored> {
        self.views_of(chat).find_map(|view| {
            let stored = view.messages.iter().find(|stored| stored.id == message)?;
            (stored.sender == view.user).then_some(stored)
        })
    }
}

fn views_agree(history: &History, broken: &mut Vec<String>) {
    let bare = |view: &View| -> Vec<Stored> {
        let without = |stored: &Stored| Stored {
            marks: BTreeMap::new(),
            ..stored.clone()
        };
        view.messages.iter().map(without).collect()
    };
    let mut first: BTreeMap<&str, (&str, Vec<Stored>)> = BTreeMap::new();
    for view in &history.views {
        let seen = bare(view);
        match first.get(view.chat.as_str()) {
            None => drop(first.insert(&view.chat, (&view.user, seen))),
            Some((user, expected)) if *expected != seen => {
                broken.push(format!(
                    "{}: {user} and {} see different messages",
                    view.chat, view.user
                ));
            }
            Some(_) => {}
        }
    }
}

fn ids_have_no_holes(view: &View, broken: &mut Vec<String>) {
    let ids: Vec<u64> = view.messages.iter().map(|stored| stored.id).collect();
    if !ids.iter().copied().eq(1..=ids.len() as u64) {
        broken.push(format!("{} to {}: message ids are {ids:?}", view.chat, view.user));
    }
}

fn client_ids_are_once(view: &View, broken: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for stored in &view.messages {
        if let Some(client_id) = &stored.client_id
            && !seen.insert((&stored.sender, client_id))
        {
            broken.push(format!(
                "{}: {client_id} of {} is there twice",
                view.chat, stored.sender
            ));
        }
    }
}

fn unread_count_is_right(history: &History, view: &View, broken: &mut Vec<String>) {
    let own = view
        .messages
        .iter()
        .filter(|stored| stored.sender == view.user)
        .map(|stored| stored.id);
    let of_user = |mark: &&Marked| mark.read && mark.chat == view.chat && mark.user == view.user;
    let marked = history.marks.iter().filter(of_user).map(|mark| mark.message);
    let read = own.chain(marked).max().unwrap_or(0);
    let unread = view
        .messages
        .iter()
        .filter(|stored| stored.id > read && stored.sender != view.user)
        .count();
    if view.missed != unread as u64 {
        broken.push(format!(
            "{}: {} is told of {} unread, there are {unread}",
            view.chat, view.user, view.missed
        ));
    }
}

/// Whatever a user has marked is a prefix of what others wrote, its times never decrease, read is also delivered.
fn marks_form_prefixes(view: &View, broken: &mut Vec<String>) {
    let own = || view.messages.iter().filter(|stored| stored.sender == view.user);
    let users: BTreeSet<&String> = own().flat_map(|stored| stored.marks.keys()).collect();
    for user in users {
        let mut last = (Some(0), Some(0));
        for stored in own() {
            let (delivered, read) = stored.marks.get(user).copied().unwrap_or((None, None));
            let goes_on = |before: Option<u64>, now: Option<u64>| {
                now.is_none() || before.is_some_and(|t| now >= Some(t))
            };
            if !goes_on(last.0, delivered) || !goes_on(last.1, read) {
                broken.push(format!(
                    "{} #{}: marks of {user} have a hole or go back",
                    view.chat, stored.id
                ));
            }
            if read.is_some() && delivered.is_none_or(|delivered| Some(delivered) > read) {
                broken.push(format!(
                    "{} #{}: read by {user} before it was delivered",
                    view.chat, stored.id
                ));
            }
            last = (delivered, read);
        }
    }
}

fn sends_stand(history: &History, broken: &mut Vec<String>) {
    let mut ids = BTreeSet::new();
    for sent in &history.sends {
        let Some((id, time)) = sent.answer else { continue };
        if !ids.insert((&sent.chat, id)) {
            broken.push(format!(
                "{} #{id}: two sends were answered with this id",
                sent.chat
            ));
        }
        for view in history.views_of(&sent.chat) {
            let Some(stored) = view.messages.iter().find(|stored| stored.id == id) else {
                broken.push(format!(
                    "{} #{id}: acknowledged to {}, {} has it not",
                    sent.chat, sent.sender, view.user
                ));
                continue;
            };
            let expected = (&sent.sender, Some(&sent.client_id), time);
            if (&stored.sender, stored.client_id.as_ref(), stored.created) != expected {
                broken.push(format!(
                    "{} #{id}: acknowledged as {sent:?}, stored as {stored:?}",
                    sent.chat
                ));
            }
        }
    }
}

/// The last answered change of a message is what stands; what was never changed stands as sent.
fn changes_stand(history: &History, broken: &mut Vec<String>) {
    let mut expected: BTreeMap<(&str, u64), Option<&str>> = BTreeMap::new();
    for sent in &history.sends {
        if let Some((id, _)) = sent.answer {
            expected.insert((&sent.chat, id), Some(&sent.text));
        }
    }
    for change in &history.changes {
        expected.insert((&change.chat, change.message), change.to.as_deref());
    }
    for view in &history.views {
        for stored in &view.messages {
            let Some(text) = expected.get(&(view.chat.as_str(), stored.id)) else {
                continue;
            };
            if stored.text.as_deref() != *text {
                let (chat, id, stands) = (&view.chat, stored.id, &stored.text);
                broken.push(format!(
                    "{chat} #{id}: {} sees {stands:?}, acknowledged was {text:?}",
                    view.user
                ));
            }
        }
    }
}

/// An answered mark covers everything by others below it, and the message it names carries its time.
fn mark_stands(history: &History, mark: &Marked, broken: &mut Vec<String>) {
    let Marked {
        chat,
        user,
        read,
        message,
        time,
    } = mark;
    let of = |stored: &Stored| {
        let (delivered, at) = stored.marks.get(user).copied().unwrap_or((None, None));
        if *read { at } else { delivered }
    };
    for view in history.views_of(chat).filter(|view| view.user != *user) {
        for stored in view
            .messages
            .iter()
            .filter(|stored| stored.sender == view.user && stored.id <= *message)
        {
            if of(stored).is_none() {
                broken.push(format!(
                    "{chat} #{}: {mark:?} was acknowledged and is gone",
                    stored.id
                ));
            }
        }
    }
    if let Some(stored) = history.at_author(chat, *message)
        && stored.sender != *user
        && of(stored) != Some(*time)
    {
        broken.push(format!(
            "{chat} #{message}: {mark:?}, but it carries {:?}",
            of(stored)
        ));
    }
}

/// The events of a device as it processes them: each once, in order. Repeats must be equal, holes must not be.
fn resumed(device: &Device, broken: &mut Vec<String>) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    let who = format!("{}/{}", device.user, device.name);
    for (number, connection) in device.connections.iter().enumerate() {
        for pair in connection.windows(2) {
            if pair[1].id != pair[0].id + 1 {
                broken.push(format!(
                    "{who}, connection {number}: event {} follows {}",
                    pair[1].id, pair[0].id
                ));
            }
        }
        for event in connection {
            let known = events.len() as u64;
            match event.id {
                id if id == known + 1 => events.push(event.clone()),
                id if (1..=known).contains(&id) => {
                    if !same(&events[usize::try_from(id - 1).unwrap_or(usize::MAX)], event) {
                        broken.push(format!("{who}: event {id} came again with other content"));
                    }
                }
                id => broken.push(format!(
                    "{who}, connection {number}: event {id} came after {known}"
                )),
            }
        }
    }
    events
}

/// Equal but for what an event sent again may leave out: the text of a deleted message.
fn same(one: &Event, two: &Event) -> bool {
    let bare = |event: &Event| {
        let mut event = event.clone();
        if let What::New { text, .. } | What::Edit { text, .. } = &mut event.what {
            text.clear();
        }
        if event.what == What::Chats {
            event.time = 0;
        }
        event
    };
    let text = |event: &Event| match &event.what {
        What::New { text, .. } | What::Edit { text, .. } => text.clone(),
        _ => String::new(),
    };
    let (first, second) = (text(one), text(two));
    bare(one) == bare(two) && (first == second || first.is_empty() || second.is_empty())
}

/// Each message is announced once and in order, each deletion once, and the last edit is the text that stands.
fn events_match_views(history: &History, user: &str, events: &[Event], broken: &mut Vec<String>) {
    for view in history.views.iter().filter(|view| view.user == user) {
        let of_chat = || events.iter().filter(|event| event.chat == view.chat);
        let mut announced = Vec::new();
        let (mut deleted, mut edited) = (BTreeMap::new(), BTreeMap::new());
        for event in of_chat() {
            match &event.what {
                What::New {
                    message,
                    sender,
                    client_id,
                    ..
                } => {
                    announced.push((*message, sender.clone(), client_id.clone(), event.time));
                }
                What::Delete { message } => *deleted.entry(*message).or_insert(0) += 1,
                What::Edit { message, text } => drop(edited.insert(*message, text.clone())),
                What::Chats | What::Mark { .. } => {}
            }
        }
        let stored: Vec<_> = view
            .messages
            .iter()
            .map(|s| (s.id, s.sender.clone(), s.client_id.clone(), s.created))
            .collect();
        if announced != stored {
            let at = announced.iter().zip(&stored).position(|(one, two)| one != two);
            let at = at.unwrap_or(announced.len().min(stored.len()));
            let (one, two) = (announced.get(at), stored.get(at));
            broken.push(format!(
                "{} to {user}: announced {one:?} where {two:?} is stored",
                view.chat
            ));
        }
        for stored in &view.messages {
            let deletions = deleted.get(&stored.id).copied().unwrap_or(0);
            if deletions != u32::from(stored.text.is_none()) {
                broken.push(format!(
                    "{} #{} to {user}: {deletions} delete events",
                    view.chat, stored.id
                ));
            }
            if let (Some(last), Some(text)) = (edited.get(&stored.id), &stored.text)
                && last != text
            {
                broken.push(format!(
                    "{} #{} to {user}: edited to {last:?}, not {text:?}",
                    view.chat, stored.id
                ));
            }
        }
    }
}

/// Mark events name ever higher messages, carry the time that stands, and reach the author of what they cover.
fn mark_events_go_forward(history: &History, user: &str, events: &[Event], broken: &mut Vec<String>) {
    let mut highest: BTreeMap<(&str, &str, bool), u64> = BTreeMap::new();
    for event in events {
        let What::Mark {
            read,
            user: marker,
            message,
        } = &event.what
        else {
            continue;
        };
        let last = highest.entry((&event.chat, marker, *read)).or_insert(0);
        if message <= last {
            broken.push(format!(
                "{} to {user}: {marker} marked #{message} after #{last}",
                event.chat
            ));
        }
        *last = *message;
        let (chat, marker) = (event.chat.clone(), marker.clone());
        let mark = Marked {
            chat,
            user: marker,
            read: *read,
            message: *message,
            time: event.time,
        };
        mark_stands(history, &mark, broken);
    }
    for view in history.views.iter().filter(|view| view.user == user) {
        for stored in view.messages.iter().filter(|stored| stored.sender == user) {
            for (marker, (delivered, at)) in &stored.marks {
                for (read, time) in [(false, delivered), (true, at)] {
                    let told = highest
                        .get(&(view.chat.as_str(), marker.as_str(), read))
                        .copied()
                        .unwrap_or(0);
                    if time.is_some() && told < stored.id {
                        let kind = if read { "read" } else { "dlvrd" };
                        broken.push(format!(
                            "{} #{}: {user} was not told of {kind} by {marker}",
                            view.chat, stored.id
                        ));
                    }
                }
            }
        }
    }
}

/// All devices of a user receive the same events under the same ids, and all of them.
fn devices_agree(history: &History, broken: &mut Vec<String>) {
    let mut first: BTreeMap<&str, (&str, Vec<Event>)> = BTreeMap::new();
    for device in &history.devices {
        let events = resumed(device, &mut Vec::new());
        let (name, expected) = first
            .entry(&device.user)
            .or_insert_with(|| (&device.name, events.clone()));
        let equal =
            expected.len() == events.len() && expected.iter().zip(&events).all(|(one, two)| same(one, two));
        if !equal {
            let (one, two) = (expected.len(), events.len());
            broken.push(format!(
                "{}: {name} has {one} events, {} has {two}, or others",
                device.user, device.name
            ));
        }
    }
}

/// Messages, edits and deletions of a chat reach all members in one order.
fn members_see_one_order(history: &History, broken: &mut Vec<String>) {
    let mut first: BTreeMap<String, (String, Vec<(What, u64)>)> = BTreeMap::new();
    for view in &history.views {
        let Some(device) = history.devices.iter().find(|device| device.user == view.user) else {
            continue;
        };
        let order: Vec<(What, u64)> = resumed(device, &mut Vec::new())
            .into_iter()
            .filter(|event| event.chat == view.chat)
            .filter_map(|event| match event.what {
                What::New {
                    message,
                    sender,
                    client_id,
                    ..
                } => Some((
                    What::New {
                        message,
                        sender,
                        client_id,
                        text: String::new(),
                    },
                    event.time,
                )),
                What::Edit { message, .. } => Some((
                    What::Edit {
                        message,
                        text: String::new(),
                    },
                    event.time,
                )),
                What::Delete { .. } => Some((event.what, event.time)),
                What::Chats | What::Mark { .. } => None,
            })
            .collect();
        let (user, expected) = first
            .entry(view.chat.clone())
            .or_insert_with(|| (view.user.clone(), order.clone()));
        if *expected != order {
            broken.push(format!(
                "{}: {user} and {} see different orders of events",
                view.chat, view.user
            ));
        }
    }
}
