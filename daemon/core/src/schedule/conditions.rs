//! Owns: what must hold to start a run and to go on with it. Must never know: where conditions are read.

use super::{StopReason, Window};
use crate::{planted, time::Timestamp};

/// The world as it is. What cannot be known is none, and passes where a sync does not say otherwise ([`Needs::unknown_holds`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Runs are stopped, for this reason; nothing passes it.
    pub stopped: Option<StopReason>,
    /// The machine is about to sleep, or does; nothing passes it.
    pub sleeps: bool,
    /// There is a network.
    pub online: Option<bool>,
    /// Its bytes cost money.
    pub metered: Option<bool>,
    /// On external power.
    pub charging: Option<bool>,
    /// The battery is low.
    pub battery_low: Option<bool>,
    /// Little room is left on the store's disk.
    pub storage_low: Option<bool>,
    /// The store takes no writes: its disk is full, or fails. Nothing passes it; what runs ends by itself where it needs to write.
    pub disk_shut: bool,
    /// Nobody uses the machine.
    pub idle: Option<bool>,
}

/// What one sync needs of the world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Which network.
    pub network: Network,
    /// External power.
    pub charging: bool,
    /// A battery that is not low.
    pub battery_not_low: bool,
    /// Room on the disk.
    pub storage_not_low: bool,
    /// Nobody at the machine.
    pub idle: bool,
    /// These hours.
    pub window: Option<Window>,
    /// What cannot be known does not pass.
    pub unknown_holds: bool,
}

/// Which network a sync needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// None: the remote is on this machine.
    None,
    /// Any.
    #[default]
    Any,
    /// One whose bytes cost nothing.
    Unmetered,
}

/// A condition that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// There is no network.
    Offline,
    /// The network is metered.
    Metered,
    /// On battery.
    Charging,
    /// The battery is low.
    BatteryLow,
    /// Little room on the disk.
    StorageLow,
    /// The store takes no writes.
    DiskShut,
    /// Somebody uses the machine.
    NotIdle,
    /// It is not the time.
    Window,
    /// The machine is about to sleep.
    Sleep,
}

impl Constraint {
    /// Every one.
    pub(super) const ALL: [Self; 9] = [
        Self::Offline,
        Self::Metered,
        Self::Charging,
        Self::BatteryLow,
        Self::StorageLow,
        Self::DiskShut,
        Self::NotIdle,
        Self::Window,
        Self::Sleep,
    ];

    /// The constraint's name in configuration, holds and stop reasons.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Offline | Self::Metered => "network",
            Self::Charging => "charging",
            Self::BatteryLow => "battery_not_low",
            Self::StorageLow => "storage_not_low",
            Self::DiskShut => "disk",
            Self::NotIdle => "idle",
            Self::Window => "window",
            Self::Sleep => "sleep",
        }
    }

    /// The same as a stop reason.
    #[must_use]
    pub const fn stop_reason(self) -> &'static str {
        match self {
            Self::Offline | Self::Metered => "constraint:network",
            Self::Charging => "constraint:charging",
            Self::BatteryLow => "constraint:battery_not_low",
            Self::StorageLow => "constraint:storage_not_low",
            Self::DiskShut => "constraint:disk",
            Self::NotIdle => "constraint:idle",
            Self::Window => "constraint:window",
            Self::Sleep => "constraint:sleep",
        }
    }
}

/// A constraint that is not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// Which.
    pub constraint: Constraint,
    /// The condition is not known, and the sync does not let that pass.
    pub unknown: bool,
    /// When time alone ends it.
    pub until: Option<Timestamp>,
}

/// Every constraint that is not met, the hardest first. `force` passes metered, charging, battery, idle and window.
pub(super) fn unmet(needs: &Needs, conditions: &Conditions, force: bool, now: Timestamp) -> impl Iterator<Item = Unmet> {
    // Of one that is needed: whether what is known is what it must not be, or whether it must be known and is not.
    let must = |needed: bool, known: Option<bool>, be: bool| match known {
        _ if !needed => None,
        Some(known) => (known != be).then_some(false),
        None => needs.unknown_holds.then_some(true),
    };
    let soft = |needed: bool| needed && !force;
    let window = needs.window.as_ref().filter(|_| soft(true)).map(|window| window.at(now));
    let closed = window.and_then(|(open, changes)| (!open && !planted::is("window of time not looked at")).then_some(changes));
    let plain = [
        (conditions.sleeps.then_some(false), Constraint::Sleep),
        (conditions.disk_shut.then_some(false), Constraint::DiskShut),
        (must(needs.network != Network::None, conditions.online, true), Constraint::Offline),
        (must(needs.storage_not_low, conditions.storage_low, false), Constraint::StorageLow),
        (must(soft(needs.network == Network::Unmetered), conditions.metered, false), Constraint::Metered),
        (must(soft(needs.charging), conditions.charging, true), Constraint::Charging),
        (must(soft(needs.battery_not_low), conditions.battery_low, false), Constraint::BatteryLow),
        (must(soft(needs.idle), conditions.idle, true), Constraint::NotIdle),
    ];
    let plain = plain.into_iter().filter_map(|(unmet, constraint)| Some(Unmet { constraint, unknown: unmet?, until: None }));
    plain.chain(closed.map(|until| Unmet { constraint: Constraint::Window, unknown: false, until }))
}

/// When the window closes, or opens.
pub(super) fn closes(needs: &Needs, force: bool, now: Timestamp) -> Option<Timestamp> {
    needs.window.as_ref().filter(|_| !force).and_then(|window| window.at(now).1)
}
