//! Owns: the issues of one private repository, served by the rules that GitHub publishes of its REST API (version 2022-11-28).
//! Must never know: the daemon.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value, json};

use super::{Answers, Desk, GitHub, Said, moment, now_ms, paged, written};
use crate::wire::Request;

/// What the repository holds.
pub struct Repository {
    desk: Desk,
    issues: BTreeMap<u64, Issue>,
}

#[derive(Clone, PartialEq)]
struct Issue {
    title: String,
    body: Option<String>,
    closed: bool,
    reason: Option<String>,
    labels: Vec<String>,
    assignees: Vec<String>,
    milestone: Option<u64>,
    author: &'static str,
    pull: bool,
    deleted: bool,
    created_ms: u64,
    updated_ms: u64,
    closed_ms: Option<u64>,
}

/// Who may be assigned, and which milestones there are.
const PEOPLE: [&str; 2] = ["me", "you"];
const MILESTONES: [u64; 2] = [1, 2];
/// Requests that make content: so many in so long (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api).
const CHANGES: (usize, Duration) = (80, Duration::from_secs(60));
/// What it says to who asks for more.
const SECONDARY: &str = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";

impl GitHub {
    /// Starts one without issues.
    #[must_use]
    pub fn start() -> Self {
        let desk = Desk { pace: CHANGES, ..Desk::new() };
        Self::serving(Repository { desk, issues: BTreeMap::new() }, "/repos/me/project")
    }

    /// Another user opens an issue; its number.
    ///
    /// # Panics
    /// When it would be refused.
    pub fn open(&self, issue: &Value) -> u64 {
        let mut state = self.state();
        let said = state.create(issue.as_object().expect("an object"), "you");
        assert_eq!(said.status, 201, "{}", said.body);
        said.body["number"].as_u64().expect("a number")
    }

    /// Another user edits an issue.
    ///
    /// # Panics
    /// When it would be refused.
    pub fn edit(&self, number: u64, changes: &Value) {
        let said = self.state().update(number, changes.as_object().expect("an object"));
        assert_eq!(said.status, 200, "{}", said.body);
    }

    /// Another user opens a pull request, which is listed with the issues; its number.
    ///
    /// # Panics
    /// When it would be refused.
    pub fn open_pull(&self, title: &str) -> u64 {
        let number = self.open(&json!({ "title": title }));
        self.state().issues.get_mut(&number).expect("just opened").pull = true;
        number
    }

    /// An owner deletes an issue.
    ///
    /// # Panics
    /// When there is none.
    pub fn delete(&self, number: u64) {
        self.state().issues.get_mut(&number).expect("an issue").deleted = true;
    }

    /// Every issue by its number.
    #[must_use]
    pub fn issues(&self) -> BTreeMap<u64, Value> {
        let state = self.state();
        let live = state.issues.iter().filter(|(_, issue)| !issue.deleted && !issue.pull);
        live.map(|(number, issue)| (*number, row(*number, issue))).collect()
    }

    /// The next request meets a secondary limit: 403 or 429, and how many seconds to wait; none: it does not say.
    pub fn ask_patience(&self, status: u16, seconds: Option<u64>) {
        self.state().desk.patience.push_back((status, seconds));
    }
}

fn row(number: u64, issue: &Issue) -> Value {
    let person = |login: &str| json!({ "login": login, "id": login.len(), "type": "User" });
    let stamp = |ms: u64| written(ms, false);
    let mut row = json!({
        "url": format!("https://api.github.com/repos/me/project/issues/{number}"),
        "html_url": format!("https://github.com/me/project/issues/{number}"),
        "id": 1_000_000 + number,
        "node_id": format!("I_{number}"),
        "number": number,
        "title": issue.title,
        "body": issue.body,
        "user": person(issue.author),
        "labels": issue.labels.iter().map(|name| json!({ "id": name.len(), "name": name, "color": "ededed", "default": false }))
            .collect::<Vec<_>>(),
        "state": if issue.closed { "closed" } else { "open" },
        "state_reason": issue.reason,
        "locked": false,
        "assignee": issue.assignees.first().map(|login| person(login)),
        "assignees": issue.assignees.iter().map(|login| person(login)).collect::<Vec<_>>(),
        "milestone": issue.milestone.map(|number| json!({ "number": number, "title": format!("m{number}") })),
        "comments": 0,
        "created_at": stamp(issue.created_ms),
        "updated_at": stamp(issue.updated_ms),
        "closed_at": issue.closed_ms.map(stamp),
        "author_association": "OWNER",
        "reactions": { "total_count": 0 },
    });
    if issue.pull {
        row["pull_request"] = json!({ "url": format!("https://api.github.com/repos/me/project/pulls/{number}") });
    }
    row
}

fn told(status: u16, message: &str) -> Said {
    let url = "https://docs.github.com/rest";
    Said::new(status, json!({ "message": message, "documentation_url": url, "status": status.to_string() }))
}

fn invalid(field: &str, code: &str) -> Said {
    let mut said = told(422, "Validation Failed");
    said.body["errors"] = json!([{ "resource": "Issue", "field": field, "code": code }]);
    said
}

impl Answers for Repository {
    fn desk(&mut self) -> &mut Desk {
        &mut self.desk
    }

    fn answer(&mut self, request: &Request) -> Vec<u8> {
        let now_s = now_ms() / 1000;
        if now_s >= self.desk.reset_s {
            (self.desk.left, self.desk.reset_s) = (5000, now_s + 3600);
        }
        let limited = self.desk.left == 0;
        let said = if let Some((status, seconds)) = self.desk.patience.pop_front() {
            let said = told(status, SECONDARY);
            if let Some(seconds) = seconds { said.with("retry-after", &seconds) } else { said }
        } else if limited {
            told(403, "API rate limit exceeded for user ID 1.")
        } else if request.method != "GET"
            && let Some(seconds) = self.desk.paced()
        {
            told(403, SECONDARY).with("retry-after", &seconds)
        } else {
            self.routed(request)
        };
        let counts = !limited && request.header("if-none-match").is_none();
        let left = self.desk.left.saturating_sub(u64::from(counts));
        let said = said
            .with("x-ratelimit-limit", &5000)
            .with("x-ratelimit-remaining", &left)
            .with("x-ratelimit-used", &5000_u64.saturating_sub(left))
            .with("x-ratelimit-resource", &"core")
            .with("x-ratelimit-reset", &self.desk.reset_s);
        let (shown, bytes) = said.bytes(request);
        // What did not change is not counted.
        if !limited && shown != 304 {
            self.desk.left = self.desk.left.saturating_sub(1);
        }
        self.desk.note(request, shown);
        bytes
    }
}

impl Repository {
    fn routed(&mut self, request: &Request) -> Said {
        if request.header("user-agent").is_none() {
            return told(403, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header");
        }
        match request.header("authorization") {
            Some(login) if login != format!("Bearer {}", self.desk.token) => return told(401, "Bad credentials"),
            // A private repository is not there for those who may not see it.
            None => return told(404, "Not Found"),
            Some(_) if !self.desk.sees => return told(404, "Not Found"),
            Some(_) => {}
        }
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let ["repos", "me", "project", rest @ ..] = path.as_slice() else { return told(404, "Not Found") };
        match (request.method.as_str(), rest) {
            ("GET", []) => Said::new(200, json!({ "id": 42, "full_name": "me/project", "private": true, "has_issues": true })),
            ("GET", ["issues"]) => self.list(request),
            ("POST", ["issues"]) => match serde_json::from_str(&request.body) {
                Ok(Value::Object(sent)) => self.create(&sent, "me"),
                _ => told(400, "Problems parsing JSON"),
            },
            (method, ["issues", number]) => {
                let Some((number, issue)) = number.parse().ok().and_then(|number| Some((number, self.issues.get(&number)?)))
                else {
                    return told(404, "Not Found");
                };
                match method {
                    _ if issue.deleted => told(410, "This issue was deleted"),
                    "GET" => Said::new(200, row(number, issue)),
                    "PATCH" => match serde_json::from_str(&request.body) {
                        Ok(Value::Object(sent)) => self.update(number, &sent),
                        _ => told(400, "Problems parsing JSON"),
                    },
                    _ => told(404, "Not Found"),
                }
            }
            _ => told(404, "Not Found"),
        }
    }

    fn list(&self, request: &Request) -> Said {
        let wanted = |name: &str, or: &'static str| request.parameter(name).unwrap_or(or).to_owned();
        let since = match request.parameter("since").map(moment) {
            Some(None) => return invalid("since", "invalid"),
            since => since.flatten(),
        };
        let (state, sort) = (wanted("state", "open"), wanted("sort", "created"));
        let shown = |issue: &Issue| {
            !issue.deleted
                && match state.as_str() {
                    "all" => true,
                    "closed" => issue.closed,
                    _ => !issue.closed,
                }
                // "last updated after the given time", in whole seconds.
                && since.is_none_or(|since| issue.updated_ms / 1000 > since / 1000)
        };
        let mut found: Vec<(&u64, &Issue)> = self.issues.iter().filter(|(_, issue)| shown(issue)).collect();
        found.sort_by_key(|(number, issue)| if sort == "updated" { (issue.updated_ms / 1000, **number) } else { (0, **number) });
        if wanted("direction", "desc") == "desc" {
            found.reverse();
        }
        let rows = found.into_iter().map(|(number, issue)| row(*number, issue)).collect();
        let (rows, _, links) = paged(rows, request, 30);
        let said = Said::new(200, rows.into());
        if links.is_empty() { said } else { said.with("link", &links) }
    }

    fn create(&mut self, sent: &Map<String, Value>, author: &'static str) -> Said {
        let now = now_ms();
        let number = self.issues.len() as u64 + 1;
        let mut issue = Issue {
            title: String::new(),
            body: None,
            closed: false,
            reason: None,
            labels: Vec::new(),
            assignees: Vec::new(),
            milestone: None,
            author,
            pull: false,
            deleted: false,
            created_ms: now,
            updated_ms: now,
            closed_ms: None,
        };
        // A new issue is open: what is said of its state is not looked at.
        let sent = sent.iter().filter(|(name, _)| !name.starts_with("state")).map(|(name, value)| (name.clone(), value.clone()));
        if let Err(said) = set(&mut issue, &sent.collect()) {
            return said;
        }
        if issue.title.is_empty() {
            return invalid("title", "missing_field");
        }
        let said = Said::new(201, row(number, &issue));
        self.issues.insert(number, issue);
        said
    }

    fn update(&mut self, number: u64, sent: &Map<String, Value>) -> Said {
        let before = &self.issues[&number];
        let mut issue = before.clone();
        if let Err(said) = set(&mut issue, sent) {
            return said;
        }
        if issue != *before {
            issue.updated_ms = now_ms();
        }
        if issue.closed != before.closed {
            issue.closed_ms = issue.closed.then_some(issue.updated_ms);
        }
        let said = Said::new(200, row(number, &issue));
        self.issues.insert(number, issue);
        said
    }
}

fn set(issue: &mut Issue, sent: &Map<String, Value>) -> Result<(), Said> {
    let texts =
        |value: &Value| -> Option<Vec<String>> { value.as_array()?.iter().map(|one| one.as_str().map(str::to_owned)).collect() };
    for (name, value) in sent {
        let wrong = || invalid(name, "invalid");
        match name.as_str() {
            "title" => {
                issue.title = value.as_str().filter(|title| !title.trim().is_empty()).ok_or_else(wrong)?.to_owned();
            }
            "body" if value.is_null() => issue.body = None,
            "body" => issue.body = Some(value.as_str().ok_or_else(wrong)?.to_owned()),
            "labels" => issue.labels = texts(value).ok_or_else(wrong)?,
            "assignees" => {
                let assignees = texts(value).ok_or_else(wrong)?;
                if assignees.iter().any(|login| !PEOPLE.contains(&login.as_str())) {
                    return Err(wrong());
                }
                issue.assignees = assignees;
            }
            "milestone" if value.is_null() => issue.milestone = None,
            "milestone" => {
                issue.milestone = Some(value.as_u64().filter(|number| MILESTONES.contains(number)).ok_or_else(wrong)?);
            }
            "state" => {
                let closed = match value.as_str() {
                    Some("closed") => true,
                    Some("open") => false,
                    _ => return Err(wrong()),
                };
                if closed != issue.closed {
                    issue.reason = Some(if closed { "completed" } else { "reopened" }.into());
                }
                issue.closed = closed;
            }
            // What it does not know it does not look at.
            _ => {}
        }
    }
    match sent.get("state_reason").map(|reason| reason.as_str()) {
        Some(Some(reason @ ("completed" | "not_planned" | "duplicate" | "reopened"))) => issue.reason = Some(reason.into()),
        Some(Some(_)) => return Err(invalid("state_reason", "invalid")),
        _ => {}
    }
    Ok(())
}
