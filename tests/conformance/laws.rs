//! Owns: the laws: what a remote must do if its abilities promise it.
//! Must never know: which service it is.

use std::collections::{BTreeMap, BTreeSet};

use mingle_core::{
    record::{Likeness, Props, same_props},
    replica::{Action, Answer, Asked, Cursor, Failure, From, Page, Precondition, Row, RowState},
};
use mingle_tests::{servers::free_port, wire};
use mingled::remotes::settings::Auth;

use crate::bench::{Bench, all, create, delete, held, now, plain, props, settings, stale, taken, there, update};

const RECORD: &str = r#"{"name":"rust","since":2015}"#;
const OTHERS: &str = r#"{"name":"rust","since":2012}"#;

#[track_caller]
fn check_held(row: &Row, expect: &str) {
    let wanted = props(expect);
    assert!(same_props(held(row), &wanted, Likeness::default()), "{:?} is not {expect}", row.state);
}

#[track_caller]
fn check_rows(bench: &Bench, expect: &[(&str, &str)]) {
    let expect: BTreeMap<String, serde_json::Value> = expect.iter().map(|(id, text)| ((*id).to_owned(), plain(text))).collect();
    assert_eq!(bench.other.rows(), expect);
}

fn ids(rows: &[Row]) -> BTreeSet<&str> {
    rows.iter().map(|row| row.remote_id.as_str()).collect()
}

pub async fn greets_alike_twice(bench: Bench) {
    let first = bench.open().await.greet().await.unwrap_or_else(|error| panic!("{error}"));
    bench.other.put("a", &plain(RECORD));
    let second = bench.open().await.greet().await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(first.instance, second.instance, "a record makes no new history");
}

pub async fn lists_every_page(bench: Bench) {
    for id in ["a", "b", "c", "d", "e", "f", "g"] {
        bench.other.put(id, &plain(&format!(r#"{{"name":"{id}"}}"#)));
    }
    let remote = bench.open().await;
    for page_rows in [1, 3, 7, 100] {
        let (rows, pages) = all(remote.as_ref(), &From::Start, page_rows).await;
        assert_eq!(rows.len(), 7, "{page_rows} rows a page");
        assert_eq!(ids(&rows), ["a", "b", "c", "d", "e", "f", "g"].into());
        for row in &rows {
            check_held(row, &format!(r#"{{"name":"{}"}}"#, row.remote_id));
        }
        assert!(pages.iter().all(|page| page.rows.len() <= page_rows && page.bytes > 0));
        assert!(pages.iter().all(|page| page.total.is_none_or(|total| total == 7)));
    }
}

pub async fn lists_nothing_where_nothing_is(bench: Bench) {
    let remote = bench.open().await;
    let (rows, _) = all(remote.as_ref(), &From::Start, 10).await;
    assert_eq!(rows, []);
}

async fn token(remote: &dyn mingled::remotes::Remote) -> Option<From> {
    let (_, pages) = all(remote, &From::Start, 2).await;
    match remote.abilities().cursor {
        Cursor::Token => Some(From::Token(pages[0].token.clone().expect("a token"))),
        _ => {
            assert!(pages.iter().all(|page| page.token.is_none()), "a token that means nothing");
            None
        }
    }
}

pub async fn goes_on_from_a_token(bench: Bench) {
    for id in ["a", "b", "c"] {
        bench.other.put(id, &plain(RECORD));
    }
    let remote = bench.open().await;
    let Some(from) = token(remote.as_ref()).await else { return };
    let (rows, pages) = all(remote.as_ref(), &from, 2).await;
    assert_eq!(rows, [], "nothing changed");
    assert_eq!(Some(&from), pages[0].token.clone().map(From::Token).as_ref(), "nothing changed, so the token stays");
    bench.other.put("b", &plain(OTHERS));
    bench.other.put("d", &plain(RECORD));
    bench.other.delete("c");
    let (rows, pages) = all(remote.as_ref(), &from, 1).await;
    let state = |id: &str| rows.iter().find(|row| row.remote_id == id).map(|row| row.state.clone());
    assert_eq!(state("a"), None, "a did not change");
    assert_eq!(state("b"), Some(RowState::Live(props(OTHERS))));
    assert_eq!(state("d"), Some(RowState::Live(props(RECORD))));
    assert_eq!(state("c"), remote.abilities().tombstones.then_some(RowState::Gone));
    let from = From::Token(pages[0].token.clone().expect("a token"));
    let (rows, _) = all(remote.as_ref(), &from, 2).await;
    assert_eq!(rows, [], "the first page's token covers what its listing showed");
}

pub async fn refuses_a_token_that_it_never_gave(bench: Bench) {
    bench.other.put("a", &plain(RECORD));
    let remote = bench.open().await;
    let Some(From::Token(good)) = token(remote.as_ref()).await else { return };
    // One from the future is one of another history.
    for bad in ["nonsense".to_owned(), good.replace(|one: char| one.is_ascii_digit(), "9")] {
        let error = remote.list(&From::Token(bad.clone()), None, 10).await.expect_err("a refusal");
        assert_eq!(error.kind, Failure::CheckpointRefused, "{bad}: {error}");
    }
}

pub async fn gets_by_id(bench: Bench) {
    let remote = bench.open().await;
    assert_eq!(remote.get("a").await, Ok(Asked::Gone), "never there");
    bench.other.put("a", &plain(RECORD));
    check_held(&there(remote.as_ref(), "a").await, RECORD);
    bench.other.delete("a");
    assert_eq!(remote.get("a").await, Ok(Asked::Gone), "deleted");
    bench.other.put("a", &plain(OTHERS));
    check_held(&there(remote.as_ref(), "a").await, OTHERS);
    for id in [".", "..", "../things", "a/b", "a?b=c", "a#b", "%61", "ä ö"] {
        let asked = remote.get(id).await;
        assert!(!matches!(asked, Ok(Asked::There(_))), "{id} is no record, and no way out: {asked:?}");
        let action = Action::Delete { remote_id: id.into(), unless_moved: Precondition::Revision("1".into()) };
        let answer = remote.send(&action).await;
        assert!(!matches!(answer, Answer::Taken(_)), "{id} is nothing to delete: {answer:?}");
        let refused = matches!(&answer, Answer::Refused(words) if words.contains("no name in an address"));
        assert_eq!(refused, [".", ".."].contains(&id), "a segment of dots never leaves: {id}: {answer:?}");
    }
}

pub async fn creates_under_our_id_once(bench: Bench) {
    let remote = bench.open().await;
    if remote.abilities().client_ids.is_none() {
        let answer = create(remote.as_ref(), Some("a"), RECORD).await;
        assert!(matches!(answer, Answer::Unsent(_)), "{answer:?}");
        return check_rows(&bench, &[]);
    }
    let row = taken(create(remote.as_ref(), Some("a"), RECORD).await);
    assert_eq!(row.remote_id, "a");
    check_held(&row, RECORD);
    check_rows(&bench, &[("a", RECORD)]);
    let present = stale(create(remote.as_ref(), Some("a"), OTHERS).await);
    check_held(&present, RECORD);
    check_rows(&bench, &[("a", RECORD)]);
    bench.other.delete("a");
    check_held(&taken(create(remote.as_ref(), Some("a"), OTHERS).await), OTHERS);
    check_rows(&bench, &[("a", OTHERS)]);
}

pub async fn takes_every_id_it_promises_to_take(bench: Bench) {
    let remote = bench.open().await;
    let Some(rules) = remote.abilities().client_ids.clone() else { return };
    let besides: String = rules.besides.chars().flat_map(|one| ['x', one]).collect();
    let made = [
        "0193d1e4-7a55-7c3e-8f1a-0242ac120002".to_owned(),
        format!("Zz9{besides}"),
        "a".repeat(rules.min),
        "b".repeat(rules.max),
    ];
    for id in made {
        assert!(rules.takes(&id), "{id}");
        assert_eq!(taken(create(remote.as_ref(), Some(&id), RECORD).await).remote_id, id);
        check_held(&there(remote.as_ref(), &id).await, RECORD);
    }
}

pub async fn creates_under_its_own_id(bench: Bench) {
    let remote = bench.open().await;
    let first = taken(create(remote.as_ref(), None, RECORD).await);
    let second = taken(create(remote.as_ref(), None, RECORD).await);
    assert_ne!(first.remote_id, second.remote_id);
    check_held(&first, RECORD);
    check_rows(&bench, &[(&first.remote_id, RECORD), (&second.remote_id, RECORD)]);
    let (rows, _) = all(remote.as_ref(), &From::Start, 10).await;
    assert_eq!(ids(&rows), ids(&[first, second]));
}

pub async fn updates_what_did_not_move(bench: Bench) {
    bench.other.put("a", &plain(RECORD));
    let remote = bench.open().await;
    let row = there(remote.as_ref(), "a").await;
    let after = taken(update(remote.as_ref(), &row, OTHERS).await);
    check_held(&after, OTHERS);
    check_rows(&bench, &[("a", OTHERS)]);
    assert_eq!(there(remote.as_ref(), "a").await, after, "what the answer shows is what is there");
    check_held(&taken(update(remote.as_ref(), &after, RECORD).await), RECORD);
}

pub async fn clears_what_an_update_clears(bench: Bench) {
    bench.other.put("a", &plain(r#"{"name":"rust","old":1}"#));
    let remote = bench.open().await;
    let row = there(remote.as_ref(), "a").await;
    check_held(&taken(update(remote.as_ref(), &row, r#"{"name":"rust"}"#).await), r#"{"name":"rust"}"#);
    check_held(&there(remote.as_ref(), "a").await, r#"{"name":"rust"}"#);
}

pub async fn refuses_an_update_of_what_moved(bench: Bench) {
    bench.other.put("a", &plain(RECORD));
    let remote = bench.open().await;
    let row = there(remote.as_ref(), "a").await;
    bench.other.put("a", &plain(OTHERS));
    let present = stale(update(remote.as_ref(), &row, r#"{"name":"lost"}"#).await);
    check_held(&present, OTHERS);
    check_rows(&bench, &[("a", OTHERS)]);
    check_held(&taken(update(remote.as_ref(), &present, RECORD).await), RECORD);
}

pub async fn updates_nothing_that_is_gone(bench: Bench) {
    bench.other.put("a", &plain(RECORD));
    let remote = bench.open().await;
    let row = there(remote.as_ref(), "a").await;
    bench.other.delete("a");
    assert_eq!(update(remote.as_ref(), &row, OTHERS).await, Answer::Gone);
    check_rows(&bench, &[]);
}

pub async fn deletes_what_did_not_move(bench: Bench) {
    bench.other.put("a", &plain(RECORD));
    let remote = bench.open().await;
    let row = there(remote.as_ref(), "a").await;
    assert_eq!(delete(remote.as_ref(), &row).await, Answer::Taken(None));
    check_rows(&bench, &[]);
    assert_eq!(remote.get("a").await, Ok(Asked::Gone));
}

pub async fn refuses_a_delete_of_what_moved(bench: Bench) {
    bench.other.put("a", &plain(RECORD));
    let remote = bench.open().await;
    let row = there(remote.as_ref(), "a").await;
    bench.other.put("a", &plain(OTHERS));
    check_held(&stale(delete(remote.as_ref(), &row).await), OTHERS);
    check_rows(&bench, &[("a", OTHERS)]);
}

pub async fn deletes_nothing_that_is_gone(bench: Bench) {
    bench.other.put("a", &plain(RECORD));
    let remote = bench.open().await;
    let row = there(remote.as_ref(), "a").await;
    bench.other.delete("a");
    assert_eq!(delete(remote.as_ref(), &row).await, Answer::Gone);
}

pub async fn shows_a_new_revision_for_each_change(bench: Bench) {
    let remote = bench.open().await;
    let mut seen = BTreeSet::new();
    for round in 0..5 {
        for id in ["a", "b"] {
            bench.other.put(id, &plain(&format!(r#"{{"round":{round}}}"#)));
            let row = there(remote.as_ref(), id).await;
            assert_eq!(row.revision.is_some(), remote.abilities().strong_revision);
            assert!(row.revision.is_none_or(|revision| seen.insert((id, revision))), "a revision twice");
        }
    }
}

pub async fn shows_when_it_was_changed(bench: Bench) {
    bench.other.put("a", &plain(RECORD));
    let remote = bench.open().await;
    let row = there(remote.as_ref(), "a").await;
    assert_eq!(row.modified.is_some(), remote.abilities().modified_grain.is_some());
    if let Some(modified) = row.modified {
        let off = now().since(modified).max(modified.since(now()));
        assert!(off.as_secs() < 300, "{modified:?} is not about now");
    }
}

pub async fn keeps_values(bench: Bench) {
    let record = r#"{"text":"Ä \"quoted\" \\ line\nnext\t😀","empty":"","no":false,"list":[1,"two",[3],{"four":4}],"map":{"in":{"in":{}}},"~/":"odd","n":-12.5}"#;
    let remote = bench.open().await;
    let row = taken(create(remote.as_ref(), None, record).await);
    check_held(&row, record);
    assert_eq!(bench.other.rows()[&row.remote_id], plain(record));
    let after = taken(update(remote.as_ref(), &row, &record.replace("two", "2")).await);
    check_held(&after, &record.replace("two", "2"));
}

pub async fn keeps_what_is_its_own_to_itself(bench: Bench) {
    bench.other.put("a", &plain(RECORD));
    let remote = bench.open().await;
    let row = there(remote.as_ref(), "a").await;
    let carried = &remote.abilities().carried;
    let own: Vec<&str> =
        ["id", "rev", "at", "gone", "last_modified", "deleted"].into_iter().filter(|name| !carried.has(name)).collect();
    assert!(own.contains(&"id") && own.iter().all(|name| !held(&row).contains_key(*name)), "{own:?}");
    let mut whole: Props = props(OTHERS);
    whole.extend(own.iter().map(|name| ((*name).to_owned(), mingle_core::record::Value::Bool(true))));
    let after = taken(update(remote.as_ref(), &row, &mingled::json::write(&whole)).await);
    assert_eq!(after.remote_id, "a");
    check_held(&after, OTHERS);
    check_rows(&bench, &[("a", OTHERS)]);
}

pub async fn says_that_a_resource_is_not_there(bench: Bench) {
    let remote = bench.open_as(&bench.settings, &bench.wrong_resource).await;
    let error = remote.greet().await.expect_err("a refusal");
    assert_eq!(error.kind, Failure::Denied, "{error}");
    assert!(
        error.hint.as_deref().is_some_and(|hint| hint.contains("resource") || hint.contains(&bench.wrong_resource)),
        "{error:?}"
    );
    let listed = remote.list(&From::Start, None, 10).await.map(|page: Page| page.rows.len());
    assert_eq!(listed.map_err(|error| error.kind), Err(Failure::Denied));
    let answer = create(remote.as_ref(), None, RECORD).await;
    assert!(!matches!(answer, Answer::Taken(_) | Answer::Gone | Answer::Stale(_)), "{answer:?}");
}

pub async fn says_that_credentials_are_missing(bench: Bench) {
    if !bench.asks_for_credentials {
        return;
    }
    let mut settings = bench.settings.clone();
    settings.auth = Auth::None;
    let remote = bench.open_as(&settings, &bench.resource).await;
    for error in [
        remote.greet().await.expect_err("a refusal"),
        remote.list(&From::Start, None, 10).await.expect_err("a refusal"),
        remote.get("a").await.expect_err("a refusal"),
    ] {
        assert_eq!(error.kind, Failure::NeedsLogin, "{error}");
    }
    match create(remote.as_ref(), None, RECORD).await {
        Answer::Unsent(error) => assert_eq!(error.kind, Failure::NeedsLogin, "{error}"),
        other => panic!("{other:?}"),
    }
}

pub async fn says_that_it_is_another_kind_of_server(bench: Bench) {
    if !bench.tells_kinds_apart {
        return;
    }
    let others = ["{\"hello\":\"world\"}", "{\"project_name\":\"other\",\"service\":\"other\"}", "[]", "<html>"];
    for (status, said) in others.into_iter().map(|said| (200, said)).chain([(404, "{}")]) {
        let answer = wire::response(status, &[("content-type", "application/json")], said);
        let other = wire::serve(std::sync::Arc::new(move |_, line| line.send(&answer)));
        let mut wrong = settings(bench.settings.profile.as_deref().expect("a profile"), &other.url);
        wrong.auth = bench.settings.auth.clone();
        let error = bench.open_as(&wrong, &bench.resource).await.greet().await.expect_err("a refusal");
        assert_eq!(error.kind, Failure::Nonsense, "{said}: {error}");
        assert!(error.what.contains(&other.url) && error.what.contains("is not a") && error.hint.is_some(), "{said}: {error:?}");
    }
}

pub async fn says_that_it_is_offline(bench: Bench) {
    let mut settings = bench.settings.clone();
    settings.url = format!("http://127.0.0.1:{}", free_port());
    let remote = bench.open_as(&settings, &bench.resource).await;
    let error = remote.greet().await.expect_err("nobody there");
    assert_eq!(error.kind, Failure::Offline, "{error}");
    match create(remote.as_ref(), None, RECORD).await {
        Answer::Unsent(error) => assert_eq!(error.kind, Failure::Offline, "{error}"),
        other => panic!("{other:?}"),
    }
}
