//! Owns: the real `mingled` and `mingle` as others meet them: a socket, a command line, signals, and servers at the other end.
//! Must never know: anything inside the daemon.

mod acceptance;
mod bad_input;
mod bench;
mod crowd;
mod end_to_end;
mod freeze;
mod hostile;
mod real_tables;
mod salesforce;
mod services;
mod shapes;
mod stop;
