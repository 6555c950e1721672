//! Owns: `mingle remote login` and `logout` against a scripted daemon. Must never know: where a secret is kept.

use std::fs;

use serde_json::json;

use crate::{
    check,
    fake::{Fake, Heard, Say},
    script,
};

fn keeper(heard: &Heard) -> Vec<Say> {
    let place = json!({"remote": heard.params["remote"], "place": "the keyring, as a/b"});
    let answer = match heard.method.as_str() {
        "remote.login" if heard.params["secret"] == "sesame" => Say::Answer(place),
        "remote.login" => Say::Refuse("wrong_state", json!({"hint": "put it there"})),
        "remote.logout" => {
            let mut place = place;
            place["removed"] = json!(heard.params["remote"] == "github");
            Say::Answer(place)
        }
        "remote.list" => {
            let one = |name: &str, login: &str| json!({"remote": name, "kind": "rest", "url": "https://x", "login": login});
            Say::Answer(json!({"remotes": [one("github", "secret"), one("work", "oauth2")]}))
        }
        "remote.authorize" => {
            let mut begun =
                json!({"remote": "work", "login": "l-1", "url": "https://id.example.org/a?b=c", "within_ms": 900_000});
            if heard.params["device"] == true {
                begun["code"] = json!("WDJB-MJHT");
            }
            Say::Answer(begun)
        }
        "remote.authorized" if heard.params["login"] == "l-1" => {
            Say::Answer(json!({"remote": "work", "place": "the file work.json", "lacks": ["offline_access"]}))
        }
        _ => return script(heard),
    };
    vec![answer]
}

#[test]
fn a_login_with_a_browser_shows_where_and_what_came_of_it() {
    let fake = Fake::start(keeper);
    let shown = ["open this address in a browser on this machine", "(within 15 min)", "  https://id.example.org/a?b=c"];
    let done =
        ["the login of work is in the file work.json", "does not say whose it is", "not given, though asked for: offline_access"];
    // Whoever answers the check knows no such remote.
    check(&fake, "remote login work", 1, &[&shown[..], &done[..], &["work: failed"]].concat());
    let code = ["open this address at any machine, and write the code WDJB-MJHT there (within 15 min)"];
    check(&fake, "remote login work --device", 1, &[&code[..], &done[..]].concat());
    check(&fake, "remote login work --device --browser", 2, &[]);
    check(&fake, "remote login work", 1, &["counts as another person's", "`mingle remote login work --same-person`"]);
    check(&fake, "remote login work --same-person", 1, &["counts as the same person's as before"]);
}

#[test]
fn a_login_says_where_the_secret_is_and_whether_it_is_taken() {
    let fake = Fake::start(keeper);
    let file = fake.socket().with_file_name("secret");
    fs::write(&file, "sesame\n").expect("written");
    let login = |remote: &str| format!("remote login {remote} --secret-file {}", file.display());
    check(&fake, &login("github"), 0, &["the secret of github is in the keyring, as a/b", "github: ok"]);
    check(&fake, &login("other"), 1, &["as a/b", "other: failed"]);
    check(&fake, "remote login github --secret-file /nowhere", 1, &["!/nowhere: "]);
    fs::write(&file, "x").expect("written");
    check(&fake, &login("github"), 1, &["!wrong_state", "!hint: put it there"]);
    fs::write(&file, "x".repeat(70_000)).expect("written");
    check(&fake, &login("github"), 1, &["!more than 64 KiB"]);
    check(&fake, "remote logout github", 0, &["was taken out of the keyring, as a/b"]);
    check(&fake, "remote logout other", 0, &["was not in the keyring"]);
}
