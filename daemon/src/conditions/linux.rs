//! Owns: which sources Linux has. Must never know: what they say.

use super::Source;

mod bus;
mod links;
mod said;
mod supplies;

/// The services of the desktop first, then what the kernel shows to who has none.
pub(super) fn sources() -> Vec<Box<dyn Source>> {
    vec![
        Box::new(bus::Bus),
        Box::new(links::Links::of("/sys/class/net")),
        Box::new(supplies::Supplies::of("/sys/class/power_supply")),
    ]
}
