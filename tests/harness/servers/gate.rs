//! Owns: a gate before a server: it lets in whom an authorization server knows, and tells the server who that is. Must never know: the daemon,
//! what is asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::oidc::{Oidc, url_escaped};
use crate::wire::{self, Line, Request, Served};

/// A gate. It ends with its value.
pub struct Gate {
    /// Where it answers: no slash at the end.
    pub url: String,
    state: Arc<Mutex<State>>,
    _served: Served,
}

#[derive(Default)]
struct State {
    passed: Vec<String>,
    /// Of which method a request ends its token as it comes, and how many go by before.
    ends: Option<(&'static str, usize)>,
}

impl Gate {
    /// The header in which the server is told who asks.
    pub const TELLS: &str = "x-remote-user";

    /// One before the server at this address (`http://host:port`).
    #[must_use]
    pub fn before(url: &str, oidc: &Oidc) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let (own, server, issuer) = (Arc::clone(&state), url.to_owned(), oidc.url.clone());
        let served = wire::serve(Arc::new(move |request, line| pass(request, line, &own, &server, &issuer)));
        Self { url: served.url.clone(), state, _served: served }
    }

    /// A token ends at the authorization server as a request of this method comes with it, once so many of them went by.
    pub fn ends(&self, method: &'static str, after: usize) {
        held(&self.state).ends = Some((method, after));
    }

    /// What came since this was asked last: `METHOD /path STATUS WHO`, where nobody is `-`.
    #[must_use]
    pub fn passed(&self) -> Vec<String> {
        std::mem::take(&mut held(&self.state).passed)
    }
}

fn held(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn is_over(&mut self, method: &str) -> bool {
        match &mut self.ends {
            Some((of, after)) if *of == method && *after > 0 => *after -= 1,
            Some((of, _)) if *of == method => {
                self.ends = None;
                return true;
            }
            _ => {}
        }
        false
    }
}

fn pass(request: &Request, line: &mut Line, state: &Mutex<State>, server: &str, issuer: &str) -> bool {
    let target = format!("/{}", request.path.iter().map(|part| url_escaped(part)).collect::<Vec<_>>().join("/"));
    let query =
        request.query.iter().map(|(name, value)| format!("{}={}", url_escaped(name), url_escaped(value))).collect::<Vec<_>>();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let is_over = held(state).is_over(&request.method);
    if is_over {
        Oidc::ends(issuer, token);
    }
    let who = Oidc::whose(issuer, token);
    let note = |status: u16| {
        let who = who.as_deref().unwrap_or("-");
        held(state).passed.push(format!("{} {target} {status} {who}", request.method));
    };
    let Some(name) = &who else {
        note(401);
        return line.send(&wire::response(401, &[("www-authenticate", "Bearer error=\"invalid_token\"")], ""));
    };
    // What concerns the connection, or who asks, is between two; and what comes is a text.
    let between = ["accept-encoding", "authorization", "connection", "content-length", "host", "transfer-encoding", Gate::TELLS];
    let own = |headers: &[(String, String)]| {
        headers.iter().filter(|(known, _)| !between.contains(&known.as_str())).cloned().collect::<Vec<_>>()
    };
    let headers = own(&request.headers);
    let mut told: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    told.push((Gate::TELLS, name));
    let body = (!request.body.is_empty()).then_some(request.body.as_str());
    match wire::ask(&request.method, &format!("{server}{target}{query}"), &told, body) {
        Ok(answer) => {
            note(answer.status);
            let headers = own(&answer.headers);
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            line.send(&wire::response(answer.status, &headers, &answer.body))
        }
        Err(error) => {
            note(502);
            line.send(&wire::response(502, &[], &error.to_string()))
        }
    }
}
