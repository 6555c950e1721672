//! Owns: what an app links to talk to mingled. Must never know: tables, and what the daemon does with a call.
//!
//! One core without IO ([`talk`], [`subscribe`]) and two thin drivers of it: [`blocking`], and [`nonblocking`] for tokio (feature
//! `async`).
//!
//! ```no_run
//! let mut client = mingle_client::blocking::Client::connect("tracker")?;
//! let record = client.get(mingle_client::call::Get { collection: "issues".into(), id: "i-1".into(), ..Default::default() })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod again;
pub mod blocking;
mod calls;
pub mod connect;
mod error;
pub mod keeper;
#[cfg(feature = "async")]
pub mod nonblocking;
#[cfg(feature = "reader")]
pub mod reader;
pub mod session;
pub mod subscribe;
pub mod talk;
pub mod work;

pub use mingle_proto::{Error, Name, Raw, call, event};

pub use self::{
    calls::Ask,
    connect::{ConnectError, Options},
    error::CallError,
    subscribe::Update,
};
