//! Owns: whether the unit of the status socket lets in whom the configuration means. Must never know: how findings are shown.
//!
//! The daemon takes such a socket over as the unit made it: a group that only one of the two names gets nowhere.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::systemctl::{self, Whose};

const UNIT: &str = "mingle-status.socket";

/// For `mingle doctor`. `group`: what `[status] group` means. None: no unit makes the socket, so the daemon makes it as configured.
pub fn finding(group: Option<u64>) -> Option<Value> {
    // The machine's unit serves the machine's daemon, whose configuration is root's to look at.
    let machines = rustix::process::geteuid().is_root().then_some(Whose::System);
    let units = [Some(Whose::User), machines].into_iter().flatten().map(|whose| (whose, systemctl::socket(whose, UNIT)));
    // A unit that only lies there makes no socket.
    let (whose, unit) = units.into_iter().find(|(_, unit)| unit.get("ActiveState").is_some_and(|state| state == "active"))?;
    Some(compare(group, whose, &unit, &number))
}

fn compare(group: Option<u64>, whose: Whose, unit: &BTreeMap<String, String>, number: &dyn Fn(&str) -> Option<u64>) -> Value {
    let of = |name: &str| unit.get(name).map(String::as_str).unwrap_or_default();
    let (name, mode) = (of("SocketGroup"), of("SocketMode"));
    let open = u32::from_str_radix(mode, 8).unwrap_or(0o666) & 0o077;
    let has = match name {
        "" => format!("no SocketGroup= and SocketMode={mode}"),
        name => format!("SocketGroup={name} and SocketMode={mode}"),
    };
    let (wants, good) = match group {
        None => ("no group".to_owned(), open == 0),
        Some(group) => (format!("group {group}"), open == 0o060 && number(name) == Some(group)),
    };
    let what = format!("[status] group is {wants}; {UNIT} has {has}");
    let found = |state: &str, hint: String| json!({"about": "status socket", "state": state, "what": what, "hint": hint});
    if good {
        return found("good", String::new());
    }
    let (lines, refused) = match group {
        None => ("SocketMode=0600".to_owned(), "else set `[status] group` to whom it is for"),
        Some(group) => (format!("SocketGroup={group} and SocketMode=0660"), "until then its members cannot look"),
    };
    let ctl = whose.command();
    found(
        "bad",
        format!("`{ctl} edit {UNIT}`, write {lines} below [Socket], then `{ctl} restart {UNIT} mingled.service`; {refused}"),
    )
}

/// The number of a group, by its name or as it is.
fn number(name: &str) -> Option<u64> {
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let output = std::process::Command::new("getent").args(["group", name]).output().ok()?;
    String::from_utf8_lossy(&output.stdout).split(':').nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_and_a_configuration_that_differ_are_told_with_the_remedy() {
        #[track_caller]
        fn check(group: Option<u64>, name: &str, mode: &str, state: &str, part: &str) {
            let unit = [("ActiveState", "active"), ("SocketGroup", name), ("SocketMode", mode)];
            let unit = unit.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            let number = |name: &str| if name == "bars" { Some(7) } else { name.parse().ok() };
            let found = compare(group, Whose::System, &unit, &number);
            assert_eq!(found["state"], state, "{found}");
            assert!(found.to_string().contains(part), "{part}: {found}");
        }
        check(None, "", "0600", "good", "no group");
        check(None, "mingle", "0600", "good", "SocketGroup=mingle");
        check(None, "bars", "0660", "bad", "SocketMode=0600");
        check(Some(7), "bars", "0660", "good", "group 7");
        check(Some(7), "7", "0660", "good", "group 7");
        check(Some(7), "mingle", "0660", "bad", "`systemctl edit mingle-status.socket`, write SocketGroup=7 and SocketMode=0660");
        check(Some(7), "bars", "0600", "bad", "SocketGroup=bars and SocketMode=0600");
        check(Some(7), "", "0600", "bad", "no SocketGroup=");
        check(Some(7), "bars", "0666", "bad", "SocketMode=0666");
    }
}
