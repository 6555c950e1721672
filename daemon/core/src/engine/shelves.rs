//! Owns: a map whose copies share what is as it was: a copy costs the same however much lies in it, and a change a small part of it.
//! Must never know: what lies in it.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use super::Name;

/// With ten thousand syncs a shelf holds eighty.
const SHELVES: usize = 128;

/// Values by name, each on the shelf that its name says. A shelf that somebody else looks at too is copied when it changes.
#[derive(Clone, Debug)]
pub(super) struct Shelves<V>(Vec<Arc<BTreeMap<Name, Arc<V>>>>);

impl<V> Default for Shelves<V> {
    fn default() -> Self {
        Self(vec![Arc::default(); SHELVES])
    }
}

impl<V> Shelves<V> {
    pub(super) fn put(&mut self, name: Name, value: V) {
        Arc::make_mut(&mut self.0[place(&name)]).insert(name, Arc::new(value));
    }

    /// Changes a value where it lies, or one that is made for it.
    pub(super) fn change(&mut self, name: &str, change: impl FnOnce(&mut V))
    where
        V: Clone + Default,
    {
        let shelf = Arc::make_mut(&mut self.0[place(name)]);
        if !shelf.contains_key(name) {
            shelf.insert(name.into(), Arc::default());
        }
        if let Some(value) = shelf.get_mut(name) {
            change(Arc::make_mut(value));
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        Arc::make_mut(&mut self.0[place(name)]).remove(name);
    }

    pub(super) fn get(&self, name: &str) -> Option<(&Name, &V)> {
        self.0[place(name)].get_key_value(name).map(|(name, value)| (name, &**value))
    }

    /// In whatever order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Name, &V)> {
        self.0.iter().flat_map(|shelf| shelf.iter().map(|(name, value)| (name, &**value)))
    }

    /// By name.
    pub(super) fn all(&self) -> Vec<(&Name, &V)> {
        let mut all: Vec<_> = self.iter().collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all
    }
}

fn place(name: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    usize::try_from(hasher.finish() % SHELVES as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_stays_as_it_was_and_shares_what_did_not_change() {
        let mut shelves = Shelves::default();
        for n in 0..1_000 {
            shelves.put(format!("s{n:03}").into(), n);
        }
        let before = shelves.clone();
        shelves.put("s500".into(), -1);
        shelves.remove("s501");
        shelves.put("t".into(), 7);
        let shown = |shelves: &Shelves<i32>| shelves.all().into_iter().map(|(_, value)| *value).collect::<Vec<_>>();
        assert_eq!(shown(&before), (0..1_000).collect::<Vec<_>>());
        let after = (0..1_000).filter(|n| *n != 501).map(|n| if n == 500 { -1 } else { n }).chain([7]);
        assert_eq!(shown(&shelves), after.collect::<Vec<_>>());
        assert_eq!((shelves.get("s501"), shelves.get("s500").map(|(_, n)| *n)), (None, Some(-1)));
        let shared = before.0.iter().zip(&shelves.0).filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        assert!(shared >= SHELVES - 3, "three changes, {shared} shelves shared");
    }
}
