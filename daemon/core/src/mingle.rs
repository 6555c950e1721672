//! Owns: the three-way merge of (agreed, truth, theirs) into the truth, and its laws.
//! Must never know: replicas, storage, the clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    policy::Policy,
    record::{Carried, Props, Value},
    time::Timestamp,
};

/// What the replica last had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Base<'a> {
    /// This.
    Known(&'a Props),
    /// Nothing: it never had the record, or it is deleted there.
    Gone,
    /// Never compared.
    Unknown,
}

/// One record as both sides have it, and the rules.
#[derive(Clone, Copy, Debug)]
pub struct Sides<'a> {
    /// The merge base.
    pub base: Base<'a>,
    /// The truth's record; none: it has none, or it was deleted.
    pub truth: Option<&'a Props>,
    /// The replica's record; none: it has none, or it was deleted.
    pub theirs: Option<&'a Props>,
    /// Which properties the answer carries; the others keep the truth's value.
    pub carried: &'a Carried,
    /// Properties under an open conflict at this link: the truth's value stays, nothing new is recorded.
    pub frozen: &'a BTreeSet<String>,
    /// The collection's rules.
    pub policy: &'a Policy,
    /// For `newest`.
    pub stamps: &'a Stamps,
}

/// When each side last changed, on one clock (the edge has corrected the offset).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    /// The truth's, by property, from the ledger.
    pub truth: BTreeMap<String, Timestamp>,
    /// The replica's, for the whole record.
    pub theirs: Option<Timestamp>,
    /// How coarse the replica's stamp is.
    pub grain: Duration,
}

/// What a meeting makes of the record.
#[derive(Clone, Debug, PartialEq)]
pub struct Mingled {
    /// The truth from now on; none: deleted (or still absent).
    pub truth: Option<Props>,
    /// What clashed, each to be kept as a conflict.
    pub clashes: Vec<Clash>,
}

/// The same property changed differently on both sides, or a delete that met an edit.
#[derive(Clone, Debug, PartialEq)]
pub struct Clash {
    /// Which property (a path where merging is nested); none: the record as a whole (delete against edit).
    pub property: Option<String>,
    /// The base's value.
    pub agreed: Option<Value>,
    /// The truth's value.
    pub truth: Option<Value>,
    /// The replica's value.
    pub theirs: Option<Value>,
    /// What became of it.
    pub verdict: Verdict,
}

/// How a clash was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The truth's value stands.
    Truth,
    /// The replica's value stands.
    Remote,
    /// Nobody decided: the truth keeps its value and the property is frozen at this link.
    Open,
    /// An edit outlived a delete.
    KeptEdit,
    /// A delete outlived an edit.
    KeptDelete,
}
