//! Owns: what goes by the wall clock: the bells of cron expressions, and zones that change. Must never know: when anything is due.

use std::collections::BTreeSet;

use mingle_core::engine::{Defined, Event};

use super::Office;
use crate::{
    boot::{self, Known},
    clock,
    config::Repeat,
};

impl Office {
    /// Rings for all cron expressions that there are, and looks at their zones.
    pub(super) fn ring_for_crons(&mut self) {
        let jobs = self.engine.board().jobs.iter();
        let crons = jobs.filter_map(|(name, job)| Some((name.clone(), job.plan.cron.clone()?))).collect();
        let zones: BTreeSet<Option<String>> = self.syncs.values().filter_map(zone).cloned().collect();
        self.alarm.crons(crons, zones);
    }

    /// Cron expressions ring by the zones as they are now. One whose zone cannot be read at this moment rings as before.
    pub(super) fn zones_changed(&mut self) {
        let host = clock::host();
        let readable = |zone: &Option<String>| clock::zone(zone.as_deref()).is_some();
        let plans = self.syncs.iter().filter(|(_, known)| zone(known).is_some_and(readable));
        let plans = plans.map(|(name, known)| (name.clone(), boot::plan(name, known, host)));
        let since = |name: &str| self.engine.board().jobs.get(name).map_or_else(clock::now, |job| job.since);
        let defined = plans.map(|(name, plan)| {
            let since = since(&name);
            (name, Defined::Replanned(plan, since))
        });
        self.handle(Event::Defined(defined.collect()));
        self.ring_for_crons();
        tracing::info!("a time zone is another: cron expressions and windows go by it from here on");
    }
}

/// The zone that its cron expression or its window goes by, where it has one; none in it: the system's.
fn zone(known: &Known) -> Option<&Option<String>> {
    let timing = &known.definition.timing;
    (matches!(timing.repeat, Repeat::Cron { .. }) || timing.needs.window.is_some()).then_some(&timing.timezone)
}
