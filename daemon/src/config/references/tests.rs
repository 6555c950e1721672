//! Owns: the tables that hold `references` to its rules. Must never know: what a reference does.

use mingle_core::reference::WhenGone;

use super::{
    super::tests::{REMOTE, SYNC, good, said},
    *,
};

/// C-29, S-46: what a reference names is there, and its ids are known where the children are kept.
#[test]
fn a_reference_names_what_is_there() {
    let check = |text: &str, expected: &str| assert_eq!(said(&format!("{REMOTE}{SYNC}{text}")), expected, "{text}");
    let parents = "[sync.p] | collection = 'people' | remote = 'r' | resource = 'p' | direction = 'both' | ";
    check(&format!("{parents} [collection.c] | references = {{ author = 'people' }}"), "good");
    check("[collection.c] | references = { above = 'c' }", "good");
    check("[collection.x] | references = { a = 'y' } | [collection.y] | references = { b = 'x' }", "good");
    check(
        &format!("{parents} [collection.c] | references = {{ author = {{ collection = 'people', on_delete = 'cascade' }} }}"),
        "good",
    );
    check(
        &format!("{parents} [collection.c] | references = {{ author = 'peple' }}"),
        "15 no collection is called `peple`; did you mean `people`?",
    );
    check(
        "[collection.people] | index = ['n'] | [collection.c] | references = { author = 'people' }",
        "12 `c` is kept with the remote `r`, and `people`, to which it refers, is not; add a sync of `people` with `r`, or take \
         the reference out: no id of a record there is known",
    );
    let again = "[sync.q] | collection = 'people' | remote = 'r' | resource = 'q' | direction = 'down' | ";
    check(
        &format!("{parents} {again} [collection.c] | references = {{ author = 'people' }}"),
        "20 `people` is kept at several places of the remote `r`: [sync.p], [sync.q]; let one collection be kept at one place \
         there: which of them an id is of cannot be told",
    );
    check("[collection.c] | references = ['author']", &format!("10 `collection.c.references` must be a table; {EXAMPLE}"));
    check(
        "[collection.c] | references = { author = 3 }",
        &format!("10 `collection.c.references.author` must be the name of a collection, or a table; {EXAMPLE}"),
    );
    check("[collection.c] | references = { id = 'c' }", "10 `id` cannot refer to a record; name a property of the record's data");
    check(
        "[collection.c] | references = { a = { on_delete = 'cascade' } }",
        "10 [collection.c.references.a] has no `collection`; name the collection of the records that it refers to",
    );
    check(
        "[collection.c] | references = { a = { collection = 'c', on_delete = 'casacde' } }",
        "10 `collection.c.references.a.on_delete` cannot be `casacde`; did you mean `cascade`?",
    );
    check(
        "[collection.c] | references = { a = { collection = 'c', on_delet = 'cascade' } }",
        "10 unknown key `collection.c.references.a.on_delet`; did you mean `on_delete`?",
    );
}

#[test]
fn a_reference_is_read() {
    let of = |written: &str| {
        let config = good(&format!("[collection.c] | references = {{ a = {written} }}"));
        let Reference { collection, on_delete, numbers } = config.collections["c"].policy.references["a"].clone();
        (collection, on_delete, numbers)
    };
    assert_eq!(of("'c'"), ("c".into(), WhenGone::Nullify, false));
    assert_eq!(of("{ collection = 'c' }"), ("c".into(), WhenGone::Nullify, false));
    assert_eq!(of("{ collection = 'c', on_delete = 'refuse' }"), ("c".into(), WhenGone::Refuse, false));
    assert_eq!(of("{ collection = 'c', on_delete = 'cascade', ids = 'number' }"), ("c".into(), WhenGone::Cascade, true));
}

#[test]
fn circles_are_named_once_each() {
    #[track_caller]
    fn check(references: &[(&str, &[&str])], expect: &[&str]) {
        let sections: Vec<String> = references
            .iter()
            .map(|(name, to)| {
                let inside: Vec<String> = to.iter().map(|to| format!("p_{to} = '{to}'")).collect();
                format!("[collection.{name}] | references = {{ {} }}", inside.join(", "))
            })
            .collect();
        assert_eq!(circles(&good(&sections.join(" | "))), expect, "{references:?}");
    }
    check(&[("a", &["b"]), ("b", &[])], &[]);
    check(&[("a", &["a"])], &["a -> a"]);
    check(&[("a", &["b"]), ("b", &["a"])], &["a -> b -> a"]);
    check(&[("c", &["a"]), ("a", &["b"]), ("b", &["c", "a"])], &["a -> b -> a", "a -> b -> c -> a"]);
}
