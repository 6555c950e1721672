//! Owns: the tests of waiting for a write. Must never know: runs.

use mingle_core::{
    ask::{Refusal, WaitState},
    record::Carried,
    run::Creates,
};

use super::{UpReplica, waited};
use crate::store::{Store, testing::*};

/// x at seq 1 and 2; a replica 1 of remote `r`.
fn store() -> (Store, String) {
    let store = memory();
    seq(&store, put("x", r#"{"p":1}"#));
    let token = write(&store, vec![put("x", r#"{"p":2}"#)]).unwrap().token;
    sql(&store, "INSERT INTO m_replica (replica, remote, identity) VALUES (1, 'r', 'r'), (2, 's', 's')").unwrap();
    (store, token)
}

const LINK: &str =
    "INSERT INTO m_link (link, replica, record, remote_id, base, agreed, sent, confirmed, born, seen, missing) VALUES ";

fn up(creates: Creates) -> Vec<UpReplica> {
    vec![UpReplica { replica: Some(1), remote: "r".into(), carried: Carried::All, creates }]
}

fn told(store: &Store, token: &str, replicas: &[UpReplica]) -> Result<(WaitState, String), Refusal> {
    let told = store.read(|reader| waited(reader, token, &|_| replicas.to_vec()))?;
    Ok((told.state, told.why.unwrap_or_default()))
}

#[test]
fn a_token_is_answered_from_the_link() {
    #[track_caller]
    fn check(behind: &'static str, expect: WaitState, why: &str) {
        let (store, token) = store();
        sql(&store, behind).unwrap();
        let (state, words) = told(&store, &token, &up(Creates::Unlinked)).unwrap();
        assert_eq!(state, expect, "{behind}: {words}");
        assert!(words.contains(why), "{behind}: {words}");
    }
    let link = |values: &str| -> &'static str { format!("{LINK} {values}").leak() };
    check("SELECT 1", WaitState::Pending, "not made there yet");
    check(link("(1, 1, 1, 'q', 0, NULL, NULL, 1, 0, 0, 0)"), WaitState::Done, "");
    check(link("(1, 1, 1, 'q', 1, '{\"p\":1}', NULL, 1, 0, 0, 0)"), WaitState::Pending, "not sent yet");
    check(link("(1, 1, 1, 'q', 1, '{\"p\":2.0}', NULL, 1, 0, 0, 0)"), WaitState::Done, "");
    check(link("(1, 1, 1, 'q', 1, '{\"p\":1}', '[]', 1, 0, 0, 0)"), WaitState::Pending, "not answered");
    check(link("(1, 1, 1, 'q', 1, '{\"p\":1}', NULL, 2, 0, 0, 0)"), WaitState::Done, "");
    check(link("(1, 1, 1, 'q', 1, '{\"p\":1}', NULL, 9, 0, 0, 0)"), WaitState::Done, "");
    let rejected = |side: &str, verdict: &str| -> &'static str {
        format!(
            "{LINK} (1, 1, 1, 'q', 1, '{{\"p\":1}}', NULL, 1, 0, 0, 0);
             INSERT INTO m_rejection (id, sync, replica, side, link, record, action, what, at, tries, verdict)
             VALUES ('j-1', 'y', 1, '{side}', 1, 1, 'update', 'no such p', 0, 1, {verdict})"
        )
        .leak()
    };
    check(rejected("up", "NULL"), WaitState::Rejected, "no such p (j-1)");
    check(rejected("create", "NULL"), WaitState::Rejected, "no such p");
    check(rejected("up", "'drop'"), WaitState::Rejected, "no such p");
    check(rejected("up", "'retry'"), WaitState::Pending, "again");
    check(rejected("delete", "NULL"), WaitState::Pending, "until j-1 is decided");
    let conflict = |open: i64, loser: i64| -> &'static str {
        format!(
            "{LINK} (1, 1, 1, 'q', 1, '{{\"p\":1}}', NULL, 1, 0, 0, 0);
             INSERT INTO m_conflict (id, record, link, replica, property, verdict, open, loser_seq, seq, at)
             VALUES ('c-1', 1, 1, 'r', 'p', 'x', {open}, {loser}, 3, 0)"
        )
        .leak()
    };
    check(conflict(0, 2), WaitState::Overruled, "c-1");
    check(conflict(0, 1), WaitState::Pending, "not sent yet");
    check(conflict(1, 0), WaitState::Pending, "p waits for a decision (c-1)");
}

#[test]
fn who_is_concerned() {
    let (store, token) = store();
    assert!(matches!(told(&store, &token, &[]), Err(Refusal::Unsupported(_))));
    assert!(matches!(told(&store, &token, &up(Creates::Never)), Err(Refusal::Unsupported(_))));
    assert_eq!(told(&store, &token, &up(Creates::All)).unwrap().0, WaitState::Pending);
    // Linked elsewhere: only a mirror would make it here.
    sql(
        &store,
        "INSERT INTO m_link (link, replica, record, base, confirmed, born, seen, missing) VALUES (5, 2, 1, 0, 0, 0, 0, 0)",
    )
    .unwrap();
    assert!(matches!(told(&store, &token, &up(Creates::Unlinked)), Err(Refusal::Unsupported(_))));
    assert_eq!(told(&store, &token, &up(Creates::All)).unwrap().0, WaitState::Pending);
    // Made and deleted before it was sent.
    let gone = write(&store, vec![delete("x")]).unwrap().token;
    assert_eq!(told(&store, &gone, &up(Creates::All)).unwrap().0, WaitState::Done);
    assert!(matches!(told(&store, "w-other-1_2", &up(Creates::All)), Err(Refusal::Stale(..))));
    assert!(matches!(told(&store, "nonsense", &up(Creates::All)), Err(Refusal::Invalid(..))));
}

#[test]
fn a_long_transaction_waits_for_its_worst() {
    let (store, _) = store();
    let ids: Vec<String> = (0..100).map(|at| format!("r{at}")).collect();
    let token = write(&store, ids.iter().map(|id| put(id, "{}")).collect()).unwrap().token;
    assert!(token.contains('~'), "{token}");
    let links = "INSERT INTO m_link (replica, record, base, confirmed, born, seen, missing) SELECT 1, record, 0, seq, 0, 0, 0 FROM m_record";
    sql(&store, links).unwrap();
    assert_eq!(told(&store, &token, &up(Creates::Unlinked)).unwrap().0, WaitState::Done);
    sql(&store, "UPDATE m_link SET base = 2, confirmed = 0 WHERE record = 50").unwrap();
    assert_eq!(told(&store, &token, &up(Creates::Unlinked)).unwrap().0, WaitState::Pending);
}
