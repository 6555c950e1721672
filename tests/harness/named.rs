//! Owns: finding a test by the name that a list of ours gives it. Must never know: which list, or what the test does.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The top of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the repository").to_owned()
}

/// The source with this test, from the top of the repository; none where there is no such test.
///
/// A test is named `suite::function`, where `suite` is the folder of a test target below `tests/` or the path of a source file.
#[must_use]
pub fn place(test: &str) -> Option<String> {
    let (suite, function) = test.rsplit_once("::")?;
    let root = root();
    let top = if suite.ends_with(".rs") { root.join(suite) } else { root.join("tests").join(suite.replace("::", "/")) };
    let mut texts = Vec::new();
    sources(&top, &mut texts);
    let found = texts.iter().find(|(_, text)| has_attribute(text, function)).or_else(|| {
        let listed = texts.iter().find(|(_, text)| made_by_macro(text, function))?;
        // What the macro calls says more than its list.
        Some(texts.iter().find(|(_, text)| text.contains(&format!("fn {function}("))).unwrap_or(listed))
    });
    let path = found?.0.strip_prefix(&root).expect("below the top");
    Some(path.to_string_lossy().into_owned())
}

/// Each source below, with its text; nothing where nothing is.
fn sources(top: &Path, found: &mut Vec<(PathBuf, String)>) {
    if top.is_file() {
        found.extend(fs::read_to_string(top).ok().map(|text| (top.to_owned(), text)));
        return;
    }
    let entries = fs::read_dir(top).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() || path.extension().is_some_and(|ending| ending == "rs") {
            sources(&path, found);
        }
    }
}

/// Whether a test of that name stands in a source: a function with the attribute of one just above, not one that tests call.
fn has_attribute(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let head = format!("fn {name}(");
    let above = |at: usize| lines[..at].iter().rev().take_while(|line| !line.is_empty() && !line.ends_with('}'));
    let marked = |at: usize| above(at).any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"));
    lines.iter().enumerate().any(|(at, line)| line.trim_start_matches("async ").starts_with(&head) && marked(at))
}

/// Whether one of the macros that make a test of each name is given that name.
fn made_by_macro(text: &str, name: &str) -> bool {
    // Each with how its list opens and closes.
    [("suite! {", '{', '}'), ("targets!(", '(', ')')].into_iter().any(|(head, open, close)| {
        text.split(head).skip(1).any(|rest| {
            let mut depth = 1_u32;
            let list = rest.split(|letter: char| {
                depth += u32::from(letter == open);
                depth = depth.saturating_sub(u32::from(letter == close));
                depth == 0
            });
            let list = list.take(1).collect::<String>();
            list.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|word| word == name)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_tests_call_is_no_test() {
        #[track_caller]
        fn check(text: &str, expect: bool) {
            assert_eq!(has_attribute(text, "that") || made_by_macro(text, "that"), expect, "{text}");
        }
        check("#[test]\nfn that() {}", true);
        check("/// Words.\n#[test]\n#[cfg(feature = \"planted\")]\n// More.\n    fn that() {}", true);
        check("fn that() {}", false);
        check("#[test]\nfn other() {}\nfn that() {}", false);
        check("pub async fn that(bench: Bench) {}", false);
        check("suite! { $($bench: [\n  other,\n  that,\n]),+ }", true);
        check("suite! { { other } }\nfn that() {}", false);
        check("targets!(other, that);", true);
        check("targets!(other);\n that", false);
    }

    #[test]
    fn a_test_has_its_place() {
        #[track_caller]
        fn check(test: &str, expect: Option<&str>) {
            assert_eq!(place(test).as_deref(), expect, "{test}");
        }
        let here = "tests/harness/named.rs";
        check("harness::a_test_has_its_place", Some(here));
        check("tests/harness/named.rs::a_test_has_its_place", Some(here));
        // One that a macro makes stands where what it calls stands.
        check("conformance::keeps_values", Some("tests/conformance/laws.rs"));
        check("tidy::heads", None);
        check("nowhere::a_test_has_its_place", None);
        check("a_test_has_its_place", None);
    }
}
