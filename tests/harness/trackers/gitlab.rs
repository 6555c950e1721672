//! Owns: the issues of one private project, served by the rules that GitLab publishes of its REST API (v4).
//! Must never know: the daemon.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Answers, Desk, GitLab, Said, moment, now_ms, paged, written};
use crate::wire::Request;

/// What the project holds.
pub struct Project {
    desk: Desk,
    issues: BTreeMap<u64, Issue>,
    next: u64,
}

#[derive(Clone, Default, PartialEq)]
struct Issue {
    title: String,
    description: Option<String>,
    closed: bool,
    labels: Vec<String>,
    assignees: Vec<u64>,
    milestone: Option<u64>,
    due: Option<String>,
    confidential: bool,
    author: u64,
    created_ms: u64,
    updated_ms: u64,
    closed_ms: Option<u64>,
}

/// The name of the project as an address has it.
const PROJECT: &str = "me/project";

impl GitLab {
    /// Starts one without issues.
    #[must_use]
    pub fn start() -> Self {
        Self::serving(Project { desk: Desk::new(), issues: BTreeMap::new(), next: 1 }, "/api/v4/projects/me%2Fproject")
    }

    /// Another user opens an issue; its number in the project.
    ///
    /// # Panics
    /// When it would be refused.
    pub fn open(&self, issue: &Value) -> u64 {
        let said = self.state().create(issue.as_object().expect("an object"), 2);
        assert_eq!(said.status, 201, "{}", said.body);
        said.body["iid"].as_u64().expect("a number")
    }

    /// Another user edits an issue.
    ///
    /// # Panics
    /// When it would be refused.
    pub fn edit(&self, iid: u64, changes: &Value) {
        let said = self.state().update(iid, changes.as_object().expect("an object"));
        assert_eq!(said.status, 200, "{}", said.body);
    }

    /// An owner deletes an issue.
    pub fn delete(&self, iid: u64) {
        self.state().issues.remove(&iid);
    }

    /// Every issue by its number in the project.
    #[must_use]
    pub fn issues(&self) -> BTreeMap<u64, Value> {
        self.state().issues.iter().map(|(iid, issue)| (*iid, row(*iid, issue))).collect()
    }
}

fn row(iid: u64, issue: &Issue) -> Value {
    let person = |id: u64| json!({ "id": id, "username": format!("u{id}"), "state": "active" });
    let stamp = |ms: u64| written(ms, true);
    json!({
        "id": 7_000 + iid,
        "iid": iid,
        "project_id": 5,
        "title": issue.title,
        "description": issue.description,
        "state": if issue.closed { "closed" } else { "opened" },
        "labels": issue.labels,
        "assignees": issue.assignees.iter().map(|id| person(*id)).collect::<Vec<_>>(),
        "assignee": issue.assignees.first().map(|id| person(*id)),
        "author": person(issue.author),
        "milestone": issue.milestone.map(|id| json!({ "id": id, "iid": id, "title": format!("m{id}") })),
        "due_date": issue.due,
        "confidential": issue.confidential,
        "user_notes_count": 0,
        "web_url": format!("https://gitlab.example.org/me/project/-/issues/{iid}"),
        "created_at": stamp(issue.created_ms),
        "updated_at": stamp(issue.updated_ms),
        "closed_at": issue.closed_ms.map(stamp),
    })
}

fn told(status: u16, message: &str) -> Said {
    Said::new(status, json!({ "message": message }))
}

fn wrong(what: &str) -> Said {
    Said::new(400, json!({ "error": what }))
}

impl Answers for Project {
    fn desk(&mut self) -> &mut Desk {
        &mut self.desk
    }

    fn answer(&mut self, request: &Request) -> Vec<u8> {
        let now_s = now_ms() / 1000;
        if now_s >= self.desk.reset_s {
            (self.desk.left, self.desk.reset_s) = (2000, now_s + 60);
        }
        let limited = self.desk.left == 0;
        self.desk.left = self.desk.left.saturating_sub(1);
        let said = if limited {
            Said::new(429, json!({ "message": "This endpoint has been requested too many times. Try again later." }))
                .with("retry-after", &(self.desk.reset_s - now_s))
        } else {
            self.routed(request)
        };
        let said = said
            .with("ratelimit-limit", &2000)
            .with("ratelimit-remaining", &self.desk.left)
            .with("ratelimit-reset", &self.desk.reset_s)
            .with("x-request-id", &self.desk.log.len());
        let (status, bytes) = said.bytes(request);
        self.desk.note(request, status);
        bytes
    }
}

impl Project {
    fn routed(&mut self, request: &Request) -> Said {
        match request.header("authorization") {
            Some(login) if login != format!("Bearer {}", self.desk.token) => return told(401, "401 Unauthorized"),
            // A private project is not there for those who may not see it.
            None => return told(404, "404 Project Not Found"),
            Some(_) if !self.desk.sees => return told(404, "404 Project Not Found"),
            Some(_) => {}
        }
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let ["api", "v4", "projects", PROJECT, rest @ ..] = path.as_slice() else { return told(404, "404 Project Not Found") };
        let sent = || match serde_json::from_str(&request.body) {
            Ok(Value::Object(sent)) => Ok(sent),
            _ => Err(wrong("Problems parsing JSON")),
        };
        match (request.method.as_str(), rest) {
            ("GET", []) => Said::new(200, json!({ "id": 5, "path_with_namespace": PROJECT, "issues_enabled": true })),
            ("GET", ["issues"]) => self.list(request),
            ("POST", ["issues"]) => sent().map_or_else(|said| said, |sent| self.create(&sent, 1)),
            (method, ["issues", iid]) => {
                let Some((iid, issue)) = iid.parse().ok().and_then(|iid| Some((iid, self.issues.get(&iid)?))) else {
                    return told(404, "404 Not found");
                };
                match method {
                    "GET" => Said::new(200, row(iid, issue)),
                    "PUT" => sent().map_or_else(|said| said, |sent| self.update(iid, &sent)),
                    "DELETE" => {
                        self.issues.remove(&iid);
                        Said::new(204, Value::Null)
                    }
                    _ => told(405, "405 Method Not Allowed"),
                }
            }
            _ => told(404, "404 Not Found"),
        }
    }

    fn list(&self, request: &Request) -> Said {
        let since = match request.parameter("updated_after").map(moment) {
            Some(None) => return wrong("updated_after is invalid"),
            since => since.flatten(),
        };
        let wanted = |name: &str| request.parameter(name).unwrap_or_default();
        // "on or after the given time".
        let shown = |issue: &Issue| since.is_none_or(|since| issue.updated_ms >= since);
        let mut found: Vec<(&u64, &Issue)> = self.issues.iter().filter(|(_, issue)| shown(issue)).collect();
        let by_update = wanted("order_by") == "updated_at";
        found.sort_by_key(|(iid, issue)| if by_update { (issue.updated_ms, **iid) } else { (issue.created_ms, **iid) });
        if wanted("sort") != "asc" {
            found.reverse();
        }
        let total = found.len();
        let rows = found.into_iter().map(|(iid, issue)| row(*iid, issue)).collect();
        let (rows, last, links) = paged(rows, request, 20);
        let said = Said::new(200, rows.into()).with("x-total", &total).with("x-total-pages", &last);
        if links.is_empty() { said } else { said.with("link", &links) }
    }

    fn create(&mut self, sent: &Map<String, Value>, author: u64) -> Said {
        let now = now_ms();
        let mut issue = Issue { author, created_ms: now, updated_ms: now, ..Issue::default() };
        if !sent.contains_key("title") {
            return wrong("title is missing");
        }
        // A new issue is open: an event is for one that is there.
        let sent = sent.iter().filter(|(name, _)| *name != "state_event").map(|(name, value)| (name.clone(), value.clone()));
        if let Err(said) = set(&mut issue, &sent.collect()) {
            return said;
        }
        let iid = self.next;
        self.next += 1;
        let said = Said::new(201, row(iid, &issue));
        self.issues.insert(iid, issue);
        said
    }

    fn update(&mut self, iid: u64, sent: &Map<String, Value>) -> Said {
        let known = ["title", "description", "labels", "assignee_ids", "milestone_id", "due_date", "confidential", "state_event"];
        if !sent.keys().any(|name| known.contains(&name.as_str())) {
            return wrong("title, description, labels, state_event are missing, at least one parameter must be provided");
        }
        let before = &self.issues[&iid];
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
        let said = Said::new(200, row(iid, &issue));
        self.issues.insert(iid, issue);
        said
    }
}

fn set(issue: &mut Issue, sent: &Map<String, Value>) -> Result<(), Said> {
    for (name, value) in sent {
        let bad = || wrong(&format!("{name} is invalid"));
        let text = || if value.is_null() { Ok("") } else { value.as_str().ok_or_else(bad) };
        let set = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        match name.as_str() {
            "title" => match text()?.trim() {
                "" => return Err(Said::new(400, json!({ "message": { "title": ["can't be blank"] } }))),
                title => issue.title = title.to_owned(),
            },
            "description" => issue.description = set(text()?),
            // "Comma-separated label names."
            "labels" => {
                issue.labels = text()?.split(',').map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect();
            }
            "assignee_ids" => {
                let ids = value.as_array().ok_or_else(bad)?.iter().map(Value::as_u64).collect::<Option<Vec<_>>>();
                issue.assignees = ids.ok_or_else(bad)?.into_iter().filter(|id| *id > 0).collect();
            }
            "milestone_id" => issue.milestone = Some(value.as_u64().ok_or_else(bad)?).filter(|id| *id > 0),
            "due_date" => issue.due = set(text()?),
            "confidential" => issue.confidential = value.as_bool().ok_or_else(bad)?,
            "state_event" => match text()? {
                "close" => issue.closed = true,
                "reopen" => issue.closed = false,
                _ => return Err(wrong("state_event does not have a valid value")),
            },
            _ => {}
        }
    }
    Ok(())
}
