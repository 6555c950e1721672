//! Owns: the proof that no edit of a child goes unseen with a parent that the remote deleted. Must never know: the cascade itself.

use super::*;

/// A delete there that would take a child along meets what was done to that child here, and was not sent: the edit stands, and is
/// recorded. Who was not touched goes, and so does who is local or what the rule of its collection lets go.
#[test]
pub(super) fn a_child_that_was_edited_does_not_go_with_its_parent_unseen() {
    #[track_caller]
    fn check(rule: OnDelete, left: &str, sent: &[&str], verdict: &str) {
        let store = store_with(WhenGone::Cascade, rule);
        comes(&store, "a", "7", r#"{"n":7}"#);
        comes(&store, "b", "1", r#"{"p":"7","t":1}"#);
        comes(&store, "b", "2", r#"{"p":"7","t":2}"#);
        puts(&store, "b", "2", r#"{"p":"7","t":3}"#);
        puts(&store, "b", "new", r#"{"p":"7","t":4}"#);
        let applied = comes(&store, "a", "7", "-");
        assert_eq!(applied.conflicts, 2);
        let live = "SELECT count(*) FROM m_record WHERE state = 0 AND collection = 2";
        assert_eq!(number(&store, live).to_string(), left);
        sends(&store, "b", sent, 0);
        let recorded =
            format!("SELECT count(*) FROM m_conflict WHERE verdict = '{verdict}' AND truth LIKE '%\"t\":3%' AND replica = 'far'");
        assert_eq!(number(&store, recorded.leak()), 1);
        // Where nothing was agreed, nothing is told of it.
        assert_eq!(number(&store, "SELECT count(*) FROM m_conflict WHERE agreed IS NULL AND truth LIKE '%\"t\":4%'"), 1);
        // `why` finds it by the seq that the record has since.
        assert_eq!(number(&store, "SELECT count(*) FROM m_conflict c JOIN m_record r USING (record) WHERE c.seq = r.seq"), 2);
    }
    check(OnDelete::KeepEdit, "2", &[r#"update 2 {"p":null,"t":3}"#, r#"create {"t":4}"#, "delete 1"], "kept_edit");
    check(OnDelete::KeepDelete, "0", &["delete 1", "delete 2"], "kept_delete");
}

/// Children `b` with these references to `a`, and `a` with its own to itself (`up`), which cascades.
fn of_many(properties: &[&str]) -> Store {
    let store = store(WhenGone::Cascade);
    let reference = Reference { collection: "a".into(), on_delete: WhenGone::Cascade, numbers: false };
    let of = |name: &str, properties: &[&str]| {
        let references = properties.iter().map(|property| ((*property).to_owned(), reference.clone())).collect();
        CollectionDefinition {
            name: name.into(),
            policy: Policy { references, ..Policy::default() },
            ..CollectionDefinition::default()
        }
    };
    let definitions = [of("a", &["up"]), of("b", properties)];
    store.write_blocking(Class::Interactive, NOW, move |tx| define(tx, &definitions)).unwrap();
    store
}

fn live(store: &Store) -> String {
    let ids = |of: &'static str| {
        let sql = format!(
            "SELECT coalesce(group_concat(id, ' '), '') FROM (SELECT r.id FROM m_record r JOIN m_collection c USING (collection) WHERE c.name = '{of}' AND r.state = 0 ORDER BY r.id)"
        );
        store
            .read(|reader| Ok::<_, StoreError>(reader.prepare_cached(&sql)?.query_row((), |row| row.get::<_, String>(0))?))
            .unwrap()
    };
    format!("a: {} b: {} conflicts: {}", ids("a"), ids("b"), number(store, "SELECT count(*) FROM m_conflict"))
}

/// By two references to the same parent, and to two that go together: it lives, has none of them any more, and there is one conflict.
#[test]
fn who_lives_on_has_no_reference_to_anything_that_goes() {
    #[track_caller]
    fn check(data_there: &str, edit: Option<(&str, &str)>, expect: &str) {
        let store = of_many(&["p", "q"]);
        comes(&store, "a", "7", r#"{"n":7}"#);
        comes(&store, "a", "8", r#"{"n":8,"up":"7"}"#);
        comes(&store, "a", "9", r#"{"n":9}"#);
        comes(&store, "b", "1", data_there);
        if let Some((edited, _)) = edit {
            puts(&store, "b", "1", edited);
        }
        comes(&store, "a", "7", "-");
        assert_eq!(live(&store), expect, "{data_there} {edit:?}");
        if let Some((_, left)) = edit {
            assert_eq!(data(&store, "b", "1"), left);
        }
    }
    check(r#"{"p":"7","q":"7","t":1}"#, None, "a: 9 b:  conflicts: 0");
    check(r#"{"p":"7","q":"7","t":1}"#, Some((r#"{"p":"7","q":"7","t":2}"#, r#"{"t":2}"#)), "a: 9 b: 1 conflicts: 1");
    check(r#"{"p":"7","q":"8","t":1}"#, Some((r#"{"p":"7","q":"8","t":2}"#, r#"{"t":2}"#)), "a: 9 b: 1 conflicts: 1");
    check(r#"{"p":"8","q":"7","t":1}"#, Some((r#"{"p":"8","q":"7","t":2}"#, r#"{"t":2}"#)), "a: 9 b: 1 conflicts: 1");
    // A list goes with the last that it names, and these go together.
    check(r#"{"p":["7","8"],"t":1}"#, None, "a: 9 b:  conflicts: 0");
    check(r#"{"p":["7","8"],"t":1}"#, Some((r#"{"p":["7","8"],"t":2}"#, r#"{"p":[],"t":2}"#)), "a: 9 b: 1 conflicts: 1");
    check(r#"{"p":["7","9"],"t":1}"#, Some((r#"{"p":["7","9"],"t":2}"#, r#"{"p":["9"],"t":2}"#)), "a: 9 b: 1 conflicts: 0");
}

/// Its sync was never run, so nothing is known of its place: nothing of it was ever sent.
#[test]
fn a_child_whose_place_was_never_spoken_to_lives_on() {
    let store = of_many(&["p"]);
    sql(&store, "DELETE FROM m_sync WHERE name = 'b'; DELETE FROM m_replica WHERE replica = 2").unwrap();
    comes(&store, "a", "7", r#"{"n":7}"#);
    puts(&store, "b", "new", r#"{"p":"7","t":1}"#);
    comes(&store, "a", "7", "-");
    assert_eq!(live(&store), "a:  b: new conflicts: 1");
    // Whoever says once more that it stays does not let it name what is gone.
    assert_eq!(number(&store, r#"SELECT count(*) FROM m_conflict WHERE truth = '{"t":1}'"#), 1);
}

/// That a reference went with what it named is no edit of the child.
#[test]
fn what_went_before_is_no_edit() {
    let store = of_many(&["p"]);
    comes(&store, "a", "7", r#"{"n":7}"#);
    comes(&store, "a", "8", r#"{"n":8}"#);
    comes(&store, "b", "1", r#"{"p":["7","8"],"t":1}"#);
    comes(&store, "a", "7", "-");
    assert_eq!(live(&store), "a: 8 b: 1 conflicts: 0");
    comes(&store, "a", "8", "-");
    assert_eq!(live(&store), "a:  b:  conflicts: 0");
}
