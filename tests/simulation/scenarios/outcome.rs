//! Owns: what a scenario asks for: what is there, what was sent, what stands as a conflict or a rejection, and that all is well in the
//! end. Must never know: what happened before.

use mingle_core::{
    ask::{RunRow, WaitState},
    record::Value,
};
use mingled::store::{history, wait};

use super::script::{Script, told};
use crate::{chance::Chance, fake::lock, found, oracle::Found, schedule};

/// What must have come of it.
impl Script {
    /// How often a write of ours changed something at the first service.
    pub fn writes(&self) -> u64 {
        lock(&self.world.services[0]).writes
    }

    /// Something is done that sends so much to the first service, and no more.
    #[track_caller]
    pub fn sends(&mut self, count: u64, what: impl FnOnce(&mut Self)) {
        let before = self.writes();
        what(self);
        let sent = self.writes() - before;
        self.holds(sent == count, || format!("{sent} writes, not {count}"));
    }

    #[track_caller]
    pub fn truth_is(&self, key: &str, expect: &str) {
        let found = self.of_truth(key);
        self.equals(&format!("{key} in the truth"), &told(found.as_ref().map(|(_, _, props)| props)), expect);
    }

    #[track_caller]
    pub fn service_is(&self, at: usize, key: &str, expect: &str) {
        let found = self.of_service(at, key);
        self.equals(&format!("{key} at service {at}"), &told(found.as_ref().map(|(_, props)| props)), expect);
    }

    /// The truth and the first service both have it so.
    #[track_caller]
    pub fn both_are(&self, key: &str, expect: &str) {
        self.truth_is(key, expect);
        self.service_is(0, key, expect);
    }

    /// One property, in the truth and at the first service.
    #[track_caller]
    pub fn values_of(&self, key: &str, name: &str) -> [Option<Value>; 2] {
        [self.in_truth(key).2, self.at_service(0, key).1].map(|props| props.get(name).cloned())
    }

    /// How many records the truth has, and the first service.
    #[track_caller]
    pub fn counts_are(&self, truth: usize, service: usize) {
        let counts = (self.world.truth().len(), lock(&self.world.services[0]).live().count());
        self.holds(counts == (truth, service), || format!("(truth, service): {counts:?} records, not {:?}", (truth, service)));
    }

    /// How many records the truth has, and each service.
    #[track_caller]
    pub fn counts_at(&self, truth: usize, services: &[usize]) {
        let there: Vec<usize> = self.world.services.iter().map(|service| lock(service).live().count()).collect();
        let counts = (self.world.truth().len(), &there[..]);
        self.holds(counts == (truth, services), || format!("{counts:?} records, not {:?}", (truth, services)));
    }

    /// The truth and a service both have it so.
    #[track_caller]
    pub fn is_at(&self, at: usize, key: &str, expect: &str) {
        self.truth_is(key, expect);
        self.service_is(at, key, expect);
    }

    pub(super) fn column(&self, sql: &str) -> Vec<String> {
        let read = self.world.store.read(|reader| {
            let mut statement = reader.prepare(sql)?;
            let rows = statement.query_map((), |row| row.get(0))?;
            Ok(rows.collect::<Result<Vec<String>, _>>()?)
        });
        read.expect("the store reads")
    }

    /// Conflicts, oldest first, each `PROPERTY TRUTH THEIRS`, and `open` where it is; `*`: the record as a whole.
    #[track_caller]
    pub fn conflicts_are(&self, expect: &[&str]) {
        let sql = "SELECT CASE WHEN property IS NULL THEN '*' ELSE property || ' ' || coalesce(trim(truth, '\"'), '-') || ' '
                   || coalesce(trim(theirs, '\"'), '-') END || CASE open WHEN 1 THEN ' open' ELSE '' END
                   FROM m_conflict ORDER BY conflict";
        let found = self.column(sql);
        self.holds(found == expect, || format!("conflicts are {found:?}, not {expect:?}"));
    }

    /// The sides of the rejections that stand.
    #[track_caller]
    pub fn rejections_are(&self, expect: &[&str]) {
        let found = self.column("SELECT side FROM m_rejection WHERE verdict IS NOT 'drop' ORDER BY rejection");
        self.holds(found == expect, || format!("rejections are {found:?}, not {expect:?}"));
    }

    /// The runs of a sync, newest first.
    pub fn history(&self, sync: &str) -> Vec<RunRow> {
        let read = self.world.store.read(|reader| history::runs(reader, Some(sync), 100, None));
        read.expect("the history reads").rows
    }

    /// What whoever waits for a write is told.
    #[track_caller]
    pub fn wait_says(&self, token: &str, expect: WaitState) {
        let told = self.world.store.read(|reader| {
            let replica = reader.query_row("SELECT replica FROM m_replica WHERE identity = 'identity0'", (), |row| row.get(0));
            let up = wait::UpReplica {
                replica: replica.ok(),
                remote: "remote0".into(),
                carried: Default::default(),
                creates: mingle_core::run::Creates::Unlinked,
            };
            wait::waited(reader, token, &|_| vec![up.clone()])
        });
        let state = told.as_ref().map(|waited| waited.state).ok();
        self.holds(state == Some(expect), || format!("wait says {told:?}, not {expect:?}"));
    }

    /// What is found now, with nothing in it that a service does not have anyway.
    fn found(&self) -> Found {
        let mut found = found::found(&self.world, &self.people.keys, Vec::new());
        let lacks: Vec<&str> = self.world.setup.services.iter().filter_map(|character| character.lacks).collect();
        found.truth.iter_mut().for_each(|props| props.retain(|name, _| !lacks.contains(&name.as_str())));
        found
    }

    /// No faults any more: everything comes to rest, and the oracle finds nothing wrong.
    #[track_caller]
    pub fn heals(&mut self) {
        self.comes_to_rest();
        self.people.ask_what_is_there(&self.world);
        let mut wrong = std::mem::take(&mut self.people.wrong);
        wrong.extend(self.people.history.check(&self.found(), self.terms));
        self.holds(wrong.is_empty(), || wrong.join("\n"));
    }

    /// The same where the script does what the oracle does not know; it asks for the outcome itself.
    #[track_caller]
    pub fn comes_to_rest(&mut self) {
        let wrong = schedule::heal(&mut self.world, Chance::new(self.seed ^ 0x0EA1));
        self.holds(wrong.is_empty(), || wrong.join("\n"));
        self.healed = true;
    }
}
