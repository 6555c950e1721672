//! Owns: what must hold to start a run and to go on with it. Must never know: where conditions are read.

use super::StopReason;

/// The world as it is. What cannot be known is none, and passes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Runs are stopped, for this reason; nothing passes it.
    pub stopped: Option<StopReason>,
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
    /// No room is left there; nothing passes it.
    pub disk_full: Option<bool>,
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
    /// No room on the disk.
    DiskFull,
    /// Somebody uses the machine.
    NotIdle,
}

impl Constraint {
    /// The constraint's name in configuration, holds and stop reasons.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Offline | Self::Metered => "network",
            Self::Charging => "charging",
            Self::BatteryLow => "battery_not_low",
            Self::StorageLow => "storage_not_low",
            Self::DiskFull => "disk",
            Self::NotIdle => "idle",
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
            Self::DiskFull => "constraint:disk",
            Self::NotIdle => "constraint:idle",
        }
    }
}

/// Every condition that does not hold, the hardest first. `force` passes metered, battery and idle.
pub(super) fn unmet(needs: &Needs, conditions: &Conditions, force: bool) -> impl Iterator<Item = Constraint> {
    let is = |known: Option<bool>| known == Some(true);
    let is_not = |known: Option<bool>| known == Some(false);
    [
        (is(conditions.disk_full), Constraint::DiskFull),
        (needs.network != Network::None && is_not(conditions.online), Constraint::Offline),
        (needs.storage_not_low && is(conditions.storage_low), Constraint::StorageLow),
        (!force && needs.network == Network::Unmetered && is(conditions.metered), Constraint::Metered),
        (!force && needs.charging && is_not(conditions.charging), Constraint::Charging),
        (!force && needs.battery_not_low && is(conditions.battery_low), Constraint::BatteryLow),
        (!force && needs.idle && is_not(conditions.idle), Constraint::NotIdle),
    ]
    .into_iter()
    .filter_map(|(unmet, constraint)| unmet.then_some(constraint))
}
