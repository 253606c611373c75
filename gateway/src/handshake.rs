//! The HTTP request that opens a connection: who comes, with which device, and whether that is allowed. A refusal is
//! an HTTP status with a sentence, never a socket that opens and closes.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use confab_bus::Bus;
use confab_chat::{ActorKey, DeviceId, UserId};
use confab_proto::message::{Profile, Signal};
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, ORIGIN, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use percent_encoding::percent_decode_str;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::auth::{Claims, Denied};
use crate::config::{Auth, QUEUE};
use crate::gateway::Core;
use crate::registry::Handle;

/// The subprotocol that the service speaks.
const SUBPROTOCOL: &str = "chat.v1";
/// Before a token among the subprotocols.
const BEARER: &str = "bearer.";
/// The largest event id of the protocol.
const MAX_EVENT_ID: u64 = (1 << 53) - 1;

/// Who was let in, and the place among the sessions.
pub(crate) struct Admitted<B: Bus> {
    pub(crate) registered: Registered<B>,
    pub(crate) profile: Profile,
    /// When the token ends, in milliseconds since the Unix epoch.
    pub(crate) expires_at: Option<u64>,
    pub(crate) last_event_id: Option<u64>,
}

/// A session in the registry. Dropped, it is taken out, and the mailbox hears of it if it has not.
pub(crate) struct Registered<B: Bus> {
    pub(crate) core: Arc<Core<B>>,
    pub(crate) handle: Arc<Handle>,
}

impl<B: Bus> Registered<B> {
    /// Tells the mailbox that the session is gone.
    pub(crate) async fn detach(&self, draining: bool) {
        detach(&self.core, &self.handle, draining).await;
    }
}

impl<B: Bus> Drop for Registered<B> {
    fn drop(&mut self) {
        self.core.registry.remove(&self.handle);
        // Only where a session's task came to a sudden end.
        if self.handle.known.load(Ordering::Acquire) {
            // Not a `Registered` of its own: a runtime that ends drops the task at once, and that would be dropped again.
            let (core, handle) = (Arc::clone(&self.core), Arc::clone(&self.handle));
            self.core
                .tasks
                .spawn_bare(async move { detach(&core, &handle, false).await });
        }
    }
}

/// Tells a mailbox that a session is gone, once. Never while a heartbeat is on its way, which would say the opposite
/// behind it.
async fn detach<B: Bus>(core: &Core<B>, handle: &Handle, draining: bool) {
    let _no_heartbeat = core.beating.read().await;
    handle.attached.store(false, Ordering::Release);
    if !handle.known.swap(false, Ordering::AcqRel) {
        return;
    }
    let signal = Signal::Detach {
        user: handle.user.clone(),
        gateway: core.config.id.clone(),
        session: handle.session,
        draining,
    };
    core.signal(handle.mailbox, signal);
}

/// Who says to be there.
struct Caller {
    device: DeviceId,
    claims: Claims,
    last_event_id: Option<u64>,
}

/// Why a handshake was refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// As the client sees it.
    pub(crate) fn response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(format!("{}\n", self.message)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            http::HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        headers.insert(CONNECTION, http::HeaderValue::from_static("close"));
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(http::header::ALLOW, http::HeaderValue::from_static("GET"));
        }
        if self.status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(UPGRADE, http::HeaderValue::from_static("websocket"));
        }
        response
    }
}

/// Checks a request, from what costs least to what costs most.
pub(crate) async fn admit<B: Bus, T>(
    core: &Arc<Core<B>>,
    request: &Request<T>,
    peer: SocketAddr,
    full: bool,
) -> Result<(Response<()>, Box<Admitted<B>>), Refusal> {
    if request.uri().path() != "/ws" {
        return Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "clients connect by WebSocket at /ws",
        ));
    }
    if core.closed.load(Ordering::Acquire) || full {
        return Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no connections are taken at present: try again later",
        ));
    }
    let accept_key = upgrade(request)?;
    origin(core, request.headers())?;
    let query = Query::of(request.uri().query().unwrap_or_default())?;
    let caller = identify(core, request.headers(), &query).await?;
    let response = switching(request.headers(), &accept_key)?;
    let admitted = register(core, caller)?;
    let user = &admitted.registered.handle.user;
    let client = client_address(core, request.headers(), peer);
    tracing::debug!(%user, %client, "connects");
    Ok((response, Box::new(admitted)))
}

/// Takes a place among the user's sessions.
fn register<B: Bus>(core: &Arc<Core<B>>, caller: Caller) -> Result<Admitted<B>, Refusal> {
    let Claims {
        user,
        profile,
        expires_at,
    } = caller.claims;
    let mailbox = ActorKey::Mailbox(user.clone()).partition(core.bus.partitions());
    let at_most = core.config.max_user_connections;
    let session = core.registry.add((user, caller.device), mailbox, QUEUE, at_most);
    let Some(handle) = session else {
        return Err(Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            format!("a user has at most {at_most} connections: close one first"),
        ));
    };
    let registered = Registered {
        core: Arc::clone(core),
        handle,
    };
    // Now, not before: one banned at this moment is either found here, or in the registry by the one who bans.
    if core.banned.read().contains(&registered.handle.user) {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "this user may not connect"));
    }
    Ok(Admitted {
        registered,
        profile,
        expires_at,
        last_event_id: caller.last_event_id,
    })
}

/// Checks that the request is an upgrade to WebSocket; gives the key of its answer.
fn upgrade<T>(request: &Request<T>) -> Result<String, Refusal> {
    if request.method() != Method::GET {
        return Err(Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "a WebSocket is opened by GET",
        ));
    }
    let headers = request.headers();
    let upgrades = listed(headers, &UPGRADE).any(|name| name.eq_ignore_ascii_case("websocket"))
        && listed(headers, &CONNECTION).any(|name| name.eq_ignore_ascii_case("upgrade"));
    let version = headers
        .get(SEC_WEBSOCKET_VERSION)
        .map(|version| version.as_bytes());
    if !upgrades || version != Some(b"13") {
        return Err(Refusal::new(
            StatusCode::UPGRADE_REQUIRED,
            "this is a WebSocket, version 13",
        ));
    }
    match headers.get(SEC_WEBSOCKET_KEY) {
        Some(key) => Ok(derive_accept_key(key.as_bytes())),
        None => Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "Sec-WebSocket-Key is missing",
        )),
    }
}

fn origin<B>(core: &Core<B>, headers: &HeaderMap) -> Result<(), Refusal> {
    let (Some(allowed), Some(origin)) = (&core.config.origins, headers.get(ORIGIN)) else {
        return Ok(());
    };
    if origin.to_str().is_ok_and(|origin| allowed.allow(origin)) {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::FORBIDDEN,
        "pages of this origin may not connect: allow it in the setting origins",
    ))
}

async fn identify<B>(core: &Core<B>, headers: &HeaderMap, query: &Query<'_>) -> Result<Caller, Refusal> {
    let bad = |message: String| Refusal::new(StatusCode::BAD_REQUEST, message);
    let device = query.get("device").unwrap_or(Cow::Borrowed("default"));
    let device = DeviceId::parse(&device).map_err(|error| bad(format!("device: {error}")))?;
    let last_event_id = query
        .get("lastEventId")
        .map(|text| event_id(&text).ok_or_else(|| bad("lastEventId is not an event's id".to_owned())))
        .transpose()?;
    let claims = match &core.config.auth {
        Auth::Insecure => insecure(query)?,
        Auth::Jwt(authenticator) => {
            let token = token(headers, query).ok_or_else(|| {
                let message =
                    "a token is missing: Authorization: Bearer, subprotocol bearer.<token>, or ?token=";
                Refusal::new(StatusCode::UNAUTHORIZED, message)
            })?;
            authenticator.check(&token).await.map_err(denied)?
        }
    };
    Ok(Caller {
        device,
        claims,
        last_event_id,
    })
}

fn denied(denied: Denied) -> Refusal {
    match denied {
        Denied::Invalid(reason) => Refusal::new(
            StatusCode::UNAUTHORIZED,
            format!("the token is not good: {reason}"),
        ),
        Denied::Unavailable(reason) => Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("tokens cannot be checked at present: {reason}"),
        ),
    }
}

fn insecure(query: &Query<'_>) -> Result<Claims, Refusal> {
    let bad = |message: String| Refusal::new(StatusCode::BAD_REQUEST, message);
    let user = query
        .get("user")
        .ok_or_else(|| bad("say who you are: /ws?user=alice".to_owned()))?;
    let user = UserId::parse(&user).map_err(|error| bad(format!("user: {error}")))?;
    let profile = Profile {
        name: query.get_form("name").filter(|name| !name.is_empty()),
        ..Profile::default()
    };
    Ok(Claims {
        user,
        profile,
        expires_at: None,
    })
}

fn event_id(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let id = text.parse().ok().filter(|_| digits)?;
    (id <= MAX_EVENT_ID).then_some(id)
}

/// The token, from the first place that has one.
fn token<'a>(headers: &'a HeaderMap, query: &'a Query<'_>) -> Option<Cow<'a, str>> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = header.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer
        .or_else(|| listed(headers, &SEC_WEBSOCKET_PROTOCOL).find_map(|name| name.strip_prefix(BEARER)))
        .map(Cow::Borrowed)
        .or_else(|| query.get("token"))
}

/// The address of the client: of the connection, or what a trusted proxy says of it.
fn client_address<B>(core: &Core<B>, headers: &HeaderMap, peer: SocketAddr) -> IpAddr {
    let trusted = |address: &IpAddr| {
        core.config
            .trusted_proxies
            .iter()
            .any(|net| net.contains(address))
    };
    if !trusted(&peer.ip()) {
        return peer.ip();
    }
    let forwarded = HeaderName::from_static("x-forwarded-for");
    let hops: Vec<IpAddr> = listed(headers, &forwarded)
        .filter_map(|hop| hop.parse().ok())
        .collect();
    // Each proxy appends whom it heard from: the last that is no proxy of ours is the client.
    let client = hops.iter().rev().find(|hop| !trusted(hop));
    client.or(hops.first()).copied().unwrap_or(peer.ip())
}

fn switching(headers: &HeaderMap, accept_key: &str) -> Result<Response<()>, Refusal> {
    let mut response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, accept_key);
    if listed(headers, &SEC_WEBSOCKET_PROTOCOL).any(|name| name == SUBPROTOCOL) {
        response = response.header(SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL);
    }
    response
        .body(())
        .map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

/// The comma-separated values of a header.
fn listed<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// The parameters of a URL. A `+` stands for itself, so that a phone number is a user id; in a name it is a space.
struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    fn of(text: &'a str) -> Result<Self, Refusal> {
        match percent_decode_str(text).decode_utf8() {
            Ok(_) => Ok(Self(text)),
            Err(_) => Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "the parameters are not UTF-8",
            )),
        }
    }

    fn raw(&self, name: &str) -> Option<&'a str> {
        let mut pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        self.raw(name)
            .map(|value| percent_decode_str(value).decode_utf8_lossy())
    }

    fn get_form(&self, name: &str) -> Option<String> {
        let value = self.raw(name)?.replace('+', " ");
        Some(percent_decode_str(&value).decode_utf8_lossy().into_owned())
    }
}
