//! Owns: the kind `rest`: any service that lists, gets, makes, changes and deletes JSON records over HTTP, as a profile describes it.
//! Must never know: any service by name.

mod answers;
pub mod catalog;
mod page;
mod pointer;
mod profile;
mod rows;
mod send;
mod template;

use std::path::Path;

use mingle_core::{
    record::Value,
    replica::{Abilities, Action, Answer, Asked, Failure, From, Page, RemoteError},
};
use profile::{One, Profile};
use reqwest::{
    Method, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use template::Template;

use super::{
    Greeting, Kind, Means, Opening, Pending, Problem, Remote, Seen,
    http::{self, Lost, Reply},
    secret,
    settings::{Auth, RemoteSettings},
    unfit,
};
use crate::json;

/// The kind, for the list.
pub const KIND: Kind = Kind {
    name: "rest",
    about: "JSON records over HTTP, as a profile describes the service",
    look,
    open: |opening| Box::pin(open(opening)),
};

/// One resource of one such service.
struct Rest {
    profile: Profile,
    abilities: Abilities,
    url: Url,
    resource: String,
    login: HeaderMap,
    means: Means,
}

fn found(settings: &RemoteSettings, config_dir: &Path) -> Result<(Profile, Url), Problem> {
    let name = settings.profile.as_deref().ok_or_else(|| {
        Problem::new("a remote of kind \"rest\" needs a profile").hint("`mingle profile list` shows them: profile = \"NAME\"")
    })?;
    let url = http::address(&settings.url, settings.insecure)?;
    if let Auth::Header { name, .. } = &settings.auth
        && HeaderName::from_bytes(name.as_bytes()).is_err()
    {
        return Err(Problem::new(format!("{name:?} in auth is no name of a header")));
    }
    Ok((catalog::find(name, config_dir)?, url))
}

fn look(settings: &RemoteSettings, config_dir: &Path) -> Result<Seen, Problem> {
    let (profile, _) = found(settings, config_dir)?;
    Ok(Seen { abilities: profile.abilities(), mapping: profile.version.to_string() })
}

async fn open(opening: Opening) -> Result<Box<dyn Remote>, RemoteError> {
    let Opening { settings, resource, means } = opening;
    let (profile, url) = found(&settings, &means.config_dir).map_err(unfit)?;
    let login = login(&settings.auth, &means.config_dir).await?;
    let resource = resource.trim_matches('/').to_owned();
    Ok(Box::new(Rest { abilities: profile.abilities(), profile, url, resource, login, means }))
}

/// The header that shows who we are.
async fn login(auth: &Auth, config_dir: &Path) -> Result<HeaderMap, RemoteError> {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let mut headers = HeaderMap::new();
    let Some(from) = auth.secret() else { return Ok(headers) };
    let secret = secret::fetch(from, config_dir).await?;
    let (name, value) = match auth {
        Auth::Basic { username, .. } => {
            ("authorization", format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{}", secret.reveal()))))
        }
        Auth::Header { name, .. } => (name.as_str(), secret.reveal().to_owned()),
        Auth::Bearer { .. } | Auth::None => ("authorization", format!("Bearer {}", secret.reveal())),
    };
    let no = || RemoteError::new(Failure::NeedsLogin, "the secret does not fit into a header");
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| no())?;
    let mut value = HeaderValue::from_str(&value).map_err(|_| no())?;
    value.set_sensitive(true);
    headers.insert(name, value);
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
                let (reply, body) = self.identified(identify).await?;
                greeting.server_time = reply.server_time();
                greeting.instance = named(&body, identify.instance.as_ref());
            }
            let shown = match &self.profile.place {
                Some(place) => self.shown(place, &mut greeting).await?,
                None => false,
            };
            if !shown {
                // Whoever may read the records need not be allowed to read about the resource.
                greeting.server_time = self.page(&From::Start, None, 1).await?.server_time;
            }
            Ok(greeting)
        })
    }

    fn list<'a>(&'a self, from: &'a From, page: Option<&'a str>, rows: usize) -> Pending<'a, Result<Page, RemoteError>> {
        Box::pin(self.page(from, page, rows))
    }

    fn get<'a>(&'a self, remote_id: &'a str) -> Pending<'a, Result<Asked, RemoteError>> {
        Box::pin(async move {
            let one = &self.profile.get;
            let url = self.below(&one.path, Some(remote_id))?;
            let reply = self.ask(url).await?;
            if self.gone(&reply).await? {
                return Ok(Asked::Gone);
            }
            if let Some(trouble) = self.trouble(&reply) {
                return Err(trouble);
            }
            let row = self.row_of(one, &reply)?.ok_or_else(|| nonsense(&reply, "shows no record"))?;
            if row.remote_id != remote_id {
                return Err(nonsense(&reply, "answers with a record of another id"));
            }
            Ok(if row.state == mingle_core::replica::RowState::Gone { Asked::Gone } else { Asked::There(row) })
        })
    }

    fn send<'a>(&'a self, action: &'a Action) -> Pending<'a, Answer> {
        Box::pin(self.sent(action))
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
        match identify.pointer.find(&body) {
            Some(Value::Text(text)) if *text == identify.equals => Ok((reply, body)),
            Some(Value::Text(text)) => Err(not(format!("it says that it is {:?}", http::words(text)))),
            _ => Err(not(format!("{} is missing in what it says of itself", identify.pointer))),
        }
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

    async fn ask(&self, url: Url) -> Result<Reply, RemoteError> {
        let request = self.request(Method::GET, url, HeaderMap::new(), None);
        self.means.http.exchange(request).await.map_err(|lost| lost.error)
    }

    async fn tell(&self, method: Method, url: Url, headers: HeaderMap, body: Option<String>) -> Result<Reply, Lost> {
        self.means.http.exchange(self.request(method, url, headers, body)).await
    }

    fn request(&self, method: Method, url: Url, mut headers: HeaderMap, body: Option<String>) -> http::Request {
        headers.extend(self.login.clone());
        if let Ok(types) = HeaderValue::from_str(&self.profile.types.take.join(", ")) {
            headers.insert("accept", types);
        }
        if let (Some(_), Ok(of)) = (&body, HeaderValue::from_str(&self.profile.types.send)) {
            headers.insert("content-type", of);
        }
        http::Request { method, url, headers, body }
    }

    /// The address of a path below ours. Every value becomes whole segments: none can leave its place.
    fn below(&self, path: &Template, id: Option<&str>) -> Result<Url, RemoteError> {
        let cannot = |what: String| RemoteError::new(Failure::Nonsense, what);
        let mut url = self.url.clone();
        let mut segments = url.path_segments_mut().map_err(|()| cannot("the url has no path".into()))?;
        segments.pop_if_empty();
        for part in path.parts_of_path(&self.resource, id) {
            // A segment of dots is an instruction to whoever reads the address, however it is escaped.
            if part == "." || part == ".." {
                return Err(cannot(format!("{part:?} cannot be asked for: it is no name in an address")));
            }
            segments.push(&part);
        }
        drop(segments);
        Ok(url)
    }

    fn json(&self, reply: &Reply) -> Result<Value, RemoteError> {
        let text = reply.text(&self.profile.types.take)?;
        json::parse(text).map_err(|error| nonsense(reply, &format!("answers with what is not right: {error}")))
    }

    /// The record in an answer; none where the request shows none, or the answer is empty and may be.
    fn row_of(&self, one: &One, reply: &Reply) -> Result<Option<mingle_core::replica::Row>, RemoteError> {
        if reply.body.is_empty() && (one.may_be_empty || matches!(reply.status.as_u16(), 204 | 205)) {
            return Ok(None);
        }
        let mut body = self.json(reply)?;
        let Some(at) = &one.row else { return Ok(None) };
        let value = at.take(&mut body).ok_or_else(|| nonsense(reply, &format!("has no record at {at:?}")))?;
        rows::row(&self.profile.row, value).map(Some).map_err(|why| nonsense(reply, &format!("makes no sense: {why}")))
    }
}

fn nonsense(reply: &Reply, what: &str) -> RemoteError {
    RemoteError::new(Failure::Nonsense, format!("{} {what}", http::place(&reply.url)))
}

/// What an answer says its history is called.
fn named(body: &Value, at: Option<&pointer::Pointer>) -> String {
    match at.and_then(|at| at.find(body)) {
        Some(Value::Text(text)) => text.clone(),
        Some(Value::Number(number)) => number.text().to_owned(),
        _ => String::new(),
    }
}
