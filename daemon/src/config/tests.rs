//! Owns: the tables that hold the configuration to its rules. Must never know: how the rules are carried out.

use std::{fs, os::unix::fs::PermissionsExt};

use mingle_core::policy::{Merge, OnDelete};

use super::*;

/// A small world: one kind with two profiles, of which one has no stamps.
pub(super) struct World;

impl Known for World {
    fn look(&self, remote: &RemoteSettings) -> Result<Facts, (String, String)> {
        match (remote.kind.as_str(), remote.profile.as_deref()) {
            ("rest", Some("tracker")) => {
                Ok(Facts { has_stamps: true, takes_writes: true, is_near: remote.url.contains("localhost") })
            }
            ("rest", Some("stampless")) => Ok(Facts { has_stamps: false, takes_writes: true, is_near: false }),
            ("rest", Some("readonly")) => Ok(Facts { has_stamps: true, takes_writes: false, is_near: false }),
            ("rest", _) => Err(("no such profile".into(), "known: tracker, stampless".into())),
            (kind, _) => Err((format!("no kind is called `{kind}`"), String::new())),
        }
    }
}

fn source(name: &str, text: &str) -> Source {
    Source::new(name.into(), "/no/such".into(), false, text.into())
}

/// Lines are written with `|` between them, so that a case is one line.
pub(super) fn lines(text: &str) -> String {
    text.split('|').map(str::trim).collect::<Vec<_>>().join("\n")
}

pub(super) const REMOTE: &str = "[remote.r] | kind = 'rest' | profile = 'tracker' | url = 'https://example.org' | ";
pub(super) const SYNC: &str = "[sync.s] | collection = 'c' | remote = 'r' | direction = 'both' | ";

pub(super) fn read(text: &str) -> Result<Config, Vec<Problem>> {
    parse(&[source("f", &lines(text))], &World)
}

pub(super) fn good(text: &str) -> Config {
    read(text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

/// Every problem as `LINE what; hint`, joined by ` + `.
pub(super) fn said(text: &str) -> String {
    match read(text) {
        Ok(_) => "good".into(),
        Err(problems) => {
            let each =
                problems.iter().map(|p| format!("{} {}{}{}", p.line, p.what, if p.hint.is_empty() { "" } else { "; " }, p.hint));
            each.collect::<Vec<_>>().join(" + ")
        }
    }
}

#[test]
fn problems_name_line_and_remedy() {
    let check = |text: &str, expected: &str| assert_eq!(said(text), expected, "{text}");
    check("", "good");
    check("# only a comment", "good");
    check("[store] | path = 1", "2 `store.path` must be text in quotes");
    check("[store] | path = 'store.db'", "2 `store.path` must start with / or ~/");
    check("[store] | synchronus = 'full'", "2 unknown key `store.synchronus`; did you mean `synchronous`?");
    check("[store] | synchronous = 'ful'", "2 `store.synchronous` cannot be `ful`; did you mean `full`?");
    check("[collection.c] | retention = '2h'", "2 `retention` is shorter than a day; write a day or longer: retention = \"1d\"");
    check("[stor] | path = '/x'", "1 unknown section `stor`; did you mean `store`?");
    check("sync = 3", "1 `sync` must be a table; write [sync.NAME]");
    check("[sync] | x = 3", "2 `sync.x` must be a table; write [sync.NAME], then one key on each line");
    check("[blob] | x = 1", "1 [blob] is not built yet; take it out; a later version will know it");
    check("[status] | group = '0'", "good");
    let hint = "`getent group` lists them; the number of a group will do too";
    check("[status] | group = 'no-such-group'", &format!("2 no group `no-such-group` in /etc/group; {hint}"));
    check("[status] | grup = 'adm'", "2 unknown key `status.grup`; did you mean `group`?");
    check("[[app]] | x = 1", "1 `app` must be a table; write [app.NAME]");
    check("a = | [store]", "1 string values must be quoted, expected literal string");
    check(
        "[remote.A] | kind = 'rest' | url = 'https://x' | x = 1",
        "1 [remote.A]: `A` is no name: a small letter, then small letters, digits and _, at most 63 + \
         4 unknown key `remote.A.x`; known: kind, profile, url, auth, insecure, command, app, output, format, rows, id, document, absent",
    );
}

#[test]
fn remotes_are_checked() {
    let check = |text: &str, expected: &str| assert_eq!(said(text), expected, "{text}");
    check(REMOTE, "good");
    check("[remote.r] | kind = 'rest' | url = 'https://x'", "1 [remote.r]: no such profile; known: tracker, stampless");
    check("[remote.r] | kind = 'rset' | url = 'https://x'", "1 [remote.r]: no kind is called `rset`");
    check(
        "[remote.r] | kind = 'rest' | url = 'https://x' | insecur = true",
        "4 unknown key `remote.r.insecur`; did you mean `insecure`?",
    );
    let auth = |auth: &str| format!("{REMOTE}auth = {auth}");
    check(&auth("{ type = 'bearer', token = { env = 'TOKEN' } }"), "good");
    check(&auth("{ type = 'bearer', token = { file = 'not-there-yet' } }"), "good");
    check(
        &auth("{ type = 'bearer', token = { plain = 'hunter2' } }"),
        "5 a secret stands in a file that others can read; chmod 600 f, or keep the secret elsewhere: { file = \"NAME\" }",
    );
    // What could be a password is not repeated.
    let text = said(&auth("{ type = 'basic', username = 'me', password = 'hunter2' }"));
    assert!(
        text.starts_with("5 [remote.r]: a secret does not stand in the configuration") && !text.contains("hunter2"),
        "{text}"
    );
    check("[remote.r] | kind = 'rest'", "1 [remote.r] has no `url`");
    check(
        &format!("{REMOTE}[remote.r2] | kind = 'rest' | url = 3"),
        "7 [remote.r2]: invalid type: integer `3`, expected a string",
    );
}

#[test]
fn syncs_are_checked() {
    let check = |text: &str, expected: &str| {
        assert_eq!(said(&format!("{REMOTE}{text}")), expected, "{text}");
    };
    check(SYNC, "good");
    check(
        &format!("{SYNC} every = '15m' | flex = '5m' | deadline = '2m' | stall = '30s' | alert_after = '1d' | on_start = true"),
        "good",
    );
    check(
        "[sync.s] | resource = ''",
        "5 [sync.s] has no `collection`; name the collection whose records it keeps: collection = \"issues\" \
         + 5 [sync.s] has no `remote`; name a [remote.NAME] of this configuration + 5 [sync.s] has no `direction`; down, up or both",
    );
    check("[sync.s] | collection = 'c' | remote = 'q' | direction = 'down'", "7 no remote is called `q`; did you mean `r`?");
    check(
        "[sync.s] | collection = 'C' | remote = 'r' | direction = 'sideways'",
        "6 `C` is no name: a small letter, then small letters, digits and _, at most 63 \
         + 8 `sync.s.direction` cannot be `sideways`; known: down, up, both",
    );
    let time = "write a number with a unit (ms, s, m, h, d, w): \"15m\", \"1h 30m\"";
    check(&format!("{SYNC} every = '15'"), &format!("9 `sync.s.every`: `15` is no length of time; {time}"));
    check(&format!("{SYNC} every = 15"), &format!("9 `sync.s.every` must be a length of time in quotes; {time}"));
    check(
        &format!("{SYNC} every = '0s'"),
        "9 `sync.s.every` must be longer than nothing; leave the key out where it is not wanted",
    );
    check(&format!("{SYNC} every = '5ms'"), "9 `every` is shorter than 1s");
    check(&format!("{SYNC} every = '1h' | flex = '2h'"), "10 `flex` is longer than `every`; it is the last part of the interval");
    check(&format!("{SYNC} flex = '2h'"), "9 `flex` (2h) is a part of `every`, which is not there; add every = \"...\"");
    check(
        &format!("{SYNC} timezone = 'UTC'"),
        "9 `timezone` (UTC) is for `cron` and `window`, of which neither is there; take it out",
    );
    check(
        "[remote.o] | kind = 'rest' | profile = 'readonly' | url = 'https://x' | [sync.s] | collection = 'c' | remote = 'o' | direction = 'up'",
        "12 the remote `o` takes no writes; direction = \"down\"",
    );
    check(&format!("{SYNC} cron = '0 6 * * mon-fri' | timezone = 'Europe/Berlin'"), "good");
    check(
        &format!("{SYNC} cron = '0 6 * * *' | timezone = 'Europe/Bern'"),
        "10 no time zone is called `Europe/Bern`; a name like Europe/Berlin, or UTC",
    );
    check(
        &format!("{SYNC} every = '1h' | cron = '0 6 * * *'"),
        "10 `every` and `cron` together say two different things; keep one of them",
    );
    check(&format!("{SYNC} evry = '15m'"), "9 unknown key `sync.s.evry`; did you mean `every`?");
    check(&format!("{SYNC} on_change = false"), "good");
    check(
        &format!("{SYNC} on_change = true"),
        "9 `sync.s.on_change` must be a table; on_change = { after = \"2s\", at_most = \"30s\" }, or false",
    );
    check(
        &format!("{SYNC} on_change = {{ after = '1h' }}"),
        "9 `after` is longer than `at_most`; on_change = { after = \"2s\", at_most = \"30s\" }, or false",
    );
    check(&format!("{SYNC} on_change = {{ afer = '1s' }}"), "9 unknown key `sync.s.on_change.afer`; did you mean `after`?");
    check(
        &format!("{SYNC} backoff = {{ growth = 'square' }}"),
        "9 `sync.s.backoff.growth` cannot be `square`; known: exponential, linear",
    );
}

#[test]
fn cron_says_why() {
    let text = said(&format!("{REMOTE}{SYNC} cron = '61 * * * *'"));
    assert!(text.starts_with("9 `61 * * * *` is no cron expression: "), "{text}");
    assert!(text.ends_with("; minute hour day month weekday: \"0 6 * * mon-fri\""), "{text}");
    let text = said(&format!("{REMOTE}{SYNC} cron = '0 0 30 2 *'"));
    assert!(text.starts_with("9 `0 0 30 2 *` never rings: there is no such day; "), "{text}");
}

#[test]
fn sections_must_agree() {
    let check = |text: &str, expected: &str| {
        assert_eq!(said(&format!("{REMOTE}{SYNC}{text}")), expected, "{text}");
    };
    let other = "[remote.o] | kind = 'rest' | profile = 'stampless' | url = 'https://example.net' | [sync.t] | remote = 'o' | ";
    check(&format!("{other} collection = 'c' | direction = 'down'"), "good");
    check(
        "[sync.t] | remote = 'r' | collection = 'd' | direction = 'down'",
        "9 [sync.s] already keeps this resource of `r` in the collection `c`; use that collection, or another resource",
    );
    check("[sync.t] | remote = 'r' | collection = 'd' | direction = 'down' | resource = 'x'", "good");
    check("[collection.c] | merge = { default = 'newest' }", "good");
    check(
        &format!("{other} collection = 'd' | direction = 'down' | [collection.d] | merge = {{ a = 'newest', b = 'union' }}"),
        "18 `newest` cannot be told here: records of the remote `o` carry no time of their last change; use another rule: remote, \
         truth, manual",
    );
    check(
        "[collection.c] | merge = { default = 'uion' }",
        "10 `collection.c.merge.default` cannot be `uion`; did you mean `union`?",
    );
    check(
        "[collection.c] | merge = 'union'",
        "10 `collection.c.merge` must be a table; merge = { default = \"remote\", labels = \"union\" }",
    );
    check(
        "[collection.c] | identity = 'number'",
        "10 `collection.c.identity` must be a list of names in quotes, or a list of such lists; identity = [\"number\"], or \
         [[\"email\"], [\"name\", \"born\"]]",
    );
    check("[collection.c] | index = ['a', 'a']", "10 `collection.c.index` has `a` twice");
    check(
        "[collection.c] | index = ['a'] | columns = ['a', 'A']",
        "11 `A` and `a` would be one column; the published view does not tell capitals apart",
    );
    check("[collection.c] | columns = ['Seq']", "10 `Seq` cannot be a column; the published view has id, seq and data by itself");
    check("[collection.m_x] | nested = true", "9 a collection cannot be called `m_x`; names with m_ are the store's own");
    check("[app.editor] | grants = { c = 'read' }", "good");
    check("[app.editor] | grants = { d = 'read' }", "10 no collection is called `d`; did you mean `c`?");
    check("[app.editor] | grants = { c = 'reed' }", "10 `app.editor.grants.c` cannot be `reed`; did you mean `read`?");
    check("[app.editor] | grants = { c = 'review' }", "10 `review` is not built yet; read, write or none");
    check("[app.editor]", "9 the section has no `grants`; grants = { issues = \"read\" }");
}

#[test]
fn all_problems_come_at_once() {
    let text = said("[store] | x = 1 | [sync.s] | evry = 1 | [app.A] | [app.b] | grants = {} | filter = 1");
    assert_eq!(text.split(" + ").count(), 8, "{text}");
}

#[test]
fn ten_mistakes_of_ten_kinds_are_told_at_once() {
    let text = said(
        "[remote.r] | kind = 'rest' | profile = 'tracker' | url = 'https://x' | insecur = true | timeot = 3
         | [remote.o] | kind = 'rset' | url = 'https://y'
         | [sync.S] | evry = '1h' | collection = 'c' | remote = 'r' | direction = 'down'
         | [sync.t] | collection = 'd' | remote = 'q' | direction = 'both'
         | [sync.u] | collection = 'e' | remote = 'r' | direction = 'sideways'
         | [collection.d] | columns = ['Seq']
         | [collection.m_x]
         | [app.bot] | grants = { c = 'read', e = 'read', z = 'read' }",
    );
    let expected = [
        "unknown key `remote.r.insecur`; did you mean `insecure`?",
        "unknown key `remote.r.timeot`",
        "[remote.o]: no kind is called `rset`",
        "[sync.S]: `S` is no name",
        "unknown key `sync.S.evry`; did you mean `every`?",
        "no remote is called `q`",
        "`sync.u.direction` cannot be `sideways`",
        "`Seq` cannot be a column",
        "a collection cannot be called `m_x`",
        "no collection is called `z`",
    ];
    for part in expected {
        assert!(text.contains(part), "no {part} in {text}");
    }
    // And nothing is said that only follows from another mistake.
    assert_eq!(text.split(" + ").count(), expected.len(), "{text}");
}

#[test]
fn what_a_broken_file_would_have_brought_is_not_said_to_be_missing() {
    let sources =
        [source("a", "[remote.r\n"), source("b", &lines(&format!("{SYNC} | [app.x] | grants = {{ q = 'read' }} | y = 1")))];
    let problems = parse(&sources, &World).expect_err("two mistakes");
    let told: Vec<_> = problems.iter().map(|problem| (problem.file.display().to_string(), problem.line)).collect();
    assert_eq!(told, [("a".to_owned(), 1), ("b".to_owned(), 8)], "{problems:?}");
}

#[test]
fn files_add_up() {
    let both = |a: &str, b: &str| parse(&[source("a", &lines(a)), source("b", &lines(b))], &World);
    let config = both(REMOTE, SYNC).expect("one from each");
    assert_eq!((config.remotes.len(), config.syncs.len()), (1, 1));
    let problems = both(REMOTE, REMOTE).expect_err("twice");
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["b:1: [remote.r] is there already: a:1\n  hint: a section stands in one file, as a whole"]
    );
    let problems = both("[store]", "|[store]").expect_err("twice");
    assert_eq!((problems[0].line, problems[0].what.as_str()), (2, "[store] is there already: a:1"));
}

#[test]
fn defaults_are_the_documented_ones() {
    let timing = |text: &str| good(&format!("{REMOTE}{SYNC}{text}")).syncs["s"].timing.clone();
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let bare = timing("");
    assert_eq!(bare.repeat, Repeat::Never);
    assert!(!bare.on_start);
    assert_eq!(bare.on_change, Some(OnChange { after: Duration::from_secs(2), at_most: Duration::from_secs(30) }));
    assert_eq!(bare.backoff, Backoff { first: Duration::from_secs(30), at_most: minutes(300), doubles: true });
    assert_eq!(bare.alert_after, minutes(24 * 60));
    assert_eq!(timing("on_change = false").on_change, None);
    assert_eq!(timing("every = '1h'").repeat, Repeat::Every { every: minutes(60), flex: minutes(60), grows_to: None });
    assert_eq!(
        timing("every = '1h' | flex = '10m'").repeat,
        Repeat::Every { every: minutes(60), flex: minutes(10), grows_to: None }
    );
    assert_eq!(timing("every = '1h'").alert_after, minutes(24 * 60));
    assert_eq!(timing("every = '1d'").alert_after, minutes(3 * 24 * 60));
    assert_eq!(
        timing("backoff = { growth = 'linear', first = '1m' }").backoff,
        Backoff { first: minutes(1), at_most: minutes(300), doubles: false }
    );
    let down = good(&format!("{REMOTE}[sync.s] | collection = 'c' | remote = 'r' | direction = 'down'"));
    assert_eq!(down.syncs["s"].timing.on_change, None);
    assert_eq!(down.collections["c"], CollectionDefinition::default());
    assert_eq!(good("").store.synchronous, Synchronous::Full);
}

#[test]
fn collections_and_apps_are_read() {
    let config = good(
        "[collection.c] | identity = ['n'] | merge = { default = 'truth', l = 'union', t = 'text' } | delete = 'keep_delete' | nested = true \
         | index = ['n', 's'] | columns = ['n'] | retention = '30d' | [app.my-app] | grants = { c = 'read' }",
    );
    let collection = &config.collections["c"];
    assert_eq!(collection.policy.default, Merge::Truth);
    assert_eq!(
        (collection.policy.of("l"), collection.policy.of("t"), collection.policy.of("x")),
        (Merge::Union, Merge::Text, Merge::Truth)
    );
    assert_eq!((collection.policy.delete, collection.policy.nested), (OnDelete::KeepDelete, true));
    assert_eq!(collection.policy.identity, [["n"]]);
    assert_eq!((collection.index.len(), collection.columns.len()), (2, 1));
    assert_eq!(collection.retention, Some(Duration::from_secs(30 * 86_400)));
    assert_eq!(config.apps["my-app"]["c"], Grant::Read);
}

/// A configuration directory with one bad thing about it.
fn directory(make: impl Fn(&Path)) -> (tempfile::TempDir, Result<Config, Vec<Problem>>) {
    let room = tempfile::tempdir().expect("a directory for the test");
    make(room.path());
    let loaded = load(&Where::Directory(room.path().to_owned()), &World);
    (room, loaded)
}

fn put(path: &Path, text: &str, mode: u32) {
    fs::write(path, lines(text)).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}

#[test]
fn nothing_there_is_no_error() {
    let (room, loaded) = directory(|_| ());
    let config = loaded.expect("no syncs");
    assert_eq!(config.looked, [room.path().join("config.toml"), room.path().join("conf.d/*.toml")]);
    assert_eq!(config.missing().len(), 2);
    let gone = load(&Where::Directory(room.path().join("no/such")), &World).expect("no syncs");
    assert!(gone.files.is_empty());
    let named = load(&Where::File(room.path().join("none.toml")), &World).expect_err("it was asked for by name");
    assert!(named[0].what.starts_with("cannot be read: "), "{named:?}");
}

#[test]
fn the_directory_is_read_in_order() {
    let (room, loaded) = directory(|room| {
        fs::create_dir(room.join("conf.d")).expect("mkdir");
        put(&room.join("config.toml"), REMOTE, 0o600);
        put(&room.join("conf.d/20-b.toml"), SYNC, 0o600);
        put(&room.join("conf.d/10-a.toml"), "[collection.a]", 0o644);
        put(&room.join("conf.d/.hidden.toml"), "broken", 0o600);
        put(&room.join("conf.d/a.toml~"), "broken", 0o600);
    });
    let config = loaded.expect("good");
    let names: Vec<_> =
        config.files.iter().map(|path| path.strip_prefix(room.path()).expect("inside").display().to_string()).collect();
    assert_eq!(names, ["config.toml", "conf.d/10-a.toml", "conf.d/20-b.toml"]);
    assert_eq!(config.collections.keys().collect::<Vec<_>>(), ["a", "c"]);
}

#[test]
fn unfit_files_are_refused() {
    let check = |make: fn(&Path), expected: &str| {
        let (room, loaded) = directory(make);
        let problems = loaded.expect_err("refused");
        let said: Vec<_> = problems.iter().map(|p| p.to_string().replace(&format!("{}/", room.path().display()), "")).collect();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with(expected), "expected {expected}, found {said:?}");
    };
    check(
        |room| put(&room.join("config.toml"), "", 0o666),
        "config.toml: is writable by other users (mode 666), and it may name commands",
    );
    check(
        |room| {
            fs::create_dir(room.join("conf.d")).expect("mkdir");
            fs::set_permissions(room.join("conf.d"), fs::Permissions::from_mode(0o777)).expect("chmod");
        },
        "conf.d: is writable by other users (mode 777)",
    );
    check(|room| fs::write(room.join("config.toml"), b"a = 1\n\xff").expect("written"), "config.toml: is not UTF-8 (line 2)");
    check(
        |room| fs::write(room.join("config.toml"), vec![b'#'; 2 * 1024 * 1024]).expect("written"),
        "config.toml: has 2097152 bytes, more than the 1048576",
    );
    check(|room| fs::create_dir(room.join("config.toml")).expect("mkdir"), "config.toml: is not a plain file");
    check(|room| std::os::unix::fs::symlink("nowhere", room.join("config.toml")).expect("link"), "config.toml: cannot be read");
    check(|room| put(&room.join("config.toml"), "[store", 0o600), "config.toml:1: ");
    check(
        |room| {
            let auth = "auth = { type = 'bearer', token = { file = 'r.secret' } }";
            put(&room.join("config.toml"), &format!("{REMOTE}{auth}"), 0o600);
            put(&room.join("r.secret"), "s", 0o644);
        },
        "config.toml:5: the secret file r.secret is open to other users (mode 644)\n  hint: chmod 600 r.secret",
    );
}

#[test]
fn a_pipe_does_not_hold_up_the_start() {
    let (room, _) = directory(|_| ());
    let path = room.path().join("config.toml");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).expect("a pipe");
    let problems = load(&Where::Directory(room.path().to_owned()), &World).expect_err("refused");
    assert_eq!(problems[0].what, "is not a plain file");
}

const WHOLE: &str = "[store] | path = '~/x.db' | synchronous = 'normal' | \
    [remote.r] | kind = 'rest' | profile = 'tracker' | url = 'https://example.org' | auth = { type = 'bearer', token = { env = 'T' } } | \
    [sync.s] | collection = 'c' | remote = 'r' | resource = 'x' | direction = 'both' | every = '15m' | flex = '5m' | deadline = '2m' | \
    on_change = { after = '2s', at_most = '30s' } | backoff = { first = '1m', growth = 'linear' } | \
    [collection.c] | identity = ['n'] | merge = { default = 'remote', l = 'union' } | index = ['n'] | [app.a] | grants = { c = 'read' }";

/// Half-written files, slips of the finger: each is read, or refused with a line that is there. Nothing panics.
#[test]
fn any_broken_file_is_refused_with_a_line() {
    let whole = lines(WHOLE);
    assert!(read(WHOLE).is_ok(), "{}", said(WHOLE));
    let last = whole.lines().count();
    let check = |text: &str| {
        if let Err(problems) = parse(&[source("f", text)], &World) {
            assert!(!problems.is_empty(), "{text}");
            for problem in problems {
                assert!((1..=last + 1).contains(&problem.line), "{problem} of {text}");
                assert!(!problem.what.is_empty() && problem.file == Path::new("f"), "{problem:?}");
            }
        }
    };
    for (at, letter) in whole.char_indices() {
        check(&whole[..at]);
        check(&format!("{}{}", &whole[..at], &whole[at + letter.len_utf8()..]));
        for slip in ["'", "=", "[", "}", "\n", "0", "\u{0}"] {
            check(&format!("{}{slip}{}", &whole[..at], &whole[at..]));
        }
    }
}

#[test]
fn changes_go_to_each_replica_once() {
    let whole = good(&format!("{REMOTE}{SYNC}"));
    // Several places for one collection are refused when they are read: what is asked for here has to be right without that.
    let check = |syncs: &[(&str, &str, &str, &str, Direction)], expect: &[&str]| {
        let sync = |(name, collection, remote, resource, direction): &(&str, &str, &str, &str, Direction)| {
            let (collection, remote, resource) = ((*collection).into(), (*remote).into(), (*resource).into());
            let sync = SyncDefinition { collection, remote, resource, direction: *direction, ..whole.syncs["s"].clone() };
            ((*name).to_owned(), sync)
        };
        let config = Config { syncs: syncs.iter().map(sync).collect(), ..whole.clone() };
        let senders: Vec<&str> = config.several().senders().into_iter().map(|(name, _)| name).collect();
        assert_eq!(senders, expect, "{syncs:?}");
    };
    use Direction::{Both, Down, Up};
    check(&[], &[]);
    check(&[("a", "c", "r", "x", Down)], &[]);
    check(&[("b", "c", "r", "x", Up), ("a", "c", "r", "x", Both), ("c", "c", "r", "x", Down)], &["a"]);
    check(&[("a", "c", "r", "x", Down), ("b", "c", "r", "x", Up)], &["b"]);
    check(&[("a", "c", "r", "x", Up), ("b", "c", "r", "y", Up)], &["a", "b"]);
    check(&[("a", "c", "r", "x", Up), ("b", "c", "o", "x", Up), ("c", "d", "r", "x", Up)], &["a", "b", "c"]);
}

#[test]
fn a_large_file_is_read_quickly() {
    let text: String = (0..20_000).map(|n| format!("[collection.c{n}]\nindex = ['a']\n")).collect();
    #[expect(clippy::disallowed_methods, reason = "what reading costs is measured")]
    let before = std::time::Instant::now();
    let config = parse(&[source("f", &text)], &World).expect("good");
    assert_eq!(config.collections.len(), 20_000);
    // Lax, for this is no quiet machine and no release build; a look at the whole file for each key would take minutes.
    assert!(before.elapsed() < Duration::from_secs(20), "{:?}", before.elapsed());
}
