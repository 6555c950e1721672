//! Owns: values that a replica writes its own way though ours came from another: the two count as equal until either moves. Must never
//! know: what is sent, what a meeting decides.
//!
//! A remote's own form of an app's value enters the truth once. Its form of another remote's value must not: two remotes that write the
//! same in two ways would be told of each other's for ever (design: the pair rule).

use std::{borrow::Cow, collections::BTreeMap};

use crate::{
    planted,
    policy::Policy,
    record::{Props, Value, same},
    replica::{Row, RowState},
};

/// One property in two forms; none: absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// As it stands here, and was sent.
    pub ours: Option<Value>,
    /// As the replica has it.
    pub theirs: Option<Value>,
}

/// By property.
pub type Pairs = BTreeMap<String, Pair>;

/// Whether a record of the replica shows its form of a pair.
fn shown(props: &Props, name: &str, pair: &Pair, policy: &Policy) -> bool {
    same(props.get(name), pair.theirs.as_ref(), policy.likeness(name))
}

/// Puts our form in the place of each that the record shows of the replica's.
pub(super) fn into_ours(pairs: &Pairs, props: &mut Props, policy: &Policy) {
    for (name, pair) in pairs {
        if shown(props, name, pair, policy) {
            put(props, name, pair.ours.as_ref());
        }
    }
}

/// A row in our forms.
pub(super) fn ours<'a>(pairs: &Pairs, row: &'a Row, policy: &Policy) -> Cow<'a, Row> {
    let mut row = Cow::Borrowed(row);
    if !pairs.is_empty()
        && let RowState::Live(props) = &mut row.to_mut().state
    {
        into_ours(pairs, props, policy);
    }
    row
}

/// Puts the replica's form in the place of ours: what it has to show, or is to keep.
pub(super) fn into_theirs(pairs: &Pairs, props: &mut Props) {
    for (name, pair) in pairs {
        put(props, name, pair.theirs.as_ref());
    }
}

/// Lets go of pairs of which a row shows something else: the replica has moved. A row that shows no record says nothing.
pub(super) fn keep_shown(pairs: &mut Pairs, row: &Row, policy: &Policy) {
    match &row.state {
        RowState::Live(props) => pairs.retain(|name, pair| shown(props, name, pair, policy)),
        RowState::Gone => pairs.clear(),
        RowState::Unreadable(_) => {}
    }
}

/// Notes that the replica has another form of what was sent, in whose place the record as it shows it is given ours.
pub(super) fn learn(pairs: &mut Pairs, name: &str, sent: Option<&Value>, theirs: &mut Props, policy: &Policy) {
    if same(theirs.get(name), sent, policy.likeness(name)) || planted::is("remotes rewrite each other") {
        return;
    }
    let pair = Pair { ours: sent.cloned(), theirs: theirs.get(name).cloned() };
    put(theirs, name, sent);
    pairs.insert(name.to_owned(), pair);
}

fn put(props: &mut Props, name: &str, value: Option<&Value>) {
    match value {
        Some(value) => props.insert(name.to_owned(), value.clone()),
        None => props.remove(name),
    };
}
