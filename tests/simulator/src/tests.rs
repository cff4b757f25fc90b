use super::*;

#[test]
fn one_number_says_it_all() {
    for seed in [3, 4] {
        let (first, second) = (run(seed, true), run(seed, true));
        let differing = first.trace.iter().zip(&second.trace).find(|(one, other)| one != other);
        assert_eq!(differing, None, "seed {seed}");
        assert_eq!(first.digest, second.digest, "seed {seed}");
    }
}

#[test]
fn nothing_is_lost_in_some_worlds_and_everything_goes_wrong_in_them() {
    let mut counts = BTreeMap::<String, u64>::new();
    for seed in 1..=40 {
        let report = run(seed, false);
        assert!(report.failures.is_empty(), "seed {seed}: {:#?}", report.failures);
        for (what, times) in report.counts {
            *counts.entry(what).or_default() += times;
        }
    }
    for what in [
        "LostBefore",
        "LostAfter",
        "Hangs",
        "Throttles",
        "Fails",
        "FailsAfter",
        "Conflicts",
        "Refuses",
        "Outage",
        "kills",
        "duplicates",
        "delays",
        "timers lost",
    ] {
        assert!(counts.contains_key(what), "{what} never happened: {counts:#?}");
    }
    for what in ["invite", "resend", "revoke", "accept", "decline", "role-edit", "remove"] {
        let worked = |(counted, _): (&String, &u64)| counted.starts_with(&format!("{what}: 20"));
        assert!(counts.iter().any(worked), "{what} never worked: {counts:#?}");
    }
}
