//! Owns: small breaches of each law, which must be found: a check that cannot fail guards nothing.
//! Must never know: the real sources.

use crate::{crates, files, knows, places, planted, reach, readme, tree::File};

fn file(path: &str, text: &str) -> File {
    File { path: path.into(), text: text.into() }
}

/// One file alone, and how the first breach begins; empty: none.
#[track_caller]
fn check(law: fn(&[File]) -> Vec<String>, path: &str, text: &str, expected: &str) {
    let found = law(&[file(path, text)]);
    match found.first() {
        Some(first) => assert!(!expected.is_empty() && first.starts_with(expected), "{path} with {text}: {found:?}"),
        None => assert!(expected.is_empty(), "{path} with {text}: nothing was found"),
    }
}

#[test]
fn strangers_are_seen() {
    let needs = |name: &str| format!("[dependencies]\n{name}.workspace = true");
    check(
        knows::packages,
        "proto/Cargo.toml",
        &needs("mingle-core"),
        "proto/Cargo.toml: dependencies.mingle-core: mingle_proto must not",
    );
    check(knows::packages, "daemon/core/Cargo.toml", &needs("mingle-proto"), "daemon/core/Cargo.toml: dependencies.mingle-proto");
    check(knows::packages, "client/cli/Cargo.toml", &needs("mingle-client"), "");
    check(
        knows::packages,
        "client/Cargo.toml",
        "[dev-dependencies]\nmingled.workspace = true",
        "client/Cargo.toml: dev-dependencies.mingled",
    );
    check(
        knows::rooms,
        "daemon/src/ipc/a.rs",
        "use crate::store::Reader;",
        "daemon/src/ipc/a.rs:1: the room ipc must never know store",
    );
    check(
        knows::rooms,
        "daemon/src/ipc/deep/a.rs",
        "use super::super::super::remotes;",
        "daemon/src/ipc/deep/a.rs:1: the room ipc",
    );
    check(knows::rooms, "daemon/src/ipc/a.rs", "use super::store;", "");
    check(knows::rooms, "daemon/src/store/mod.rs", "use crate::{json, ipc::Door};", "daemon/src/store/mod.rs:1: the room store");
    check(
        knows::rooms,
        "daemon/src/remotes/a.rs",
        "mingle_core::schedule::decide()",
        "daemon/src/remotes/a.rs:1: the room remotes",
    );
    check(knows::rooms, "daemon/src/other.rs", "use crate::{ipc, store};", "daemon/src/other.rs: knows ipc and store");
    check(knows::rooms, "daemon/src/run/a.rs", "use crate::{ipc, store};", "");
    check(
        knows::mind,
        "daemon/core/src/a.rs",
        "#[derive(Debug, Serialize)]",
        "daemon/core/src/a.rs:1: the mind never derives Serialize",
    );
    check(
        knows::mind,
        "daemon/core/src/a.rs",
        "use std::{fmt, time::{Duration, Instant}};",
        "daemon/core/src/a.rs:1: the mind must never",
    );
    check(knows::mind, "daemon/core/src/a.rs", "use std::time::Duration;", "");
    check(knows::kept, "daemon/src/ipc/a.rs", "rusqlite::Row", "daemon/src/ipc/a.rs:1: rusqlite belongs into");
    check(knows::kept, "daemon/src/store/a.rs", "rusqlite::Row", "");
}

#[test]
fn untidy_files_are_seen() {
    check(files::heads, "a.rs", "//! Something.", "a.rs: does not open");
    check(files::heads, "a.rs", "//! Owns: a. Must never know: b.", "");
    check(files::heads, "a.rs", "use a;\n//! Owns: a. Must never know: b.", "a.rs: does not open");
    check(|all| files::lengths(all, &[]), "a.rs", &"\n".repeat(501), "a.rs: 501 lines");
    check(|all| files::lengths(all, &[("a.rs", "why")]), "a.rs", &"\n".repeat(501), "");
    check(|all| files::lengths(all, &[("a.rs", "why")]), "a.rs", "", "a.rs: 0 lines; its excuse");
    check(|all| files::lengths(all, &[("b.rs", "why")]), "a.rs", "", "b.rs: excused");
    check(files::words, "a.md", &["see /wo", "rk/x"].concat(), "a.md:1: ");
    check(files::words, "a.rs", &["\ntodo", "!()"].concat(), "a.rs:2: ");
    check(files::words, "a.rs", &["// todo", "!()"].concat(), "");
    check(files::words, "daemon/a.rs", &["// Kin", "to"].concat(), "daemon/a.rs:1: ");
    check(files::words, "tests/a.rs", &["// Kin", "to"].concat(), "");
    check(files::bans, "daemon/src/a.rs", "#[expect(clippy::disallowed_methods)]", "daemon/src/a.rs:1: switches a ban off");
    check(files::bans, "daemon/src/clock.rs", "#[expect(clippy::disallowed_methods)]", "");
    check(files::bans, "tests/a.rs", "thread::sleep(a)", "tests/a.rs:1: sleeps without a word");
    check(files::bans, "tests/a.rs", "// The server needs a second.\nthread::sleep(a)", "");
}

#[test]
fn lost_files_are_seen() {
    let manifest = file("tests/Cargo.toml", "[lib]\npath = \"harness/lib.rs\"\n[[test]]\nname = \"a\"\npath = \"a/main.rs\"");
    let lib = file("tests/harness/lib.rs", "pub mod b;\n");
    let all = |more: &[(&str, &str)]| {
        let mut all = vec![manifest.clone(), lib.clone()];
        all.extend(more.iter().map(|(path, text)| file(path, text)));
        reach::unreached(&all)
    };
    let lost = all(&[
        ("tests/harness/b.rs", "mod c;"),
        ("tests/harness/b/c.rs", ""),
        ("tests/a/main.rs", "mod d;"),
        ("tests/a/d/mod.rs", ""),
    ]);
    assert!(lost.is_empty(), "{lost:?}");
    let lost = all(&[("tests/a/main.rs", "// mod d;"), ("tests/a/d.rs", ""), ("tests/e/main.rs", "")]);
    assert_eq!(lost.len(), 2, "{lost:?}");
}

#[test]
fn strange_places_are_seen() {
    let mut names: Vec<String> = crate::house::TOP.iter().map(|name| (*name).to_owned()).collect();
    names.push(".hidden".into());
    assert!(places::top(&names).is_empty());
    names.push("notes.txt".into());
    names.retain(|name| name != "LICENSE");
    assert_eq!(places::top(&names).len(), 2);
}

#[test]
fn licences_and_doubles_are_seen() {
    let deny = "[licenses]\nallow = [\"MIT\", \"ISC\"]\n[bans]\nskip = [{ crate = \"two\", reason = \"one needs the old one\" }]";
    let check = |built: &[(&str, &str, &str)], expected: usize| {
        let built: Vec<_> = built.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned())).collect();
        let found = crates::licences_and_doubles(deny, &built);
        assert_eq!(found.len(), expected, "{found:?}");
    };
    check(&[("a", "1", "MIT OR GPL-3.0"), ("b", "1", "MIT/X"), ("c", "1", "(MIT OR X) AND ISC")], 0);
    check(&[("a", "1", "GPL-3.0"), ("b", "1", "MIT AND GPL-3.0"), ("c", "1", "")], 3);
    check(&[("two", "1", "MIT"), ("two", "2", "MIT"), ("three", "1", "MIT"), ("three", "2", "MIT")], 1);
}

#[test]
fn commands_that_are_not_there_are_seen() {
    let files = [
        file(".cargo/config.toml", "[alias]\ndemo = \"run\""),
        file("client/cli/src/cmd/status.rs", ""),
        file("client/cli/src/main.rs", "enum C {\n    Sync(Args),\n    SocketPath,\n}"),
        file(
            "README.md",
            "```sh\nmingle status\nmingle sync a\nmingle socket-path\nmingle fly\ncargo demo\ncargo fly\nmingled &\nls\n```",
        ),
    ];
    assert_eq!(readme::unknown(&files), ["README.md: `mingle fly` is not there", "README.md: `cargo fly` is not there"]);
}

#[test]
fn a_bug_that_nobody_plants_is_seen() {
    let list = "daemon/core/src/planted.rs";
    check(
        planted::unplanted,
        list,
        "    (\"double dip\", Tables),",
        "daemon/core/src/planted.rs: \"double dip\" is named 0 times",
    );
    check(planted::unplanted, list, "    // run: it says nothing.", "");
}
