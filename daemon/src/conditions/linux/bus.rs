//! Owns: what NetworkManager, UPower and logind tell over the system bus, and holding up a sleep until nothing runs. Must never know:
//! what their numbers mean.
//!
//! Only their signals wake anybody. A service that is not there is not started for us; when it comes, it is asked. A bus that is not
//! there, or goes away, is looked for at the next beat.

use std::{collections::HashMap, pin::Pin, time::Duration};

use futures_util::{StreamExt as _, stream};
use mingle_core::limits::BUS_MS_MAX;
use tokio::sync::watch;
use zbus::{
    Address, Connection, MatchRule, Message, MessageStream, Proxy,
    connection::Builder,
    message::Type,
    names::OwnedUniqueName,
    proxy::{CacheProperties, MethodFlags},
    zvariant::{OwnedFd, OwnedValue, Value as Variant},
};

use crate::paths;

use super::{
    super::{Means, Source, Teller},
    said::{Heard, Said, Value},
};

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";

/// An object whose properties are followed, and where its words belong.
struct Subject {
    service: &'static str,
    path: &'static str,
    interface: &'static str,
    place: fn(&mut Heard) -> &mut Said,
}

const LOGIND: &str = "org.freedesktop.login1";
const LOGIND_PATH: &str = "/org/freedesktop/login1";
const LOGIND_MANAGER: &str = "org.freedesktop.login1.Manager";

const SUBJECTS: [Subject; 4] = [
    Subject {
        service: "org.freedesktop.NetworkManager",
        path: "/org/freedesktop/NetworkManager",
        interface: "org.freedesktop.NetworkManager",
        place: |heard| &mut heard.network,
    },
    Subject {
        service: "org.freedesktop.UPower",
        path: "/org/freedesktop/UPower",
        interface: "org.freedesktop.UPower",
        place: |heard| &mut heard.power,
    },
    Subject {
        service: "org.freedesktop.UPower",
        path: "/org/freedesktop/UPower/devices/DisplayDevice",
        interface: "org.freedesktop.UPower.Device",
        place: |heard| &mut heard.battery,
    },
    Subject { service: LOGIND, path: LOGIND_PATH, interface: LOGIND_MANAGER, place: |heard| &mut heard.session },
];

/// The system bus.
pub(super) struct Bus;

impl Source for Bus {
    fn follow(&self, teller: Teller, mut means: Means) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            loop {
                // A try costs a thread; most machines without a bus never get one.
                if is_there() {
                    match Talk::begin().await {
                        Ok(talk) => {
                            tracing::info!("the system bus tells of network, power and sleep");
                            let ended = talk.go_on(&teller, means.rested.clone()).await;
                            tracing::info!(error = ended.map(tracing::field::display), "the system bus is gone");
                        }
                        Err(error) => tracing::debug!(%error, "no system bus"),
                    }
                }
                teller.tell(Heard::default().world());
                if means.beat.changed().await.is_err() {
                    return;
                }
            }
        })
    }
}

/// Whether the system bus has a socket, or something else that cannot be looked at.
fn is_there() -> bool {
    Address::system().map_or(true, |address| paths::has_bus(&address.to_string()))
}

/// One connection, and what was heard over it.
struct Talk {
    bus: Connection,
    signals: stream::SelectAll<MessageStream>,
    /// Who owns which service: only its own word counts.
    owners: HashMap<&'static str, OwnedUniqueName>,
    heard: Heard,
    /// While it is held, the machine waits with going to sleep.
    inhibitor: Option<OwnedFd>,
}

impl Talk {
    async fn begin() -> zbus::Result<Self> {
        let patience = Duration::from_millis(BUS_MS_MAX);
        let connecting = Builder::system()?.method_timeout(patience).build();
        let bus = tokio::time::timeout(patience, connecting).await.map_err(|_| zbus::Error::Failure("no answer".into()))??;
        let rule = || MatchRule::builder().msg_type(Type::Signal);
        let mut rules = Vec::new();
        for subject in &SUBJECTS {
            rules.push(
                rule().sender(subject.service)?.path(subject.path)?.interface(PROPERTIES)?.member("PropertiesChanged")?.build(),
            );
        }
        rules.push(rule().sender(LOGIND)?.path(LOGIND_PATH)?.interface(LOGIND_MANAGER)?.member("PrepareForSleep")?.build());
        for service in services() {
            rules.push(rule().sender(BUS)?.interface(BUS)?.member("NameOwnerChanged")?.arg(0, service)?.build());
        }
        let mut signals = stream::SelectAll::new();
        for rule in rules {
            signals.push(MessageStream::for_match_rule(rule, &bus, None).await?);
        }
        let mut talk = Self { bus, signals, owners: HashMap::new(), heard: Heard::default(), inhibitor: None };
        // Asked after listening has begun: whatever changes from here on is heard.
        for service in services() {
            talk.meet(service).await?;
        }
        Ok(talk)
    }

    /// Tells what is heard until the bus is gone; why, where that is known.
    async fn go_on(mut self, teller: &Teller, mut rested: watch::Receiver<bool>) -> Option<zbus::Error> {
        loop {
            teller.tell(self.heard.world());
            let holds_up = self.heard.sleeps && self.inhibitor.is_some();
            let signal = tokio::select! {
                signal = self.signals.next() => signal,
                _ = rested.wait_for(|rested| *rested), if holds_up => {
                    tracing::info!("nothing runs: the machine may sleep");
                    self.inhibitor = None;
                    continue;
                }
            };
            let heard = match signal {
                Some(Ok(signal)) => self.hear(&signal).await,
                Some(Err(error)) => Err(error),
                None => return None,
            };
            if let Err(error) = heard {
                return Some(error);
            }
        }
    }

    async fn hear(&mut self, signal: &Message) -> zbus::Result<()> {
        let header = signal.header();
        let (Some(member), Some(sender)) = (header.member(), header.sender()) else { return Ok(()) };
        if member == "NameOwnerChanged" {
            let (name, ..): (String, String, String) = signal.body().deserialize()?;
            if sender.as_str() == BUS
                && let Some(service) = services().find(|service| **service == *name)
            {
                self.meet(service).await?;
            }
            return Ok(());
        }
        let path = header.path().map(zbus::zvariant::ObjectPath::as_str).unwrap_or_default();
        let Some(subject) = SUBJECTS.iter().find(|subject| subject.path == path) else { return Ok(()) };
        // Anybody may send a signal that looks like its.
        if self.owners.get(subject.service).is_none_or(|owner| *owner != *sender) {
            return Ok(());
        }
        if member == "PrepareForSleep" {
            self.heard.sleeps = signal.body().deserialize()?;
            tracing::info!(sleeps = self.heard.sleeps, "the machine goes to sleep, or is awake again");
            if !self.heard.sleeps {
                self.inhibit().await;
            }
            return Ok(());
        }
        self.ask(subject).await
    }

    /// Learns whether a service is there, and all it has to say.
    async fn meet(&mut self, service: &'static str) -> zbus::Result<()> {
        let bus = self.object(BUS, BUS_PATH, BUS).await?;
        match bus.call::<_, _, OwnedUniqueName>("GetNameOwner", &service).await {
            Ok(owner) => self.owners.insert(service, owner),
            Err(zbus::Error::MethodError(..)) => self.owners.remove(service),
            Err(error) => return Err(error),
        };
        for subject in SUBJECTS.iter().filter(|subject| subject.service == service) {
            self.ask(subject).await?;
        }
        if service == LOGIND {
            // Whoever promised a word on waking is another now.
            self.heard.sleeps = self.heard.session.flag("PreparingForSleep") == Some(true);
            self.inhibit().await;
        }
        Ok(())
    }

    /// Reads the properties of an object; one that does not give them is not known.
    async fn ask(&mut self, subject: &Subject) -> zbus::Result<()> {
        let mut said = Said::default();
        if self.owners.contains_key(subject.service) {
            let object = self.object(subject.service, subject.path, PROPERTIES).await?;
            let flags = MethodFlags::NoAutoStart.into();
            let call = object.call_with_flags::<_, _, HashMap<String, OwnedValue>>("GetAll", flags, &subject.interface);
            // The connection's own patience is not for calls with flags, and one service that hangs must not keep the others from being heard.
            let Ok(told) = tokio::time::timeout(Duration::from_millis(BUS_MS_MAX), call).await else {
                tracing::info!(service = subject.service, "a service does not answer: what it would tell is not known");
                *(subject.place)(&mut self.heard) = said;
                return Ok(());
            };
            match told {
                Ok(all) => {
                    let all = all.into_iter().flatten();
                    said = all.filter_map(|(name, value)| Some((name, plain(&value)?))).collect();
                }
                Err(zbus::Error::InputOutput(error)) => return Err(zbus::Error::InputOutput(error)),
                Err(error) => tracing::debug!(%error, path = subject.path, "a service does not tell"),
            }
        }
        *(subject.place)(&mut self.heard) = said;
        Ok(())
    }

    /// Asks logind to wait before the machine sleeps: no longer than it likes to, and until we let go.
    async fn inhibit(&mut self) {
        self.inhibitor = None;
        if !self.owners.contains_key(LOGIND) {
            return;
        }
        let asked = async {
            let logind = self.object(LOGIND, LOGIND_PATH, LOGIND_MANAGER).await?;
            let words = ("sleep", "mingled", "runs end where they can go on later", "delay");
            logind.call::<_, _, OwnedFd>("Inhibit", &words).await
        };
        match asked.await {
            Ok(inhibitor) => self.inhibitor = Some(inhibitor),
            Err(error) => tracing::debug!(%error, "logind does not wait for us before the machine sleeps"),
        }
    }

    async fn object(&self, service: &'static str, path: &'static str, interface: &'static str) -> zbus::Result<Proxy<'static>> {
        let object = zbus::proxy::Builder::new(&self.bus).destination(service)?.path(path)?.interface(interface)?;
        object.cache_properties(CacheProperties::No).build().await
    }
}

/// Each service once.
fn services() -> impl Iterator<Item = &'static str> {
    let all = SUBJECTS.iter().map(|subject| subject.service).enumerate();
    all.filter(|(place, service)| SUBJECTS[..*place].iter().all(|before| before.service != *service)).map(|(_, service)| service)
}

fn plain(value: &OwnedValue) -> Option<Value> {
    match &**value {
        Variant::Bool(flag) => Some(Value::Flag(*flag)),
        Variant::U32(number) => Some(Value::Number(*number)),
        Variant::F64(real) => Some(Value::Real(*real)),
        _ => None,
    }
}
