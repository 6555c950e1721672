//! Owns: what a sync needs of the world, and what is said of the world instead of asking the system, as they are written.
//! Must never know: how the system is asked.

use mingle_core::{
    limits,
    schedule::{Needs, Network, Window},
};
use toml::de::DeValue;

use super::{
    Given,
    section::{Inner, Section},
};

const EXAMPLE: &str = "constraints = { network = \"unmetered\", battery_not_low = true }";
const WINDOW: &str = "window = \"22:00-06:00\", or a list: [\"mon-fri 22:00-06:00\", \"sat,sun\"]";

/// What a sync needs, with a window that goes by no zone yet; and whether it says which network.
pub(super) fn read(read: &mut Section<'_>) -> (Needs, bool) {
    let table = match read.inner("constraints", EXAMPLE) {
        Inner::Table(table) => table,
        Inner::False => {
            read.complain("constraints", "`constraints` must be a table", EXAMPLE);
            return (Needs::default(), false);
        }
        Inner::Absent | Inner::Wrong => return (Needs::default(), false),
    };
    read.within("constraints", table, |inside| {
        let networks = [("none", Network::None), ("any", Network::Any), ("unmetered", Network::Unmetered)];
        let network = inside.choice("network", &networks);
        let needs = Needs {
            network: network.unwrap_or_default(),
            charging: inside.flag("charging").unwrap_or(false),
            battery_not_low: inside.flag("battery_not_low").unwrap_or(false),
            storage_not_low: inside.flag("storage_not_low").unwrap_or(false),
            idle: inside.flag("idle").unwrap_or(false),
            window: window(inside),
            unknown_holds: inside.choice("unknown", &[("passes", false), ("holds", true)]).unwrap_or(false),
        };
        (needs, network.is_some())
    })
}

fn window(read: &mut Section<'_>) -> Option<Window> {
    let texts: Option<Vec<&str>> = match read.value("window")?.get_ref() {
        DeValue::String(text) => Some(vec![text.as_ref()]),
        DeValue::Array(items) => items.iter().map(|item| item.get_ref().as_str()).collect(),
        _ => None,
    };
    let Some(texts) = texts else {
        read.wrong("window", "text in quotes, or a list of such", WINDOW);
        return None;
    };
    if texts.len() > limits::WINDOW_SPANS_MAX {
        let what = format!("`window` has {} spans; at most {}", texts.len(), limits::WINDOW_SPANS_MAX);
        read.complain("window", what, "days may stand together: \"mon-fri 22:00-06:00\"");
        return None;
    }
    match Window::parse(texts, jiff::tz::TimeZone::UTC) {
        Ok(window) => Some(window),
        Err(what) => {
            read.complain("window", what, WINDOW);
            None
        }
    }
}

/// `[conditions]`: how the world is, whatever the system says.
pub(super) fn given(read: &mut Section<'_>) -> Given {
    let networks = [
        ("system", (None, None)),
        ("online", (Some(true), Some(false))),
        ("metered", (Some(true), Some(true))),
        ("offline", (Some(false), None)),
    ];
    let powers = [
        ("system", (None, None)),
        ("external", (Some(true), Some(false))),
        ("battery", (Some(false), Some(false))),
        ("battery_low", (Some(false), Some(true))),
    ];
    let idles = [("system", None), ("yes", Some(true)), ("no", Some(false))];
    let (online, metered) = read.choice("network", &networks).unwrap_or_default();
    let (charging, battery_low) = read.choice("power", &powers).unwrap_or_default();
    Given { online, metered, charging, battery_low, idle: read.choice("idle", &idles).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{REMOTE, SYNC, good, said},
        *,
    };

    fn needs(text: &str) -> Needs {
        good(&format!("{REMOTE}{SYNC}{text}")).syncs["s"].timing.needs.clone()
    }

    #[test]
    fn what_is_needed_is_read() {
        let window = |spans: &[&str]| Window::parse(spans.iter().copied(), jiff::tz::TimeZone::UTC).ok();
        let default = Needs::default();
        for (text, expected) in [
            ("", default.clone()),
            ("constraints = { }", default.clone()),
            ("constraints = { network = 'none' }", Needs { network: Network::None, ..default.clone() }),
            (
                "constraints = { network = 'unmetered', charging = true, unknown = 'holds' }",
                Needs { network: Network::Unmetered, charging: true, unknown_holds: true, ..default.clone() },
            ),
            (
                "constraints = { battery_not_low = true, storage_not_low = true, idle = true, charging = false }",
                Needs { battery_not_low: true, storage_not_low: true, idle: true, ..default.clone() },
            ),
            ("constraints = { window = '22:00-06:00' }", Needs { window: window(&["22:00-06:00"]), ..default.clone() }),
            (
                "constraints = { window = ['mon-fri 22:00-06:00', 'sat,sun'] } | timezone = 'Europe/Paris'",
                Needs { window: window(&["mon-fri 22:00-06:00", "sat,sun"]), ..default },
            ),
        ] {
            assert_eq!(needs(text), expected, "{text}");
        }
    }

    #[test]
    fn a_remote_on_this_machine_needs_no_network_unless_it_is_said() {
        let near = "[remote.r] | kind = 'rest' | profile = 'tracker' | url = 'http://localhost:1' | ";
        let network = |text: &str| good(&format!("{near}{SYNC}{text}")).syncs["s"].timing.needs.network;
        assert_eq!(network(""), Network::None);
        assert_eq!(network("constraints = { idle = true }"), Network::None);
        assert_eq!(network("constraints = { network = 'any' }"), Network::Any);
    }

    #[test]
    fn what_is_no_constraint_is_refused_with_place_and_remedy() {
        let check = |text: &str, expected: &str| assert_eq!(said(&format!("{REMOTE}{SYNC}{text}")), expected, "{text}");
        check(
            "constraints = { batery_not_low = true }",
            "9 unknown key `sync.s.constraints.batery_not_low`; did you mean `battery_not_low`?",
        );
        check(
            "every = '1h' | constraints = { network = 'wifi' }",
            "10 `sync.s.constraints.network` cannot be `wifi`; known: none, any, unmetered",
        );
        check("constraints = { idle = 'yes' }", "9 `sync.s.constraints.idle` must be true or false");
        check("constraints = false", &format!("9 `constraints` must be a table; {EXAMPLE}"));
        check("constraints = 'idle'", &format!("9 `sync.s.constraints` must be a table; {EXAMPLE}"));
        check("constraints = { unknown = 'fails' }", "9 `sync.s.constraints.unknown` cannot be `fails`; known: passes, holds");
        check(
            "constraints = { window = '22-6' }",
            &format!("9 `22-6` is no window: `22` is no day: mon, tue, wed, thu, fri, sat or sun; {WINDOW}"),
        );
        check("constraints = { window = [] }", &format!("9 it names no time: no run would ever begin; {WINDOW}"));
        check(
            "constraints = { window = 22 }",
            &format!("9 `sync.s.constraints.window` must be text in quotes, or a list of such; {WINDOW}"),
        );
        let many = vec!["'mon'"; limits::WINDOW_SPANS_MAX + 1].join(", ");
        check(
            &format!("constraints = {{ window = [{many}] }}"),
            "9 `window` has 17 spans; at most 16; days may stand together: \"mon-fri 22:00-06:00\"",
        );
    }

    #[test]
    fn what_is_given_is_read() {
        assert_eq!(good("").conditions, Given::default());
        assert_eq!(good("[conditions] | network = 'system' | power = 'system' | idle = 'system'").conditions, Given::default());
        let server =
            Given { online: Some(true), metered: Some(false), charging: Some(true), battery_low: Some(false), idle: Some(true) };
        assert_eq!(good("[conditions] | network = 'online' | power = 'external' | idle = 'yes'").conditions, server);
        assert_eq!(said("[conditions] | netwrk = 'online'"), "2 unknown key `conditions.netwrk`; did you mean `network`?");
        assert_eq!(
            said("[conditions] | power = 'solar'"),
            "2 `conditions.power` cannot be `solar`; known: system, external, battery, battery_low"
        );
        assert_eq!(said("conditions = 1"), "1 `conditions` must be a table; write [conditions]");
    }
}
