//! Owns: the kind `dav`: address books, calendars and task lists of CardDAV and CalDAV servers (RFC 6352, 4791, 6578). Must never know:
//! any server by name.
//!
//! A record is a JSContact card, or a JSCalendar event or task. The text that the server has is not kept: before a change it is fetched, and
//! where its revision is still the agreed one, the change is made in it line by line ([`edit`]), so what no record shows stays as it is.

mod known;
mod listing;
mod members;
mod name;
mod place;
mod send;
mod xml;

use std::{
    path::Path,
    sync::{Mutex, atomic::AtomicBool},
    time::Duration,
};

use mingle_core::{
    limits,
    record::Carried,
    replica::{Abilities, Action, Answer, Asked, ClientIds, Cursor, Failure, From, Page, RemoteError, Row, RowState},
    time::Timestamp,
};
use mingle_text::Holds;
use reqwest::{
    Method, Url,
    header::{HeaderMap, HeaderValue},
};
use tokio::sync::OnceCell;

use super::{
    Greeting, Kind, Means, Opening, Pending, Problem, Remote, Seen,
    http::{self, Lost, Reply},
    larder::Pages,
    login::{self, Login},
    rest,
    settings::{Auth, RemoteSettings},
    unfit,
};
pub use known::Places;
use listing::Snapshot;
use place::{Found, Mark, Place};
use send::Ahead;
use xml::Answers;

/// The kind, for the list.
pub const KIND: Kind = Kind {
    name: "dav",
    about: "address books, calendars and tasks over CardDAV and CalDAV",
    noun: "a CardDAV or CalDAV server",
    keys: &["url", "auth", "insecure"],
    look,
    open: |opening| Box::pin(open(opening)),
};

/// How a text becomes a record: where it changes, agreed copies no longer mean the same.
const MAPPING: &str = "2";

/// One collection of one account.
struct Dav {
    abilities: Abilities,
    /// The address in the settings: where we begin to look.
    url: Url,
    resource: String,
    login: Login,
    means: Means,
    /// The collection, once it was found.
    place: OnceCell<Found>,
    /// Its mark in this run, where it was asked for.
    mark: OnceCell<Mark>,
    /// What the settings say of it, for runs; a person who looks wants it asked.
    known_as: Option<String>,
    /// What is listed, from its first page to its last.
    snapshot: tokio::sync::Mutex<Option<Snapshot>>,
    /// Something was listed: the mark that was asked for before it may be over.
    listed: AtomicBool,
    /// The server did not take a position of its own: whether it takes the next is tried.
    refused: AtomicBool,
    /// What pages take that are not applied yet, the oldest first.
    pages: Pages,
    /// What members hold that are about to be written, by id, and the place of that.
    ahead: Mutex<Ahead>,
    /// Whoever sends a change has a share of it, or all of it.
    turn: tokio::sync::RwLock<()>,
    /// The server takes one change at a time.
    in_turn: AtomicBool,
}

fn look(settings: &RemoteSettings, _: &Path) -> Result<Seen, Problem> {
    found(settings)?;
    let ways = vec![("cursor", "sync-token, or the revisions of all members".to_owned())];
    Ok(Seen { abilities: abilities(), mapping: MAPPING.into(), listing: String::new(), ways })
}

fn found(settings: &RemoteSettings) -> Result<Url, Problem> {
    if settings.url.is_empty() {
        return Err(
            Problem::new("a remote of kind \"dav\" needs a url").hint("url = \"https://HOST/\": the rest is found from there")
        );
    }
    match &settings.auth {
        Auth::Query { .. } => {
            let what = "a key in the address is no way to show a CardDAV or CalDAV server who we are";
            Err(Problem::new(what).hint("auth = { type = \"basic\", username = \"..\", password = { .. } }"))
        }
        _ => login::fits(settings).and_then(|()| http::address(&settings.url, settings.insecure)),
    }
}

/// What such a server can do. That one tells no changes is found when it is asked: then each listing is whole, and tokens are our own.
fn abilities() -> Abilities {
    let own = mingle_text::NOT_CARRIED.iter().map(|name| (*name).to_owned()).collect();
    Abilities {
        cursor: Cursor::Token,
        tombstones: true,
        strong_revision: true,
        conditional: true,
        client_ids: Some(ClientIds { besides: "-_.@".into(), lower_case: false, min: 1, max: 120 }),
        carried: Carried::AllBut(own),
        fills_in: true,
        modified_grain: Some(Duration::from_secs(1)),
        errands_max: 2,
        page_rows: limits::DAV_PAGE_ROWS,
        ..Abilities::least()
    }
}

async fn open(opening: Opening) -> Result<Box<dyn Remote>, RemoteError> {
    let known_as = (!opening.place.sync.is_empty()).then(|| opening.history()).transpose().map_err(unfit)?.map(|of| of.0);
    let Opening { settings, resource, mut means, place } = opening;
    let url = found(&settings).map_err(unfit)?;
    let login = Login::begin(&mut means, &url, &settings, &place, None).await?;
    // Whose places they are.
    let known_as = known_as.map(|of| format!("{of} {}", login.who()));
    let (place, mark, snapshot, listed, refused) = Default::default();
    let (pages, ahead, turn, in_turn) = Default::default();
    let abilities = abilities();
    Ok(Box::new(Dav {
        abilities,
        url,
        resource,
        login,
        means,
        place,
        mark,
        known_as,
        snapshot,
        listed,
        refused,
        pages,
        ahead,
        turn,
        in_turn,
    }))
}

impl Remote for Dav {
    fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    fn greet(&self) -> Pending<'_, Result<Greeting, RemoteError>> {
        Box::pin(async move {
            // Where it was a while ago it is asked for what changed at once.
            if let Some(of) = &self.known_as
                && let Some(known) = self.means.places.known(of, (self.means.now)())
            {
                let (place, _) = self.place.get_or_init(async || (known, None)).await;
                return Ok(Greeting { instance: place.segments.join("/"), server_time: None });
            }
            let (place, server_time) = self.found().await?;
            if let Some(of) = &self.known_as {
                self.means.places.found(of, place, (self.means.now)());
            }
            // The same name may be another collection's one day. One that is made anew under its old address is told by its tokens.
            Ok(Greeting { instance: place.segments.join("/"), server_time: *server_time })
        })
    }

    fn list<'a>(&'a self, from: &'a From, page: Option<&'a str>, rows: usize) -> Pending<'a, Result<Page, RemoteError>> {
        Box::pin(async move {
            let listed = self.page(from, page, rows).await;
            // That it does not take where we were says nothing of where it is.
            if let (Err(error), Some(of)) = (&listed, &self.known_as)
                && error.kind != Failure::CheckpointRefused
            {
                self.means.places.forget(of);
            }
            let (page, place) = listed?;
            self.pages.listed(place);
            Ok(page)
        })
    }

    fn page_is_applied(&self) {
        self.pages.applied();
    }

    fn get<'a>(&'a self, remote_id: &'a str) -> Pending<'a, Result<Asked, RemoteError>> {
        Box::pin(async move {
            if rest::is_no_name(remote_id) {
                let state = RowState::Unreadable(rest::NO_NAME.into());
                return Ok(Asked::There(Row {
                    remote_id: remote_id.into(),
                    revision: None,
                    modified: None,
                    created: None,
                    state,
                }));
            }
            let place = self.place().await?;
            Ok(self.fetched(place, remote_id).await?.map_or(Asked::Gone, |found| Asked::There(found.row(place.holds, remote_id))))
        })
    }

    fn look_ahead<'a>(&'a self, actions: &'a [&'a Action]) -> Pending<'a, ()> {
        Box::pin(self.read_ahead(actions))
    }

    fn send<'a>(&'a self, action: &'a Action) -> Pending<'a, Answer> {
        Box::pin(self.sent(action))
    }
}

/// What a member holds, as it is there.
#[derive(Debug, PartialEq, Eq)]
struct Fetched {
    revision: Option<String>,
    /// When the server took it: what stands in the text of whoever wrote it is by any clock, and many leave it as it was.
    modified: Option<Timestamp>,
    /// Or why it is no text.
    text: Result<String, String>,
}

impl Fetched {
    fn row(self, holds: Holds, remote_id: &str) -> Row {
        let read = self.text.and_then(|text| mingle_text::read(holds, &text));
        let state = read.map_or_else(RowState::Unreadable, RowState::Live);
        Row { remote_id: remote_id.into(), revision: self.revision, modified: self.modified, created: None, state }
    }
}

impl Dav {
    /// One member, as it is there; none: it is not there.
    async fn fetched(&self, place: &Place, id: &str) -> Result<Option<Fetched>, RemoteError> {
        let reply = {
            // Packed it may come with a revision of the pack's own.
            let plain = [("accept-encoding", HeaderValue::from_static("identity"))];
            self.ask(self.request(Method::GET, place.member(id), &plain, None)).await?
        };
        if self.gone(place, &reply).await? {
            return Ok(None);
        }
        let status = reply.status.as_u16();
        if let Some(trouble) = reply.trouble((self.means.now)()) {
            if self.is_of_members(place, &reply).await {
                return Ok(Some(Fetched {
                    revision: None,
                    modified: None,
                    text: Err(format!("the server does not show it (HTTP {status})")),
                }));
            }
            return Err(trouble);
        }
        let text = mingle_text::text_of(reply.body.clone());
        let modified = reply.header("last-modified").and_then(http::moment);
        Ok(Some(Fetched { revision: reply.header("etag").map(str::to_owned), modified, text }))
    }

    /// Whether an answer says that the member is not there; an error where the collection is not either, or is hidden from us.
    async fn gone(&self, place: &Place, reply: &Reply) -> Result<bool, RemoteError> {
        if !matches!(reply.status.as_u16(), 404 | 410) {
            return Ok(false);
        }
        self.asked_what_it_is(&place.url).await?.1.holds.map(|_| true).ok_or_else(|| {
            RemoteError::new(Failure::Denied, format!("{} is no address book and no calendar any more", http::place(&place.url)))
        })
    }

    /// Whether a refusal is over the members that were asked for, and no other: the collection still answers.
    async fn is_of_members(&self, place: &Place, reply: &Reply) -> bool {
        let may_be = matches!(reply.status.as_u16(), 400 | 402..=407 | 409..=428 | 430..=501);
        may_be && self.asked_what_it_is(&place.url).await.is_ok_and(|found| found.1.holds.is_some())
    }

    async fn ask(&self, request: http::Request) -> Result<Reply, RemoteError> {
        self.means.http.exchange(request).await.map_err(|lost| lost.error)
    }

    async fn tell(&self, request: http::Request) -> Result<Reply, Lost> {
        self.means.http.exchange(http::Request { changes: true, ..request }).await
    }

    fn request(&self, method: Method, url: Url, besides: &[(&'static str, HeaderValue)], body: Option<String>) -> http::Request {
        let mut headers: HeaderMap = self.login.headers.clone();
        for (name, value) in besides {
            headers.insert(*name, value.clone());
        }
        http::Request { method, url, headers, body, changes: false }
    }

    /// A question of DAV.
    fn question(&self, method: &'static str, url: Url, depth: &'static str, body: String) -> Result<http::Request, RemoteError> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| RemoteError::new(Failure::Nonsense, "no such method"))?;
        let xml = HeaderValue::from_static("application/xml; charset=utf-8");
        Ok(self.request(method, url, &[("depth", HeaderValue::from_static(depth)), ("content-type", xml)], Some(body)))
    }
}

/// Reads a text as everything that a server may send, and edits it; for whoever tries texts.
///
/// # Errors
/// What was lost of it: nothing ever is.
pub fn tried(text: &str) -> Result<(), String> {
    let _ = xml::read(text);
    mingle_text::tried(text)
}

/// The answers in an answer.
fn answers(reply: &Reply) -> Result<Answers, RemoteError> {
    let place = http::place(&reply.url);
    if let Some(page) = reply.web_page() {
        return Err(page);
    }
    if reply.status.as_u16() != 207 {
        return Err(RemoteError::new(Failure::Nonsense, format!("{place} answers with HTTP {}, not 207", reply.status.as_u16())));
    }
    let types = ["application/xml".to_owned(), "text/xml".to_owned()];
    xml::read(reply.text(&types)?).map_err(|unread| {
        let kind = if unread.heavy { Failure::TooLarge } else { Failure::Nonsense };
        RemoteError::new(kind, format!("{place} answers with what is not right: {}", unread.what))
    })
}
