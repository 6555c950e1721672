//! Owns: a login that a person ends with a browser: what is shown, and what is opened. Must never know: how the service is asked.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use mingle_client::call::{RemoteAuthorize, RemoteAuthorizeAnswer, RemoteAuthorized, RemoteAuthorizedAnswer};

use crate::{
    at::{At, complain},
    exit::Failure,
    words::{plain, span},
};

/// Shows where a person agrees, and waits until they have. An end by Ctrl-C ends the login: the daemon sees that nobody waits.
pub fn authorize(at: &mut At, call: RemoteAuthorize, browser: bool) -> Result<(), Failure> {
    let same_person = call.same_person;
    let begun = at.show(call, shown)?;
    at.flush()?;
    if browser {
        open(&begun.url);
    }
    at.show(RemoteAuthorized { login: begun.login }, |answer| done(answer, same_person))?;
    at.flush()
}

/// What a person is told to do.
fn shown(begun: &RemoteAuthorizeAnswer) -> String {
    let within = span(Duration::from_millis(begun.within_ms));
    plain(&match &begun.code {
        Some(code) => {
            format!("open this address at any machine, and write the code {code} there (within {within}):\n\n  {}\n", begun.url)
        }
        None => format!("open this address in a browser on this machine, and log in (within {within}):\n\n  {}\n", begun.url),
    })
}

fn done(answer: &RemoteAuthorizedAnswer, same_person: bool) -> String {
    let RemoteAuthorizedAnswer { remote, place, account, lacks, renews, over_at } = answer;
    let mut text = match account {
        Some(account) => format!("{account} has logged in to {remote}; the login is in {place}"),
        None if same_person => format!(
            "the login of {remote} is in {place}; the service does not say whose it is, and it counts as the same person's as before"
        ),
        None => format!(
            "the login of {remote} is in {place}; the service does not say whose it is, so it counts as another person's than any before, and syncs that spoke for one wait; if that was you: `mingle remote login {remote} --same-person`"
        ),
    };
    if !lacks.is_empty() {
        text.push_str(&format!("\nnot given, though asked for: {}", lacks.join(", ")));
    }
    if *renews == Some(false) {
        let over = over_at.as_ref().map_or_else(String::new, |over| format!(", at {over}"));
        text.push_str(&format!(
            "\nthe service gave nothing to renew it with: it runs out{over}, and you are asked again; for the scope \"offline_access\" many services give it"
        ));
    }
    plain(&text)
}

/// Where there is no browser the address was printed all the same.
fn open(url: &str) {
    let opened = Command::new("xdg-open").arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    match opened {
        // It may be the browser itself, which ends when the person closes it: the login does not wait for that.
        Ok(mut opened) => drop(std::thread::spawn(move || match opened.wait() {
            Ok(status) if status.success() => {}
            Ok(status) => complain(&format!("no browser was opened: xdg-open ended with {status}")),
            Err(error) => complain(&format!("no browser was opened: xdg-open: {error}")),
        })),
        Err(error) => complain(&format!("no browser was opened: xdg-open: {error}")),
    }
}
