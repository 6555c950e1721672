//! Owns: what several syncs of one collection are to each other: where changes are sent, which makes new records, which mirrors.
//! Must never know: how they are written, how a record is made.

use std::collections::BTreeMap;

use mingle_core::run::Creates;

use super::{Config, SyncDefinition, check::complain, sections::Draft};

/// The syncs by their collections: what one is to others concerns one collection alone, of which there may be thousands. In each they are in
/// the order of their names.
pub struct Several<'a>(BTreeMap<&'a str, Vec<(&'a str, &'a SyncDefinition)>>);

impl Config {
    /// What the syncs of each collection are to each other.
    #[must_use]
    pub fn several(&self) -> Several<'_> {
        let mut several = BTreeMap::<_, Vec<_>>::new();
        for (name, sync) in &self.syncs {
            several.entry(sync.collection.as_str()).or_default().push((name.as_str(), sync));
        }
        Several(several)
    }
}

impl<'a> Several<'a> {
    /// The syncs of a collection.
    #[must_use]
    pub fn of(&self, collection: &str) -> &[(&'a str, &'a SyncDefinition)] {
        self.0.get(collection).map_or(&[], Vec::as_slice)
    }

    /// Where changes of a collection are sent: of each replica the first sync that sends there, by the order of their names.
    #[must_use]
    pub fn senders_of(&self, collection: &str) -> Vec<(&'a str, &'a SyncDefinition)> {
        let mut senders: Vec<(&str, &SyncDefinition)> = Vec::new();
        for (name, sync) in self.of(collection).iter().filter(|(_, sync)| sync.direction.is_up()) {
            if !senders.iter().any(|(_, known)| known.has_replica_of(sync)) {
                senders.push((name, sync));
            }
        }
        senders
    }

    /// The same of all collections, by the order of their names.
    #[must_use]
    pub fn senders(&self) -> Vec<(&'a str, &'a SyncDefinition)> {
        let mut senders: Vec<_> = self.0.keys().flat_map(|collection| self.senders_of(collection)).collect();
        senders.sort_unstable_by_key(|(name, _)| *name);
        senders
    }

    /// The sync at whose remote new records of a collection are made: the one that says `home`, or the only one that can be meant. None:
    /// nothing of it is sent.
    #[must_use]
    pub fn home(&self, collection: &str) -> Option<(&'a str, &'a SyncDefinition)> {
        let senders = self.senders_of(collection);
        let said = |(_, sync): &&(&str, &SyncDefinition)| self.replica_says(sync, |sync| sync.home);
        let plain = |(_, sync): &&(&str, &SyncDefinition)| !self.replica_says(sync, |sync| sync.mirror);
        senders.iter().find(said).or_else(|| senders.iter().find(plain)).or(senders.first()).copied()
    }

    /// Which records without a link at its replica a sync makes there.
    #[must_use]
    pub fn creates(&self, sync: &SyncDefinition) -> Creates {
        if !sync.direction.is_up() {
            return Creates::Never;
        }
        if self.replica_says(sync, |sync| sync.mirror) {
            return Creates::All;
        }
        match self.home(&sync.collection) {
            Some((_, home)) if home.has_replica_of(sync) => Creates::Unlinked,
            _ => Creates::Never,
        }
    }

    /// Whether one of the syncs of a replica says so: it holds for the replica.
    pub fn replica_says(&self, of: &SyncDefinition, says: impl Fn(&SyncDefinition) -> bool) -> bool {
        self.of(&of.collection).iter().any(|(_, sync)| sync.has_replica_of(of) && says(sync))
    }
}

/// New records would be made at one of several remotes, or at each of them: which is wanted has to be said.
pub(super) fn check(draft: &mut Draft) {
    let config = &draft.config;
    let several = config.several();
    let mut wrong = Vec::new();
    for collection in several.0.keys() {
        let senders = several.senders_of(collection);
        let homes: Vec<_> = senders.iter().filter(|(_, sync)| several.replica_says(sync, |sync| sync.home)).collect();
        let plain: Vec<_> = senders.iter().filter(|(_, sync)| !several.replica_says(sync, |sync| sync.mirror)).collect();
        match (&homes[..], &plain[..], &senders[..]) {
            ([_], ..) | ([], [_], _) | (.., [_]) => {}
            ([(one, _), (other, _), ..], ..) => {
                let what = format!("new records of `{collection}` have their home in [sync.{one}] already");
                let hint = format!("let one of the two be the home; mirror = true in [sync.{other}] makes them there too");
                wrong.push((format!("sync.{other}.home"), what, hint));
            }
            (_, [(one, _), (other, _), ..], _) | (_, _, [(one, _), (other, _), ..]) => {
                let what =
                    format!("`{collection}` is sent elsewhere by [sync.{one}], and where new records are made is not said");
                let hint = format!(
                    "home = true in one of the two makes them at that remote alone, and mirror = true in the other there too; or direction = \"down\" in [sync.{other}]"
                );
                wrong.push((format!("sync.{other}.direction"), what, hint));
            }
            (.., []) => {}
        }
    }
    for (name, sync) in config.syncs.iter().filter(|(_, sync)| sync.remove_after_upload) {
        let mirror = several.of(&sync.collection).iter().find(|(_, other)| other.mirror);
        if let Some((mirror, _)) = mirror {
            let what = format!("what [sync.{name}] sends is removed here, where [sync.{mirror}] is to find it");
            wrong.push((
                format!("sync.{name}.remove_after_upload"),
                what,
                "take out one of `remove_after_upload` and `mirror`".into(),
            ));
        }
    }
    for (key, what, hint) in wrong {
        complain(draft, &key, what, hint);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{REMOTE, good, said},
        *,
    };

    /// Syncs `a`, `b` and so on of one collection, each with a remote of its own and these keys.
    fn syncs(keys: &[&str]) -> String {
        let one = |(at, keys): (usize, &&str)| {
            let name = char::from(b'a' + u8::try_from(at).unwrap());
            format!("[sync.{name}] | collection = 'c' | remote = 'r' | resource = '{name}' | {keys} | ")
        };
        format!("{REMOTE}{}", keys.iter().enumerate().map(one).collect::<String>())
    }

    #[test]
    fn home_makes_new_records_and_mirrors_make_all() {
        use Creates::{All, Never, Unlinked};
        #[track_caller]
        fn check(keys: &[&str], home: Option<&str>, creates: &[Creates]) {
            let config = good(&syncs(keys));
            let several = config.several();
            assert_eq!(several.home("c").map(|(name, _)| name), home, "{keys:?}");
            assert_eq!(config.syncs.values().map(|sync| several.creates(sync)).collect::<Vec<_>>(), creates, "{keys:?}");
        }
        let (both, down, up) = ("direction = 'both'", "direction = 'down'", "direction = 'up'");
        let mirror = "direction = 'both' | mirror = true";
        let home = "direction = 'both' | home = true";
        check(&[down], None, &[Never]);
        check(&[up], Some("a"), &[Unlinked]);
        check(&[down, both], Some("b"), &[Never, Unlinked]);
        check(&[mirror], Some("a"), &[All]);
        check(&[mirror, both], Some("b"), &[All, Unlinked]);
        check(&[mirror, both, mirror], Some("b"), &[All, Unlinked, All]);
        check(&[both, home], Some("b"), &[Never, Unlinked]);
        check(&[mirror, "direction = 'both' | mirror = true | home = true"], Some("b"), &[All, All]);
        check(&[mirror, both, home], Some("c"), &[All, Never, Unlinked]);
        check(&["direction = 'down' | mirror = true", both], Some("b"), &[Never, Unlinked]);
        // Two syncs of one replica are one place, whichever of them says so.
        let same =
            |keys: &str| format!("{keys} | | [sync.z] | collection = 'c' | remote = 'r' | resource = 'a' | direction = 'up'");
        check(&[&same(down)], Some("z"), &[Never, Unlinked]);
        check(&[&same("direction = 'down' | mirror = true"), both], Some("b"), &[Never, Unlinked, All]);
    }

    #[test]
    fn where_new_records_are_made_has_to_be_said() {
        #[track_caller]
        fn check(keys: &[&str], expected: &str) {
            assert_eq!(said(&syncs(keys)), expected, "{keys:?}");
        }
        let (both, mirror) = ("direction = 'both'", "direction = 'both' | mirror = true");
        let home = "direction = 'both' | home = true";
        let not_said = |line: usize| {
            format!(
                "{line} `c` is sent elsewhere by [sync.a], and where new records are made is not said; home = true in one of the two makes \
                 them at that remote alone, and mirror = true in the other there too; or direction = \"down\" in [sync.b]"
            )
        };
        check(&[both, both], &not_said(14));
        check(&[mirror, mirror], &not_said(15));
        check(
            &[home, home],
            "16 new records of `c` have their home in [sync.a] already; let one of the two be the home; mirror = true in [sync.b] makes \
             them there too",
        );
        check(
            &["direction = 'up' | remove_after_upload = true", mirror],
            "10 what [sync.a] sends is removed here, where [sync.b] is to find it; take out one of `remove_after_upload` and `mirror`",
        );
        check(
            &["direction = 'down' | home = true"],
            "10 `home` is for a sync that sends: new records are made at its remote; direction = \"both\" or \"up\", or take it out",
        );
    }
}
