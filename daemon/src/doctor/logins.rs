//! Owns: what is found of logins that run out: whose, until when, and whether they are renewed. Must never know: tokens, services.

use std::path::Path;

use mingle_core::time::Timestamp;

use super::{Report, State};
use crate::{
    clock,
    config::Config,
    remotes::oauth::look::{Lies, Look, look},
};

/// The folder of logins is looked at, and no service is asked.
pub(super) fn logins(report: &mut Report, config: &Config, folder: &Path, now: Timestamp) {
    for (name, remote) in &config.remotes {
        let again = format!("`mingle remote login {name}`");
        let look = match look(folder, name, remote) {
            None => continue,
            Some(Ok(look)) => look,
            Some(Err(error)) => {
                report.note("login", State::Odd, format!("{name}: {}", error.what), error.hint.unwrap_or(again));
                continue;
            }
        };
        let Look { place, account, lies } = look;
        let who = if account.is_empty() { "somebody whom the service does not name".to_owned() } else { account };
        let (state, what) = match lies {
            Lies::Nothing => (State::Odd, "nobody is logged in".to_owned()),
            Lies::Elsewhere(why) => (State::Odd, format!("{who}, in {place}; {why}")),
            Lies::InKeyring => (State::Good, format!("{who}, in {place}")),
            Lies::Renewed(None) => (State::Good, format!("{who}, in {place}; it is renewed")),
            Lies::Renewed(Some(at)) => (State::Good, format!("{who}, in {place}; it is renewed, next about {}", clock::told(at))),
            Lies::Ends(Some(at)) if at <= now => (State::Odd, format!("{who}, in {place}; it is over since {}", clock::told(at))),
            Lies::Ends(at) => {
                let at = at.map(|at| format!(" at {}", clock::told(at))).unwrap_or_default();
                (State::Odd, format!("{who}, in {place}; it runs out{at}, and there is nothing to renew it with"))
            }
        };
        report.note("login", state, format!("{name}: {what}"), if state == State::Good { String::new() } else { again });
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::{
        config::{self, Where},
        environment::Environment,
        known::BuiltIn,
    };

    #[test]
    fn a_login_is_told_with_who_until_when_and_what_is_left_to_do() {
        let room = tempfile::tempdir().expect("a directory for the test");
        let (path, folder) = (room.path().join("config.toml"), room.path().join("logins"));
        let check = |auth: &str, kept: &str, mode: u32, expect: &str| {
            let config = format!(
                "[remote.far]\nkind = \"rest\"\nprofile = \"json-server\"\nurl = \"https://far.org/x\"\n\
                 auth = {{ type = \"oauth2\", issuer = \"https://id.org\", {auth} }}\n\
                 [remote.plain]\nkind = \"rest\"\nprofile = \"json-server\"\nurl = \"https://far.org/x\"\n"
            );
            fs::write(&path, config).expect("written");
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir(&folder).expect("made");
            if !kept.is_empty() {
                let name = if auth.contains("keyring") {
                    format!("keyring.{}", &blake3::hash(b"mingle/far").to_hex()[..16])
                } else {
                    "far".into()
                };
                let file = folder.join(name + ".json");
                fs::write(&file, kept).expect("written");
                fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("chmod");
            }
            let config =
                config::load(&Where::File(path.clone()), &BuiltIn::of(&Environment::default())).expect("a configuration");
            let mut report = Report::default();
            logins(&mut report, &config, &folder, Timestamp::from_unix_ms(1_000));
            let told =
                report.findings.iter().map(|one| format!("{} {} | {}", one.state.word(), one.what, one.hint)).collect::<Vec<_>>();
            let told = told.join("\n").replace(&folder.display().to_string(), "");
            assert!(told.contains(expect) && told.lines().count() == 1, "{kept}: {told}");
            assert!(!told.contains("sesame"), "{told}");
        };
        let kept =
            |more: &str| format!("{{\"login\":\"l\",\"account\":\"ada\",\"client_id\":\"c\",\"from\":\"https://id.org\"{more}}}");
        let tokens = |more: &str| kept(&format!(",\"tokens\":{{\"access\":\"sesame\"{more}}}"));
        let c = "client_id = \"c\"";
        check(c, "", 0o600, "odd far: nobody is logged in | `mingle remote login far`");
        check(c, &kept(""), 0o600, "odd far: nobody is logged in");
        let keyring = "client_id = \"c\", tokens = { keyring = \"mingle/far\" }";
        check(keyring, &kept(",\"ended\":true"), 0o600, "odd far: nobody is logged in | `mingle remote login far`");
        check(c, &tokens(",\"refresh\":\"sesame\""), 0o600, "good far: ada, in the file /far.json; it is renewed | ");
        check(
            c,
            &tokens(",\"refresh\":\"sesame\",\"over_at_ms\":2000"),
            0o600,
            "good far: ada, in the file /far.json; it is renewed, next about 1970-01-01T00:00:02Z",
        );
        check(
            c,
            &tokens(",\"over_at_ms\":2000"),
            0o600,
            "it runs out at 1970-01-01T00:00:02Z, and there is nothing to renew it with | `mingle",
        );
        check(
            c,
            &tokens(",\"over_at_ms\":500"),
            0o600,
            "odd far: ada, in the file /far.json; it is over since 1970-01-01T00:00:00.5Z",
        );
        check(c, &tokens(""), 0o600, "it runs out, and there is nothing to renew it with");
        check(c, &tokens("").replace("ada", ""), 0o600, "somebody whom the service does not name");
        check(c, &tokens(""), 0o644, "chmod 600");
        check(c, "{", 0o600, "odd far: /far.json is no login as mingle writes it | `mingle remote login far`");
        check("client_id = \"d\"", &tokens(""), 0o600, "odd far: ada, in the file /far.json; it was given to another client_id");
        check(c, &tokens("").replace("id.org", "id.com"), 0o600, "it was given by another service");
        check(c, &tokens("").replace("\"tokens\"", "\"origins\":{\"far\":\"https://far.org\"},\"tokens\""), 0o600, "it runs out");
        check(
            c,
            &tokens("").replace("\"tokens\"", "\"origins\":{\"far\":\"https://near.org\"},\"tokens\""),
            0o600,
            "it was shown to https://near.org, and the url is another now",
        );
        let keyring = "client_id = \"c\", tokens = { keyring = \"mingle/far\" }";
        check(keyring, &kept(""), 0o600, "good far: ada, in the keyring, as mingle/far | ");
    }
}
