//! Owns: what becomes of profiles that say something wrong.
//! Must never know: any service.

use std::path::Path;

use mingle_tests::rest_server::{Options, RestServer};
use mingled::remotes::{self, rest::catalog};

use crate::bench::settings;

/// Checks what is said of a profile made from a good one by replacing a piece of it.
#[track_caller]
fn check(dir: &Path, good: &str, piece: &str, by: &str, expect: &str) {
    assert!(good.contains(piece), "{piece}");
    std::fs::write(dir.join("profiles/mine.toml"), good.replacen(piece, by, 1)).expect("a profile");
    let said = remotes::look(&settings("mine", "http://localhost/"), dir).expect_err(by).to_string();
    assert!(said.contains(expect) && said.contains("mine"), "{piece} by {by} said: {said}");
}

#[test]
fn a_profile_that_contradicts_itself_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = Options { batches: 3, keys: true, ..Options::default() };
    RestServer::start(options, &[]).write_profile(dir.path());
    let good = catalog::text(RestServer::PROFILE, dir.path()).expect("a profile");
    let check = |piece: &str, by: &str, expect: &str| check(dir.path(), &good, piece, by, expect);
    check("version = 1", "versoin = 1", "versoin");
    check("version = 1", "", "version");
    check("cursor = \"token\"", "cursor = \"toekn\"", "toekn");
    check("cursor = \"token\"", "cursor = \"none\"", "no use for {since}");
    check("since = \"{since}\", ", "", "needs list.token");
    check("\"{page_rows}\"", "\"{page_raws}\"", "{page_raws}");
    check("\"{since}\"", "\"{since\"", "no name");
    check("\"/{resource}/{id}\"", "\"/{resource}/{revision}\"", "get.path has {revision}");
    check("deleted = \"/gone\"\n", "", "tombstones need");
    check("revision = \"/rev\"\n", "", "strong_revision needs");
    check("revision = \"/rev\"", "revision = \"rev\"", "does not begin with /");
    check("strong_revision = true", "strong_revision = false", "conditional needs");
    check("if-match = \"{revision}\"", "if-match = \"*\"", "{revision} in a header");
    check("conditional = true", "conditional = false", "for conditional services");
    check("client_ids = { besides = \"-_.\", min = 1, max = 64 }\n", "", "create_named belong together");
    check("min = 1, max = 64", "min = 9, max = 8", "min > max");
    check("modified_grain_ms = 1\n", "", "belong together");
    check("method = \"PUT\"", "method = \"FETCH\"", "FETCH");
    check("errands_max = 4", "errands_max = 0", "begins at 1");
    check("x-token", "x token", "no name of a header");
    check("form = \"unix_ms\"", "form = \"swatch\"", "swatch");
    check("[batch]\npath", "[batch]\nmethod = \"PSOT\"\npath", "PSOT");
    check("max = 3", "max = 1", "begins at 2");
    check("requests = \"/requests\"\n", "", "requests");
    check("path = \"/batch\"", "path = \"/batch/{id}\"", "batch.path has {id}");
    check("max = 3", "max = 3\nmax_at = \"most\"", "does not begin with /");
    check("key_kept_s = 3600\n", "", "key_kept_s and {key}");
    check("key_kept_s = 3600", "key_kept_s = 0", "promises nothing");
    check("idempotency-key = \"{key}\"", "idempotency-key = \"{key}\", x = \"{revision}\"", "create.headers.x has {revision}");
}

#[test]
fn settings_that_do_not_fit_are_refused() {
    let nowhere = Path::new("/nonexistent");
    let check = |change: &dyn Fn(&mut remotes::settings::RemoteSettings), expect: &str| {
        let mut settings = settings("json-server", "https://example.org/api");
        change(&mut settings);
        let problem = remotes::look(&settings, nowhere).expect_err(expect);
        assert!(problem.what.contains(expect) && problem.hint.is_some(), "{problem:?}");
    };
    check(&|settings| settings.kind = "rset".into(), "no kind of remote");
    check(&|settings| settings.profile = None, "needs a profile");
    check(&|settings| settings.profile = Some("jsonserver".into()), "no profile");
    check(&|settings| settings.profile = Some("../../etc/passwd".into()), "no name of a profile");
    check(&|settings| settings.url = "http://example.org".into(), "not encrypted");
    check(&|settings| settings.url = "https://me:pw@example.org".into(), "holds a login");
}

#[test]
fn another_history_has_another_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let opening = |change: &dyn Fn(&mut remotes::Opening)| {
        let mut opening = remotes::Opening {
            settings: settings("json-server", "https://example.org/api"),
            resource: "posts".into(),
            place: remotes::Place::default(),
            means: crate::bench::means(dir.path().to_path_buf()),
        };
        change(&mut opening);
        opening.history().expect("settings that fit").0
    };
    let first = opening(&|_| {});
    assert_eq!(
        first,
        opening(&|opening| opening.settings.url = "https://example.org/api/".into()),
        "a slash makes no difference"
    );
    assert_eq!(first, opening(&|opening| opening.settings.insecure = true));
    let others = [
        opening(&|opening| opening.settings.url = "https://example.org/other".into()),
        opening(&|opening| opening.resource = "comments".into()),
        opening(&|opening| opening.settings.profile = Some("kinto".into())),
        opening(&|opening| opening.settings.auth = crate::bench::login(("me", "pw"))),
        opening(&|opening| opening.settings.auth = crate::bench::login(("you", "pw"))),
    ];
    let all: std::collections::BTreeSet<&String> = others.iter().chain([&first]).collect();
    assert_eq!(all.len(), others.len() + 1, "{others:?}");
    let same = crate::bench::login(("me", "another password"));
    assert_eq!(others[3], opening(&|opening| opening.settings.auth = same.clone()), "a new password is the same account");
}
