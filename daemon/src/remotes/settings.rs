//! Owns: what a person writes of a remote: a `[remote.NAME]` table with its login and where its secrets come from.
//! Must never know: the secrets themselves, nor what a kind makes of the settings.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

use super::keyring::Item;
pub use oauth::{OAuth2, Tokens, endpoint};

mod oauth;

/// One `[remote.NAME]` table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteSettings {
    /// The code that speaks its protocol: a name in [`super::KINDS`].
    pub kind: String,
    /// The data that describes one service, for kinds that take one.
    #[serde(default)]
    pub profile: Option<String>,
    /// Where it answers: scheme, host, and the path that all of it has in common. Empty: it has no address.
    #[serde(default)]
    pub url: String,
    /// How we show who we are.
    #[serde(default)]
    pub auth: Auth,
    /// Plain http to a host that is not this one is allowed.
    #[serde(default)]
    pub insecure: bool,
    /// The program, and what it is told; for kinds that run one. No shell reads it.
    #[serde(default)]
    pub command: Vec<String>,
    /// The app that does the work, for kinds where one does.
    #[serde(default)]
    pub app: Option<String>,
    /// What counts of what the program does. None: as [`Output`] has it.
    #[serde(default)]
    pub output: Option<Output>,
    /// How a document is written. None: its type tells.
    #[serde(default)]
    pub format: Option<Format>,
    /// Where its list stands: a JSON pointer. None: it is the list.
    #[serde(default)]
    pub rows: Option<String>,
    /// Where a row has its id: a JSON pointer, a property or a column. None: `id`.
    #[serde(default)]
    pub id: Option<String>,
    /// The document is no list but one record, with this id.
    #[serde(default)]
    pub document: Option<String>,
    /// What becomes of a record that the document does not show any more. None: as the format has it.
    #[serde(default)]
    pub absent: Option<Absent>,
}

impl RemoteSettings {
    /// The first key that is set and is none of those that a kind takes.
    #[must_use]
    pub fn beside(&self, taken: &[&str]) -> Option<&'static str> {
        let set = [
            ("url", !self.url.is_empty()),
            ("profile", self.profile.is_some()),
            ("auth", self.auth != Auth::None),
            ("insecure", self.insecure),
            ("command", !self.command.is_empty()),
            ("app", self.app.is_some()),
            ("output", self.output.is_some()),
            ("format", self.format.is_some()),
            ("rows", self.rows.is_some()),
            ("id", self.id.is_some()),
            ("document", self.document.is_some()),
            ("absent", self.absent.is_some()),
        ];
        set.into_iter().find(|(key, is_set)| *is_set && !taken.contains(key)).map(|(key, _)| key)
    }
}

/// What counts of what a program does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// The records that it prints.
    #[default]
    Batches,
    /// How it ends.
    Result,
}

impl Output {
    /// The word in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Batches => "batches",
            Self::Result => "result",
        }
    }
}

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A JSON list, or an object.
    Json,
    /// A JSON object a line.
    Ndjson,
    /// A table: columns by their names.
    Csv,
    /// RSS.
    Rss,
    /// Atom.
    Atom,
    /// JSON Feed.
    JsonFeed,
    /// iCalendar.
    #[serde(rename = "icalendar")]
    ICalendar,
}

impl Format {
    /// The word in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Rss => "rss",
            Self::Atom => "atom",
            Self::JsonFeed => "json-feed",
            Self::ICalendar => "icalendar",
        }
    }

    /// Whether it shows what is new, and what is older leaves it.
    #[must_use]
    pub const fn is_feed(self) -> bool {
        matches!(self, Self::Rss | Self::Atom | Self::JsonFeed)
    }
}

/// What becomes of a record that a document does not show any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absent {
    /// It is deleted, under the guard.
    Delete,
    /// It stays.
    Keep,
}

impl Absent {
    /// The word in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Keep => "keep",
        }
    }
}

/// How we show who we are: `auth = { type = "basic", .. }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// A name and a password.
    Basic {
        /// The account.
        username: String,
        /// Its password.
        password: Secret,
    },
    /// A token in `Authorization: Bearer`.
    Bearer {
        /// The token.
        token: Secret,
    },
    /// A key in a header of the service's own.
    Header {
        /// The header.
        name: String,
        /// What stands in it.
        secret: Secret,
    },
    /// A key in a parameter of the address. Such a key ends up in logs of servers: any other way is better.
    Query {
        /// The parameter.
        name: String,
        /// What stands in it.
        secret: Secret,
    },
    /// A token that a service gives for a login by a person, and that runs out.
    #[serde(rename = "oauth2")]
    OAuth2(Box<OAuth2>),
}

impl Auth {
    /// Whom these credentials stand for, as far as the settings say so: part of what tells one history of a remote from another.
    /// Of a login that runs out the login itself says it ([`super::oauth::Logins::account`]).
    #[must_use]
    pub fn account(&self) -> &str {
        match self {
            Self::Basic { username, .. } => username,
            Self::None | Self::Bearer { .. } | Self::Header { .. } | Self::Query { .. } | Self::OAuth2(_) => "",
        }
    }

    /// Where the secret comes from, if there is one that stands in requests as it is.
    #[must_use]
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::None | Self::OAuth2(_) => None,
            Self::Basic { password: secret, .. } | Self::Bearer { token: secret } => Some(secret),
            Self::Header { secret, .. } | Self::Query { secret, .. } => Some(secret),
        }
    }
}

/// Where a secret comes from. It is fetched anew whenever a remote is opened.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// What this program prints, without the line end. The first word is the program; no shell reads it.
    Command(Vec<String>),
    /// What this file holds, without the line end. It must be readable by its owner alone; relative to the configuration.
    File(String),
    /// What this variable of the daemon's environment holds.
    Env(String),
    /// What the system's keyring has under this name.
    Keyring(Item),
    /// What the service manager left under this name (`LoadCredential=`).
    Credential(String),
    /// The secret itself, by one who insists.
    Plain(String),
}

/// The ways a secret can be given, for error texts.
const WAYS: [&str; 6] = ["command", "file", "env", "keyring", "credential", "plain"];

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(words) => write!(f, "command {:?}", words.first()),
            Self::File(path) => write!(f, "file {path:?}"),
            Self::Env(name) => write!(f, "env {name:?}"),
            Self::Keyring(item) => write!(f, "keyring \"{item}\""),
            Self::Credential(name) => write!(f, "credential {name:?}"),
            Self::Plain(_) => f.write_str("plain"),
        }
    }
}

// By hand, because the derived reader quotes in its errors what it could not use, and that may be a password.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(SecretReader)
    }
}

struct SecretReader;

impl<'de> Visitor<'de> for SecretReader {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("where the secret comes from, such as { file = \"NAME\" }")
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Secret, E> {
        Err(E::custom(
            "a secret does not stand in the configuration: say where it comes from with { command = [..] }, { file = \"..\" }, \
             { env = \"..\" }, { keyring = \"..\" } or { credential = \"..\" }; who insists writes { plain = \"..\" }",
        ))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
        let Some(way) = map.next_key::<String>()? else {
            return Err(A::Error::custom("a secret needs to say where it comes from: { file = \"NAME\" }"));
        };
        let secret = match way.as_str() {
            "command" => Secret::Command(map.next_value()?),
            "file" => Secret::File(map.next_value()?),
            "env" => Secret::Env(map.next_value()?),
            "keyring" => Secret::Keyring(Item::parse(&map.next_value::<String>()?).map_err(A::Error::custom)?),
            "credential" => Secret::Credential(map.next_value()?),
            "plain" => Secret::Plain(map.next_value()?),
            other => return Err(A::Error::unknown_field(other, &WAYS)),
        };
        match (&secret, map.next_key::<String>()?) {
            (_, Some(_)) => Err(A::Error::custom("a secret comes from one place only")),
            (Secret::Command(words), None) if words.is_empty() => Err(A::Error::custom("a command needs a program to run")),
            (_, None) => Ok(secret),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<Auth, &str>) {
        let whole = format!("kind = \"rest\"\nurl = \"https://example.org\"\n{text}");
        match (toml::from_str::<RemoteSettings>(&whole), expect) {
            (Ok(settings), Ok(auth)) => assert_eq!(settings.auth, auth),
            (Err(error), Err(part)) => assert!(error.message().contains(part), "{text} said: {}", error.message()),
            (got, expect) => panic!("{text} gave {got:?}, not {expect:?}"),
        }
    }

    #[test]
    fn settings_are_read_strictly() {
        check("", Ok(Auth::None));
        check(
            "auth = { type = \"basic\", username = \"me\", password = { file = \"k\" } }",
            Ok(Auth::Basic { username: "me".into(), password: Secret::File("k".into()) }),
        );
        check(
            "auth = { type = \"bearer\", token = { command = [\"pass\", \"show\", \"x\"] } }",
            Ok(Auth::Bearer { token: Secret::Command(vec!["pass".into(), "show".into(), "x".into()]) }),
        );
        check(
            "auth = { type = \"header\", name = \"x-key\", secret = { env = \"KEY\" } }",
            Ok(Auth::Header { name: "x-key".into(), secret: Secret::Env("KEY".into()) }),
        );
        check(
            "auth = { type = \"query\", name = \"key\", secret = { env = \"KEY\" } }",
            Ok(Auth::Query { name: "key".into(), secret: Secret::Env("KEY".into()) }),
        );
        check(
            "auth = { type = \"bearer\", token = { keyring = \"mingle/home\" } }",
            Ok(Auth::Bearer { token: Secret::Keyring(Item { service: "mingle".into(), account: "home".into() }) }),
        );
        check("auth = { type = \"bearer\", token = { keyring = \"home\" } }", Err("named SERVICE/ACCOUNT"));
        check("auht = 1", Err("unknown field `auht`"));
        check("auth = { type = \"bearer\", token = { env = \"A\" }, user = \"b\" }", Err("unknown field `user`"));
        check("auth = { type = \"bearer\", token = { evn = \"A\" } }", Err("unknown field `evn`"));
        check("auth = { type = \"bearer\", token = { env = \"A\", file = \"b\" } }", Err("one place only"));
        check("auth = { type = \"bearer\", token = { command = [] } }", Err("needs a program"));
        check("auth = { type = \"bearer\", token = \"hunter2\" }", Err("does not stand in the configuration"));
    }

    #[test]
    fn no_error_and_no_debug_form_holds_a_secret() {
        let error = toml::from_str::<Auth>("type = \"bearer\"\ntoken = \"hunter2\"").unwrap_err();
        assert!(!error.message().contains("hunter2"), "{}", error.message());
        assert!(!format!("{:?}", Secret::Plain("hunter2".into())).contains("hunter2"));
    }
}
