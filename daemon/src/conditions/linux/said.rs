//! Owns: what the numbers of NetworkManager, UPower and logind mean. Must never know: how they come.

use std::collections::HashMap;

use mingle_core::limits::BATTERY_LOW_PERCENT;

use super::super::World;

/// A property of a service, as far as one matters here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Flag(bool),
    Number(u32),
    Real(f64),
}

/// The properties of one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Said(HashMap<String, Value>);

impl FromIterator<(String, Value)> for Said {
    fn from_iter<T: IntoIterator<Item = (String, Value)>>(each: T) -> Self {
        Self(each.into_iter().collect())
    }
}

impl Said {
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match self.0.get(name)? {
            Value::Flag(flag) => Some(*flag),
            Value::Number(_) | Value::Real(_) => None,
        }
    }

    fn number(&self, name: &str) -> Option<u32> {
        match self.0.get(name)? {
            Value::Number(number) => Some(*number),
            Value::Flag(_) | Value::Real(_) => None,
        }
    }

    fn real(&self, name: &str) -> Option<f64> {
        match self.0.get(name)? {
            Value::Real(real) => Some(*real),
            Value::Flag(_) | Value::Number(_) => None,
        }
    }
}

/// What all of them said last; empty: that service is not there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Heard {
    pub(super) network: Said,
    pub(super) power: Said,
    pub(super) battery: Said,
    pub(super) session: Said,
    /// Told by a signal of its own.
    pub(super) sleeps: bool,
}

impl Heard {
    pub(super) fn world(&self) -> World {
        World {
            sleeps: self.sleeps,
            online: self.online(),
            metered: self.metered(),
            charging: self.power.flag("OnBattery").map(|on_battery| !on_battery),
            battery_low: self.battery_low(),
            storage_low: None,
            idle: self.session.flag("IdleHint"),
        }
    }

    /// `NMConnectivityState`: 1 none, 2 behind a portal (which answers in the place of everybody), 3 limited (a remote may still be near), 4
    /// full. Where there is none, or it is not checked, `NMState`: from 50 on there is a way to somewhere near.
    fn online(&self) -> Option<bool> {
        let state = self.network.number("State").filter(|state| *state > 0);
        let near = state.map(|state| state >= 50);
        match self.network.number("Connectivity") {
            Some(1) => Some(matches!(state, Some(50 | 60))),
            Some(2) => Some(false),
            Some(3 | 4) => Some(true),
            _ => near,
        }
    }

    /// `NMMetered`: 1 yes, 2 no, 3 and 4 as it guesses.
    fn metered(&self) -> Option<bool> {
        match self.network.number("Metered")? {
            1 | 3 => Some(true),
            2 | 4 => Some(false),
            _ => None,
        }
    }

    /// `UpDeviceLevel`: 1 none, 2 discharging, 3 low, 4 critical, 5 it is about to go out. Without it, by how much is left.
    fn battery_low(&self) -> Option<bool> {
        match self.battery.number("WarningLevel") {
            Some(1 | 2) => return Some(false),
            Some(3..=5) => return Some(true),
            _ => {}
        }
        if self.battery.flag("IsPresent") == Some(false) {
            return Some(false);
        }
        let (percent, on_battery) = (self.battery.real("Percentage")?, self.power.flag("OnBattery")?);
        Some(on_battery && percent <= f64::from(BATTERY_LOW_PERCENT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &str) -> Said {
        let one = |word: &str| {
            let (name, text) = word.split_once('=').unwrap();
            let value = match text.parse() {
                Ok(flag) => Value::Flag(flag),
                Err(_) => text.parse().map_or_else(|_| Value::Real(text.parse().unwrap()), Value::Number),
            };
            (name.to_owned(), value)
        };
        words.split_whitespace().map(one).collect()
    }

    #[test]
    fn numbers_mean_what_the_services_mean_by_them() {
        let unknown = World::default();
        let network = |words: &str| Heard { network: said(words), ..Heard::default() }.world();
        for (words, online, metered) in [
            ("", None, None),
            ("Connectivity=4 State=70 Metered=2", Some(true), Some(false)),
            ("Connectivity=3 Metered=1", Some(true), Some(true)),
            ("Connectivity=2 State=70 Metered=3", Some(false), Some(true)),
            ("Connectivity=1 Metered=4", Some(false), Some(false)),
            ("Connectivity=0 State=70 Metered=0", Some(true), None),
            ("Connectivity=0 State=50", Some(true), None),
            ("Connectivity=1 State=50", Some(true), None),
            ("Connectivity=1 State=40", Some(false), None),
            ("Connectivity=1 State=70", Some(false), None),
            ("Connectivity=0 State=20", Some(false), None),
            ("State=0", None, None),
            // Of another type than it was: not known.
            ("Connectivity=true", None, None),
        ] {
            assert_eq!(network(words), World { online, metered, ..unknown }, "{words}");
        }
        let power = |words: &str, battery: &str| Heard { power: said(words), battery: said(battery), ..Heard::default() }.world();
        for (words, battery, charging, battery_low) in [
            ("OnBattery=false", "", Some(true), None),
            ("OnBattery=true", "WarningLevel=1", Some(false), Some(false)),
            ("OnBattery=true", "WarningLevel=3", Some(false), Some(true)),
            ("OnBattery=true", "WarningLevel=5 Percentage=90.5", Some(false), Some(true)),
            ("OnBattery=true", "WarningLevel=0 Percentage=15.0 IsPresent=true", Some(false), Some(true)),
            ("OnBattery=true", "Percentage=15.5", Some(false), Some(false)),
            ("OnBattery=false", "Percentage=3.5", Some(true), Some(false)),
            ("OnBattery=false", "IsPresent=false", Some(true), Some(false)),
            ("", "Percentage=3.5", None, None),
        ] {
            assert_eq!(power(words, battery), World { charging, battery_low, ..unknown }, "{words} {battery}");
        }
        let session = |words: &str| Heard { session: said(words), ..Heard::default() }.world().idle;
        assert_eq!([session("IdleHint=true"), session("IdleHint=false"), session("")], [Some(true), Some(false), None]);
    }
}
