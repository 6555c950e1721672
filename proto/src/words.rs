//! Owns: how a closed set of words becomes a type. Must never know: which sets there are.

/// An enum of words that a request may say: any other word is refused.
macro_rules! choice {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$about:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$about])* #[serde(rename = $word)] $variant,)+ }
        $crate::words::common!($name { $($variant = $word,)+ });
        $crate::words::schema!($name, "One of these words.", $($word,)+);
    };
}

/// An enum of words that an answer may say. A word of a newer daemon is read as `Unknown`, so that old clients go on.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$about:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$about])* #[serde(rename = $word)] $variant,)+
            /// A word that this build does not know. Never sent.
            #[serde(other, rename = "unknown")]
            Unknown,
        }
        $crate::words::common!($name { $($variant = $word,)+ } Unknown);
        $crate::words::schema!($name, "One of these words, or one of a newer daemon.", $($word,)+);
    };
}

macro_rules! common {
    ($name:ident { $($variant:ident = $word:literal,)+ } $($unknown:ident)?) => {
        impl $name {
            /// Every word, in the order of its definition.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word as it is written on the wire.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ $(Self::$unknown => "unknown",)? }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.word())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|one| one.word() == word).ok_or_else(|| {
                    let known: Vec<&str> = Self::ALL.iter().map(|one| one.word()).collect();
                    format!("no such word: `{word}` (one of {})", known.join(", "))
                })
            }
        }
    };
}

/// The words as a schema: serde's `other` has no form there, and those that an answer may say can grow.
macro_rules! schema {
    ($name:ident, $about:literal, $($word:literal,)+) => {
        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "description": $about, "enum": [$($word),+] })
            }
        }
    };
}

pub(crate) use {choice, common, schema, words};
