//! Owns: that a world that comes and goes makes no run a flap, that a service which is started anew loses nothing, and that status says
//! how the machine is. Must never know: how long what came back has to last.

use super::*;

/// A network that goes and comes each second: what was lost counts at once, what came back has to last; when it does, the sync runs.
#[test]
fn a_network_that_comes_and_goes_makes_no_run_each_time() {
    let bus = served();
    NEEDS.iter().for_each(|need| need.is_well(&bus));
    let mut world = World::new(bus, &[("any", "network = \"any\"")], Options::default());
    world.last_within("any", "done", BY_SIGNAL);
    let need = &NEEDS[0];
    // Each run that begins lasts until the network is gone again.
    const FLAPS: usize = 12;
    for _ in 0..FLAPS {
        world.server.next("GET", Fault::Lag(LATE));
    }
    world.app.must("sync.run", json!({ "sync": "any" }));
    for _ in 0..FLAPS {
        need.breaks(&world.bus);
        world.held_within("any", "network", BY_SIGNAL);
        need.is_well(&world.bus);
        wait::pass(Duration::from_millis(500));
    }
    let runs = world.runs("any").len();
    assert!((2..=4).contains(&runs), "{runs} runs in {FLAPS} flaps");
    world.server.is_well();
    until_within("a run once the network stays", BY_LOOK, || (world.app.status("any")["last"]["status"] == "done").then_some(()));
}

/// A service that is started anew is not heard for a moment: nothing that it had forbidden begins meanwhile.
#[test]
fn a_service_that_starts_anew_is_waited_for() {
    let bus = served();
    let metered = &NEEDS[1];
    metered.breaks(&bus);
    let mut world = World::new(bus, &[("cheap", "network = \"unmetered\"")], Options::default());
    world.held_within("cheap", "network", BY_SIGNAL);
    world.bus.leave(Service::NetworkManager);
    wait::pass(Duration::from_secs(2));
    world.bus.play(Service::NetworkManager, "{}");
    metered.breaks(&world.bus);
    wait::pass(Duration::from_secs(2));
    assert_eq!(world.held_within("cheap", "network", BY_SIGNAL), "a metered network");
    assert_eq!(world.runs("cheap"), Vec::<Value>::new(), "a run began while nobody spoke for the network");
    metered.is_well(&world.bus);
    world.last_within("cheap", "done", BY_LOOK);
}

/// Status says what is known of the machine, and what is not, to apps and to people.
#[test]
fn status_says_how_the_machine_is() {
    let bus = served();
    NEEDS.iter().for_each(|need| need.breaks(&bus));
    let mut world = World::new(bus, &[("calm", "idle = true")], Options::default());
    world.held_within("calm", "idle", BY_SIGNAL);
    let expected =
        json!({ "online": false, "metered": true, "charging": false, "battery_low": true, "storage_low": false, "idle": false });
    until_within("what is known", BY_SIGNAL, || (world.app.must("status", json!({}))["conditions"] == expected).then_some(()));
    let said = world.daemon.says(0, &["status"]);
    let line = "the machine: offline, metered, on battery, battery low, storage not low, in use";
    assert!(said.contains(line), "{said}");
    // Nobody speaks for power any more.
    world.bus.leave(Service::UPower);
    until_within("power to be unknown", AFTER_SILENCE, || {
        world.daemon.says(0, &["status"]).contains("not known: power, battery").then_some(())
    });
}
