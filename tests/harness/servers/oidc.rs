//! Owns: a real authorization server (oidc-provider), a person with a browser at it, and asking it what tokens are good for.
//! Must never know: the daemon.

use std::{collections::BTreeMap, path::Path, process::Command};

use serde_json::Value;

use super::{Server, install};
use crate::wire::{self, Answer};

/// An authorization server for the caller alone.
pub struct Oidc {
    /// Its name, and where it answers: no slash at the end.
    pub url: String,
    _server: Server,
}

/// The program that may ask what a token is good for, and its secret: `judge:judge`.
const JUDGE: (&str, &str) = ("authorization", "Basic anVkZ2U6anVkZ2U=");

impl Oidc {
    /// Starts one whose tokens live so many seconds. It knows the programs `mingle`, without a secret, and `mingle-secret`.
    ///
    /// # Panics
    /// When it cannot be installed or does not start.
    #[must_use]
    pub fn start(token_s: u64) -> Self {
        let npm = install::npm();
        let server = Server::start("oidc", "/control", |port| {
            let mut command = Command::new("node");
            command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/servers/oidc.mjs"));
            command.arg(npm).args([port.to_string(), token_s.to_string()]);
            command
        });
        Self { url: server.url.clone(), _server: server }
    }

    /// The secret of the program `mingle-secret`.
    pub const SECRET: &str = "a secret: with/odd+characters";

    /// How often the address for tokens was asked so, and answered with that status: `refresh_token 200`.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn asked(&self, what: &str) -> u64 {
        self.control("")[what].as_u64().unwrap_or(0)
    }

    /// Tokens that are given from now on live so many seconds.
    pub fn tokens_live(&self, seconds: u64) {
        self.control(&format!("?ttl={seconds}"));
    }

    /// It hangs up on everybody, or does not any more.
    pub fn is_down(&self, down: bool) {
        self.control(&format!("?down={down}"));
    }

    /// The address for tokens is late, or says no (`lag` in ms, `status`, `headers`, `echo`); null: as ever. Each question counts as `late`.
    pub fn trouble(&self, how: &Value) {
        let how: String = url_escaped(&how.to_string());
        self.control(&format!("?trouble={how}"));
    }

    fn control(&self, query: &str) -> Value {
        let answer = wire::ask("GET", &format!("{}/control{query}", self.url), &[], None).expect("an answer");
        serde_json::from_str(&answer.body).expect("counts")
    }

    /// Whether a token is good for anything.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn is_active(&self, token: &str) -> bool {
        Self::takes(&self.url, token)
    }

    /// Whether the one at this address calls a token good.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn takes(url: &str, token: &str) -> bool {
        Self::whose(url, token).is_some()
    }

    /// Whom the one at this address knows by a token; none: it is good for nothing.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn whose(url: &str, token: &str) -> Option<String> {
        let answer = post(url, "/token/introspection", &format!("token={token}"), &[JUDGE]);
        let told: Value = serde_json::from_str(&answer.body).expect("an introspection");
        (told["active"] == true).then(|| told["sub"].as_str().unwrap_or_default().to_owned())
    }

    /// Takes a token back, as its person does at the service.
    ///
    /// # Panics
    /// When it is refused.
    pub fn revoke(&self, token: &str) {
        Self::ends(&self.url, token);
    }

    /// The same at this address.
    ///
    /// # Panics
    /// When it is refused.
    pub fn ends(url: &str, token: &str) {
        let answer = post(url, "/token/revocation", &format!("token={token}&client_id=mingle"), &[]);
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

/// A text as it may stand in an address.
pub(super) fn url_escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn post(url: &str, path: &str, form: &str, headers: &[(&str, &str)]) -> Answer {
    let of = ("content-type", "application/x-www-form-urlencoded");
    let headers: Vec<_> = headers.iter().copied().chain([of]).collect();
    wire::ask("POST", &format!("{url}{path}"), &headers, Some(form)).expect("an answer")
}

/// What a person does when they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// They log in and agree.
    Agree,
    /// They say no.
    Deny,
}

/// A person at a browser: opens an address, logs in under a name, and does as they wish, to where it leads.
#[derive(Default)]
pub struct Browser {
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// Opens the address of a login, up to the address that leads back to this machine; what stands there is not opened.
    ///
    /// # Panics
    /// When a page is none that a person would know.
    pub fn follows(&mut self, url: &str, name: &str, wish: Wish) -> String {
        let origin = url.split('/').take(3).collect::<Vec<_>>().join("/");
        let (mut url, mut form) = (url.to_owned(), None::<String>);
        for _ in 0..20 {
            let answer = self.ask(&url, form.take().as_deref());
            if let Some(to) = header(&answer, "location") {
                url = if to.starts_with('/') { format!("{origin}{to}") } else { to };
                if !url.starts_with(&format!("{origin}/")) {
                    return url;
                }
                continue;
            }
            assert_eq!(answer.status, 200, "{url}: {}", answer.body);
            if wish == Wish::Deny {
                url = between(&answer.body, "<a href=\"", "\"").expect("a way out").to_owned();
                continue;
            }
            let Some(action) = between(&answer.body, "action=\"", "\"") else { return answer.body };
            let fields = hidden(&answer.body);
            form = Some(format!("{fields}login={name}&password=x"));
            url = if action.starts_with('/') { format!("{origin}{action}") } else { action.to_owned() };
        }
        panic!("a login without end at {url}")
    }

    /// Opens what leads back to this machine; what the page says.
    ///
    /// # Panics
    /// When nobody answers.
    #[must_use]
    pub fn comes_back(&self, url: &str) -> Answer {
        wire::ask("GET", url, &[], None).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    /// Logs in and agrees, and comes back; what the page says.
    ///
    /// # Panics
    /// As the two.
    #[must_use]
    pub fn logs_in(&mut self, url: &str, name: &str) -> Answer {
        let back = self.follows(url, name, Wish::Agree);
        self.comes_back(&back)
    }

    /// Writes a code at the address for other machines, and does as they wish. What the last page says.
    ///
    /// # Panics
    /// When a page is none that a person would know.
    #[must_use]
    pub fn writes_code(&mut self, url: &str, code: &str, name: &str, wish: Wish) -> String {
        let page = self.ask(url, None);
        let fields = hidden(&page.body);
        let confirm = self.ask(url, Some(&format!("{fields}user_code={code}")));
        let fields = hidden(&confirm.body);
        if wish == Wish::Deny {
            return self.ask(url, Some(&format!("{fields}abort=yes"))).body;
        }
        let next = self.ask(url, Some(&fields));
        let Some(to) = header(&next, "location") else { return next.body };
        let origin = url.split('/').take(3).collect::<Vec<_>>().join("/");
        let to = if to.starts_with('/') { format!("{origin}{to}") } else { to };
        self.follows(&to, name, wish)
    }

    fn ask(&mut self, url: &str, form: Option<&str>) -> Answer {
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        let mut headers = vec![("cookie", cookies.as_str())];
        if form.is_some() {
            headers.push(("content-type", "application/x-www-form-urlencoded"));
        }
        let method = if form.is_some() { "POST" } else { "GET" };
        let answer = wire::ask(method, url, &headers, form).unwrap_or_else(|error| panic!("{url}: {error}"));
        for (_, cookie) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let pair = cookie.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                if value.is_empty() {
                    self.cookies.remove(name);
                } else {
                    self.cookies.insert(name.to_owned(), value.to_owned());
                }
            }
        }
        answer
    }
}

fn header(answer: &Answer, name: &str) -> Option<String> {
    answer.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

/// The hidden fields of a page's form, as a form that goes on.
fn hidden(page: &str) -> String {
    let inputs = page.split("<input").skip(1).filter(|input| input.contains("type=\"hidden\""));
    let field = |input: &str| Some(format!("{}={}&", between(input, "name=\"", "\"")?, between(input, "value=\"", "\"")?));
    inputs.filter_map(field).collect()
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = &text[text.find(before)? + before.len()..];
    Some(&rest[..rest.find(after)?])
}
