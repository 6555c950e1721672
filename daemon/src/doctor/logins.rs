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
