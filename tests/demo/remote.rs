//! Owns: the remote of the demo: a small stand-in for Kinto, in memory, that speaks as much of Kinto's protocol as its profile uses.
//! Must never know: the daemon.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, ensure};
use mingle_tests::wire::{self, Line, Request, Served, response};
use serde_json::{Map, Value, json};

/// `demo:demo`.
const LOGIN: (&str, &str) = ("authorization", "Basic ZGVtbzpkZW1v");

/// A page has at most so many records, whatever is asked for: large enough to be a page, small enough to see several.
pub const PAGE_ROWS_MAX: usize = 250;

/// The stand-in. It ends with its value.
pub struct Remote {
    /// The root of its API: no slash at the end.
    pub url: String,
    state: Arc<Mutex<State>>,
    _served: Served,
}

#[derive(Default)]
struct State {
    lists: BTreeMap<String, BTreeMap<String, Row>>,
    clock: u64,
    lag: Duration,
    /// Rows, by list.
    sent: BTreeMap<String, usize>,
}

/// A record, or what is left of a deleted one.
struct Row {
    modified: u64,
    props: Option<Map<String, Value>>,
}

type Props = Map<String, Value>;
type Reply = (u16, Vec<(&'static str, String)>, Value);

impl Remote {
    /// With these collections, empty, in the bucket `demo`.
    pub fn start(lists: &[&str]) -> Self {
        let lists = lists.iter().map(|name| ((*name).to_owned(), BTreeMap::new())).collect();
        let state = Arc::new(Mutex::new(State { lists, ..State::default() }));
        let shared = Arc::clone(&state);
        let served = wire::serve(Arc::new(move |request, line| play(&shared, request, line)));
        Self { url: format!("{}/v1", served.url), state, _served: served }
    }

    /// Puts records, as others did before mingle came.
    pub fn fill(&self, list: &str, records: impl IntoIterator<Item = (String, Value)>) {
        let mut state = lock(&self.state);
        for (id, record) in records {
            state.store(list, &id, record.as_object().cloned());
        }
    }

    /// What another user of the service does, over HTTP like everybody.
    pub fn patch(&self, list: &str, id: &str, properties: &Value) -> anyhow::Result<()> {
        let url = format!("{}/buckets/demo/collections/{list}/records/{id}", self.url);
        let answer = wire::ask("PATCH", &url, &[LOGIN], Some(&json!({ "data": properties }).to_string()))?;
        ensure!(answer.status == 200, "the remote answered a PATCH with {}: {}", answer.status, answer.body);
        Ok(())
    }

    /// A record as the service has it, asked for over HTTP.
    pub fn get(&self, list: &str, id: &str) -> anyhow::Result<Value> {
        let url = format!("{}/buckets/demo/collections/{list}/records/{id}", self.url);
        let answer = wire::ask("GET", &url, &[LOGIN], None)?;
        ensure!(answer.status == 200, "the remote answered a GET of {list}/{id} with {}: {}", answer.status, answer.body);
        let mut body: Value = serde_json::from_str(&answer.body).context("the remote answered with no JSON")?;
        Ok(body["data"].take())
    }

    /// From now on it takes so long to answer with a page.
    pub fn lag(&self, lag: Duration) {
        lock(&self.state).lag = lag;
    }

    /// How many rows of a list it sent in pages since the last time this was asked.
    pub fn sent(&self, list: &str) -> usize {
        lock(&self.state).sent.remove(list).unwrap_or(0)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn play(shared: &Mutex<State>, request: &Request, line: &mut Line) -> bool {
    let path: Vec<&str> = request.path.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    if let (["v1", "buckets", "demo", "collections", _, "records"], "GET") = (path.as_slice(), request.method.as_str()) {
        let lag = lock(shared).lag;
        line.wait(lag);
    }
    let (status, headers, body) =
        if request.header(LOGIN.0) == Some(LOGIN.1) { lock(shared).answer(request, &path) } else { refused(401, "who are you?") };
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let mut all = vec![("content-type", "application/json")];
    all.extend(headers.iter().map(|(name, value)| (*name, value.as_str())));
    line.send(&response(status, &all, &text)) && request.header("connection") != Some("close")
}

fn refused(status: u16, message: &str) -> Reply {
    (status, Vec::new(), json!({ "code": status, "message": message }))
}

impl State {
    fn answer(&mut self, request: &Request, path: &[&str]) -> Reply {
        let (list, rest) = match path {
            ["v1"] => {
                let about = "a stand-in for Kinto that speaks what the profile `kinto` uses";
                let about = json!({ "project_name": "kinto", "project_docs": about, "user": { "id": "account:demo" } });
                return (200, Vec::new(), about);
            }
            ["v1", "buckets", "demo", "collections", list, rest @ ..] if self.lists.contains_key(*list) => (*list, rest),
            _ => return refused(404, "not found"),
        };
        match (request.method.as_str(), rest) {
            ("GET", []) => (200, Vec::new(), json!({ "data": { "id": list, "last_modified": 1 } })),
            ("GET", ["records"]) => self.page(request, list),
            ("POST", ["records"]) => {
                let id = format!("r-{}", self.clock);
                self.write(request, list, &id)
            }
            ("GET", ["records", id]) => match self.lists[list].get(*id).and_then(|row| shown(id, row)) {
                Some(data) => (200, Vec::new(), json!({ "data": data })),
                None => refused(404, "no such record"),
            },
            ("PUT" | "PATCH" | "DELETE", ["records", id]) => self.write(request, list, id),
            _ => refused(405, "not here"),
        }
    }

    fn page(&mut self, request: &Request, list: &str) -> Reply {
        let number = |name: &str| request.parameter(name).and_then(|text| text.trim_matches('"').parse::<u64>().ok());
        let (since, token) = (number("_since"), number("_token"));
        let limit = number("_limit").map_or(PAGE_ROWS_MAX, |limit| usize::try_from(limit).unwrap_or(1).clamp(1, PAGE_ROWS_MAX));
        // Deleted records are shown only to those who ask what changed.
        let fits = |row: &Row| row.modified > since.unwrap_or(0) && (since.is_some() || row.props.is_some());
        let mut rows: Vec<(&String, &Row)> = self.lists[list].iter().filter(|(_, row)| fits(row)).collect();
        rows.sort_by_key(|(_, row)| row.modified);
        rows.retain(|(_, row)| row.modified > token.unwrap_or(0));
        let more = rows.len() > limit;
        rows.truncate(limit);
        // No total: today's Kinto tells it only to those who ask with HEAD.
        let mut headers = vec![("etag", format!("\"{}\"", self.clock))];
        if let (true, Some((_, last))) = (more, rows.last()) {
            let host = request.header("host").unwrap_or_default();
            let since = since.map(|since| format!("&_since={since}")).unwrap_or_default();
            let query = format!("_limit={limit}&_sort=last_modified&_token={}{since}", last.modified);
            headers.push(("next-page", format!("http://{host}/v1/buckets/demo/collections/{list}/records?{query}")));
        }
        let data: Vec<Value> = rows.iter().filter_map(|(id, row)| shown(id, row).or_else(|| tombstone(id, row))).collect();
        *self.sent.entry(list.to_owned()).or_default() += data.len();
        (200, headers, json!({ "data": data }))
    }

    fn write(&mut self, request: &Request, list: &str, id: &str) -> Reply {
        let present = self.lists[list].get(id).filter(|row| row.props.is_some());
        let existing = present.and_then(|row| shown(id, row));
        let revision = present.map(|row| format!("\"{}\"", row.modified));
        let moved = request.header("if-match").is_some_and(|wanted| revision.as_deref() != Some(wanted));
        if moved || (request.header("if-none-match") == Some("*") && existing.is_some()) {
            let body = json!({ "code": 412, "message": "it was changed meanwhile", "details": { "existing": existing } });
            return (412, Vec::new(), body);
        }
        let sent = serde_json::from_str::<Value>(&request.body).ok().and_then(|body| body["data"].as_object().cloned());
        let props = match (request.method.as_str(), sent, present) {
            ("DELETE", _, None) | ("PATCH", _, None) => return refused(404, "no such record"),
            ("DELETE", ..) => None,
            ("PATCH", Some(patch), Some(row)) => {
                let mut props = row.props.clone().unwrap_or_default();
                props.extend(patch);
                Some(props)
            }
            (_, Some(props), _) => Some(props),
            _ => return refused(400, "the body has no data"),
        };
        let status = if existing.is_some() { 200 } else { 201 };
        let row = self.store(list, id, props);
        let data = shown(id, row).or_else(|| tombstone(id, row));
        (status, Vec::new(), json!({ "data": data }))
    }

    fn store(&mut self, list: &str, id: &str, props: Option<Props>) -> &Row {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
        // Unique per change, as Kinto's are.
        self.clock = u64::try_from(now).unwrap_or(0).max(self.clock + 1);
        let props = props.map(|mut props| {
            props.remove("id");
            props.remove("last_modified");
            props
        });
        let rows = self.lists.entry(list.to_owned()).or_default();
        rows.insert(id.to_owned(), Row { modified: self.clock, props });
        &rows[id]
    }
}

fn shown(id: &str, row: &Row) -> Option<Value> {
    let mut props = row.props.clone()?;
    props.insert("id".into(), id.into());
    props.insert("last_modified".into(), row.modified.into());
    Some(Value::Object(props))
}

fn tombstone(id: &str, row: &Row) -> Option<Value> {
    row.props.is_none().then(|| json!({ "id": id, "last_modified": row.modified, "deleted": true }))
}
