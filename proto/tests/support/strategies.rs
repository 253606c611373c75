//! Arbitrary domain values.

use std::sync::Arc;

use confab_chat::conversation;
use confab_chat::conversation::restore::Hole;
use confab_chat::row::{
    ClientIdRow, Deletion, HeadRow, LastMessage, MembershipRow, MessageRow, Role, RosterRow,
};
use confab_chat::{
    Attachment, AttachmentMeta, ChatKey, ChatKind, Code, Command, DeviceId, EntryId, Event, GatewayId, Op,
    Origin, Partition, Quote, Rejection, Reply, RequestId, SessionId, Timestamp, UserId, mailbox,
};
use confab_proto::message::{
    Announcement, Answer, Attach, AttachFrom, Attached, Beat, DeliverItem, DeliveryBody, Enroll, EntryBody,
    LogEntry, MailboxEvent, Page, Profile, Query, QueryKind, Quoted, Restored, RestoredActor, Signal,
    ToGateway,
};
use confab_proto::row::{CheckpointRow, CursorRow, InboxRow, ReachRow, UserRow};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop_oneof};

pub(crate) fn user_id() -> BoxedStrategy<UserId> {
    prop_oneof![
        "[a-z0-9]{1,12}",
        "[a-zA-Z0-9_.@|*>:ßéλ中😀\\\\\"-]{1,32}",
        "[^\\s\\p{C}]{1,32}"
    ]
    .prop_filter_map("a well-formed id", |text| UserId::parse(&text).ok())
    .boxed()
}

pub(crate) fn users(max: usize) -> impl Strategy<Value = Vec<UserId>> {
    vec(user_id(), 0..max)
}

pub(crate) fn chat_key() -> BoxedStrategy<ChatKey> {
    prop_oneof![
        (user_id(), user_id()).prop_map(|(a, b)| ChatKey::dialog(&a, &b)),
        (user_id(), text()).prop_map(|(owner, id)| ChatKey::group(&owner, &id)),
    ]
    .boxed()
}

pub(crate) fn device_id() -> impl Strategy<Value = DeviceId> {
    "[!-~]{1,64}".prop_map(|text| DeviceId::parse(&text).expect("printable"))
}

pub(crate) fn text() -> BoxedStrategy<String> {
    prop_oneof!["[a-z ]{0,20}", any::<String>()].boxed()
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..300_u64, any::<u64>()]
}

fn time() -> impl Strategy<Value = Timestamp> {
    number().prop_map(Timestamp)
}

fn entry_id() -> impl Strategy<Value = EntryId> {
    text().prop_map(|id| EntryId(id.into()))
}

fn gateway() -> impl Strategy<Value = GatewayId> {
    text().prop_map(|id| GatewayId(id.into()))
}

fn session() -> impl Strategy<Value = SessionId> {
    number().prop_map(SessionId)
}

/// An attachment as it could have come from a client.
pub(crate) fn attachment() -> BoxedStrategy<Attachment> {
    let whole = || prop_oneof![0..5000_u64, 0..=(1_u64 << 60)];
    let pixels = move || (whole(), whole(), whole());
    let meta = prop_oneof![
        (text(), whole()).prop_map(|(extension, size)| AttachmentMeta::File { extension, size }),
        (text(), pixels()).prop_map(|(mimetype, (width, height, size))| AttachmentMeta::Image {
            mimetype,
            width,
            height,
            size
        }),
        (text(), pixels(), 0..=1_000_000_000_000_u64).prop_map(
            |(mimetype, (width, height, size), duration_ms)| AttachmentMeta::Video {
                mimetype,
                width,
                height,
                size,
                duration_ms
            }
        ),
    ];
    (text(), text(), "https?://[a-z.]{1,10}/[!-~é]{0,20}", meta)
        .prop_map(|(id, filename, url, meta)| Attachment {
            id,
            filename,
            url,
            meta,
        })
        .boxed()
}

pub(crate) fn attachments() -> BoxedStrategy<Vec<Attachment>> {
    prop_oneof![3 => Just(Vec::new()), 1 => vec(attachment(), 0..=10)].boxed()
}

fn quote() -> BoxedStrategy<Quote> {
    (number(), of(text()), user_id(), time())
        .prop_map(|(message_id, client_message_id, sender, created_at)| Quote {
            message_id,
            client_message_id,
            sender,
            created_at,
        })
        .boxed()
}

pub(crate) fn event() -> BoxedStrategy<Event> {
    let what = || (chat_key(), number(), user_id(), time());
    let body = || (text(), attachments());
    prop_oneof![
        4 => (what(), body(), of(text()), of(quote())).prop_map(
            |((chat, message_id, sender, at), (text, attachments), client_message_id, reply_to)| Event::New {
                chat, message_id, sender, client_message_id, text, attachments, reply_to, at
            }
        ),
        1 => Just(Event::Chats),
        1 => (what(), body()).prop_map(|((chat, message_id, by, at), (text, attachments))| Event::Edit {
            chat, message_id, by, text, attachments, at
        }),
        1 => what().prop_map(|(chat, message_id, by, at)| Event::Delete { chat, message_id, by, at }),
        1 => what().prop_map(|(chat, message_id, by, at)| Event::Delivered { chat, by, message_id, at }),
        1 => what().prop_map(|(chat, message_id, by, at)| Event::Read { chat, by, message_id, at }),
    ]
    .boxed()
}

fn events() -> impl Strategy<Value = Vec<Arc<Event>>> {
    vec(event().prop_map(Arc::new), 0..4)
}

pub(crate) fn mailbox_event() -> BoxedStrategy<MailboxEvent> {
    let quoted = (quote(), of(text())).prop_map(|(quote, text)| Quoted { quote, text });
    (number(), time(), event(), of(quoted))
        .prop_map(|(id, at, event, quoted)| MailboxEvent {
            id,
            at,
            event: Arc::new(event),
            quoted,
        })
        .boxed()
}

fn code() -> impl Strategy<Value = Code> {
    prop_oneof![
        Just(Code::BadRequest),
        Just(Code::Unauthorized),
        Just(Code::Forbidden),
        Just(Code::NotFound),
        Just(Code::Conflict),
        Just(Code::TooLarge),
        Just(Code::RateLimited),
        Just(Code::Unavailable),
        Just(Code::Timeout),
        Just(Code::Internal),
    ]
}

pub(crate) fn rejection() -> impl Strategy<Value = Rejection> {
    (code(), text()).prop_map(|(code, message)| Rejection { code, message })
}

pub(crate) fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        (number(), time(), of(text())).prop_map(|(message_id, at, client_message_id)| Reply::Message {
            message_id,
            at,
            client_message_id
        }),
        (number(), time(), number(), of(text())).prop_map(|(message_id, at, missed, client_message_id)| {
            Reply::Read {
                message_id,
                at,
                missed,
                client_message_id,
            }
        }),
        Just(Reply::Chat),
        Just(Reply::Left),
        users(5).prop_map(Reply::Participants),
    ]
}

fn chat_kind() -> impl Strategy<Value = ChatKind> {
    prop_oneof![
        Just(ChatKind::Dialog),
        Just(ChatKind::Group),
        Just(ChatKind::Channel)
    ]
}

fn op() -> BoxedStrategy<Op> {
    prop_oneof![
        (text(), attachments(), of(number()), of(text())).prop_map(
            |(text, attachments, reply_to, client_message_id)| Op::New {
                text,
                attachments,
                reply_to,
                client_message_id
            }
        ),
        (number(), text(), attachments()).prop_map(|(message_id, text, attachments)| Op::Edit {
            message_id,
            text,
            attachments
        }),
        number().prop_map(|message_id| Op::Delete { message_id }),
        of(number()).prop_map(|message_id| Op::MarkDelivered { message_id }),
        of(number()).prop_map(|message_id| Op::MarkRead { message_id }),
        (chat_kind(), text(), users(5), of(text()), any::<bool>()).prop_map(
            |(kind, name, participants, photo_url, history_all)| Op::CreateChat {
                kind,
                name,
                participants,
                photo_url,
                history_all
            }
        ),
        of(number()).prop_map(|message_id| Op::DeleteChat { message_id }),
        (of(text()), of(text()), of(users(5)), of(user_id())).prop_map(|(name, photo_url, admins, owner)| {
            Op::UpdateChat {
                name,
                photo_url,
                admins,
                owner,
            }
        }),
        users(5).prop_map(|participants| Op::AddParticipants { participants }),
        users(5).prop_map(|participants| Op::RemoveParticipants { participants }),
        Just(Op::Leave),
    ]
    .boxed()
}

fn command() -> BoxedStrategy<Command> {
    let origin = (gateway(), session(), number()).prop_map(|(gateway, session, request)| Origin {
        gateway,
        session,
        request: RequestId(request),
    });
    (chat_key(), user_id(), origin, op())
        .prop_map(|(chat, user, origin, op)| Command {
            chat,
            user,
            origin,
            op,
        })
        .boxed()
}

pub(crate) fn log_entry() -> impl Strategy<Value = LogEntry> {
    let item = (chat_key(), number(), users(4), events(), users(3)).prop_map(
        |(chat, version, to, events, greet)| DeliverItem {
            chat,
            version,
            to: to.into(),
            events: events.into(),
            greet,
        },
    );
    let enroll = (user_id(), device_id(), of(number()), gateway(), session()).prop_map(
        |(user, device, after, gateway, session)| Enroll {
            user,
            device,
            after,
            gateway,
            session,
        },
    );
    let body = prop_oneof![
        3 => command().prop_map(EntryBody::Command),
        2 => vec(item, 0..3).prop_map(EntryBody::Deliver),
        1 => enroll.prop_map(EntryBody::Enroll),
        1 => any::<u32>().prop_map(EntryBody::SetLogic),
        1 => restored().prop_map(|restored| EntryBody::Restored(Box::new(restored))),
    ];
    (entry_id(), body).prop_map(|(id, body)| LogEntry { id, body })
}

fn restored() -> impl Strategy<Value = Restored> {
    let hole = (number(), user_id(), time()).prop_map(|(message_id, sender, at)| Hole {
        message_id,
        sender,
        at,
    });
    let members = vec((user_id(), conversation_member()), 0..4);
    let chat = (chat_key(), conversation_head(), members, vec(hole, 0..3)).prop_map(
        |(chat, head, members, holes)| RestoredActor::Chat {
            chat,
            head,
            members,
            holes,
        },
    );
    let seen = vec((chat_key(), number()), 0..4);
    let mailbox = (user_id(), mailbox_head(), seen).prop_map(|(user, head, seen)| RestoredActor::Mailbox {
        user,
        head,
        seen,
    });
    let actor = prop_oneof![chat, mailbox];
    (entry_id(), 0..5u32, 1..5u32, actor).prop_map(|(proposal, part, more, actor)| Restored {
        proposal,
        part,
        parts: part + more,
        actor,
    })
}

fn profile() -> impl Strategy<Value = Profile> {
    (of(text()), of(text()), of(text()), of(text()), of(any::<bool>())).prop_map(
        |(name, photo_url, username, phone_number, verified)| Profile {
            name,
            photo_url,
            username,
            phone_number,
            verified,
        },
    )
}

fn attach() -> BoxedStrategy<Attach> {
    let from = prop_oneof![
        of(number()).prop_map(|last_event_id| AttachFrom::Cursor { last_event_id }),
        number().prop_map(AttachFrom::After),
    ];
    let session = (user_id(), device_id(), gateway(), session());
    (session, from, any::<bool>(), any::<bool>(), of(profile()))
        .prop_map(
            |((user, device, gateway, session), from, repeat, away, profile)| Attach {
                user,
                device,
                gateway,
                session,
                from,
                repeat,
                away,
                profile,
            },
        )
        .boxed()
}

pub(crate) fn signal() -> impl Strategy<Value = Signal> {
    let beat = (user_id(), device_id(), session(), number(), any::<bool>()).prop_map(
        |(user, device, session, forwarded, away)| Beat {
            user,
            device,
            session,
            forwarded,
            away,
        },
    );
    let place = || (user_id(), gateway(), session(), any::<bool>());
    let typing = || (chat_key(), user_id(), any::<bool>());
    prop_oneof![
        attach().prop_map(Signal::Attach),
        place().prop_map(|(user, gateway, session, draining)| Signal::Detach {
            user,
            gateway,
            session,
            draining
        }),
        (gateway(), vec(beat, 0..4)).prop_map(|(gateway, sessions)| Signal::Heartbeat { gateway, sessions }),
        (user_id(), device_id(), number()).prop_map(|(user, device, up_to)| Signal::Ack {
            user,
            device,
            up_to
        }),
        place().prop_map(|(user, gateway, session, away)| Signal::Away {
            user,
            gateway,
            session,
            away
        }),
        typing().prop_map(|(chat, user, stop)| Signal::Typing { chat, user, stop }),
        (typing(), users(4)).prop_map(|((chat, user, stop), to)| Signal::TypingTo { chat, user, stop, to }),
        (user_id(), any::<bool>(), of((gateway(), session())), users(4)).prop_map(
            |(from, announce, reply_to, to)| Signal::Probe {
                from,
                announce,
                reply_to,
                to
            }
        ),
        (user_id(), users(4)).prop_map(|(to, users)| Signal::AreOnline { to, users }),
        (user_id(), time(), users(4)).prop_map(|(from, last_seen, to)| Signal::WentOffline {
            from,
            last_seen,
            to
        }),
        users(4).prop_map(|online| Signal::HandOver { online }),
    ]
}

pub(crate) fn to_gateway() -> impl Strategy<Value = ToGateway> {
    let mailbox_events = || vec(mailbox_event(), 0..4);
    let attached = (
        session(),
        number(),
        mailbox_events(),
        any::<bool>(),
        of(number()),
        any::<u32>(),
    )
        .prop_map(|(session, after, events, more, reset, probes)| Attached {
            session,
            after,
            events,
            more,
            reset,
            probes,
        });
    let result = prop_oneof![reply().prop_map(Ok), rejection().prop_map(Err)];
    let body = prop_oneof![
        (session(), number(), result).prop_map(|(session, request, result)| DeliveryBody::Reply {
            session,
            request: RequestId(request),
            result
        }),
        mailbox_events().prop_map(DeliveryBody::Live),
        attached.prop_map(DeliveryBody::Attached),
        users(4).prop_map(DeliveryBody::Online),
        (user_id(), time()).prop_map(|(user, last_seen)| DeliveryBody::Offline { user, last_seen }),
        (chat_key(), user_id(), any::<bool>()).prop_map(|(chat, user, stop)| DeliveryBody::Typing {
            chat,
            user,
            stop
        }),
        (session(), users(4)).prop_map(|(session, online)| DeliveryBody::Contacts { session, online }),
        session().prop_map(|session| DeliveryBody::Replaced { session }),
    ];
    (user_id(), body).prop_map(|(user, body)| ToGateway { user, body })
}

pub(crate) fn query() -> impl Strategy<Value = Query> {
    let page = prop_oneof![
        Just(Page::Latest),
        number().prop_map(Page::From),
        number().prop_map(Page::Before)
    ];
    let what = prop_oneof![
        (any::<u32>(), of(time())).prop_map(|(count, before)| QueryKind::Chats { count, before }),
        chat_key().prop_map(|chat| QueryKind::Chat { chat }),
        (chat_key(), page, any::<u32>()).prop_map(|(chat, page, count)| QueryKind::Messages {
            chat,
            page,
            count
        }),
    ];
    (user_id(), what).prop_map(|(user, what)| Query { user, what })
}

pub(crate) fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        vec(any::<u8>(), 0..200).prop_map(|payload| Ok(payload.into())),
        rejection().prop_map(Err)
    ]
}

pub(crate) fn announcement() -> impl Strategy<Value = Announcement> {
    let partition = || any::<u16>().prop_map(Partition);
    prop_oneof![
        (text(), vec(partition(), 0..20)).prop_map(|(worker, partitions)| Announcement::Alive {
            worker: worker.into(),
            partitions
        }),
        partition().prop_map(|partition| Announcement::Began { partition }),
        text().prop_map(|worker| Announcement::Leaving {
            worker: worker.into()
        }),
    ]
}

pub(crate) fn message_row() -> impl Strategy<Value = MessageRow> {
    let deletion = (time(), number()).prop_map(|(at, version)| Deletion { at, version });
    let content = (text(), attachments(), of(quote()));
    (
        (number(), user_id(), of(text())),
        content,
        (time(), number(), of(time()), of(deletion)),
    )
        .prop_map(
            |(
                (message_id, sender, client_message_id),
                (text, attachments, reply_to),
                (created_at, version, updated_at, deleted),
            )| MessageRow {
                message_id,
                sender,
                client_message_id,
                text,
                attachments,
                reply_to,
                created_at,
                version,
                updated_at,
                deleted,
            },
        )
}

pub(crate) fn client_id_row() -> impl Strategy<Value = ClientIdRow> {
    (number(), time(), number()).prop_map(|(message_id, at, version)| ClientIdRow {
        message_id,
        at,
        version,
    })
}

fn last_message() -> BoxedStrategy<LastMessage> {
    (number(), user_id(), text(), time(), any::<bool>())
        .prop_map(|(message_id, sender, text, at, deleted)| LastMessage {
            message_id,
            sender,
            text,
            at,
            deleted,
        })
        .boxed()
}

pub(crate) fn head_row() -> impl Strategy<Value = HeadRow> {
    let looks = (chat_kind(), text(), of(text()), time());
    (looks, of(last_message()), number(), number(), any::<bool>()).prop_map(
        |((kind, name, photo_url, created_at), last, delivered_up_to, read_up_to, history_all)| HeadRow {
            kind,
            name,
            photo_url,
            created_at,
            last,
            delivered_up_to,
            read_up_to,
            history_all,
        },
    )
}

pub(crate) fn roster_row() -> impl Strategy<Value = RosterRow> {
    (user_id(), users(4), users(8)).prop_map(|(owner, admins, members)| RosterRow {
        owner,
        admins,
        members,
    })
}

fn role() -> impl Strategy<Value = Option<Role>> {
    of(prop_oneof![
        Just(Role::Member),
        Just(Role::Admin),
        Just(Role::Owner)
    ])
}

pub(crate) fn membership_row() -> impl Strategy<Value = MembershipRow> {
    let marks = (number(), number(), number(), number(), number());
    (role(), any::<bool>(), time(), marks).prop_map(
        |(role, listed, since, (hidden_before, delivered, read, joined_at, last_sent))| MembershipRow {
            role,
            listed,
            since,
            hidden_before,
            delivered,
            read,
            joined_at,
            last_sent,
        },
    )
}

pub(crate) fn mark_row() -> impl Strategy<Value = Timestamp> {
    time()
}

pub(crate) fn inbox_row() -> impl Strategy<Value = InboxRow> {
    (time(), chat_key(), number(), event(), any::<u32>()).prop_map(|(at, chat, version, event, rest)| {
        InboxRow {
            at,
            chat,
            version,
            event: Arc::new(event),
            rest,
        }
    })
}

pub(crate) fn cursor_row() -> impl Strategy<Value = CursorRow> {
    (number(), time(), any::<bool>()).prop_map(|(up_to, used_at, forgotten)| CursorRow {
        up_to,
        used_at,
        forgotten,
    })
}

pub(crate) fn user_row() -> impl Strategy<Value = UserRow> {
    (profile(), time(), any::<bool>(), "[a-z0-9]{0,16}").prop_map(|(profile, last_seen, online, worker)| {
        UserRow {
            profile,
            last_seen,
            online,
            worker: worker.into(),
        }
    })
}

pub(crate) fn checkpoint_row() -> impl Strategy<Value = CheckpointRow> {
    (any::<u32>(), number(), entry_id(), any::<u32>()).prop_map(|(epoch, seq, entry_id, logic)| {
        CheckpointRow {
            epoch,
            seq,
            entry_id,
            logic,
        }
    })
}

pub(crate) fn reach_row() -> impl Strategy<Value = ReachRow> {
    (any::<u32>(), number(), entry_id()).prop_map(|(epoch, seq, entry_id)| ReachRow { epoch, seq, entry_id })
}

pub(crate) fn conversation_head() -> impl Strategy<Value = conversation::Head> {
    (
        (number(), any::<u32>(), number(), time()),
        (chat_kind(), any::<bool>(), any::<bool>()),
        (number(), of(last_message()), time()),
        (text(), of(text()), any::<bool>()),
        vec(entry_id(), 0..64),
    )
        .prop_map(
            |(
                (version, epoch, seq, time),
                (kind, open, deleted),
                (last_id, last, created_at),
                (name, photo_url, history_all),
                recent,
            )| conversation::Head {
                version,
                epoch,
                seq,
                time,
                kind,
                open,
                deleted,
                last_id,
                last,
                created_at,
                name,
                photo_url,
                history_all,
                recent: recent.into_iter().collect(),
            },
        )
}

pub(crate) fn conversation_member() -> impl Strategy<Value = conversation::Member> {
    let marks = (number(), number(), number(), number(), number());
    (role(), any::<bool>(), time(), marks).prop_map(
        |(role, listed, since, (joined_at, hidden_before, delivered, read, last_sent))| {
            conversation::Member {
                role,
                listed,
                since,
                joined_at,
                hidden_before,
                delivered,
                read,
                last_sent,
            }
        },
    )
}

pub(crate) fn mailbox_head() -> impl Strategy<Value = mailbox::Head> {
    (number(), any::<u32>(), number(), time(), number()).prop_map(|(version, epoch, seq, time, last)| {
        mailbox::Head {
            version,
            epoch,
            seq,
            time,
            last,
        }
    })
}

pub(crate) fn version_seen() -> impl Strategy<Value = u64> {
    number()
}
