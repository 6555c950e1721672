//! Owns: what the address that gives tokens answers. Must never know: what was asked, what becomes of it.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use mingle_core::{
    limits,
    replica::{Failure, RemoteError},
    time::Timestamp,
};
use serde::Deserialize;
use serde_json::Value;

use super::ask::escaped;
use crate::remotes::http::{Reply, place, words};

/// What was given.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Grant {
    /// What stands in requests.
    pub(super) access: String,
    /// What another is given for; none: the one before holds, if there was one.
    pub(super) refresh: Option<String>,
    /// How long it lives; none: that is not said in a way that can be believed.
    pub(super) lives: Option<Duration>,
    /// What it is good for, where that is another thing than what was asked for.
    pub(super) scopes: Option<Vec<String>>,
    /// Who has logged in.
    pub(super) identity: Option<Identity>,
}

/// Who has logged in, as an `id_token` says it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Identity {
    /// Who says so.
    pub(super) iss: String,
    /// Its name for the person, which it gives to no other.
    pub(super) sub: String,
    /// For whom.
    #[serde(default)]
    aud: Value,
}

impl Identity {
    /// Whether it was made for this program.
    pub(super) fn is_for(&self, client_id: &str) -> bool {
        match &self.aud {
            Value::String(one) => one == client_id,
            Value::Array(all) => all.iter().any(|one| one == client_id),
            _ => false,
        }
    }

    /// The account's name: who says so is a part of it.
    pub(super) fn account(&self) -> String {
        format!("{} at {}", words(&self.sub), words(self.iss.trim_end_matches('/')))
    }
}

/// Why nothing was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum No {
    /// The service says no, with its word for it (RFC 6749, 5.2), and in its own words.
    Said(String, String),
    /// There is no answer, or none that means anything.
    Trouble(RemoteError),
}

#[derive(Deserialize)]
struct Answer {
    access_token: Option<Value>,
    token_type: Option<Value>,
    expires_in: Option<Value>,
    refresh_token: Option<Value>,
    scope: Option<Value>,
    id_token: Option<Value>,
    error: Option<Value>,
    error_description: Option<Value>,
}

/// Reads an answer. What it holds is in no error: it may be a token. Nor is what was sent, though the service repeats it.
pub(super) fn read(reply: &Reply, now: Timestamp, sent: &[String]) -> Result<Grant, No> {
    let wrong = |what: &str| No::Trouble(RemoteError::new(Failure::Nonsense, format!("{} {what}", place(&reply.url))));
    if reply.status.is_server_error() || reply.status.as_u16() == 429 {
        return Err(reply.trouble(now).map_or_else(|| wrong("is in trouble"), No::Trouble));
    }
    if reply.body.len() > limits::GRANT_BYTES_MAX {
        return Err(wrong("answers with more than any token needs"));
    }
    let Ok(answer) = serde_json::from_slice::<Answer>(&reply.body) else {
        let of = reply.header("content-type").unwrap_or("nothing it would name");
        return Err(No::Trouble(
            RemoteError::new(
                Failure::Nonsense,
                format!("{} answers with {} (HTTP {}), and not with tokens", place(&reply.url), words(of), reply.status.as_u16()),
            )
            .hint("is token_url (or the issuer) right? something between us and the service may also answer in its place"),
        ));
    };
    // Some say no with 200.
    if let Some(Value::String(code)) = &answer.error {
        let said = answer.error_description.as_ref().and_then(Value::as_str).unwrap_or_default();
        return Err(No::Said(without(code, sent), without(said, sent)));
    }
    if !reply.status.is_success() {
        return Err(wrong(&format!("answers with HTTP {} and gives no reason", reply.status.as_u16())));
    }
    let Some(access) = answer.access_token.as_ref().and_then(token) else {
        return Err(wrong("gives no token that fits into a request"));
    };
    match &answer.token_type {
        // Some leave it out, and mean it.
        None => {}
        Some(Value::String(kind)) if kind.eq_ignore_ascii_case("bearer") => {}
        Some(_) => return Err(wrong("gives a token of a kind that mingle cannot show: only \"Bearer\" is known")),
    }
    let refresh = match &answer.refresh_token {
        None | Some(Value::Null) => None,
        Some(given) => Some(token(given).ok_or_else(|| wrong("gives a refresh token that cannot be one"))?),
    };
    let scopes = answer.scope.as_ref().and_then(Value::as_str).map(|all| all.split_whitespace().map(str::to_owned).collect());
    let identity = match &answer.id_token {
        Some(Value::String(text)) => Some(identity(text).ok_or_else(|| wrong("gives an id_token that cannot be read"))?),
        _ => None,
    };
    Ok(Grant { access, refresh, lives: answer.expires_in.as_ref().and_then(lives), scopes, identity })
}

/// The service's words, without what was sent to it, however it is written.
pub(super) fn without(said: &str, sent: &[String]) -> String {
    let mut said = said.to_owned();
    for one in sent.iter().filter(|one| !one.is_empty()) {
        let form = escaped(one);
        for written in [one, &form, &form.replace("%20", "+"), &form.to_ascii_lowercase()] {
            said = said.replace(written.as_str(), "…");
        }
    }
    words(&said)
}

fn token(given: &Value) -> Option<String> {
    let text = given.as_str()?;
    let fits = !text.is_empty() && text.len() <= limits::TOKEN_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| text.to_owned())
}

/// How long it lives: a number, or one in quotes, as some write it. What is nothing of the kind says nothing: then a refusal tells.
fn lives(said: &Value) -> Option<Duration> {
    let seconds = match said {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse::<f64>().ok()?,
        _ => return None,
    };
    (seconds >= 1.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(limits::TOKEN_LIFE_MAX).min(limits::TOKEN_LIFE_MAX))
}

/// What an `id_token` says. It came from the service itself over TLS, in the answer to a question of ours: that is as good as its
/// signature (OpenID Connect Core, 3.1.3.7, point 6), which is not looked at.
fn identity(text: &str) -> Option<Identity> {
    let middle = text.split('.').nth(1)?;
    let claims: Identity = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(middle.trim_end_matches('=')).ok()?).ok()?;
    (!claims.sub.is_empty() && !claims.iss.is_empty()).then_some(claims)
}

#[cfg(test)]
mod tests {
    use reqwest::{StatusCode, Url, header::HeaderMap};

    use super::*;

    fn reply(status: u16, of: &str, body: &str) -> Reply {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", of.parse().unwrap());
        let url = Url::parse("https://id.example.org/token?key=sesame").unwrap();
        Reply { status: StatusCode::from_u16(status).unwrap(), headers, body: body.into(), url, large: None, shown: None }
    }

    /// What is made of an answer with 200 and this body: the life of the token in seconds, or a part of what is said.
    #[track_caller]
    fn check(body: &str, expect: Result<Option<u64>, &str>) {
        match (read(&reply(200, "application/json", body), Timestamp::from_unix_ms(0), &[]), expect) {
            (Ok(grant), Ok(lives)) => assert_eq!(grant.lives.map(|lives| lives.as_secs()), lives, "{body}"),
            (Err(No::Trouble(error)), Err(part)) => {
                let told = format!("{} {:?}", error.what, error.hint);
                assert!(told.contains(part) && error.kind == Failure::Nonsense, "{body}: {told}");
                assert!(!told.contains("sesame"), "{body}: {told}");
            }
            (got, expect) => panic!("{body} gave {:?}, not {expect:?}", got.map(|grant| grant.lives)),
        }
    }

    #[test]
    fn what_a_service_may_answer_in_place_of_tokens_is_no_token() {
        let with = |more: &str| format!("{{\"access_token\":\"sesame\",\"token_type\":\"bearer\"{more}}}");
        check(&with(",\"expires_in\":3600"), Ok(Some(3600)));
        check(&with(",\"expires_in\":\"3600\""), Ok(Some(3600)));
        check(&with(",\"expires_in\":3600.9"), Ok(Some(3600)));
        for none in [
            "",
            ",\"expires_in\":null",
            ",\"expires_in\":0",
            ",\"expires_in\":-5",
            ",\"expires_in\":\"soon\"",
            ",\"expires_in\":[]",
        ] {
            check(&with(none), Ok(None));
        }
        let most = limits::TOKEN_LIFE_MAX.as_secs();
        check(&with(",\"expires_in\":99999999999999999999999999"), Ok(Some(most)));
        check(&with(",\"expires_in\":\"1e300\""), Ok(Some(most)));
        check("{\"access_token\":\"sesame\"}", Ok(None));
        check("{\"access_token\":\"sesame\",\"token_type\":\"mac\"}", Err("only \"Bearer\""));
        check("{\"access_token\":\"sesame\",\"token_type\":7}", Err("only \"Bearer\""));
        check("{\"access_token\":\"\"}", Err("no token that fits"));
        check("{\"access_token\":\"ses ame\"}", Err("no token that fits"));
        check("{\"access_token\":\"ses\\r\\name\"}", Err("no token that fits"));
        check(&format!("{{\"access_token\":\"{}\"}}", "s".repeat(limits::TOKEN_BYTES_MAX + 1)), Err("no token that fits"));
        check("{}", Err("no token that fits"));
        check(&with(",\"refresh_token\":7"), Err("refresh token that cannot be one"));
        check(&with(",\"refresh_token\":null"), Ok(None));
        check(&with(",\"id_token\":\"sesame\""), Err("id_token that cannot be read"));
        check("<html>sesame</html>", Err("is token_url"));
        check("access_token=sesame&token_type=bearer", Err("not with tokens"));
        check("\"sesame\"", Err("not with tokens"));
        check("", Err("not with tokens"));
        check(&with(&format!(",\"x\":\"{}\"", "x".repeat(limits::GRANT_BYTES_MAX))), Err("more than any token needs"));
    }

    #[test]
    fn a_no_is_told_from_trouble() {
        #[track_caller]
        fn check(status: u16, body: &str, expect: Result<&str, Failure>) {
            match (read(&reply(status, "application/json", body), Timestamp::from_unix_ms(0), &[]).err().unwrap(), expect) {
                (No::Said(code, _), Ok(expect)) => assert_eq!(code, expect),
                (No::Trouble(error), Err(kind)) => assert_eq!(error.kind, kind, "{status} {body}"),
                (got, expect) => panic!("{status} {body}: {got:?}, not {expect:?}"),
            }
        }
        check(400, "{\"error\":\"invalid_grant\",\"error_description\":\"x\\ny\"}", Ok("invalid_grant"));
        check(200, "{\"error\":\"slow_down\"}", Ok("slow_down"));
        check(401, "{\"error\":\"invalid_client\"}", Ok("invalid_client"));
        // A server in trouble says nothing of the login, whatever its body holds.
        check(500, "{\"error\":\"invalid_grant\"}", Err(Failure::Server));
        check(503, "", Err(Failure::Throttled(None)));
        check(429, "", Err(Failure::Throttled(None)));
        check(400, "{}", Err(Failure::Nonsense));
        check(404, "<html>", Err(Failure::Nonsense));
    }

    #[test]
    fn what_was_sent_is_not_repeated() {
        let sent = ["tok/en+1".to_owned(), "a secret".to_owned(), String::new()];
        assert_eq!(
            without("Invalid tok/en+1 (tok%2Fen%2B1, tok%2fen%2b1), \na+secret or a%20secret", &sent),
            "Invalid … (…, …),  … or …"
        );
        // Before it is cut: the beginning of a token is a token's as well.
        let long = "t".repeat(limits::WORDS_CHARS_MAX);
        assert!(!without(&format!("no: {long}"), std::slice::from_ref(&long)).contains("tt"));
    }

    #[test]
    fn whose_login_it_is_is_read_from_the_identity() {
        let token = |claims: &str| format!("e30.{}.x", BASE64_URL_SAFE_NO_PAD.encode(claims));
        let read = |claims: &str| identity(&token(claims));
        let one = read("{\"iss\":\"https://id.org/\",\"sub\":\"u1\",\"aud\":[\"c\",\"d\"]}").unwrap();
        assert!(one.is_for("d") && !one.is_for("e") && one.account() == "u1 at https://id.org", "{one:?}");
        assert!(read("{\"iss\":\"i\",\"sub\":\"u\",\"aud\":\"c\"}").unwrap().is_for("c"));
        assert!(!read("{\"iss\":\"i\",\"sub\":\"u\"}").unwrap().is_for(""));
        for bad in ["{\"iss\":\"i\",\"sub\":\"\"}", "{\"sub\":\"u\"}", "{\"iss\":\"i\",\"sub\":7}", "[]", "x"] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
