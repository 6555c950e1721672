//! Owns: how old what a read prints may be, and what is said where it is older. Must never know: how it becomes fresh.

use std::time::Duration;

use jiff::Timestamp;
use mingle_client::call::Freshness;

use crate::{
    at::At,
    clock,
    words::{self, when},
};

/// What `mingle get` and `mingle list` take.
#[derive(Debug, clap::Args)]
pub struct Fresh {
    /// Not older than this (30s, 5m): where it is, its remotes are asked first; 0 asks them by all means. What is here, at once, where left out.
    #[arg(long, value_name = "TIME", value_parser = words::duration)]
    max_age: Option<Duration>,
    /// With --max-age: print what is here after this long (10s where left out); the work goes on.
    #[arg(long, value_name = "TIME", value_parser = words::duration, requires = "max_age")]
    timeout: Option<Duration>,
}

impl Fresh {
    /// The age and the patience, in ms.
    pub fn asked(&self) -> (Option<u64>, Option<u64>) {
        (self.max_age.map(words::ms), self.timeout.map(words::ms))
    }
}

/// Says where what was printed is older than was asked: that is no failure, for it was printed.
pub fn note(at: &At, fresh: Option<&Freshness>) {
    if let Some(note) = fresh.and_then(|fresh| text(fresh, clock::now())) {
        at.note(&note);
    }
}

fn text(fresh: &Freshness, now: Timestamp) -> Option<String> {
    if fresh.met {
        return None;
    }
    let age = fresh.at.as_ref().map_or_else(|| "never fetched whole".into(), |at| format!("as of {}", when(at, now)));
    let why = fresh.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    Some(format!("older than --max-age, {age}{why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_is_said() {
        #[track_caller]
        fn check(met: bool, at: Option<&str>, why: Option<&str>, expect: Option<&str>) {
            let fresh = Freshness { met, at: at.map(str::to_owned), why: why.map(str::to_owned), syncs: Vec::new() };
            let now = "2026-01-02T12:00:00Z".parse().expect("a time");
            assert_eq!(text(&fresh, now).as_deref(), expect);
        }
        check(true, Some("2026-01-02T11:57:00Z"), None, None);
        let why = "notes is blocked; network: no network, needs a network";
        let old = format!("older than --max-age, as of 3 min ago: {why}");
        check(false, Some("2026-01-02T11:57:00Z"), Some(why), Some(&old));
        check(false, None, None, Some("older than --max-age, never fetched whole"));
    }
}
