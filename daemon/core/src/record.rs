//! Owns: what a record is made of. Must never know: JSON text (the edge reads and writes it), the store, replicas.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

/// The properties of one record, or of an object inside one.
pub type Props = BTreeMap<String, Value>;

/// One value of a property. `PartialEq` is by what was written; [`same`] is by meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Written, and nothing: equal to absent unless a collection says otherwise.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number, as it was written.
    Number(Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// An object.
    Map(Props),
}

/// A decimal number that keeps its written form (`1.50` stays `1.50`) and is compared by value, of any size, without rounding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number(String);

impl Number {
    /// The number as written: JSON's grammar, which the edge has checked.
    #[must_use]
    pub fn as_written(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The written form.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The numeric order, by value: `1 = 1.0 = 10e-1`.
    #[must_use]
    pub fn by_value(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }

    /// Sign, magnitude (place of the first digit), digits: in this order they compare like the numbers.
    fn parts(&self) -> Parts {
        let (negative, rest) = match self.0.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, self.0.as_str()),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let leading = digits.iter().take_while(|digit| **digit == b'0').count();
        let trailing = digits[leading..].iter().rev().take_while(|digit| **digit == b'0').count();
        let significant = digits[leading..digits.len() - trailing].to_vec();
        if significant.is_empty() {
            return Parts::Zero;
        }
        let place = exponent
            .saturating_add(i64::try_from(whole.len()).unwrap_or(i64::MAX))
            .saturating_sub(i64::try_from(leading).unwrap_or(i64::MAX));
        if negative { Parts::Below(place, significant) } else { Parts::Above(place, significant) }
    }
}

fn exponent_of(text: &str) -> i64 {
    // Past i64 the sign still says on which side of everything the number lies.
    let past = if text.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 };
    text.parse().unwrap_or(past).clamp(i64::MIN / 2, i64::MAX / 2)
}

#[derive(PartialEq, Eq)]
enum Parts {
    Below(i64, Vec<u8>),
    Zero,
    Above(i64, Vec<u8>),
}

impl Ord for Parts {
    fn cmp(&self, other: &Self) -> Ordering {
        use Parts::{Above, Below, Zero};
        match (self, other) {
            (Below(a, x), Below(b, y)) => (b, y).cmp(&(a, x)),
            (Above(a, x), Above(b, y)) => (a, x).cmp(&(b, y)),
            (Zero, Zero) => Ordering::Equal,
            (Below(..), _) | (Zero, Above(..)) => Ordering::Less,
            (Above(..), _) | (Zero, Below(..)) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Parts {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// How the values of one property are compared (design: "values are compared in canonical form").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Likeness {
    /// Lists are sets: order and repetition do not count (policy `union`).
    pub sets: bool,
    /// A written null differs from an absent property.
    pub null_is_a_value: bool,
}

/// Whether two values, either of which may be absent, mean the same: null equals absent (unless told otherwise), numbers by value,
/// line ends as LF, lists as sets where told so.
#[must_use]
pub fn same(a: Option<&Value>, b: Option<&Value>, likeness: Likeness) -> bool {
    let present = |value: Option<&Value>| match value {
        Some(Value::Null) if !likeness.null_is_a_value => false,
        other => other.is_some(),
    };
    match (present(a).then_some(a).flatten(), present(b).then_some(b).flatten()) {
        (None, None) => true,
        (Some(a), Some(b)) => same_value(a, b, likeness),
        _ => false,
    }
}

fn same_value(a: &Value, b: &Value, likeness: Likeness) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.by_value(b) == Ordering::Equal,
        (Value::Text(a), Value::Text(b)) => a == b || same_text(a, b),
        (Value::List(a), Value::List(b)) if likeness.sets => {
            let within =
                |some: &[Value], all: &[Value]| some.iter().all(|one| all.iter().any(|other| same_value(one, other, likeness)));
            within(a, b) && within(b, a)
        }
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b, likeness)),
        (Value::Map(a), Value::Map(b)) => same_props(a, b, likeness),
        (a, b) => a == b,
    }
}

fn same_text(a: &str, b: &str) -> bool {
    if !a.contains('\r') && !b.contains('\r') {
        return a == b;
    }
    let lf = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n");
    lf(a) == lf(b)
}

/// Whether two objects mean the same, property by property.
#[must_use]
pub fn same_props(a: &Props, b: &Props, likeness: Likeness) -> bool {
    names(a, b).into_iter().all(|name| same(a.get(name), b.get(name), likeness))
}

/// Every name in either.
#[must_use]
pub fn names<'a>(a: &'a Props, b: &'a Props) -> BTreeSet<&'a str> {
    a.keys().chain(b.keys()).map(String::as_str).collect()
}

/// Which properties a link carries: mapped, and declared complete in an answer. Any other is unknown there, which is not absent:
/// it is not compared, not cleared and not sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Carried {
    /// Every property: the remote keeps whole documents.
    #[default]
    All,
    /// These and no others.
    Only(BTreeSet<String>),
}

impl Carried {
    /// Whether this property is carried.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
        }
    }

    /// The part of a record that is carried.
    #[must_use]
    pub fn of(&self, props: &Props) -> Props {
        match self {
            Self::All => props.clone(),
            Self::Only(names) => props
                .iter()
                .filter(|(name, _)| names.contains(*name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(a: &str, b: &str, expect: Ordering) {
        let (x, y) = (Number::as_written(a), Number::as_written(b));
        assert_eq!(x.by_value(&y), expect, "{a} against {b}");
        assert_eq!(y.by_value(&x), expect.reverse(), "{b} against {a}");
    }

    #[test]
    fn numbers_compare_by_value_at_any_size() {
        use Ordering::{Equal, Less};
        check("1", "1.0", Equal);
        check("10e-1", "1", Equal);
        check("0", "-0.00", Equal);
        check("100", "1E2", Equal);
        check("0.001", "1e-3", Equal);
        check("9007199254740993", "9007199254740992", Ordering::Greater);
        check("-2", "-1", Less);
        check("-1", "0", Less);
        check("0", "1e-300", Less);
        check("9", "10", Less);
        check("1e999", "1e1000", Less);
        check("1.5", "1.25", Ordering::Greater);
    }

    #[test]
    fn values_are_compared_in_canonical_form() {
        let plain = Likeness::default();
        let text = |text: &str| Value::Text(text.into());
        assert!(same(None, Some(&Value::Null), plain));
        assert!(!same(None, Some(&Value::Null), Likeness { null_is_a_value: true, ..plain }));
        assert!(same(Some(&text("a\r\nb")), Some(&text("a\nb")), plain));
        let (ab, ba) = (Value::List(vec![text("a"), text("b")]), Value::List(vec![text("b"), text("a"), text("a")]));
        assert!(!same(Some(&ab), Some(&ba), plain));
        assert!(same(Some(&ab), Some(&ba), Likeness { sets: true, ..plain }));
    }
}
