//! Owns: the real `mingled` and `mingle` as others meet them: a socket, a command line, signals, and servers at the other end.
//! Must never know: anything inside the daemon.

mod acceptance;
mod bad_input;
mod bench;
mod clients;
mod copies;
mod crowd;
mod ears;
mod end_to_end;
mod freeze;
mod hostile;
mod journal;
mod leases;
mod logged;
mod machine;
mod package;
mod past;
mod plans;
mod python;
mod real_tables;
mod reloads;
mod repair;
mod repeats;
mod salesforce;
mod service;
mod services;
mod shapes;
mod status_socket;
mod stop;
mod times;
mod told;
