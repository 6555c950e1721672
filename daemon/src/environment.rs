//! Owns: the process environment as a value, so that everything that depends on it is a function of its arguments.
//! Must never know: what the variables mean.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
};

/// The environment, read once at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// What this process was started with. `HOME` is filled in from the user database where it is not set.
    #[must_use]
    pub fn read() -> Self {
        let mut all: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        let home = OsString::from("HOME");
        if all.get(&home).is_none_or(|value| value.is_empty())
            && let Ok(found) = etcetera::home_dir()
        {
            all.insert(home, found.into_os_string());
        }
        Self(all)
    }

    /// The value of a variable; an empty one counts as not set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// The value of a variable, where it is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.to_str()
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}
