//! Owns: whether a network interface is up, where no NetworkManager tells more. Must never know: where it leads.
//!
//! The kernel says when an interface changes; without that word it is looked at now and then. One that is up without a way to the
//! world counts as a network: a run that fails costs less than one that never begins.

use std::{
    fs,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    pin::Pin,
};

use rustix::{
    io::Errno,
    net::{self, AddressFamily, RecvFlags, SocketFlags, SocketType, netlink},
};
use tokio::io::unix::AsyncFd;

use super::super::{Means, Source, Teller, World};

/// `RTMGRP_LINK`: changes of interfaces.
const LINK_GROUP: u32 = 1;
/// `ARPHRD_LOOPBACK`, as the kernel writes it.
const LOOPBACK: &str = "772";

/// The folder with one folder an interface.
pub(super) struct Links {
    folder: PathBuf,
}

impl Links {
    pub(super) fn of(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }
}

impl Source for Links {
    fn follow(&self, teller: Teller, mut means: Means) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let mut words = listen().ok();
            loop {
                teller.tell(World { online: look(&self.folder), ..World::default() });
                tokio::select! {
                    // Where the kernel tells, nobody has to look.
                    beat = means.beat.changed(), if words.is_none() => if beat.is_err() { return },
                    heard = hear(words.as_ref()) => if heard.is_err() { words = None },
                }
            }
        })
    }
}

fn listen() -> std::io::Result<AsyncFd<OwnedFd>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // No protocol is `NETLINK_ROUTE`.
    let socket = net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    net::bind(&socket, &netlink::SocketAddrNetlink::new(0, LINK_GROUP))?;
    #[expect(
        deprecated,
        reason = "the way that takes its place is unsafe code; an OwnedFd has one descriptor, its own, till it is dropped"
    )]
    AsyncFd::with_interest(socket, tokio::io::Interest::READABLE)
}

/// Waits for the kernel's word, and takes all that are there. What they say is read from the folder.
async fn hear(words: Option<&AsyncFd<OwnedFd>>) -> std::io::Result<()> {
    let Some(words) = words else { return std::future::pending().await };
    let mut ready = words.readable().await?;
    let mut room = [0_u8; 8_192];
    loop {
        match net::recv(words.get_ref(), &mut room[..], RecvFlags::empty()) {
            Ok(_) | Err(Errno::INTR | Errno::NOBUFS) => {}
            Err(Errno::AGAIN) => {
                ready.clear_ready();
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether one of them is up, but for this machine's own.
fn look(folder: &Path) -> Option<bool> {
    let links = fs::read_dir(folder).ok()?.flatten();
    let up = |link: &Path| {
        let read = |name: &str| fs::read_to_string(link.join(name)).unwrap_or_default().trim().to_owned();
        let flags = || u32::from_str_radix(read("flags").trim_start_matches("0x"), 16).unwrap_or_default();
        match read("operstate").as_str() {
            _ if read("type") == LOOPBACK => false,
            "up" => true,
            // Tunnels do not tell; whether they were switched on is all that is known.
            "unknown" => flags() & 1 == 1,
            _ => false,
        }
    };
    Some(links.map(|link| link.path()).any(|link| up(&link)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_an_interface_that_is_up() {
        let check = |links: &str, expected: bool| {
            let folder = tempfile::tempdir().unwrap();
            for link in links.split(';').map(str::trim).filter(|link| !link.is_empty()) {
                let [name, kind, state, flags] = link.split(' ').collect::<Vec<_>>()[..] else { panic!("{link}") };
                let place = folder.path().join(name);
                fs::create_dir(&place).unwrap();
                for (file, text) in [("type", kind), ("operstate", state), ("flags", flags)] {
                    fs::write(place.join(file), format!("{text}\n")).unwrap();
                }
            }
            assert_eq!(look(folder.path()), Some(expected), "{links}");
        };
        check("", false);
        check("lo 772 unknown 0x9", false);
        check("lo 772 unknown 0x9; eth0 1 up 0x1003", true);
        check("eth0 1 down 0x1003", false);
        check("eth0 1 dormant 0x1003", false);
        check("tun0 65534 unknown 0x1091", true);
        check("tun0 65534 unknown 0x1090", false);
        assert_eq!(look(Path::new("/no/such/folder")), None);
    }
}
