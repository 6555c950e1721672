//! Owns: what is asked of the Secret Service (`org.freedesktop.secrets`) over the session bus. Must never know: why, and what is said of it.
//!
//! A secret crosses the bus as it is (`plain`): the bus is a socket of this machine, and whoever may listen there may ask the keyring as well.

use std::{collections::HashMap, time::Duration};

use mingle_core::limits;
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
        let attributes = HashMap::from([("service", item.service.as_str()), ("username", item.account.as_str())]);
        let found: (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) =
            self.service().await?.call("SearchItems", &(attributes,)).await?;
        match found {
            (mut open, locked) if open.len() + locked.len() == 1 => open.pop().ok_or(Lack::Locked).map(Some),
            (open, locked) if open.is_empty() && locked.is_empty() => Ok(None),
            (open, locked) => Err(Lack::Several(open.len() + locked.len())),
        }
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
