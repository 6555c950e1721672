//! Owns: what people are told where they asked for something that cannot be: in words of the command line, once, with what to do. Must
//! never know: where those words are made.

use std::fs;

use mingle_tests::{daemon::Home, rest_server::Options, servers::Kinto};
use serde_json::json;

use crate::bench::{kinto_config, scripted, scripted_config};

#[test]
fn refusals_speak_of_options_and_say_what_to_do() {
    let bench = scripted(Options::default(), "");
    let check = |code: i32, words: &[&str], parts: &[&str], not: &[&str]| {
        let said = bench.daemon.says(code, words);
        for part in parts {
            assert!(said.contains(part), "{words:?} says no {part:?}: {said}");
        }
        for part in not {
            assert!(!said.contains(part), "{words:?} says {part:?}: {said}");
        }
    };
    bench.daemon.says(0, &["put", "things", "a", "{}"]);
    check(1, &["put", "things", "a", "{}"], &["give --if-seq, or --overwrite"], &["if_seq", "overwrite: true"]);
    check(2, &["put", "things", "a", "{\"n\":"], &["no JSON", "Usage: mingle put"], &[]);
    check(1, &["conflict", "resolve", "c-1", "--keep", "theirs"], &["mingle conflict list", "--all"], &[]);
    check(1, &["profile", "check", "kinto"], &["built in", "mingle profile show kinto"], &[]);
    check(1, &["profile", "check", "no-such-file"], &["hint: give the file"], &[]);
    let copy = bench.daemon.dir().join("copy.db").display().to_string();
    bench.daemon.says(0, &["backup", &copy]);
    check(1, &["backup", &copy], &["already", "hint: give another name"], &[]);
    let config = scripted_config(&bench.server.url, "");
    bench.daemon.configure(&format!("{config}\n[app.bot]\ngrants = {{}}\nx = 1\n"));
    check(2, &["reload"], &["unknown key `app.bot.x` (known: grants)"], &[";  hint"]);
    bench.daemon.configure(&config.replace("\"both\"", "\"down\""));
    bench.daemon.says(0, &["reload"]);
    check(1, &["put", "things", "b", "{}"], &["direction = \"both\"", "hint: `mingle config path`"], &["direction up or both"]);
}

#[test]
fn attention_names_what_is_wrong_with_a_secret() {
    let kinto = Kinto::shared();
    let daemon = Home::new(Some(&kinto_config(&kinto.url, &kinto.collection(), "notes", ""))).start();
    daemon.says(5, &["sync", "notes"]);
    let said = daemon.says(0, &["status"]);
    assert!(said.contains("kinto.secret") && said.contains("write the secret there"), "{said}");
}

#[test]
fn a_secret_comes_from_the_credentials_of_the_service_manager() {
    let kinto = Kinto::shared();
    let config = kinto_config(&kinto.url, &kinto.collection(), "notes", "");
    let config = config.replace("{ file = \"kinto.secret\" }", "{ credential = \"kinto\" }");
    // Without a service manager there is none: said, with what to add to the unit.
    let mut daemon = Home::new(Some(&config)).start();
    daemon.says(5, &["sync", "notes"]);
    let said = daemon.says(0, &["status"]);
    assert!(said.contains("LoadCredentialEncrypted=kinto"), "{said}");
    daemon.terminate();
    // As systemd gives them: a folder that is named in the environment, with a file that nobody may write.
    let folder = daemon.dir().join("credentials");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("kinto"), format!("{}\n", Kinto::ACCOUNT.1)).expect("a credential");
    let mut mode = fs::metadata(folder.join("kinto")).expect("a file").permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o440);
    fs::set_permissions(folder.join("kinto"), mode).expect("its mode");
    daemon.set("CREDENTIALS_DIRECTORY", folder.display().to_string());
    daemon.start();
    daemon.app("tester").put("notes", "n1", &json!({ "n": 1 }));
    daemon.says(0, &["sync", "notes"]);
    assert_eq!(daemon.app("tester").status("notes")["pending"], 0);
}
