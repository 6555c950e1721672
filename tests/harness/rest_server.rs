//! Owns: a REST service in memory that does what a test says: with or without revisions, tombstones, ids of the caller's; that
//! rewrites values; that lags, hangs, or loses its answer after doing what it was asked.
//! Must never know: the daemon.

mod batch;
mod kept;
mod profile;

use std::{
    collections::{BTreeMap, VecDeque, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use serde_json::{Map, Value, json};

pub use batch::Refuses;
pub use profile::write_profile;

use crate::servers::Oidc;
use crate::wire::{self, Line, Request, Served, response};

/// What the service is like. What it does not show, its profile does not promise.
#[derive(Clone, Debug)]
pub struct Options {
    /// Listings go on from a token.
    pub token: bool,
    /// Such listings show what was deleted.
    pub tombstones: bool,
    /// Rows show a revision, unique per change.
    pub revisions: bool,
    /// Writes with `If-Match` are refused where the record moved. Without: the header is ignored.
    pub conditional: bool,
    /// A create under an id of the caller's is taken, and refused where it exists.
    pub client_ids: bool,
    /// A create under a key of the caller's is done once, however often it is asked.
    pub keys: bool,
    /// So many changes it takes in one request; 0: it has no batches.
    pub batches: usize,
    /// Whose login the items of a batch are refused for, though the batch is answered.
    pub batch_refuses: Refuses,
    /// Rows show when they were last changed.
    pub stamps: bool,
    /// A listing has an `ETag`, and is answered with 304 to who shows the one that it would get.
    pub etags: bool,
    /// That `ETag` is of the body alone, and a 304 has no other header.
    pub plain_etags: bool,
    /// Updates carry only what differs.
    pub patches: bool,
    /// Writes are answered with 204 and nothing.
    pub silent: bool,
    /// How the next page is found.
    pub paging: Paging,
    /// So many rows a page its profile asks for.
    pub page_rows: usize,
    /// A page has at most so many rows, whatever is asked for.
    pub page_rows_max: usize,
    /// What it makes of the values of a record before it keeps it.
    pub normalise: fn(&mut Map<String, Value>),
    /// Only this token is let in.
    pub bearer: Option<String>,
    /// Only who shows a token that the authorization server at this address calls good is let in.
    pub judge: Option<String>,
}

impl Default for Options {
    /// The able service: everything promised, nothing rewritten.
    fn default() -> Self {
        Self {
            token: true,
            tombstones: true,
            revisions: true,
            conditional: true,
            client_ids: true,
            keys: false,
            batches: 0,
            batch_refuses: Refuses::Nobodys,
            stamps: true,
            etags: false,
            plain_etags: false,
            patches: false,
            silent: false,
            paging: Paging::Cursor,
            page_rows: 100,
            page_rows_max: 1000,
            normalise: |_| {},
            bearer: None,
            judge: None,
        }
    }
}

impl Options {
    /// The careless service: no revisions, no preconditions, no tokens, no tombstones, ids of its own.
    #[must_use]
    pub fn careless() -> Self {
        Self {
            token: false,
            tombstones: false,
            revisions: false,
            conditional: false,
            client_ids: false,
            stamps: false,
            ..Self::default()
        }
    }
}

/// How the next page is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// `next` in the body, for `page`.
    Cursor,
    /// A whole address in the header `next-page`.
    Header,
    /// A relative address in the header `link`.
    Link,
    /// A whole address in the body, at `next`.
    Address,
    /// `page` counts pages from 1.
    Number,
    /// `page` counts rows from 0.
    Offset,
}

/// What becomes of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answered after so long.
    Lag(Duration),
    /// Never answered, and not done.
    HangBefore,
    /// Done, and never answered.
    HangAfter,
    /// The connection ends, and it is not done.
    CutBefore,
    /// Done, then the connection ends.
    CutAfter,
    /// Not done; answered with this status and these headers.
    Status(u16, Vec<(&'static str, String)>),
    /// Done; answered with this status all the same.
    StatusAfter(u16),
    /// Done; answered with 200 and this text.
    Body(String),
}

/// The service. It ends with its value.
pub struct RestServer {
    /// Where it answers: no slash at the end.
    pub url: String,
    state: Arc<Mutex<State>>,
    _served: Served,
}

struct State {
    options: Options,
    instance: String,
    seq: u64,
    lists: BTreeMap<String, BTreeMap<String, Stored>>,
    faults: VecDeque<(&'static str, Fault)>,
    log: Vec<String>,
    /// What creates under keys were, and were answered.
    answered: BTreeMap<String, (String, Vec<u8>)>,
}

struct Stored {
    seq: u64,
    at_ms: u64,
    props: Option<Map<String, Value>>,
}

impl RestServer {
    /// The name of the profile that describes it.
    pub const PROFILE: &str = "scripted";

    /// Starts one with these lists, empty.
    #[must_use]
    pub fn start(options: Options, lists: &[&str]) -> Self {
        let lists = lists.iter().map(|name| ((*name).to_owned(), BTreeMap::new())).collect();
        let (faults, log, answered) = (VecDeque::new(), Vec::new(), BTreeMap::new());
        Self::serve(State { options, instance: "first".into(), seq: 0, lists, faults, log, answered })
    }

    fn serve(state: State) -> Self {
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let served = wire::serve(Arc::new(move |request, line| play(&shared, request, line)));
        Self { url: served.url.clone(), state, _served: served }
    }

    /// Writes the profile that promises what it now does into the folder of a configuration.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn write_profile(&self, config_dir: &Path) {
        write_profile(&self.state().options, config_dir);
    }

    /// Makes it otherwise from now on.
    pub fn change(&self, how: impl FnOnce(&mut Options)) {
        how(&mut self.state().options);
    }

    /// What becomes of the next request with this method ("": any) that no earlier fault waits for.
    pub fn next(&self, method: &'static str, fault: Fault) {
        self.state().faults.push_back((method, fault));
    }

    /// Nothing becomes of the requests to come, whatever was said before.
    pub fn is_well(&self) {
        self.state().faults.clear();
    }

    /// Puts a whole record, as another user of the service would.
    ///
    /// # Panics
    /// When there is no such list, or `record` is no object.
    pub fn put(&self, list: &str, id: &str, record: &Value) {
        let props = record.as_object().expect("an object").clone();
        self.state().store(list, id, Some(props));
    }

    /// Changes properties of a record, as another user would; null clears.
    ///
    /// # Panics
    /// When the record is not there.
    pub fn patch(&self, list: &str, id: &str, properties: &Value) {
        let mut state = self.state();
        let mut props = state.lists[list][id].props.clone().expect("a record");
        merge(&mut props, properties.as_object().expect("an object"));
        state.store(list, id, Some(props));
    }

    /// Deletes a record, as another user would.
    ///
    /// # Panics
    /// When there is no such list.
    pub fn delete(&self, list: &str, id: &str) {
        self.state().store(list, id, None);
    }

    /// Every record by its id.
    ///
    /// # Panics
    /// When there is no such list.
    #[must_use]
    pub fn rows(&self, list: &str) -> BTreeMap<String, Value> {
        let state = self.state();
        let live = state.lists[list].iter().filter_map(|(id, stored)| Some((id.clone(), Value::Object(stored.props.clone()?))));
        live.collect()
    }

    /// How many changes were done so far, by whomever.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.state().seq
    }

    /// What was asked so far, one line each: `GET things?since=3`. Cleared by asking.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.state().log)
    }

    /// Loses its history, as a restore from nothing would: another instance, no records, counting from one again.
    pub fn forget(&self) {
        let mut state = self.state();
        state.instance = format!("{} again", state.instance);
        state.seq = 0;
        state.lists.values_mut().for_each(BTreeMap::clear);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Properties that some services rewrite: texts trimmed and in lower case, and one of the service's own added.
pub fn tidies(props: &mut Map<String, Value>) {
    for value in props.values_mut() {
        if let Value::String(text) = value {
            *text = text.trim().to_lowercase();
        }
    }
    props.insert("tidied".into(), true.into());
}

fn merge(props: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => props.remove(name),
            value => props.insert(name.clone(), value.clone()),
        };
    }
}

fn play(shared: &Mutex<State>, request: &Request, line: &mut Line) -> bool {
    let lock = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    let fault = {
        let mut state = lock();
        let query: Vec<String> = request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        state.log.push(format!("{} {}{mark}{}", request.method, request.path.join("/"), query.join("&")));
        let at = state.faults.iter().position(|(method, _)| method.is_empty() || *method == request.method);
        at.and_then(|at| state.faults.remove(at)).map(|(_, fault)| fault)
    };
    match fault {
        Some(Fault::HangBefore) => {
            line.hang();
            return false;
        }
        Some(Fault::CutBefore) => return false,
        Some(Fault::Status(status, headers)) => {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            return line.send(&response(status, &headers, ""));
        }
        Some(Fault::Lag(time)) => line.wait(time),
        _ => {}
    }
    let judge = lock().options.judge.clone();
    let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let bytes = match judge.is_none_or(|judge| Oidc::takes(&judge, token)) {
        true => lock().answer(request),
        false => told(401, &json!({ "words": "who are you?" })),
    };
    match fault {
        Some(Fault::HangAfter) => {
            line.hang();
            false
        }
        Some(Fault::CutAfter) => false,
        Some(Fault::StatusAfter(status)) => line.send(&response(status, &[], "")),
        Some(Fault::Body(text)) => line.send(&response(200, &[("content-type", "application/json")], &text)),
        _ => line.send(&bytes),
    }
}

impl State {
    fn store(&mut self, list: &str, id: &str, props: Option<Map<String, Value>>) {
        self.seq += 1;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let at_ms = u64::try_from(now.as_millis()).unwrap_or(0);
        let rows = self.lists.get_mut(list).unwrap_or_else(|| panic!("no list {list}"));
        rows.insert(id.to_owned(), Stored { seq: self.seq, at_ms, props });
    }

    fn answer(&mut self, request: &Request) -> Vec<u8> {
        let wanted = self.options.bearer.as_ref().map(|token| format!("Bearer {token}"));
        if wanted.is_some() && request.header("authorization") != wanted.as_deref() {
            return told(401, &json!({ "words": "who are you?" }));
        }
        match request.path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["about"] => told(200, &json!({ "service": Self::SERVICE, "instance": self.instance })),
            ["batch"] if self.options.batches > 0 && request.method == "POST" => self.batch(request),
            [list, ..] if !self.lists.contains_key(*list) => told(404, &json!({ "words": "no such list" })),
            [list] if request.method == "GET" => self.list(list, request),
            [list] if request.method == "POST" => {
                let id = format!("r{}", self.seq + 1);
                self.once(request, |state| state.write(list, &id, &request.body, false, 201))
            }
            [list, id] => self.one(list, id, request),
            _ => told(405, &json!({})),
        }
    }

    const SERVICE: &str = "scripted";

    fn row(&self, id: &str, stored: &Stored) -> Value {
        let mut row = stored.props.clone().unwrap_or_default();
        row.insert("id".into(), id.into());
        if self.options.revisions {
            row.insert("rev".into(), stored.seq.into());
        }
        if self.options.stamps {
            row.insert("at".into(), stored.at_ms.into());
        }
        if stored.props.is_none() {
            row.insert("gone".into(), true.into());
        }
        Value::Object(row)
    }

    fn list(&self, list: &str, request: &Request) -> Vec<u8> {
        let number = |name: &str| request.parameter(name).and_then(|text| text.parse::<u64>().ok());
        let since = if self.options.token { number("since") } else { None };
        if request.parameter("since").is_some() && since.is_none() {
            return told(400, &json!({ "words": "no such token" }));
        }
        let shown = |stored: &Stored| {
            (stored.props.is_some() || (since.is_some() && self.options.tombstones))
                && since.is_none_or(|since| stored.seq > since)
        };
        let mut rows: Vec<(&String, &Stored)> = self.lists[list].iter().filter(|(_, stored)| shown(stored)).collect();
        let total = rows.len();
        let most = usize::try_from(number("rows").unwrap_or(u64::MAX)).unwrap_or(usize::MAX).min(self.options.page_rows_max);
        // By place, where the page counts; else by change, so that nothing is missed while records move.
        let counted = match self.options.paging {
            Paging::Number => Some(usize::try_from(number("page").unwrap_or(1).saturating_sub(1)).unwrap_or(0) * most),
            Paging::Offset => Some(usize::try_from(number("page").unwrap_or(0)).unwrap_or(0)),
            _ => None,
        };
        match counted {
            Some(skip) => rows = rows.into_iter().skip(skip).collect(),
            None => {
                rows.sort_by_key(|(_, stored)| stored.seq);
                rows.retain(|(_, stored)| number("page").is_none_or(|page| stored.seq > page));
            }
        }
        let more = rows.len() > most;
        rows.truncate(most);
        let last = rows.last().map_or(0, |(_, stored)| stored.seq).to_string();
        let mut body = json!({ "rows": rows.iter().map(|(id, stored)| self.row(id, stored)).collect::<Vec<_>>() });
        let others = request.query.iter().filter(|(name, _)| name != "page").map(|(name, value)| format!("{name}={value}&"));
        let onward = format!("/{list}?{}page={last}", others.collect::<String>());
        let whole = format!("http://{}{onward}", request.header("host").unwrap_or_default());
        let (token, total) = (self.seq.to_string(), total.to_string());
        let mut headers = vec![("content-type", "application/json"), ("x-token", token.as_str()), ("x-total", total.as_str())];
        let link = format!("</{list}>; rel=\"first\", <{onward}>; rel=\"next\"");
        match self.options.paging {
            Paging::Cursor if more => body["next"] = last.into(),
            Paging::Address if more => body["next"] = whole.into(),
            Paging::Header if more => headers.push(("next-page", &whole)),
            Paging::Link if more => headers.push(("link", &link)),
            _ => {}
        }
        let body = body.to_string();
        if !self.options.etags {
            return response(200, &headers, &body);
        }
        // Of what it holds, and of how that is told: another page, another token.
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        if !self.options.plain_etags {
            headers.hash(&mut hasher);
        }
        let etag = format!("\"{:016x}\"", hasher.finish());
        headers.push(("etag", &etag));
        match request.header("if-none-match") {
            Some(known) if known == etag && self.options.plain_etags => response(304, &[("etag", &etag)], ""),
            Some(known) if known == etag => response(304, &headers, ""),
            _ => response(200, &headers, &body),
        }
    }

    fn one(&mut self, list: &str, id: &str, request: &Request) -> Vec<u8> {
        let stored = self.lists[list].get(id).filter(|stored| stored.props.is_some());
        let present = stored.map(|stored| json!({ "row": self.row(id, stored) }));
        let moved = self.options.conditional
            && request.header("if-match").is_some_and(|rev| stored.is_some_and(|stored| stored.seq.to_string() != rev));
        let named = self.options.client_ids && request.header("if-none-match") == Some("*");
        match (request.method.as_str(), present) {
            ("GET", Some(present)) => told(200, &present),
            ("PUT", Some(present)) if named => told(409, &present),
            ("PUT", None) if named => self.write(list, id, &request.body, false, 201),
            (_, None) => told(404, &json!({ "words": "no such record" })),
            (_, Some(present)) if moved => told(412, &present),
            ("DELETE", Some(_)) => {
                self.store(list, id, None);
                response(204, &[], "")
            }
            ("PUT" | "PATCH", Some(_)) => self.write(list, id, &request.body, request.method == "PATCH", 200),
            _ => told(405, &json!({})),
        }
    }

    fn write(&mut self, list: &str, id: &str, body: &str, patch: bool, status: u16) -> Vec<u8> {
        let Ok(Value::Object(sent)) = serde_json::from_str(body) else {
            return told(400, &json!({ "words": "no object" }));
        };
        if sent.contains_key("refuse") {
            return told(422, &json!({ "words": "refuse is not allowed here" }));
        }
        let mut props =
            if patch { self.lists[list].get(id).and_then(|stored| stored.props.clone()).unwrap_or_default() } else { Map::new() };
        merge(&mut props, &sent);
        (self.options.normalise)(&mut props);
        self.store(list, id, Some(props));
        if self.options.silent && status == 200 {
            return response(204, &[], "");
        }
        told(status, &json!({ "row": self.row(id, &self.lists[list][id]) }))
    }
}

fn told(status: u16, body: &Value) -> Vec<u8> {
    response(status, &[("content-type", "application/json")], &body.to_string())
}
