//! Owns: what the kernel shows of batteries and external power, where no UPower does. Must never know: how other sources are asked.

use std::{
    fs,
    path::{Path, PathBuf},
    pin::Pin,
};

use mingle_core::limits::BATTERY_LOW_PERCENT;

use super::super::{Means, Source, Teller, World};

/// The folder with one folder a supply.
pub(super) struct Supplies {
    folder: PathBuf,
}

impl Supplies {
    pub(super) fn of(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }
}

impl Source for Supplies {
    fn follow(&self, teller: Teller, mut means: Means) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            loop {
                teller.tell(look(&self.folder));
                if means.beat.changed().await.is_err() {
                    return;
                }
            }
        })
    }
}

/// What is so now. A machine that shows no supply may be on either.
fn look(folder: &Path) -> World {
    let (mut plugged, mut by_usb, mut draws, mut low) = (None, None, None, None);
    let supplies = fs::read_dir(folder).into_iter().flatten().flatten();
    for supply in supplies {
        let read = |name: &str| fs::read_to_string(supply.path().join(name)).unwrap_or_default().trim().to_owned();
        // A mouse's battery is none of ours.
        if read("scope") == "Device" {
            continue;
        }
        if read("type") == "Battery" {
            let drawn = read("status") == "Discharging";
            draws = Some(draws.unwrap_or(false) || drawn);
            if let Ok(percent) = read("capacity").parse::<u32>() {
                low = Some(low.unwrap_or(true) && drawn && percent <= BATTERY_LOW_PERCENT);
            }
        } else if let Some(online) = [("1", true), ("0", false)].iter().find(|(text, _)| *text == read("online")) {
            let place = if read("type") == "USB" { &mut by_usb } else { &mut plugged };
            *place = Some(place.unwrap_or(false) || online.1);
        }
    }
    // A port that gives power looks like one that takes it: beside a battery that is drawn from it says nothing. And a machine without a
    // battery has power, whatever is plugged in nowhere.
    let charging = match (plugged, draws) {
        (Some(true), _) => Some(true),
        (_, Some(draws)) => Some(!draws),
        (_, None) => (by_usb == Some(true)).then_some(true),
    };
    World { charging, battery_low: low, ..World::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `NAME file=text file=text; NAME ..` => `charging battery_low`, `?` for what is not known.
    #[track_caller]
    fn check(supplies: &str, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        for supply in supplies.split(';').map(str::trim).filter(|supply| !supply.is_empty()) {
            let mut words = supply.split(' ');
            let place = folder.path().join(words.next().unwrap());
            fs::create_dir(&place).unwrap();
            for (file, text) in words.map(|word| word.split_once('=').unwrap()) {
                fs::write(place.join(file), format!("{text}\n")).unwrap();
            }
        }
        let World { charging, battery_low, .. } = look(folder.path());
        let shown = |known: Option<bool>| known.map_or("?".to_owned(), |known| known.to_string());
        assert_eq!(format!("{} {}", shown(charging), shown(battery_low)), expected, "{supplies}");
    }

    #[test]
    fn power_is_what_the_supplies_say_together() {
        check("", "? ?");
        check("AC type=Mains online=1", "true ?");
        check("AC type=Mains online=0", "? ?");
        check("U type=USB online=1", "true ?");
        check("U type=USB online=1; B type=Battery status=Discharging capacity=80", "false false");
        check("AC type=Mains online=0; U type=USB online=1", "true ?");
        check("B type=Battery status=Discharging capacity=80", "false false");
        check("B type=Battery status=Discharging capacity=15", "false true");
        check("B type=Battery status=Charging capacity=5", "true false");
        check("B type=Battery status=Full capacity=100", "true false");
        check("AC type=Mains online=1; B type=Battery status=Discharging capacity=5", "true true");
        check("AC type=Mains online=0; B type=Battery status=Discharging capacity=5", "false true");
        // One of two is enough to go on with.
        check("B type=Battery status=Discharging capacity=5; C type=Battery status=Discharging capacity=70", "false false");
        check("M type=Battery scope=Device status=Discharging capacity=3", "? ?");
        check("B type=Battery status=Discharging", "false ?");
        assert_eq!(look(Path::new("/no/such/folder")), World::default());
    }
}
