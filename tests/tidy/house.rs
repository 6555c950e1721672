//! Owns: the law as data. Must never know: how it is checked.

/// What lies at the top of the repository, besides dotted files and `target`.
pub const TOP: &[&str] = &[
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "client",
    "daemon",
    "launchd",
    "proto",
    "systemd",
    "tests",
];

/// Lines a source file may have.
pub const LINES_MAX: usize = 500;

/// Longer files, each with the reason.
pub const LONG: &[(&str, &str)] = &[("client/python/mingle.py", "one file, which an app takes along as it is")];

/// Our crates: where they live, what they are called in code, and which of ours they may know.
pub struct Package {
    pub directory: &'static str,
    pub name: &'static str,
    pub may_know: &'static [&'static str],
}

pub const PACKAGES: &[Package] = &[
    Package { directory: "proto", name: "mingle_proto", may_know: &[] },
    Package { directory: "client", name: "mingle_client", may_know: &["mingle_proto"] },
    Package { directory: "client/cli", name: "mingle_cli", may_know: &["mingle_proto", "mingle_client", "mingle_vdir"] },
    Package { directory: "client/vdir", name: "mingle_vdir", may_know: &["mingle_client", "mingle_core", "mingle_text"] },
    Package { directory: "daemon/core", name: "mingle_core", may_know: &[] },
    Package { directory: "daemon/text", name: "mingle_text", may_know: &["mingle_core"] },
    Package { directory: "daemon", name: "mingled", may_know: &["mingle_proto", "mingle_core", "mingle_text"] },
    Package {
        directory: "tests",
        name: "mingle_tests",
        may_know: &["mingle_proto", "mingle_client", "mingle_core", "mingle_text", "mingled"],
    },
];

/// Packages that are no members of the workspace: where they live, and why.
pub const ALONE: &[(&str, &str)] = &[("tests/bench/grpc", "an anchor of the bench: whoever runs the tests shall not build it")];

/// A room of the daemon (the first part of a path under `daemon/src`), and what it must never know: other rooms, and crates (or
/// parts of them) by their path.
pub struct Room {
    pub name: &'static str,
    pub never_rooms: &'static [&'static str],
    pub never_paths: &'static [&'static str],
}

pub const ROOMS: &[Room] = &[
    Room {
        name: "ipc",
        never_rooms: &["store", "remotes", "conditions", "run", "perform", "config"],
        never_paths: &["rusqlite", "reqwest", "fs2"],
    },
    Room {
        name: "store",
        never_rooms: &["ipc", "remotes", "conditions", "run", "perform", "config", "clock"],
        never_paths: &["interprocess", "reqwest", "std::net", "mingle_proto", "jiff"],
    },
    Room {
        name: "remotes",
        never_rooms: &["ipc", "store", "conditions", "run", "perform", "clock", "alarm"],
        never_paths: &["rusqlite", "interprocess", "mingle_proto", "mingle_core::schedule"],
    },
    Room {
        name: "conditions",
        never_rooms: &["ipc", "store", "remotes", "run", "perform"],
        never_paths: &["rusqlite", "reqwest", "mingle_proto", "mingle_core::schedule"],
    },
    Room { name: "signals", never_rooms: &["lock", "paths", "config", "store", "ipc", "remotes"], never_paths: &["rusqlite"] },
    Room { name: "lock", never_rooms: &["signals", "paths", "config", "store", "ipc", "remotes"], never_paths: &["rusqlite"] },
    Room { name: "paths", never_rooms: &["signals", "lock", "config", "store", "ipc", "remotes"], never_paths: &["rusqlite"] },
    Room { name: "config", never_rooms: &["signals", "lock", "paths", "store", "ipc"], never_paths: &["rusqlite", "reqwest"] },
    Room {
        name: "clock",
        never_rooms: &["ipc", "store", "remotes", "config"],
        never_paths: &["mingle_core::schedule", "mingle_core::run"],
    },
];

/// The four rooms of which nobody knows two, but for these files, each with the reason.
pub const APART: &[&str] = &["ipc", "store", "remotes", "conditions"];
pub const KNOW_THEM_ALL: &[(&str, &str)] = &[
    ("run", "the loop: it starts and ends them all"),
    ("perform", "effects become tasks of the rooms"),
    ("rehearsal", "a run is played on a copy of the store, with a remote that is only asked"),
    ("reload", "what changed in the configuration is held against the store and the remotes"),
    ("boot", "the engine is made from what the store remembers and what the remotes can do"),
    ("house", "the door that the socket knocks at leads to all of them"),
];

/// What the mind must never name: nothing in it reaches outside, and nothing in it is written anywhere.
pub const NEVER_IN_CORE: &[&str] = &[
    "serde",
    "serde_json",
    "tokio",
    "rusqlite",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::io",
    "std::time::SystemTime",
    "std::time::Instant",
];
/// Nor what it must never derive.
pub const NEVER_DERIVED_IN_CORE: &[&str] = &["Serialize", "Deserialize"];

/// Crates that one place keeps to itself: crate, where it may be named, why.
pub const KEPT: &[(&str, &[&str], &str)] = &[
    ("rusqlite", &["daemon/src/store/", "client/src/reader", "tests/"], "all SQL is in the store"),
    ("fs2", &["daemon/src/lock.rs", "daemon/src/conditions/", "tests/"], "one lock, one measure of free space"),
    ("signal_hook", &["daemon/src/signals.rs", "client/cli/", "tests/"], "one place says what a signal means"),
    ("tokio_cron_scheduler", &["daemon/src/alarm"], "it rings, and decides nothing"),
    (
        "zbus",
        &["daemon/src/conditions/", "daemon/src/desktop.rs", "daemon/src/remotes/keyring/"],
        "one room asks the system how the world is, one shows what wants a person, one reads secrets",
    ),
    ("reqwest", &["daemon/src/remotes/", "tests/"], "only remotes speak HTTP"),
    ("interprocess", &["daemon/src/ipc/", "client/src/", "tests/"], "one socket, two ends"),
    ("anyhow", &["daemon/src/main.rs", "daemon/src/run.rs", "client/cli/", "tests/"], "elsewhere an error has a kind"),
];

/// Files that may switch a ban of `.clippy.toml` off, each with the reason.
pub const MAY_BREAK_BANS: &[(&str, &str)] = &[
    ("daemon/src/clock.rs", "it reads the clock"),
    ("daemon/src/ipc/", "how long a peer may take is counted where it is waited for"),
    ("daemon/src/house.rs", "how long an app waits is counted where it waits"),
    ("daemon/src/run.rs", "what holds no work any more is dropped at the end"),
    ("daemon/src/store/open.rs", "a damaged disk gets a moment before the second look"),
    ("daemon/src/remotes/http.rs", "it measures how fast bytes come"),
    ("daemon/src/remotes/larder.rs", "it measures how long an answer holds its place"),
    ("daemon/src/clock/", "it reads the clock"),
    ("daemon/src/alarm.rs", "it sleeps"),
    ("daemon/src/alarm/", "it sleeps"),
    ("client/", "an app has a clock of its own"),
    ("tests/", "the harness waits for conditions, with deadlines"),
];

/// Crates the project was asked to stand on, and the package that must use them.
pub const REQUIRED: &[(&str, &str)] = &[
    ("tokio", "daemon"),
    ("tokio-cron-scheduler", "daemon"),
    ("interprocess", "daemon"),
    ("interprocess", "client"),
    ("rusqlite", "daemon"),
    ("fs2", "daemon"),
    ("serde", "proto"),
    ("serde_json", "proto"),
    ("tracing", "daemon"),
    ("tracing-subscriber", "daemon"),
    ("signal-hook", "daemon"),
    ("clap", "client/cli"),
    ("indicatif", "client/cli"),
];

/// Dependencies that no source names, each with the reason.
pub const UNNAMED: &[(&str, &str, &str)] = &[];

/// Words that no file may contain, and what is wrong with them. Written in two halves, so that this file may stand.
pub const NEVER_WRITTEN: &[(&str, &str, &str)] = &[
    ("/wo", "rk/", "a path of one machine"),
    ("/roo", "t/", "a path of one machine"),
    ("arti", "factory", "a registry's host"),
    ("bash_", "jobs", "a path of one machine"),
];

/// Words that no Rust source may contain, where not, and what to write instead.
pub const NEVER_IN_RUST: &[(&str, &str, &str, &str)] = &[
    ("todo", "!(", "", "finish it, or leave it out and say so in the documentation"),
    ("unimplemented", "!(", "", "finish it, or leave it out and say so in the documentation"),
    ("dbg", "!(", "", "use tracing"),
    ("#[ign", "ore", "", "a test runs, or is not there"),
    ("#[al", "low(", "", "use #[expect(.., reason = \"..\")], which tells when it is no longer needed"),
    ("#![al", "low(", "", "use #![expect(.., reason = \"..\")]"),
    ("kin", "to", "tests/", "a service is described by a profile; code knows none by name"),
];
