//! Owns: a login at another machine: a code that a person writes there (RFC 8628). Must never know: where tokens are kept.

use std::time::Duration;

use mingle_core::{
    limits,
    login::{Pending, first_pause, next_pause},
    replica::Failure,
};
use serde::Deserialize;

use super::{
    answer::{Grant, No, without},
    ask::{Asker, Places},
    attempt::{Asked, Rest, Shown, refused, told},
};
use crate::remotes::{
    Problem,
    http::{place, words},
};

/// What the service answers at first.
#[derive(Deserialize)]
struct Answer {
    device_code: String,
    user_code: String,
    // Some call it as it was called in a draft.
    #[serde(alias = "verification_url")]
    verification_uri: String,
    expires_in: Option<f64>,
    interval: Option<f64>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_description: String,
}

pub(super) async fn begin(asker: &Asker, places: &Places, rest: Rest) -> Result<(Shown, Asked), Problem> {
    let Some(url) = &places.device else {
        return Err(
            Problem::new("the service has no login at another machine").hint("`mingle remote login REMOTE` without --device")
        );
    };
    let scopes = asker.settings.scopes.join(" ");
    let asked: Vec<(&str, &str)> = if scopes.is_empty() { Vec::new() } else { vec![("scope", &scopes)] };
    let (reply, sent) = asker.post(places, url, &asked).await.map_err(told)?;
    if let Ok(Refusal { error, error_description }) = serde_json::from_slice(&reply.body) {
        return Err(refused(No::Said(without(&error, &sent), without(&error_description, &sent))));
    }
    if let Some(trouble) = reply.trouble((asker.now)()) {
        return Err(told(trouble));
    }
    let wrong = || Problem::new(format!("{} gives no code for a login at another machine", place(url)));
    let answer: Answer = serde_json::from_slice(&reply.body).map_err(|_| wrong())?;
    if answer.device_code.is_empty() || answer.user_code.is_empty() || answer.device_code.len() > limits::TOKEN_BYTES_MAX {
        return Err(wrong());
    }
    let seconds = |said: f64| Duration::try_from_secs_f64(said).ok();
    let within = answer.expires_in.and_then(seconds).unwrap_or(limits::LOGIN_TIME_MAX);
    let pause = first_pause(answer.interval.and_then(seconds));
    let shown = Shown { url: words(&answer.verification_uri), code: Some(words(&answer.user_code)), within };
    let (asker, places) = (asker.clone(), places.clone());
    Ok((
        shown,
        Box::pin(async move { poll(&asker, &places, &answer.device_code, (pause, rest)).await.map(|grant| (grant, None)) }),
    ))
}

/// Asks whether the person has agreed, until there is an answer. Whoever waits has the time.
async fn poll(asker: &Asker, places: &Places, code: &str, (mut pause, rest): (Duration, Rest)) -> Result<Grant, Problem> {
    let words = [("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", code)];
    loop {
        // Nobody has agreed before they were asked.
        rest(pause).await;
        let pending = match asker.grant(places, &words).await {
            Ok(grant) => return Ok(grant),
            Err(No::Said(code, _)) if code == "authorization_pending" => Pending::Waits,
            Err(No::Said(code, _)) if code == "slow_down" => Pending::TooOften,
            // A network that comes and goes ends no login (RFC 8628, 3.5).
            Err(No::Trouble(error)) if !matches!(error.kind, Failure::Nonsense | Failure::NeedsLogin | Failure::Denied) => {
                Pending::TooOften
            }
            Err(no) => return Err(refused(no)),
        };
        pause = next_pause(pause, pending);
    }
}
