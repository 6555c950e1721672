//! Owns: how fresh what is read shall be and is, between wire words and core words. Must never know: how it becomes fresh.

use std::time::Duration;

use mingle_core::{
    ask::{Freshness, Stale, Wants},
    limits::{FRESH_MS, WAIT_MS_MAX},
    schedule::Demand,
};
use mingle_proto::{Error, call};

use super::{
    invalid, ms,
    operate::{hold, trouble},
    sync_state, time,
};

/// How old what is read may be, and how long it is waited for; none: whatever is here, at once.
pub(in crate::ipc) fn max_age(age: Option<u64>, timeout: Option<u64>) -> Result<Option<(Duration, Duration)>, Error> {
    match (age, timeout) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(invalid("timeout_ms without max_age_ms", "what is here is answered at once; give max_age_ms too")),
        (Some(age), timeout) => {
            let timeout = timeout.unwrap_or(FRESH_MS).min(WAIT_MS_MAX);
            Ok(Some((Duration::from_millis(age), Duration::from_millis(timeout))))
        }
    }
}

/// How fresh a subscription wants what it follows.
pub(in crate::ipc) fn wants(fresh: Option<u64>, records: bool, by: Option<&str>) -> Result<Option<Wants>, Error> {
    match fresh {
        None => Ok(None),
        Some(_) if !records => Err(invalid("fresh_ms of topics alone", "it is for records: name collections too")),
        Some(0) => Err(invalid("fresh_ms is 0", "it sets a pace: 1000 and more; a read with max_age_ms 0 asks by all means")),
        Some(fresh) => Ok(Some(Wants { age: Duration::from_millis(fresh), by: by.map(str::to_owned) })),
    }
}

/// How fresh it is.
pub(in crate::ipc) fn freshness(found: Freshness) -> call::Freshness {
    let Freshness { at, stale, total } = found;
    let why = stale.first().map(|first| {
        let more = if total > 1 { format!("; and {} more", total - 1) } else { String::new() };
        format!("{}{more}", why(first))
    });
    call::Freshness { met: total == 0, at: at.map(time), why, syncs: stale.into_iter().map(one).collect() }
}

fn why(stale: &Stale) -> String {
    let Stale { sync, state, hold, trouble, .. } = stale;
    let mut said = vec![format!("{sync} is {}", sync_state(*state))];
    said.extend(hold.as_ref().map(|hold| format!("{}: {}, needs {}", hold.name, hold.has, hold.needs)));
    said.extend(trouble.as_ref().map(|trouble| format!("its last run: {}", trouble.what)));
    said.join("; ")
}

fn one(stale: Stale) -> call::StaleSync {
    call::StaleSync {
        sync: stale.sync,
        at: stale.at.map(time),
        state: sync_state(stale.state),
        hold: stale.hold.map(hold),
        error: stale.trouble.map(trouble),
    }
}

/// Who wants what a sync brings fresh.
pub(super) fn demand(demand: Demand) -> call::Demand {
    call::Demand { fresh_ms: ms(demand.age), app: demand.by, count: demand.count as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        #[track_caller]
        fn check<T: std::fmt::Debug>(found: Result<T, Error>, part: &str) {
            let error = found.expect_err("refused");
            assert!(error.message.contains(part) && error.data.hint.is_some(), "{error:?}");
        }
        check(max_age(None, Some(5)), "timeout_ms without max_age_ms");
        check(wants(Some(0), true, None), "fresh_ms is 0");
        check(wants(Some(1), false, None), "topics alone");
        let ms = Duration::from_millis;
        assert_eq!(max_age(Some(0), None).expect("good"), Some((ms(0), ms(FRESH_MS))));
        assert_eq!(max_age(Some(7), Some(u64::MAX)).expect("good"), Some((ms(7), ms(WAIT_MS_MAX))));
        assert_eq!(max_age(None, None).expect("good"), None);
        let good = Some(Wants { age: ms(5), by: Some("notes".into()) });
        assert_eq!(wants(Some(5), true, Some("notes")).expect("good"), good);
    }
}
