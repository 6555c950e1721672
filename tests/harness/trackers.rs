//! Owns: what simulated trackers have in common: limits, validators, links, and what may be asked for.
//! Must never know: the daemon.
//!
//! They keep to what the services publish of their APIs, also where it is inconvenient. What they are for cannot be installed here.

mod github;
mod gitlab;

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use serde_json::Value;

use crate::wire::{self, Request, Served, response};

/// A private repository at GitHub.
pub type GitHub = Tracker<github::Repository>;
/// A private project at GitLab.
pub type GitLab = Tracker<gitlab::Project>;

/// A simulated tracker. It ends with its value.
pub struct Tracker<T> {
    /// Where its issues are: no slash at the end.
    pub url: String,
    state: Arc<Mutex<T>>,
    _served: Served,
}

/// What a tracker holds, and how it answers.
trait Answers: Send + 'static {
    fn desk(&mut self) -> &mut Desk;
    fn answer(&mut self, request: &Request) -> Vec<u8>;
}

#[expect(private_bounds, reason = "what is asked of a tracker is the same for all; how it answers is each one's own")]
impl<T: Answers> Tracker<T> {
    /// Starts it, with its issues below this path.
    fn serving(state: T, path: &str) -> Self {
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let served = wire::serve(Arc::new(move |request, line| {
            let bytes = shared.lock().unwrap_or_else(PoisonError::into_inner).answer(request);
            line.send(&bytes)
        }));
        Self { url: format!("{}{path}", served.url), state, _served: served }
    }

    /// The token loses sight of the project, or sees it again.
    pub fn sees(&self, sees: bool) {
        self.state().desk().sees = sees;
    }

    /// So many requests are left, for so many seconds.
    pub fn leave(&self, left: u64, seconds: u64) {
        let mut state = self.state();
        state.desk().left = left;
        state.desk().reset_s = now_ms() / 1000 + seconds;
    }

    /// So many changes are taken in so long.
    pub fn pace(&self, most: usize, within: Duration) {
        self.state().desk().pace = (most, within);
    }

    /// What was asked so far, one line each: `GET repos/me/project/issues?page=1 200`. Cleared by asking.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.state().desk().log)
    }

    fn state(&self) -> MutexGuard<'_, T> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What every tracker heeds before it looks at what is asked.
pub(crate) struct Desk {
    /// The token that is let in.
    pub token: String,
    /// Whether that token may see the project.
    pub sees: bool,
    /// Requests left before the reset.
    pub left: u64,
    /// The reset, in seconds since 1970.
    pub reset_s: u64,
    /// Answers that ask for patience, in order: a status, and how many seconds, where it says so.
    pub patience: VecDeque<(u16, Option<u64>)>,
    /// So many changes are taken in so long.
    pub pace: (usize, Duration),
    /// When the last of them were taken, in milliseconds since 1970.
    pub changes: VecDeque<u64>,
    /// What was asked, one line each.
    pub log: Vec<String>,
}

/// The token of a tracker's user.
pub const TOKEN: &str = "sesame";

impl Desk {
    pub fn new() -> Self {
        let reset_s = now_ms() / 1000 + 3600;
        Self {
            token: TOKEN.into(),
            sees: true,
            left: 5000,
            reset_s,
            patience: VecDeque::new(),
            pace: (usize::MAX, Duration::from_secs(60)),
            changes: VecDeque::new(),
            log: Vec::new(),
        }
    }

    /// Takes one more change, or says for how many seconds none is taken.
    pub fn paced(&mut self) -> Option<u64> {
        let (most, within) = self.pace;
        let (now, within) = (now_ms(), u64::try_from(within.as_millis()).unwrap_or(u64::MAX));
        self.changes.retain(|at| at.saturating_add(within) > now);
        if self.changes.len() < most {
            self.changes.push_back(now);
            return None;
        }
        let until = self.changes.front().map_or(now, |oldest| oldest.saturating_add(within));
        Some(until.saturating_sub(now).div_ceil(1000).max(1))
    }

    /// Writes a request down.
    pub fn note(&mut self, request: &Request, status: u16) {
        let query: Vec<String> = request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        self.log.push(format!("{} {}{mark}{} {status}", request.method, request.path.join("/"), query.join("&")));
    }
}

/// One answer, before it is bytes.
pub(crate) struct Said {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Value,
}

impl Said {
    pub fn new(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    pub fn with(mut self, name: &'static str, value: &impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// As bytes, with the date; a GET that shows the validator of what it would get is answered with 304.
    pub fn bytes(mut self, request: &Request) -> (u16, Vec<u8>) {
        let body = if self.body.is_null() { String::new() } else { self.body.to_string() };
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let etag = format!("W/\"{:016x}\"", hasher.finish());
        let questioned = request.method == "GET" && self.status == 200;
        if questioned {
            self.headers.push(("etag", etag.clone()));
        }
        self.headers.push(("content-type", "application/json; charset=utf-8".into()));
        self.headers.push(("date", httpdate::fmt_http_date(SystemTime::now())));
        let same = questioned && request.header("if-none-match").is_some_and(|known| known == etag);
        let (status, body) = if same { (304, String::new()) } else { (self.status, body) };
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        (status, response(status, &headers, &body))
    }
}

/// A page of rows, and the header that leads to the others, as both services write it.
pub(crate) fn paged(rows: Vec<Value>, request: &Request, per_page: usize) -> (Vec<Value>, usize, String) {
    let number = |name: &str, or: usize| request.parameter(name).and_then(|text| text.parse().ok()).unwrap_or(or);
    let per_page = number("per_page", per_page).clamp(1, 100);
    let page = number("page", 1).max(1);
    let last = rows.len().div_ceil(per_page).max(1);
    let to = |page: usize, relation: &str| {
        let others = request.query.iter().filter(|(name, _)| name != "page").map(|(name, value)| format!("{name}={value}&"));
        let host = request.header("host").unwrap_or_default();
        format!("<http://{host}/numbered/1/issues?{}page={page}>; rel=\"{relation}\"", others.collect::<String>())
    };
    let mut links = Vec::new();
    if page > 1 {
        links.extend([to(page - 1, "prev"), to(1, "first")]);
    }
    if page < last {
        links.extend([to(page + 1, "next"), to(last, "last")]);
    }
    (rows.into_iter().skip((page - 1) * per_page).take(per_page).collect(), last, links.join(", "))
}

pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(0)
}

/// `2026-01-31T12:00:00Z`, or with milliseconds.
pub(crate) fn written(ms: u64, fine: bool) -> String {
    let at = jiff::Timestamp::from_millisecond(i64::try_from(ms).unwrap_or(0)).expect("a moment of this age");
    if fine { at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string() } else { at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string() }
}

/// A moment in a parameter; none where it is none.
pub(crate) fn moment(text: &str) -> Option<u64> {
    u64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()).ok()
}
