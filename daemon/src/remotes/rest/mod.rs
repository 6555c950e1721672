//! Owns: the kind `rest`: any service that lists, gets, makes, changes and deletes JSON records over HTTP, as a profile describes it.
//! Must never know: any service by name.

mod answers;
mod batch;
pub mod catalog;
mod fields;
mod limits;
mod page;
pub(super) mod pointer;
mod profile;
mod rows;
mod send;
mod template;
mod walk;

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use mingle_core::{
    limits::ANSWER_VALUES_BYTES_MAX,
    record::Value,
    replica::{Abilities, Action, Answer, Asked, Failure, From, Page, RemoteError, Row, RowState},
};
use profile::{One, Profile};
use reqwest::{
    Method, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
pub(super) use rows::{NO_NAME, is_no_name};
use template::Template;

use super::{
    Greeting, Kind, Means, Opening, Pending, Problem, Remote, Seen,
    http::{self, Lost, Reply},
    larder::Pages,
    login::{self, Login},
    settings::RemoteSettings,
    unfit,
};
use crate::json;

/// The kind, for the list.
pub const KIND: Kind = Kind {
    name: "rest",
    about: "JSON records over HTTP, as a profile describes the service",
    noun: "a service with a profile",
    keys: &["url", "profile", "auth", "insecure"],
    look,
    open: |opening| Box::pin(open(opening)),
};

/// A profile without a service: for whoever tries it on answers that were kept.
pub struct Tried(Profile);

impl Tried {
    /// Reads a profile.
    ///
    /// # Errors
    /// It is not usable.
    pub fn read(name: &str, text: &str) -> Result<Self, Problem> {
        Profile::read(name, text).map(Self)
    }

    /// How many records it finds in a listing with this body, as a sync would read it.
    ///
    /// # Errors
    /// The body makes no sense to it.
    pub fn records_in(&self, body: &str) -> Result<usize, Problem> {
        let mut body = json::parse(body).map_err(|why| Problem::new(format!("the body is no JSON: {why}")))?;
        let place = &self.0.list.rows;
        let rows = place.take(&mut body).ok_or_else(|| Problem::new(format!("no rows at {place}")))?;
        rows::rows(&self.0.row, rows).map(|listing| listing.rows.len()).map_err(Problem::new)
    }
}

/// One resource of one such service.
struct Rest {
    profile: Arc<Profile>,
    abilities: Abilities,
    url: Url,
    resource: String,
    login: Login,
    headers: HeaderMap,
    /// Which headers of answers to listings are kept with them.
    heads: Vec<HeaderName>,
    batches: batch::Batches,
    means: Means,
    /// Who the service says we are.
    account: OnceLock<String>,
    /// What pages take that are not applied yet, the oldest first.
    pages: Pages,
}

fn found(settings: &RemoteSettings, config_dir: &Path) -> Result<(Arc<Profile>, Url), Problem> {
    let name = settings.profile.as_deref().ok_or_else(|| {
        Problem::new("a remote of kind \"rest\" needs a profile").hint("`mingle profile list` shows them: profile = \"NAME\"")
    })?;
    let url = http::address(&settings.url, settings.insecure)?;
    login::fits(settings)?;
    Ok((catalog::find(name, config_dir)?, url))
}

fn look(settings: &RemoteSettings, config_dir: &Path) -> Result<Seen, Problem> {
    let (profile, _) = found(settings, config_dir)?;
    let (mapping, listing) = (profile.version.to_string(), profile.listing.clone());
    Ok(Seen { abilities: profile.abilities(), mapping, listing, ways: profile.ways() })
}

async fn open(opening: Opening) -> Result<Box<dyn Remote>, RemoteError> {
    let Opening { settings, resource, mut means, place } = opening;
    let (profile, url) = found(&settings, &means.config_dir).map_err(unfit)?;
    let login = Login::begin(&mut means, &url, &settings, &place, limits::own(&profile.limits)).await?;
    let resource = resource.trim_matches('/').to_owned();
    let headers = constant(&profile, &url)?;
    let account = OnceLock::new();
    Ok(Box::new(Rest {
        abilities: profile.abilities(),
        heads: limits::heads(&profile),
        profile,
        url,
        resource,
        login,
        headers,
        batches: batch::Batches::default(),
        means,
        account,
        pages: Pages::default(),
    }))
}

/// The headers of every request.
fn constant(profile: &Profile, url: &Url) -> Result<HeaderMap, RemoteError> {
    let (origin, whole) = (url.origin().ascii_serialization(), url.as_str());
    let mut headers = HeaderMap::new();
    if let Ok(types) = HeaderValue::from_str(&profile.types.take.join(", ")) {
        headers.insert("accept", types);
    }
    headers.extend(send::headers(&profile.headers, &[("origin", &origin), ("url", whole)])?);
    Ok(headers)
}

impl Remote for Rest {
    fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    fn greet(&self) -> Pending<'_, Result<Greeting, RemoteError>> {
        Box::pin(async move {
            let mut greeting = Greeting::default();
            if let Some(identify) = &self.profile.identify {
                let (mut reply, mut body) = self.identified(identify).await?;
                // To some services a token that has run out is nobody's.
                let is_nobody = identify.account.is_some() && named(&body, identify.account.as_ref()).is_empty();
                if is_nobody && self.means.http.is_renewed(&reply).await? {
                    (reply, body) = self.identified(identify).await?;
                }
                greeting.server_time = reply.server_time();
                greeting.instance = named(&body, identify.instance.as_ref());
                self.batches.heed(self.profile.batch.as_ref(), &body);
                self.known_as(named(&body, identify.account.as_ref()), identify)?;
            }
            let shown = match &self.profile.place {
                Some(place) => self.shown(place, &mut greeting).await?,
                None => false,
            };
            if !shown {
                // Whoever may read the records need not be allowed to read about the resource.
                let page = self.page(&From::Start, None, 1).await?.0;
                greeting.server_time = page.server_time.or(greeting.server_time);
            }
            Ok(greeting)
        })
    }

    fn list<'a>(&'a self, from: &'a From, page: Option<&'a str>, rows: usize) -> Pending<'a, Result<Page, RemoteError>> {
        Box::pin(async move {
            let (page, place) = self.page(from, page, rows).await?;
            self.pages.listed(place);
            Ok(page)
        })
    }

    fn page_is_applied(&self) {
        self.pages.applied();
    }

    fn get<'a>(&'a self, remote_id: &'a str) -> Pending<'a, Result<Asked, RemoteError>> {
        Box::pin(async move { self.looked_up(remote_id).await })
    }

    fn send<'a>(&'a self, action: &'a Action) -> Pending<'a, Answer> {
        Box::pin(self.sent(action))
    }

    fn send_together<'a>(&'a self, actions: &'a [Action]) -> Pending<'a, Vec<Answer>> {
        Box::pin(self.sent_together(actions))
    }
}

impl Rest {
    /// Asks the server what it is, and holds it to the answer.
    async fn identified(&self, identify: &profile::Identify) -> Result<(Reply, Value), RemoteError> {
        let not = |why: String| {
            let what = format!("{} is not a {} server: {why}", http::place(&self.url), identify.name);
            RemoteError::new(Failure::Nonsense, what).hint(identify.hint.clone())
        };
        let reply = self.ask(self.below(&identify.path, None)?).await.map_err(|error| match error.kind {
            Failure::Nonsense => not(error.what),
            _ => error,
        })?;
        if let Some(trouble) = self.trouble(&reply) {
            return Err(match trouble.kind {
                Failure::Nonsense | Failure::Denied => not(trouble.what),
                _ => trouble,
            });
        }
        let body = self.json(&reply).map_err(|error| not(error.what))?;
        match (identify.pointer.find(&body), &identify.equals) {
            (Some(found), None) if *found != Value::Null => Ok((reply, body)),
            (Some(Value::Text(text)), Some(equals)) if text == equals => Ok((reply, body)),
            (Some(Value::Text(text)), _) => Err(not(format!("it says that it is {:?}", http::words(text)))),
            _ => Err(not(format!("{} is missing in what it says of itself", identify.pointer))),
        }
    }

    /// Notes who the service says we are. One that says nothing, though it would, does not take our login.
    fn known_as(&self, account: String, identify: &profile::Identify) -> Result<(), RemoteError> {
        if identify.account.is_none() || self.login.is_none() {
            return Ok(());
        }
        if account.is_empty() {
            let what = format!("{} does not take our login: it says that we are nobody", http::place(&self.url));
            return Err(RemoteError::new(Failure::NeedsLogin, what));
        }
        let _ = self.account.set(account);
        Ok(())
    }

    /// Asks for the resource itself; false where that is refused, which need not mean that its records are.
    async fn shown(&self, place: &profile::Place, greeting: &mut Greeting) -> Result<bool, RemoteError> {
        let reply = self.ask(self.below(&place.path, None)?).await?;
        if let Some(trouble) = self.trouble(&reply) {
            return if trouble.kind == Failure::Denied && !place.must_show { Ok(false) } else { Err(trouble) };
        }
        let body = self.json(&reply)?;
        greeting.server_time = reply.server_time();
        let name = named(&body, place.instance.as_ref());
        if !name.is_empty() {
            greeting.instance = format!("{} {name}", greeting.instance).trim().to_owned();
        }
        Ok(true)
    }

    async fn looked_up(&self, remote_id: &str) -> Result<Asked, RemoteError> {
        let one = &self.profile.get;
        if is_no_name(remote_id) {
            // It was listed, and can never be looked at: that concerns this record alone.
            let (remote_id, state) = (remote_id.to_owned(), RowState::Unreadable(NO_NAME.into()));
            return Ok(Asked::There(Row { remote_id, revision: None, modified: None, created: None, state }));
        }
        // Before the record itself: what changes in between is then refused, not overwritten.
        let revision = match &one.revision {
            Some(revision) => {
                let reply = self.ask(self.below(&revision.path, Some(remote_id))?).await?;
                if self.gone(&reply).await? {
                    return Ok(Asked::Gone);
                }
                if let Some(trouble) = self.trouble(&reply) {
                    return Err(trouble);
                }
                let shown = reply.header(&revision.header).map(str::to_owned);
                Some(shown.ok_or_else(|| nonsense(&reply, &format!("has no {} header", revision.header)))?)
            }
            None => None,
        };
        let reply = self.ask(self.address(one, Some(remote_id))?).await?;
        if self.gone(&reply).await? {
            return Ok(Asked::Gone);
        }
        if let Some(trouble) = self.trouble(&reply) {
            return Err(trouble);
        }
        let row = match &one.rows {
            Some(at) => {
                let (body, rows) = page::elements(&self.profile.row, reply.text(&self.profile.types.take)?, at)
                    .map_err(|error| misread(&reply, &error))?;
                let list = at.find(&body.0).ok_or_else(|| nonsense(&reply, &format!("has no rows at {at}")))?;
                let listing = rows.listing(list);
                let mut rows = listing.map_err(|why| nonsense(&reply, &format!("makes no sense: {why}")))?.rows;
                match (rows.pop(), rows.is_empty()) {
                    (None, _) => return Ok(Asked::Gone),
                    (row, true) => row.map(|row| row.open()),
                    (Some(_), false) => return Err(nonsense(&reply, "lists several records under one id")),
                }
            }
            None => match self.row_of(one, &reply) {
                Err(wrong) if wrong.kind == Failure::Nonsense => Some(self.unreadable(one, &reply).ok_or(wrong)?),
                read => read?,
            },
        };
        let mut row = row.ok_or_else(|| nonsense(&reply, "shows no record"))?;
        if row.remote_id != remote_id {
            return Err(nonsense(&reply, "answers with a record of another id"));
        }
        row.revision = row.revision.or(revision);
        Ok(if row.state == RowState::Gone { Asked::Gone } else { Asked::There(row) })
    }

    async fn ask(&self, url: Url) -> Result<Reply, RemoteError> {
        let request = self.request(Method::GET, url, HeaderMap::new(), None);
        self.exchange(request).await.map_err(|lost| lost.error)
    }

    async fn tell(&self, method: Method, url: Url, headers: HeaderMap, body: Option<String>) -> Result<Reply, Lost> {
        self.exchange(http::Request { changes: true, ..self.request(method, url, headers, body) }).await
    }

    async fn exchange(&self, request: http::Request) -> Result<Reply, Lost> {
        let again = self.login.runs_out().then(|| request.clone());
        let reply = self.means.http.exchange(request).await?;
        let refused = |reply: &Reply| self.trouble(reply).is_some_and(|trouble| trouble.kind == Failure::NeedsLogin);
        match again {
            // Some refuse a login with another status than 401.
            Some(again) if refused(&reply) && self.is_renewed(&reply).await? => self.means.http.exchange(again).await,
            _ => Ok(reply),
        }
    }

    /// Whether there is another login than the one that an answer refuses by other means than its status.
    async fn is_renewed(&self, reply: &Reply) -> Result<bool, Lost> {
        self.means.http.is_renewed(reply).await.map_err(|error| Lost { error, sent: false })
    }

    fn request(&self, method: Method, mut url: Url, mut headers: HeaderMap, body: Option<String>) -> http::Request {
        headers.extend(self.headers.clone());
        headers.extend(self.login.headers.clone());
        if let Some((name, secret)) = &self.login.query {
            url.query_pairs_mut().append_pair(name, secret.reveal());
        }
        if let (Some(_), Ok(of)) = (&body, HeaderValue::from_str(&self.profile.types.send)) {
            headers.insert("content-type", of);
        }
        http::Request { method, url, headers, body, changes: false }
    }

    /// The address of a request about one record, or of one that makes it.
    fn address(&self, one: &One, id: Option<&str>) -> Result<Url, RemoteError> {
        let mut url = self.below(&one.path, id)?;
        let mut values = vec![("resource", self.resource.as_str())];
        values.extend(id.map(|id| ("id", id)));
        let filled: Vec<_> = one.query.iter().filter_map(|(name, value)| Some((name, value.fill(&values)?))).collect();
        if !filled.is_empty() {
            url.query_pairs_mut().extend_pairs(filled);
        }
        Ok(url)
    }

    /// The address of a path below ours. Every value becomes whole segments: none can leave its place.
    fn below(&self, path: &Template, id: Option<&str>) -> Result<Url, RemoteError> {
        let cannot = |what: String| RemoteError::new(Failure::Nonsense, what);
        let mut url = self.url.clone();
        if path.is_empty() {
            return Ok(url);
        }
        url.path_segments_mut().map_err(|()| cannot("the url has no path".into()))?.pop_if_empty();
        for part in path.parts_of_path(&self.resource, id) {
            // A segment of dots is an instruction to whoever reads the address, however it is escaped.
            if is_no_name(&part) {
                return Err(cannot(format!("{part:?} cannot be asked for: it is no name in an address")));
            }
            add_segment(&mut url, &part);
        }
        Ok(url)
    }

    fn json(&self, reply: &Reply) -> Result<Value, RemoteError> {
        let text = reply.text(&self.profile.types.take)?;
        let read = json::parse_within(text, ANSWER_VALUES_BYTES_MAX).map_err(|error| misread(reply, &error))?;
        Ok(read.0)
    }

    /// A record that is JSON and cannot be read, by what can be read of it: that concerns it alone. None: it is no such.
    fn unreadable(&self, one: &One, reply: &Reply) -> Option<Row> {
        let text = reply.text(&self.profile.types.take).ok()?;
        let why = json::parse_within(text, ANSWER_VALUES_BYTES_MAX).err().filter(|why| !why.heavy)?;
        let value = one.row.as_ref()?.take(&mut json::parse_what_can_be(text, ANSWER_VALUES_BYTES_MAX)?)?;
        let row = rows::row(&self.profile.row, value).ok()?;
        Some(Row { state: RowState::Unreadable(rows::unreadable(&why)), ..row })
    }

    /// The record in an answer; none where the request shows none, or the answer is empty and may be.
    fn row_of(&self, one: &One, reply: &Reply) -> Result<Option<Row>, RemoteError> {
        if reply.body.is_empty() && (one.may_be_empty || matches!(reply.status.as_u16(), 204 | 205)) {
            return Ok(None);
        }
        let mut body = self.json(reply)?;
        let Some(at) = &one.row else { return Ok(None) };
        let value = at.take(&mut body).ok_or_else(|| nonsense(reply, &format!("has no record at {at:?}")))?;
        rows::row(&self.profile.row, value).map(Some).map_err(|why| nonsense(reply, &format!("makes no sense: {why}")))
    }
}

/// Adds a segment to the path. The library leaves line ends and tabs out, and then it is the address of another record: where there
/// are some, every byte is escaped.
pub(super) fn add_segment(url: &mut Url, part: &str) {
    if part.contains(['\n', '\r', '\t']) {
        let mut path = url.path().trim_end_matches('/').to_owned();
        path.push('/');
        for byte in part.bytes() {
            if byte.is_ascii_alphanumeric() { path.push(char::from(byte)) } else { path.push_str(&format!("%{byte:02X}")) }
        }
        url.set_path(&path);
    } else if let Ok(mut segments) = url.path_segments_mut() {
        segments.push(part);
    }
}

fn nonsense(reply: &Reply, what: &str) -> RemoteError {
    RemoteError::new(Failure::Nonsense, format!("{} {what}", http::place(&reply.url)))
}

/// Why a body is no value that we can read.
fn misread(reply: &Reply, error: &json::JsonError) -> RemoteError {
    let wrong = nonsense(reply, &format!("answers with what is not right: {error}"));
    RemoteError { kind: if error.heavy { Failure::TooLarge } else { wrong.kind }, ..wrong }
}

/// What an answer says its history is called.
fn named(body: &Value, at: Option<&pointer::Pointer>) -> String {
    match at.and_then(|at| at.find(body)) {
        Some(Value::Text(text)) => text.clone(),
        Some(Value::Number(number)) => number.text().to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_the_whole_id_and_nothing_but_it() {
        #[track_caller]
        fn check(part: &str, expect: &str) {
            let mut url = Url::parse("http://localhost/v1/things").unwrap();
            add_segment(&mut url, part);
            assert_eq!(url.as_str(), format!("http://localhost/v1/things/{expect}"), "{part:?}");
        }
        check("a", "a");
        check("a/b?c#d", "a%2Fb%3Fc%23d");
        check("%2e%2e", "%252e%252e");
        check("nul\0", "nul%00");
        check("line\nbreak", "line%0Abreak");
        check("\ttab é/..", "%09tab%20%C3%A9%2F%2E%2E");
        check("..\n", "%2E%2E%0A");
    }
}
