//! Owns: what a record is made of. Must never know: JSON text (the edge reads and writes it), the store, replicas.

use std::{
    borrow::Cow,
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

/// Whether more than `max` lists and objects lie in each other; the record itself is the first.
#[must_use]
pub fn is_deeper(props: &Props, max: usize) -> bool {
    fn below(value: &Value, left: usize) -> bool {
        match value {
            Value::List(list) => left == 0 || list.iter().any(|one| below(one, left - 1)),
            Value::Map(props) => is_deeper(props, left),
            _ => false,
        }
    }
    max == 0 || props.values().any(|value| below(value, max - 1))
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
        (Value::List(a), Value::List(b)) if likeness.sets => keys(a, likeness) == keys(b, likeness),
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b, likeness)),
        (Value::Map(a), Value::Map(b)) => same_props(a, b, likeness),
        (a, b) => a == b,
    }
}

fn same_text(a: &str, b: &str) -> bool {
    if !a.contains('\r') && !b.contains('\r') {
        return a == b;
    }
    with_lf(a) == with_lf(b)
}

/// What a value means, as bytes: two values have one key if and only if they are the [`same`]. For looking up members of sets,
/// which comparing each with each would make quadratic in what a stranger sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(Vec<u8>);

/// The key of one value.
#[must_use]
pub fn key(value: &Value, likeness: Likeness) -> Key {
    let mut bytes = Vec::new();
    write_key(value, likeness, &mut bytes);
    Key(bytes)
}

fn keys(list: &[Value], likeness: Likeness) -> BTreeSet<Key> {
    list.iter().map(|one| key(one, likeness)).collect()
}

fn write_key(value: &Value, likeness: Likeness, out: &mut Vec<u8>) {
    // Every piece is either of fixed size or led by its length, so no two values run into one another.
    let sized = |out: &mut Vec<u8>, bytes: &[u8]| {
        out.extend((bytes.len() as u64).to_be_bytes());
        out.extend(bytes);
    };
    match value {
        Value::Null => out.push(b'n'),
        Value::Bool(is) => out.push(if *is { b't' } else { b'f' }),
        Value::Number(number) => {
            let (sign, place, digits) = match number.parts() {
                Parts::Below(place, digits) => (b'-', place, digits),
                Parts::Zero => (b'0', 0, Vec::new()),
                Parts::Above(place, digits) => (b'+', place, digits),
            };
            out.push(sign);
            out.extend(place.to_be_bytes());
            sized(out, &digits);
        }
        Value::Text(text) => {
            out.push(b'"');
            sized(out, with_lf(text).as_bytes());
        }
        Value::List(list) if likeness.sets => {
            out.push(b'[');
            let keys = keys(list, likeness);
            out.extend((keys.len() as u64).to_be_bytes());
            keys.iter().for_each(|Key(bytes)| sized(out, bytes));
        }
        Value::List(list) => {
            out.push(b'[');
            out.extend((list.len() as u64).to_be_bytes());
            list.iter().for_each(|one| write_key(one, likeness, out));
        }
        Value::Map(props) => {
            out.push(b'{');
            for (name, value) in props.iter().filter(|(_, value)| likeness.null_is_a_value || **value != Value::Null) {
                out.push(b':');
                sized(out, name.as_bytes());
                write_key(value, likeness, out);
            }
            out.push(b'}');
        }
    }
}

/// The text with each line end as LF.
#[must_use]
pub fn with_lf(text: &str) -> Cow<'_, str> {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n").into() } else { text.into() }
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
    /// Every property but these: the remote keeps whole documents, and these names in them are its own (id, revision, stamps).
    AllBut(BTreeSet<String>),
}

impl Carried {
    /// Whether this property is carried.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
            Self::AllBut(names) => !names.contains(name),
        }
    }

    /// The part of a record that is carried.
    #[must_use]
    pub fn of(&self, props: &Props) -> Props {
        match self {
            Self::All => props.clone(),
            Self::Only(_) | Self::AllBut(_) => {
                props.iter().filter(|(name, _)| self.has(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
            }
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
    fn a_records_depth_counts_itself_and_both_kinds() {
        let list = |inner: Value| Value::List(vec![Value::Null, inner]);
        let map = |inner: Value| Value::Map(Props::from([("a".into(), Value::Null), ("b".into(), inner)]));
        let check = |value: Value, depth: usize| {
            let props = Props::from([("p".into(), value)]);
            let deeper: Vec<bool> = (0..6).map(|max| is_deeper(&props, max)).collect();
            let expect: Vec<bool> = (0..6).map(|max| depth > max).collect();
            assert_eq!(deeper, expect, "{props:?}");
        };
        assert!(!is_deeper(&Props::new(), 1) && is_deeper(&Props::new(), 0));
        check(Value::Null, 1);
        check(Value::List(Vec::new()), 2);
        check(Value::Map(Props::new()), 2);
        check(list(Value::Bool(true)), 2);
        check(map(list(map(Value::Null))), 4);
        check(list(list(Value::Map(Props::new()))), 4);
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

    #[test]
    fn one_key_for_one_meaning() {
        let text = |text: &str| Value::Text(text.into());
        let number = |text: &str| Value::Number(Number::as_written(text));
        let map =
            |props: &[(&str, Value)]| Value::Map(props.iter().map(|(name, value)| ((*name).into(), value.clone())).collect());
        let mut all = vec![
            Value::Null,
            Value::Bool(true),
            Value::Bool(false),
            number("1"),
            number("1.0"),
            number("0"),
            number("-0e7"),
            number("-1"),
            number("10"),
            text(""),
            text("1"),
            text("a\r\nb"),
            text("a\nb"),
            map(&[]),
            map(&[("a", Value::Null)]),
            map(&[("a", number("1"))]),
            map(&[("a", number("1.0")), ("b", Value::Null)]),
        ];
        let lists: Vec<Value> =
            all.iter().flat_map(|one| all.iter().map(|two| Value::List(vec![one.clone(), two.clone(), one.clone()]))).collect();
        all.extend(lists);
        all.extend([Value::List(vec![]), Value::List(vec![Value::List(vec![])])]);
        for likeness in [(false, false), (false, true), (true, false), (true, true)]
            .map(|(sets, null_is_a_value)| Likeness { sets, null_is_a_value })
        {
            let keys: Vec<Key> = all.iter().map(|one| key(one, likeness)).collect();
            for (one, one_key) in all.iter().zip(&keys) {
                for (two, two_key) in all.iter().zip(&keys) {
                    assert_eq!(same_value(one, two, likeness), one_key == two_key, "{one:?} against {two:?} with {likeness:?}");
                }
            }
        }
    }
}
