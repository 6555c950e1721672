//! Owns: the kind `http`: one document or list, fetched whole by conditional GET. Must never know: what its formats mean, any service by
//! name.
//!
//! Where a run begins from is the validator of the document that was applied last: "not modified" then means that there is nothing to apply.
//! A document that changed refuses that position, so it is listed from the start and what it does not show any more is found by absence.

mod calendar;
mod feed;
mod read;
mod shape;
mod version;

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mingle_core::replica::{Abilities, Action, Answer, Asked, Cursor, Failure, From, Packed, Page, RemoteError, Row};
use reqwest::{
    Method, StatusCode, Url,
    header::{HeaderMap, HeaderValue},
};

use super::{
    Greeting, Kind, Means, Opening, Pending, Problem, Remote, Seen,
    aside::reading,
    http::{self, Reply},
    larder::{Pages, Place},
    login::{self, Login},
    settings::{Absent, Format, RemoteSettings},
    unfit,
};
use shape::Shape;
use version::Version;

/// The kind, for the list.
pub const KIND: Kind = Kind {
    name: "http",
    about: "one document or list, fetched whole where it changed: JSON, NDJSON, CSV, RSS, Atom, JSON Feed, iCalendar",
    noun: "a document",
    keys: &["url", "auth", "insecure", "format", "rows", "id", "document", "absent"],
    look,
    open: |opening| Box::pin(open(opening)),
};

/// How a document becomes records: where it changes, agreed copies no longer mean the same.
const MAPPING: &str = "1";

/// One document.
struct Document {
    abilities: Abilities,
    shape: Arc<Shape>,
    url: Url,
    headers: HeaderMap,
    /// Of whom it is, where only the login tells that.
    whose: String,
    means: Means,
    /// It is opened for no run: to be greeted is all it is there for.
    is_looked_at: bool,
    /// What was fetched and not listed yet.
    fetched: Mutex<Option<Fetched>>,
    /// The ids that the listing showed, in their order.
    shown: Mutex<Option<Vec<Box<str>>>>,
    /// The rows, for whoever asks for one of them.
    asked: tokio::sync::Mutex<Option<Arc<Fetched>>>,
    /// What pages take that are not applied yet, the oldest first.
    pages: Pages,
}

/// A whole document.
#[derive(Default)]
struct Fetched {
    rows: Vec<Packed>,
    version: Version,
    place: Place,
}

/// What came of asking for it.
enum Came {
    /// It has not changed.
    Same,
    /// It is there.
    New(Fetched),
}

fn look(settings: &RemoteSettings, _: &Path) -> Result<Seen, Problem> {
    let (shape, _) = found(settings)?;
    let format = settings.format.map_or("by its type", Format::word);
    let ways = vec![("format", format.to_owned()), ("absent", shape.absent.word().to_owned())];
    Ok(Seen { abilities: abilities(&shape), mapping: format!("{MAPPING} {}", shape.words()), listing: String::new(), ways })
}

fn found(settings: &RemoteSettings) -> Result<(Shape, Url), Problem> {
    if settings.url.is_empty() {
        let what = "a remote of kind \"http\" needs a url";
        return Err(Problem::new(what).hint("url = \"https://HOST/PATH\"; the rest of the path may be the sync's `resource`"));
    }
    login::fits(settings)?;
    Ok((Shape::of(settings)?, http::address(&settings.url, settings.insecure)?))
}

/// It is read, and nothing else. What is not shown any more is absent, or whoever shows it only tells what is new.
fn abilities(shape: &Shape) -> Abilities {
    let tells = shape.absent == Absent::Keep;
    Abilities { cursor: Cursor::Token, tells, writes: false, deletes: false, ..Abilities::least() }
}

async fn open(opening: Opening) -> Result<Box<dyn Remote>, RemoteError> {
    let Opening { settings, resource, mut means, place } = opening;
    let (shape, base) = found(&settings).map_err(unfit)?;
    let url = shape::address(&base, &resource).map_err(unfit)?;
    let login = Login::begin(&mut means, &url, &settings, &place, None).await?;
    let mut url = url;
    if let Some((name, secret)) = &login.query {
        url.query_pairs_mut().append_pair(name, secret.reveal());
    }
    let (whose, mut headers) = (version::whose(login.who()), login.headers);
    headers.insert("accept", HeaderValue::from_static("*/*"));
    if !shape.format.is_some_and(read::ends_by_itself) {
        // Packed, it would not be told how long it is.
        headers.insert("accept-encoding", HeaderValue::from_static("identity"));
    }
    let abilities = abilities(&shape);
    let (fetched, shown, asked, pages) = Default::default();
    let (shape, is_looked_at) = (Arc::new(shape), place.sync.is_empty());
    Ok(Box::new(Document { abilities, shape, url, headers, whose, means, is_looked_at, fetched, shown, asked, pages }))
}

impl Remote for Document {
    fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    fn greet(&self) -> Pending<'_, Result<Greeting, RemoteError>> {
        Box::pin(async move {
            // In a run the listing is the greeting: where nothing changed there is one request, and it has no body.
            if self.is_looked_at {
                self.ask(None).await?;
            }
            Ok(Greeting::default())
        })
    }

    fn list<'a>(&'a self, from: &'a From, _: Option<&'a str>, _: usize) -> Pending<'a, Result<Page, RemoteError>> {
        Box::pin(async move {
            let known = match from {
                From::Token(text) => {
                    Some(Version::read(text).ok_or_else(|| refused("the position in the store is none of a document"))?)
                }
                From::Start | From::Stamp(_) => None,
            };
            // The same mark of the server may stand for another's document.
            if known.as_ref().is_some_and(|known| !known.is_of(&self.whose)) {
                return Err(refused("the position is of the document of another login"));
            }
            let waiting = held(&self.fetched).take().filter(|_| known.is_none());
            let came = match waiting {
                Some(fetched) => Came::New(fetched),
                None => self.ask(known.as_ref()).await?,
            };
            let (fetched, known) = match (came, known) {
                (Came::New(fetched), None) => return Ok(self.page(fetched)),
                (Came::Same, None) => return Err(self.nonsense("says that it has not changed, and was not asked that")),
                (Came::Same, Some(known)) => (Fetched::default(), known),
                (Came::New(fetched), Some(known)) if fetched.version.is_same_text(&known) => {
                    // Another validator, such as of another server behind the same address, is no other document.
                    let version = fetched.version.clone();
                    (fetched, version)
                }
                (Came::New(fetched), Some(_)) => {
                    *held(&self.fetched) = Some(fetched);
                    return Err(refused("the document changed"));
                }
            };
            self.pages.listed(fetched.place);
            Ok(Page { token: Some(known.text()), ..Page::default() })
        })
    }

    fn page_is_applied(&self) {
        self.pages.applied();
    }

    fn get<'a>(&'a self, remote_id: &'a str) -> Pending<'a, Result<Asked, RemoteError>> {
        Box::pin(async move {
            if let Some(shown) = &*held(&self.shown)
                && shown.binary_search_by(|one| (**one).cmp(remote_id)).is_err()
            {
                return Ok(Asked::Gone);
            }
            let fetched = self.once_more().await?;
            let row = fetched.rows.iter().find(|row| row.remote_id() == remote_id).map(Packed::open);
            Ok(row.map_or(Asked::Gone, |row: Row| Asked::There(row)))
        })
    }

    fn send<'a>(&'a self, _: &'a Action) -> Pending<'a, Answer> {
        Box::pin(std::future::ready(Answer::Refused("a document takes no changes".into())))
    }
}

impl Document {
    /// The document as one page.
    fn page(&self, fetched: Fetched) -> Page {
        let mut ids: Vec<Box<str>> = fetched.rows.iter().map(|row| row.remote_id().into()).collect();
        ids.sort_unstable();
        *held(&self.shown) = Some(ids);
        self.pages.listed(fetched.place);
        let (token, total) = (Some(fetched.version.text()), Some(fetched.rows.len() as u64));
        Page { rows: fetched.rows, token, total, swaps: true, ..Page::default() }
    }

    /// It, for whoever asks for single rows: once a run.
    async fn once_more(&self) -> Result<Arc<Fetched>, RemoteError> {
        let mut asked = self.asked.lock().await;
        if let Some(fetched) = &*asked {
            return Ok(Arc::clone(fetched));
        }
        let Came::New(fetched) = self.ask(None).await? else {
            return Err(self.nonsense("says that it has not changed, and was not asked that"));
        };
        let fetched = Arc::new(fetched);
        *asked = Some(Arc::clone(&fetched));
        Ok(fetched)
    }

    async fn ask(&self, known: Option<&Version>) -> Result<Came, RemoteError> {
        let mut headers = self.headers.clone();
        for (name, value) in known.map(Version::conditions).unwrap_or_default() {
            headers.insert(name, value);
        }
        let request = http::Request { method: Method::GET, url: self.url.clone(), headers, body: None, changes: false };
        let reply = self.means.http.exchange(request).await.map_err(|lost| {
            let error = lost.error;
            if error.kind != Failure::TooLarge { error } else { error.hint(LARGE) }
        })?;
        if reply.status == StatusCode::NOT_MODIFIED {
            return Ok(Came::Same);
        }
        if let Some(trouble) = reply.trouble((self.means.now)()) {
            return Err(trouble);
        }
        if reply.status != StatusCode::OK {
            return Err(self.nonsense(&format!("answers with HTTP {}, which is no whole document", reply.status.as_u16())));
        }
        let place = self.means.http.larder.place(reply.body.len()).await;
        self.read_aside(reply, place).await.map(Came::New)
    }

    /// Reads a body; a large one beside the run.
    async fn read_aside(&self, reply: Reply, mut place: Place) -> Result<Fetched, RemoteError> {
        let (shape, bytes, whose) = (Arc::clone(&self.shape), reply.body.len(), self.whose.clone());
        let work = move || {
            let rows = read::read(&shape, &reply)?;
            place.shrink(rows.iter().map(Packed::bytes).sum());
            Ok(Fetched { version: Version::of(&reply, &whose), rows, place })
        };
        reading(bytes, work).await
    }

    fn nonsense(&self, what: &str) -> RemoteError {
        RemoteError::new(Failure::Nonsense, format!("{} {what}", http::place(&self.url)))
    }
}

/// Reads a text as a document of each format; for whoever tries texts.
///
/// # Errors
/// What is wrong with the rows: nothing ever is.
pub fn tried(text: &str) -> Result<(), String> {
    const LIST: &str = "";
    const ONE: &str = "document = \"one\"";
    let formats = [Format::Json, Format::Ndjson, Format::Csv, Format::Rss, Format::JsonFeed, Format::ICalendar];
    for (keys, format) in formats.map(|format| (LIST, format)).into_iter().chain([(ONE, Format::Json)]) {
        let settings = toml::from_str(&format!("kind = \"http\"\n{keys}")).map_err(|why| why.to_string())?;
        let shape = Shape::of(&settings).map_err(|problem| problem.what)?;
        let Ok(rows) = read::rows(&shape, format, text) else { continue };
        let mut ids: Vec<&str> = rows.iter().map(Packed::remote_id).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|two| two[0] == two[1]) || !ids.iter().all(|id| shape::is_id(id)) {
            return Err(format!("{}: {ids:?} are not the ids of records", format.word()));
        }
    }
    Ok(())
}

/// What to do about a document that does not fit.
const LARGE: &str = "a document is read whole, up to 8 MiB; what is larger needs a service that gives pages: kind = \"rest\"";

fn refused(why: &str) -> RemoteError {
    RemoteError::new(Failure::CheckpointRefused, why)
}

fn held<T>(one: &Mutex<T>) -> MutexGuard<'_, T> {
    one.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
