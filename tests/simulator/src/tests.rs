use super::*;

#[test]
fn one_number_says_it_all() {
    let (first, second) = (run(3, true), run(3, true));
    let differing = first.trace.iter().zip(&second.trace).find(|(one, other)| one != other);
    assert_eq!(differing, None);
    assert_eq!(first.digest, second.digest);
}

/// So few that a newcomer waits seconds; `cargo run --bin simulator` has more, and holds them to have seen everything.
#[test]
fn nothing_is_lost_in_some_worlds_in_which_everything_goes_wrong() {
    for seed in 1..=8 {
        let report = run(seed, false);
        assert!(report.failures.is_empty(), "seed {seed}: {:#?}", report.failures);
    }
}

#[test]
fn what_happens_too_seldom_is_told() {
    let mut counts: BTreeMap<_, _> =
        FLOORS.into_iter().map(|(what, floor)| (what.to_owned(), floor * 2)).collect();
    assert_eq!(too_seldom(&counts, 200), []);
    let (lost, early) = (counts["lost races"], counts["timers early"]);
    counts.remove("lost races");
    counts.insert("timers early".to_owned(), early - 1);
    assert_eq!(too_seldom(&counts, 200), [("lost races", 0, lost), ("timers early", early - 1, early)]);
}
