//! Owns: one item of the system's keyring: how it is named, and why the keyring does not do what is asked of it. Must never know: what
//! the secret opens, nor any log.
//!
//! Nothing here asks a person: what is locked stays locked, and is said to be.

use std::fmt;

use mingle_core::replica::{Failure, RemoteError};

use super::Problem;

/// The longest name of an item, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// The name of an item, as `SERVICE/ACCOUNT`: an item has both as attributes, `service` and `username`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What the secret is for.
    pub service: String,
    /// Whose it is there.
    pub account: String,
}

impl Item {
    /// Reads a name. The service ends at the first `/`.
    ///
    /// # Errors
    /// What a name is like; what was given stays out of it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match text.split_once('/') {
            Some((service, account))
                if !service.is_empty()
                    && !account.is_empty()
                    && text.len() <= NAME_BYTES_MAX
                    && !text.chars().any(char::is_control) =>
            {
                Ok(Self { service: service.into(), account: account.into() })
            }
            _ => Err("an item of the keyring is named SERVICE/ACCOUNT, as in { keyring = \"mingle/home\" }"),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.account)
    }
}

/// Why the keyring does not do what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// There is no session bus.
    NoBus,
    /// The session bus is not on this machine.
    FarBus,
    /// Nobody on the bus keeps secrets.
    NoKeyring,
    /// It is there, and wants a person to open it.
    Locked,
    /// It has no such item.
    Missing,
    /// So many items have this name.
    Several(usize),
    /// It did not answer in time.
    Silent,
    /// It has no place for new items.
    NoPlace,
    /// It would ask a person first.
    Asks,
    /// Anything else that it says.
    Says(String),
    /// This system's keyring is not spoken to.
    NotBuilt,
}

impl Lack {
    /// Whether it is there, and has no such item.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Missing)
    }

    /// In words, with the remedy.
    #[must_use]
    pub fn told(self, item: &Item) -> RemoteError {
        let Item { service, account } = item;
        let (what, hint) = match self {
            Self::NoBus => (
                format!("{item} is in the keyring, and there is no session bus to reach it by"),
                "mingled has to run in your session (`mingle service install`); on a machine without a desktop, use { file = \"..\" } or { credential = \"..\" }".into(),
            ),
            Self::FarBus => (
                format!("{item} is in the keyring, and the session bus is not on this machine: secrets do not go there"),
                "let DBUS_SESSION_BUS_ADDRESS be a unix: address, or use { file = \"..\" }".into(),
            ),
            Self::NoKeyring => (
                format!("{item} is in the keyring, and nothing on the session bus keeps secrets"),
                "install one (gnome-keyring, KWallet, KeePassXC), or use { file = \"..\" } or { credential = \"..\" }".into(),
            ),
            Self::Locked => (
                format!("the keyring with {item} is locked"),
                format!("open it: log in at the desktop, or `secret-tool lookup service {service} username {account}`, which asks"),
            ),
            Self::Missing => (
                format!("the keyring has no {item}"),
                format!("`mingle remote login REMOTE` puts it there, or `secret-tool store --label={service} service {service} username {account}`"),
            ),
            Self::Several(count) => (
                format!("the keyring has {count} items {item}, and which is meant is not known"),
                format!("`secret-tool search --all service {service} username {account}` shows them; take out all but one"),
            ),
            Self::Silent => (format!("the keyring did not give {item} in time"), "it may be asking you something: look at the desktop".into()),
            Self::NoPlace => (
                format!("the keyring has no place for {item} yet"),
                "make a keyring to keep new secrets in: log in at the desktop, or use the program that shows your passwords".into(),
            ),
            Self::Asks => (
                format!("the keyring wants to ask a person about {item} first"),
                format!("`secret-tool store --label={service} service {service} username {account}` lets it ask"),
            ),
            Self::Says(what) => (format!("the keyring does not give {item}: {what}"), "`secret-tool lookup` may say more".into()),
            Self::NotBuilt => (
                format!("{item} is in the keyring, and the keyring of this system is not spoken to yet"),
                "use { command = [..] } with a program that prints the secret, or { file = \"..\" }".into(),
            ),
        };
        RemoteError::new(Failure::NeedsLogin, what).hint(hint)
    }

    /// The same, where a secret was to be put there or taken out.
    #[must_use]
    pub fn unkept(self, item: &Item) -> Problem {
        let RemoteError { what, hint, .. } = self.told(item);
        Problem { what, hint }
    }
}

/// The secret of an item, from the keyring at this session bus.
///
/// # Errors
/// [`Lack`].
#[cfg(not(target_os = "linux"))]
pub async fn read(_: &Item, _: Option<&str>) -> Result<Vec<u8>, Lack> {
    Err(Lack::NotBuilt)
}

/// Keeps the secret of an item, in place of the one before.
///
/// # Errors
/// [`Lack`].
#[cfg(not(target_os = "linux"))]
pub async fn write(_: &Item, _: &str, _: Option<&str>) -> Result<(), Lack> {
    Err(Lack::NotBuilt)
}

/// Takes an item out; whether there was one.
///
/// # Errors
/// [`Lack`].
#[cfg(not(target_os = "linux"))]
pub async fn remove(_: &Item, _: Option<&str>) -> Result<bool, Lack> {
    Err(Lack::NotBuilt)
}

#[cfg(target_os = "linux")]
pub use service::{read, remove, write};

#[cfg(target_os = "linux")]
mod service;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_named_by_service_and_account() {
        #[track_caller]
        fn check(text: &str, expect: Option<(&str, &str)>) {
            let item = Item::parse(text);
            match (&item, expect) {
                (Ok(item), Some(parts)) => {
                    assert_eq!((item.service.as_str(), item.account.as_str()), parts);
                    assert_eq!(item.to_string(), text);
                }
                (Err(why), None) => assert!(text.is_empty() || !why.contains(text), "{why}"),
                _ => panic!("{text:?} gave {item:?}"),
            }
        }
        check("mingle/home", Some(("mingle", "home")));
        check("mingle/home/two", Some(("mingle", "home/two")));
        for text in ["", "hunter2", "/x", "x/", "a\n/b", &format!("a/{}", "b".repeat(NAME_BYTES_MAX))] {
            check(text, None);
        }
    }

    #[test]
    fn whatever_is_in_the_way_names_the_item_and_a_remedy() {
        let item = Item::parse("mingle/home").unwrap();
        for lack in [
            Lack::NoBus,
            Lack::FarBus,
            Lack::NoKeyring,
            Lack::Locked,
            Lack::Missing,
            Lack::Several(2),
            Lack::Silent,
            Lack::NoPlace,
            Lack::Asks,
            Lack::Says("no".into()),
            Lack::NotBuilt,
        ] {
            let told = lack.told(&item);
            assert!(told.kind == Failure::NeedsLogin && told.what.contains("mingle/home") && told.hint.is_some(), "{told:?}");
        }
    }
}
