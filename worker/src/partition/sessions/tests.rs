use super::*;

fn user() -> UserId {
    UserId::parse("bob").unwrap()
}

fn session(gateway: &str, id: u64, device: &str) -> Session {
    Session {
        gateway: GatewayId(gateway.into()),
        id: SessionId(id),
        device: DeviceId::parse(device).unwrap(),
        away: false,
        cursor: Some(0),
        heard: 1000,
    }
}

#[test]
fn a_device_has_one_session_unless_it_is_only_a_repeat() {
    let mut sessions = Sessions::default();
    assert_eq!(sessions.register(&user(), session("g1", 1, "phone"), 7, true), []);
    assert_eq!(
        sessions.register(&user(), session("g2", 1, "phone"), 7, false),
        []
    );
    assert_eq!(
        sessions.register(&user(), session("g2", 2, "laptop"), 7, true),
        []
    );
    assert_eq!(
        sessions.register(&user(), session("g2", 2, "laptop"), 7, true),
        [],
        "the same again"
    );
    let ended = sessions.register(&user(), session("g1", 3, "phone"), 7, true);
    assert_eq!(ended, [session("g1", 1, "phone"), session("g2", 1, "phone")]);
    let mut gateways = sessions.gateways(&user());
    gateways.sort();
    assert_eq!(*gateways, ["g1", "g2"].map(|id| GatewayId(id.into())));
}

#[test]
fn renewing_a_session_keeps_what_is_known_of_its_cursor() {
    let mut sessions = Sessions::default();
    let known = Session {
        cursor: Some(5),
        ..session("g1", 1, "phone")
    };
    sessions.register(&user(), known, 7, true);
    let renewed = Session {
        cursor: None,
        heard: 2000,
        ..session("g1", 1, "phone")
    };
    sessions.register(&user(), renewed, 6, false);
    let present = sessions.get(&user()).unwrap();
    assert_eq!(
        (
            present.sessions[0].cursor,
            present.sessions[0].heard,
            present.last
        ),
        (Some(5), 2000, Some(7))
    );
}

#[test]
fn a_user_is_leaving_when_nothing_live_is_left_and_nothing_holds_it() {
    let mut sessions = Sessions::default();
    sessions.register(&user(), session("g1", 1, "phone"), 0, true);
    assert!(sessions.is_returning(&user()) && !sessions.is_leaving(&user(), 1000));
    sessions.set_online(&user(), true, 1000);
    assert!(!sessions.is_returning(&user()) && !sessions.is_leaving(&user(), 1000));

    sessions
        .session(&user(), &GatewayId("g1".into()), SessionId(1))
        .unwrap()
        .away = true;
    assert!(
        sessions.is_leaving(&user(), 1000),
        "an away session does not count"
    );
    sessions.get_mut(&user()).unwrap().hold = Some(2000);
    assert!(!sessions.is_leaving(&user(), 1999) && sessions.is_leaving(&user(), 2000));
    sessions.register(&user(), session("g1", 2, "laptop"), 0, true);
    assert!(!sessions.is_leaving(&user(), 2000));
    assert_eq!(
        sessions.get(&user()).unwrap().hold,
        None,
        "who is back is held no longer"
    );
}

#[test]
fn a_sweep_drops_the_silent_and_tells_whom_to_settle() {
    let mut sessions = Sessions::default();
    sessions.register(&user(), session("g1", 1, "phone"), 0, true);
    sessions.set_online(&user(), true, 1000);
    assert!(sessions.sweep(2000, 1000).silent.is_empty());
    let swept = sessions.sweep(2001, 1001);
    assert_eq!(swept.silent, [(user(), session("g1", 1, "phone"))]);
    assert_eq!(swept.unsettled, [user()]);
    sessions.set_online(&user(), false, 2001);
    assert!(!sessions.has(&user()), "nothing is left");
}

#[test]
fn one_of_whom_another_owner_spoke_is_expected_for_a_while() {
    let mut sessions = Sessions::default();
    sessions.expect(user(), Some(2000));
    sessions.forget_absent(&user());
    assert!(sessions.has(&user()) && !sessions.is_online(&user()));
    assert!(sessions.sweep(1999, 0).unsettled.is_empty());
    assert_eq!(sessions.sweep(2000, 0).unsettled, [user()]);
    assert_eq!(sessions.believed_online(), [user()]);

    sessions.register(&user(), session("g1", 1, "phone"), 7, false);
    assert!(sessions.is_returning(&user()) && !sessions.is_leaving(&user(), 2000));
    sessions.set_online(&user(), true, 2000);
    sessions.expect(user(), Some(3000));
    assert!(
        sessions.is_online(&user()),
        "whose sessions are known is not expected"
    );
}

#[test]
fn a_connected_user_takes_little_memory() {
    // One session each: the map's entry, and the one place in the list.
    let bytes = size_of::<(UserId, Present)>() + size_of::<Session>();
    assert!(bytes <= 256, "{bytes}");
}
