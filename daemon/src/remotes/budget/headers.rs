//! Owns: reading what an answer's headers tell of limits, in the forms that services use. Must never know: what follows from it.
//!
//! GitHub's `x-ratelimit-*`, GitLab's `ratelimit-*`, and the drafts of the IETF: the three headers of the first ones, one dictionary after
//! that, and lists of policies by name since the ninth. What does not read is no word at all.

use std::{collections::BTreeMap, time::Duration};

use mingle_core::{budget::Told, time::Timestamp};
use reqwest::header::HeaderMap;
use sfv::{BareItem, Dictionary, FieldType, Item, List, ListEntry, Parameters, Parser};

use crate::remotes::http;

/// Headers of a service's own, which tell its one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// How many are left.
    pub remaining: String,
    /// When there are more again.
    pub reset: Option<String>,
    /// That one counts seconds from now; else it is a moment, in seconds since 1970.
    pub seconds: bool,
}

/// The clocks of an answer: ours, and the server's where it shows it.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// Ours.
    pub now: Timestamp,
    /// The server's.
    pub server: Option<Timestamp>,
}

impl Clocks {
    fn after(self, seconds: i64) -> Option<Timestamp> {
        Some(self.now.plus(Duration::from_secs(u64::try_from(seconds).ok()?)))
    }

    /// By the server's clock, so that ours may be wrong. One second more: its clock shows whole seconds.
    fn moment(self, unix_s: i64) -> Timestamp {
        let then = Timestamp::from_unix_ms(unix_s.saturating_add(1).saturating_mul(1000));
        self.now.plus(then.since(self.server.unwrap_or(self.now)))
    }

    /// Some services tell a moment where others tell how long until then: nobody means thirty years.
    fn either(self, seconds: i64) -> Option<Timestamp> {
        if seconds >= MOMENT { Some(self.moment(seconds)) } else { self.after(seconds) }
    }
}

/// Seconds from here on are a moment since 1970.
const MOMENT: i64 = 1_000_000_000;

/// Every limit that these headers tell of; none: nothing is told. `own`: what the service's profile says beyond what everybody knows.
#[must_use]
pub fn told(headers: &HeaderMap, own: Option<&Own>, clocks: Clocks) -> Vec<Told> {
    let policies = policies(headers, clocks);
    if !policies.is_empty() {
        return policies;
    }
    let one = |prefix: &str| three(headers, prefix, clocks);
    let one = one("x-ratelimit-").or_else(|| one("ratelimit-")).or_else(|| one("x-rate-limit-"));
    let one = one.or_else(|| {
        let own = own?;
        let reset = own.reset.as_ref().and_then(|name| number(headers, name));
        let resets = reset.and_then(|reset| if own.seconds { clocks.after(reset) } else { Some(clocks.moment(reset)) });
        Some(Told { name: String::new(), limit: None, left: count(headers, &own.remaining)?, resets, window: None })
    });
    one.into_iter().collect()
}

/// Limit, what is left, and when there is more, in a header each.
fn three(headers: &HeaderMap, prefix: &str, clocks: Clocks) -> Option<Told> {
    let left = count(headers, &format!("{prefix}remaining"))?;
    let policy = parsed::<List>(headers, &format!("{prefix}limit"));
    let limit = policy.as_ref().and_then(|list| whole(&item(list.first()?)?.bare_item));
    let window = policy
        .as_ref()
        .and_then(|list| list.iter().filter_map(item).find(|one| whole(&one.bare_item) == limit && one.params.contains_key("w")));
    let window = window.and_then(|one| seconds(&one.params, "w"));
    let resets = number(headers, &format!("{prefix}reset")).and_then(|reset| clocks.either(reset));
    let name =
        text(headers, &format!("{prefix}resource")).or_else(|| text(headers, &format!("{prefix}name"))).unwrap_or_default();
    Some(Told { name: http::words(&name), limit, left, resets, window })
}

/// The draft's `RateLimit` and `RateLimit-Policy`.
fn policies(headers: &HeaderMap, clocks: Clocks) -> Vec<Told> {
    let policy = parsed::<List>(headers, "ratelimit-policy").unwrap_or_default();
    let policy: Vec<&Item> = policy.iter().filter_map(item).collect();
    let named: BTreeMap<&str, &Parameters> = policy.iter().filter_map(|one| Some((name(&one.bare_item)?, &one.params))).collect();
    if let Some(list) = parsed::<List>(headers, "ratelimit")
        .filter(|list| list.iter().filter_map(item).any(|one| name(&one.bare_item).is_some() && one.params.contains_key("r")))
    {
        let each = list.iter().filter_map(|entry| {
            let Item { bare_item, params } = item(entry)?;
            let name = name(bare_item)?;
            let policy = named.get(name);
            // Bytes and connections are not what we count.
            let counts = |policy: &&&Parameters| {
                policy.get("qu").is_none_or(|unit| unit.as_string().is_some_and(|unit| unit.as_str() == "requests"))
            };
            if policy.is_some_and(|policy| !counts(&policy)) {
                return None;
            }
            Some(Told {
                name: http::words(name),
                limit: policy.and_then(|policy| whole(policy.get("q")?)),
                left: whole(params.get("r")?)?,
                resets: params.get("t").and_then(BareItem::as_integer).and_then(|t| clocks.after(i64::from(t))),
                window: policy.and_then(|policy| seconds(policy, "w")),
            })
        });
        return each.collect();
    }
    // Before names: `limit=100, remaining=50, reset=30`.
    let Some(dictionary) = parsed::<Dictionary>(headers, "ratelimit") else { return Vec::new() };
    let value = |key: &str| dictionary.get(key).and_then(|entry| whole(&item(entry)?.bare_item));
    let Some(left) = value("remaining") else { return Vec::new() };
    let limit = value("limit");
    let window = policy.iter().find(|one| whole(&one.bare_item) == limit).and_then(|one| seconds(&one.params, "w"));
    let resets = value("reset").and_then(|reset| clocks.after(i64::try_from(reset).ok()?));
    vec![Told { name: String::new(), limit, left, resets, window }]
}

fn item(entry: &ListEntry) -> Option<&Item> {
    if let ListEntry::Item(item) = entry { Some(item) } else { None }
}

/// What a policy is called: a string, and in between a token.
fn name(item: &BareItem) -> Option<&str> {
    item.as_string().map(sfv::StringRef::as_str).or_else(|| item.as_token().map(sfv::TokenRef::as_str))
}

fn whole(item: &BareItem) -> Option<u64> {
    u64::try_from(i64::from(item.as_integer()?)).ok()
}

fn seconds(parameters: &Parameters, key: &str) -> Option<Duration> {
    whole(parameters.get(key)?).map(Duration::from_secs)
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(|value| value.trim().to_owned())
}

fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    text(headers, name)?.parse().ok()
}

fn count(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

/// A structured field, of all the lines that it came in.
fn parsed<T: FieldType>(headers: &HeaderMap, name: &str) -> Option<T> {
    let lines: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    if lines.is_empty() {
        return None;
    }
    Parser::new(&lines.join(", ")).parse().ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    const NOW: i64 = 1_800_000_000;

    /// Headers, one a line, and what they tell: `name left/limit @seconds-from-now w=window`.
    #[track_caller]
    fn check(text: &str, expect: &str) {
        let mut headers = HeaderMap::new();
        for (name, value) in text.lines().filter_map(|line| line.trim().split_once(": ")) {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let own = Own { remaining: "x-left".into(), reset: Some("x-more-in".into()), seconds: true };
        // The server's clock is an hour ahead of ours.
        let now = Timestamp::from_unix_ms(NOW * 1000);
        let clocks = Clocks { now, server: Some(now.plus(Duration::from_secs(3_600))) };
        let or = |value: Option<u64>| value.map_or("-".into(), |value| value.to_string());
        let told = told(&headers, Some(&own), clocks).into_iter().map(|told| {
            let (resets, window) = (told.resets.map(|at| at.since(now).as_secs()), told.window.map(|window| window.as_secs()));
            format!("{}:{}/{} @{} w={}", told.name, told.left, or(told.limit), or(resets), or(window))
        });
        assert_eq!(told.collect::<Vec<_>>().join(", "), expect, "{text}");
    }

    #[test]
    fn every_form_is_read() {
        // docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
        check(
            "x-ratelimit-limit: 5000
             x-ratelimit-remaining: 4812
             x-ratelimit-reset: 1800004200
             x-ratelimit-used: 188
             x-ratelimit-resource: core",
            "core:4812/5000 @601 w=-",
        );
        // docs.gitlab.com/administration/settings/user_and_ip_rate_limits (response headers)
        check(
            "RateLimit-Limit: 60
             RateLimit-Name: throttle_authenticated_web
             RateLimit-Observed: 67
             RateLimit-Remaining: 0
             RateLimit-Reset: 1800003630
             RateLimit-ResetTime: Fri, 15 Jan 2027 09:00:30 GMT
             Retry-After: 30",
            "throttle_authenticated_web:0/60 @31 w=-",
        );
        // draft-ietf-httpapi-ratelimit-headers-10
        check("RateLimit: \"default\";r=50;t=30", "default:50/- @30 w=-");
        check("RateLimit: \"default\";r=50;t=30\nRateLimit-Policy: \"default\";q=100;w=60", "default:50/100 @30 w=60");
        check(
            "RateLimit-Policy: \"burst\";q=100;w=60,\"daily\";q=1000;w=86400
             RateLimit: \"burst\";r=99;t=10
             RateLimit: \"daily\";r=1;t=36000",
            "burst:99/100 @10 w=60, daily:1/1000 @36000 w=86400",
        );
        check("RateLimit-Policy: \"b\";q=65535;qu=\"content-bytes\";w=10\nRateLimit: \"b\";r=5;t=3", "");
        check("RateLimit-Policy: \"r\";q=10;qu=\"requests\";w=10;pk=:cHsdsRa894==:\nRateLimit: \"r\";r=5", "r:5/10 @- w=10");
        // draft 07 and 08
        check("RateLimit: limit=100, remaining=50, reset=5\nRateLimit-Policy: 100;w=60", ":50/100 @5 w=60");
        // draft 00 to 06
        check("RateLimit-Limit: 100, 100;w=10\nRateLimit-Remaining: 9\nRateLimit-Reset: 4", ":9/100 @4 w=10");
        check("X-Rate-Limit-Limit: 9\nX-Rate-Limit-Remaining: 3\nX-Rate-Limit-Reset: 7", ":3/9 @7 w=-");
        // A service's own.
        check("x-left: 4\nx-more-in: 20", ":4/- @20 w=-");
        check("x-left: 4", ":4/- @- w=-");
    }

    #[test]
    fn what_does_not_read_is_no_word() {
        check("", "");
        check("RateLimit: \"default\";r=-5;t=30", "");
        check("RateLimit: \"default;r=5", "");
        check("RateLimit: \"default\";r=5.5", "");
        check("RateLimit: \"default\";r=5;t=-3", "default:5/- @- w=-");
        check("x-ratelimit-remaining: many\nx-ratelimit-limit: 5", "");
        check("x-ratelimit-remaining: -1", "");
        check("x-ratelimit-remaining: 99999999999999999999999", "");
        check("x-ratelimit-remaining: 5\nx-ratelimit-limit: lots\nx-ratelimit-reset: soon", ":5/- @- w=-");
        check("x-ratelimit-remaining: 5\nx-ratelimit-reset: -20", ":5/- @- w=-");
        check("x-ratelimit-remaining: 5\nx-ratelimit-reset: 9223372036854775807", ":5/- @9223370236851175 w=-");
    }
}
