use super::*;

#[test]
fn two_runs_of_one_seed_are_equal() {
    let (first, second) = (run(3, true), run(3, true));
    let differing = first.trace.iter().zip(&second.trace).find(|(one, other)| one != other);
    assert_eq!(differing, None);
    assert_eq!(first.digest, second.digest);
}

/// Eight runs take seconds. `cargo run --bin simulator` makes more runs and also checks [`MIN_COUNTS`].
#[test]
fn eight_runs_with_faults_pass_all_checks() {
    for seed in 1..=8 {
        let report = run(seed, false);
        assert!(report.failures.is_empty(), "seed {seed}: {:#?}", report.failures);
    }
}

#[test]
fn reports_events_that_happen_too_seldom() {
    let mut counts: BTreeMap<_, _> =
        MIN_COUNTS.into_iter().map(|(event, min)| (event.to_owned(), min * 2)).collect();
    assert_eq!(too_seldom(&counts, 200), []);
    let (guards, early) = (counts["failed guards"], counts["timers early"]);
    counts.remove("failed guards");
    counts.insert("timers early".to_owned(), early - 1);
    let expected = [("failed guards", 0, guards), ("timers early", early - 1, early)];
    assert_eq!(too_seldom(&counts, 200), expected);
}
