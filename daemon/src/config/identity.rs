//! Owns: `identity` of a collection: how it is written. Must never know: how a record is found by it.

use mingle_core::limits::IDENTITY_ALTERNATIVES_MAX;
use toml::de::{DeArray, DeValue};

use super::section::Section;

const KEY: &str = "identity";
const EXAMPLE: &str = "identity = [\"number\"], or [[\"email\"], [\"name\", \"born\"]]";

/// Reads `identity` of one collection: one list of names, or several, of which the earlier ones count for more.
pub(super) fn read(section: &mut Section<'_>) -> Vec<Vec<String>> {
    let Some(value) = section.value("identity") else { return Vec::new() };
    let DeValue::Array(items) = value.get_ref() else {
        section.wrong(KEY, "a list of names in quotes, or a list of such lists", EXAMPLE);
        return Vec::new();
    };
    let lists = items.iter().filter(|item| matches!(item.get_ref(), DeValue::Array(_))).count();
    let alternatives: Option<Vec<Vec<String>>> = match lists {
        0 if items.is_empty() => return Vec::new(),
        0 => names(items).map(|only| vec![only]),
        all if all == items.len() => items
            .iter()
            .map(
                |item| {
                    if let DeValue::Array(inner) = item.get_ref() { names(inner).filter(|list| !list.is_empty()) } else { None }
                },
            )
            .collect(),
        _ => None,
    };
    let Some(alternatives) = alternatives else {
        section.wrong(KEY, "a list of names in quotes, or a list of such lists", EXAMPLE);
        return Vec::new();
    };
    check(section, &alternatives);
    alternatives
}

fn names(items: &DeArray<'_>) -> Option<Vec<String>> {
    let one = |item: &toml::Spanned<DeValue<'_>>| match item.get_ref() {
        DeValue::String(text) if !text.is_empty() => Some(text.to_string()),
        _ => None,
    };
    items.iter().map(one).collect()
}

fn check(section: &mut Section<'_>, alternatives: &[Vec<String>]) {
    let key = section.dotted(KEY);
    if alternatives.len() > IDENTITY_ALTERNATIVES_MAX {
        let what = format!("`{key}` has {} alternatives", alternatives.len());
        section.complain(KEY, what, format!("each costs an index; at most {IDENTITY_ALTERNATIVES_MAX}"));
    }
    for (at, names) in alternatives.iter().enumerate() {
        for (place, name) in names.iter().enumerate() {
            if names[..place].contains(name) {
                section.complain(KEY, format!("`{key}` has `{name}` twice"), "");
            }
        }
        // Whatever fits it fits the earlier one, which decides.
        if let Some(earlier) = alternatives[..at].iter().find(|earlier| earlier.iter().all(|name| names.contains(name))) {
            let what = format!("`{key}`: {names:?} never decides anything, for {earlier:?} stands before it");
            section.complain(KEY, what, "put the alternative with more properties first, or take it out");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{REMOTE, SYNC, good, said},
        *,
    };

    #[test]
    fn one_list_is_one_alternative() {
        let of = |written: &str| good(&format!("[collection.c] | identity = {written}")).collections["c"].policy.identity.clone();
        for (written, expected) in [
            ("[]", &[][..]),
            ("['n']", &[&["n"][..]][..]),
            ("['n', 'm']", &[&["n", "m"]]),
            ("[['n']]", &[&["n"]]),
            ("[['email'], ['name', 'born']]", &[&["email"], &["name", "born"]]),
            ("[['name', 'born'], ['name']]", &[&["name", "born"], &["name"]]),
        ] {
            assert_eq!(of(written), expected, "{written}");
        }
    }

    ///
    #[test]
    fn an_identity_that_cannot_be_meant_is_refused() {
        let check = |written: &str, expected: &str| {
            let text = format!("{REMOTE}{SYNC}[collection.c] | identity = {written}");
            assert_eq!(said(&text), format!("10 {expected}"), "{written}");
        };
        let shape = format!("`collection.c.identity` must be a list of names in quotes, or a list of such lists; {EXAMPLE}");
        for wrong in
            ["'number'", "3", "[3]", "['']", "[['a'], 'b']", "['a', ['b']]", "[['a'], []]", "[[]]", "[[['a']]]", "{ a = 'b' }"]
        {
            check(wrong, &shape);
        }
        check("['a', 'a']", "`collection.c.identity` has `a` twice");
        check("[['b'], ['a', 'a']]", "`collection.c.identity` has `a` twice");
        let again = "put the alternative with more properties first, or take it out";
        check(
            "[['a'], ['a']]",
            &format!("`collection.c.identity`: [\"a\"] never decides anything, for [\"a\"] stands before it; {again}"),
        );
        check(
            "[['a', 'b'], ['b', 'a']]",
            &format!(
                "`collection.c.identity`: [\"b\", \"a\"] never decides anything, for [\"a\", \"b\"] stands before it; {again}"
            ),
        );
        check(
            "[['a'], ['b'], ['a', 'c']]",
            &format!("`collection.c.identity`: [\"a\", \"c\"] never decides anything, for [\"a\"] stands before it; {again}"),
        );
        check(
            "[['a'], ['b'], ['c'], ['d'], ['e'], ['f'], ['g'], ['h'], ['i']]",
            &format!("`collection.c.identity` has 9 alternatives; each costs an index; at most {IDENTITY_ALTERNATIVES_MAX}"),
        );
        check("[['a'], ['A']]", "`A` and `a` would be one column; the published view does not tell capitals apart");
        check("[['a'], ['id']]", "`id` cannot be a column; the published view has id, seq and data by itself");
    }
}
