//! Owns: the tests of how a new row finds its record. Must never know: remotes.

use std::{collections::BTreeSet, sync::Arc};

use mingle_core::{
    policy::Policy,
    record::Carried,
    replica::{Abilities, Cursor},
};

use super::*;
use crate::store::{Class, CollectionDefinition, Ids, Origin, Store, sync::SyncSpec, testing::NOW};

fn abilities() -> Abilities {
    Abilities {
        cursor: Cursor::None,
        tombstones: false,
        strong_revision: false,
        conditional: false,
        client_ids: None,
        key_kept: None,
        batch_max: 1,
        carried: Carried::AllBut(BTreeSet::new()),
        modified_grain: None,
        writes: true,
        deletes: true,
        errands_max: 1,
        page_rows: 100,
    }
}

/// How SQLite looks for a record by its identity.
fn plan(index: &[&str]) -> String {
    let policy = Policy { identity: vec!["number".into(), "kind".into()], ..Policy::default() };
    let definition = CollectionDefinition {
        name: "issues".into(),
        policy: policy.clone(),
        index: index.iter().map(ToString::to_string).collect(),
        ..CollectionDefinition::default()
    };
    let store = Store::memory(Ids::Seeded(1)).unwrap();
    store.write_blocking(Class::Interactive, NOW, move |tx| views::define(tx, &[definition])).unwrap();
    let planned = store.write_blocking(Class::Background, NOW, move |tx| {
        let spec = SyncSpec {
            name: "issues".into(),
            collection: "issues".into(),
            remote: "far".into(),
            identity: String::new(),
            history: String::new(),
            direction: Direction::Both,
            policy,
        };
        let ground = Ground {
            spec: Arc::new(spec),
            abilities: Arc::new(abilities()),
            collection: tx.collection("issues")?,
            replica: 1,
            origin: Origin::Sync("issues".into()),
            began: None,
        };
        let sql = format!("EXPLAIN QUERY PLAN {}", by_identity_sql(tx, &ground, "number")?);
        let mut statement = tx.conn().prepare(&sql)?;
        let steps: Vec<String> = statement.query_map(["[1]"], |row| row.get(3))?.collect::<Result<_, _>>()?;
        Ok(steps.join("; "))
    });
    planned.unwrap()
}

#[test]
fn a_new_row_finds_its_record_by_the_index_of_its_identity() {
    for index in [&[][..], &["state"], &["state", "number"]] {
        let plan = plan(index);
        assert!(plan.contains("USING INDEX m_by_1_") && plan.contains("<expr>=?"), "{index:?}: {plan}");
    }
}
