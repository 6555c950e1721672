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
        _ => return script(heard),
    };
    vec![answer]
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
