//! Owns: the collections there are, as configured, with their numbers in the store. Must never know: the configuration's text.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mingle_core::{ask::Refusal, policy::Policy, reference::Reference};

/// One collection as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectionDefinition {
    /// `[a-z][a-z0-9_]*`, not beginning with `m_`.
    pub name: String,
    /// How its records merge, and which properties identify them.
    pub policy: Policy,
    /// Properties that are columns of the published view.
    pub columns: Vec<String>,
    /// Properties that have an index (and a column).
    pub index: Vec<String>,
    /// Apps may not write it: its syncs are all `down`.
    pub read_only: bool,
    /// How long its deleted records and its history are kept at least; none: as long as the store keeps them everywhere.
    pub retention: Option<Duration>,
}

/// A collection with its number in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// `m_collection.collection`.
    pub number: i64,
    /// As configured.
    pub definition: CollectionDefinition,
}

/// All collections there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definitions {
    by_name: BTreeMap<String, Arc<Collection>>,
    by_number: BTreeMap<i64, Arc<Collection>>,
}

impl Definitions {
    /// Of these.
    pub(super) fn of(collections: impl IntoIterator<Item = Collection>) -> Self {
        let mut definitions = Self::default();
        for collection in collections.into_iter().map(Arc::new) {
            definitions.by_name.insert(collection.definition.name.clone(), Arc::clone(&collection));
            definitions.by_number.insert(collection.number, collection);
        }
        definitions
    }

    /// The collection of that name.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], which lists the collections there are.
    pub fn named(&self, name: &str) -> Result<&Arc<Collection>, Refusal> {
        self.by_name.get(name).ok_or_else(|| Refusal::NotFound(format!("no collection {name:?}"), Some(self.remedy())))
    }

    /// The collection of that number; none: it left the configuration.
    #[must_use]
    pub fn numbered(&self, number: i64) -> Option<&Arc<Collection>> {
        self.by_number.get(&number)
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Collection>> {
        self.by_name.values()
    }

    /// What refers to records of a collection: the children's collection, the property, and how it is declared.
    pub fn referring_to<'a>(&'a self, parent: &'a str) -> impl Iterator<Item = (&'a Arc<Collection>, &'a str, &'a Reference)> {
        let of = move |child: &'a Arc<Collection>| {
            let references = child.definition.policy.references.iter();
            references
                .filter(move |(_, reference)| reference.collection == parent)
                .map(move |(property, reference)| (child, property.as_str(), reference))
        };
        self.by_name.values().flat_map(of)
    }

    fn remedy(&self) -> String {
        if self.by_name.is_empty() {
            return "there are no collections; a [collection.NAME] or a sync in config.toml makes one".into();
        }
        let names: Vec<&str> = self.by_name.keys().map(String::as_str).take(20).collect();
        let more = if self.by_name.len() > 20 { ", ..." } else { "" };
        format!("the collections are {}{more}", names.join(", "))
    }
}
