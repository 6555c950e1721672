//! Owns: what is asked of the Secret Service (`org.freedesktop.secrets`) over the session bus. Must never know: why, and what is said of it.
//!
//! A secret crosses the bus as it is (`plain`): the bus is a socket of this machine, and whoever may listen there may ask the keyring as well.

use std::{collections::HashMap, time::Duration};

use mingle_core::{limits, planted};
use zbus::{
    Connection, Proxy,
    connection::Builder,
    proxy::CacheProperties,
    zvariant::{OwnedObjectPath, OwnedValue, Value},
};

use super::{Item, Lack};
use crate::paths;

const SECRETS: &str = "org.freedesktop.secrets";
const SERVICE_PATH: &str = "/org/freedesktop/secrets";
const SERVICE: &str = "org.freedesktop.Secret.Service";
const ITEM: &str = "org.freedesktop.Secret.Item";
const COLLECTION: &str = "org.freedesktop.Secret.Collection";
/// The path that stands for none.
const NONE: &str = "/";

/// A secret on the bus: session, parameters of its cipher, the secret, and its type.
type OnBus = (OwnedObjectPath, Vec<u8>, Vec<u8>, String);

/// The secret of an item, from the keyring at this session bus.
///
/// # Errors
/// [`Lack`].
pub async fn read(item: &Item, bus: Option<&str>) -> Result<Vec<u8>, Lack> {
    in_time(async {
        let keyring = Keyring::at(bus).await?;
        let found = keyring.one(item).await?.ok_or(Lack::Missing)?;
        let session = keyring.session().await?;
        let (_, _, secret, _): OnBus = keyring.object(&found, ITEM).await?.call("GetSecret", &(session,)).await?;
        Ok(secret)
    })
    .await
}

/// Keeps the secret of an item, in place of the one before: what else is known of the item stays.
///
/// # Errors
/// [`Lack`]; then the keyring has what it had.
pub async fn write(item: &Item, secret: &str, bus: Option<&str>) -> Result<(), Lack> {
    in_time(async {
        let keyring = Keyring::at(bus).await?;
        let found = keyring.one(item).await?;
        let secret: OnBus = (keyring.session().await?, Vec::new(), secret.into(), "text/plain; charset=utf8".into());
        if let Some(found) = found {
            return Ok(keyring.object(&found, ITEM).await?.call("SetSecret", &(secret,)).await?);
        }
        let place: OwnedObjectPath = keyring.service().await?.call("ReadAlias", &("default",)).await?;
        if place.as_str() == NONE {
            return Err(Lack::NoPlace);
        }
        let place = keyring.object(&place, COLLECTION).await?;
        if place.get_property::<bool>("Locked").await? {
            return Err(Lack::Locked);
        }
        let properties = HashMap::from([
            ("org.freedesktop.Secret.Item.Label", Value::from(format!("mingle: {item}"))),
            ("org.freedesktop.Secret.Item.Attributes", Value::from(attributes(item))),
        ]);
        let (_, prompt): (OwnedObjectPath, OwnedObjectPath) = place.call("CreateItem", &(properties, secret, false)).await?;
        unasked(&prompt)
    })
    .await
}

/// Takes an item out; whether there was one.
///
/// # Errors
/// [`Lack`]; then the keyring has what it had.
pub async fn remove(item: &Item, bus: Option<&str>) -> Result<bool, Lack> {
    in_time(async {
        let keyring = Keyring::at(bus).await?;
        let Some(found) = keyring.one(item).await? else { return Ok(false) };
        let prompt: OwnedObjectPath = keyring.object(&found, ITEM).await?.call("Delete", &()).await?;
        unasked(&prompt)?;
        Ok(true)
    })
    .await
}

/// By what an item is known.
fn attributes(item: &Item) -> HashMap<&str, &str> {
    HashMap::from([("service", item.service.as_str()), ("username", item.account.as_str())])
}

/// What waits for a prompt has not happened; we have none performed.
fn unasked(prompt: &OwnedObjectPath) -> Result<(), Lack> {
    if prompt.as_str() == NONE { Ok(()) } else { Err(Lack::Asks) }
}

/// Of what was found, the item that can only be meant; none: there is none. Others may have given more attributes to items of their own.
fn only<T>(mut open: Vec<T>, locked: &[T]) -> Result<Option<T>, Lack> {
    if planted::is("the first of several items is meant") && !open.is_empty() {
        return Ok(Some(open.remove(0)));
    }
    match open.len() + locked.len() {
        0 => Ok(None),
        1 => open.pop().ok_or(Lack::Locked).map(Some),
        several => Err(Lack::Several(several)),
    }
}

/// All of it within the time that a bus has: a keyring may wait for a person, and we do not.
async fn in_time<T>(asked: impl Future<Output = Result<T, Lack>>) -> Result<T, Lack> {
    tokio::time::timeout(Duration::from_millis(limits::BUS_MS_MAX), asked).await.unwrap_or(Err(Lack::Silent))
}

/// The keyring, for one question.
struct Keyring {
    bus: Connection,
}

impl Keyring {
    async fn at(bus: Option<&str>) -> Result<Self, Lack> {
        let address = bus.filter(|address| paths::has_bus(address)).ok_or(Lack::NoBus)?;
        if !address.starts_with("unix:") {
            return Err(Lack::FarBus);
        }
        let builder = Builder::address(address).map_err(|_| Lack::NoBus)?;
        let builder = builder.method_timeout(Duration::from_millis(limits::BUS_MS_MAX));
        Ok(Self { bus: builder.build().await.map_err(|_| Lack::NoBus)? })
    }

    async fn object<'a>(&'a self, path: &'a str, interface: &'static str) -> Result<Proxy<'a>, Lack> {
        let proxy = zbus::proxy::Builder::<Proxy<'_>>::new(&self.bus).destination(SECRETS)?.path(path)?;
        Ok(proxy.interface(interface)?.cache_properties(CacheProperties::No).build().await?)
    }

    async fn service(&self) -> Result<Proxy<'_>, Lack> {
        self.object(SERVICE_PATH, SERVICE).await
    }

    /// The item of this name; none: there is none.
    async fn one(&self, item: &Item) -> Result<Option<OwnedObjectPath>, Lack> {
        let (open, locked): (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) =
            self.service().await?.call("SearchItems", &(attributes(item),)).await?;
        only(open, &locked)
    }

    /// A session ends with the connection.
    async fn session(&self) -> Result<OwnedObjectPath, Lack> {
        let (_, session): (OwnedValue, OwnedObjectPath) =
            self.service().await?.call("OpenSession", &("plain", Value::from(""))).await?;
        Ok(session)
    }
}

impl From<zbus::Error> for Lack {
    fn from(error: zbus::Error) -> Self {
        let zbus::Error::MethodError(name, _, _) = &error else { return Self::Says(error.to_string()) };
        match name.as_str() {
            "org.freedesktop.DBus.Error.ServiceUnknown" | "org.freedesktop.DBus.Error.NameHasNoOwner" => Self::NoKeyring,
            name if name.starts_with("org.freedesktop.DBus.Error.Spawn.") => Self::NoKeyring,
            "org.freedesktop.Secret.Error.IsLocked" => Self::Locked,
            "org.freedesktop.Secret.Error.NoSuchObject" => Self::Missing,
            "org.freedesktop.DBus.Error.NoReply" | "org.freedesktop.DBus.Error.Timeout" => Self::Silent,
            _ => Self::Says(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many are open and locked, and what is meant.
    #[test]
    fn of_several_items_none_is_meant() {
        for (open, locked, expect) in [
            (0, 0, Ok(None)),
            (1, 0, Ok(Some(0))),
            (0, 1, Err(Lack::Locked)),
            (1, 1, Err(Lack::Several(2))),
            (2, 0, Err(Lack::Several(2))),
            (0, 3, Err(Lack::Several(3))),
        ] {
            assert_eq!(only((0..open).collect(), &vec![0; locked]), expect, "{open} {locked}");
        }
    }

    /// The table above finds it.
    #[cfg(feature = "planted")]
    #[test]
    fn planted_bugs_are_found() {
        planted::set_here(Some("the first of several items is meant"));
        let meant = only(vec![0, 1], &[]);
        planted::set_here(None);
        assert_eq!(meant, Ok(Some(0)));
    }
}
