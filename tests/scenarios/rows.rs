//! `ATTACKS.md` and the tests that carry the numbers of its rows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use harness::top;

const PAGE: &str = "tests/scenarios/ATTACKS.md";
/// Rewrites the tests on the page, when it is `write`.
const WRITE: &str = "ROSTER_ATTACKS";

/// All Rust files below `folder`, in order.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The rows whose numbers a test's name begins with: `s09_s16_what_is_over` proves 9 and 16.
fn rows(name: &str) -> Vec<u8> {
    let numbers = name.split('_').map_while(|word| {
        let digits = word.strip_prefix('s').filter(|digits| digits.len() == 2)?;
        digits.parse().ok()
    });
    numbers.collect()
}

/// The names of the functions in a source that are tests, and not only named like one; those that a plain `cargo test`
/// leaves out say so.
fn tests_in(text: &str) -> Vec<String> {
    let mut attributes = Vec::new();
    let mut tests = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            attributes.push(line);
        } else if !line.starts_with("//") {
            let has = |beginning: &str| attributes.iter().any(|attribute| attribute.starts_with(beginning));
            let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            if let Some(name) = name.filter(|_| has("#[test]") || has("#[tokio::test")) {
                let name = name.split('(').next().unwrap_or_default();
                tests.push(if has("#[ignore") { format!("{name}` (`.ci/run`)`") } else { name.to_owned() });
            }
            attributes.clear();
        }
    }
    tests
}

#[test]
fn a_function_is_a_test_if_it_is_marked_as_one() {
    let text = "\
        fn a_helper() {}\n\
        #[test]\n\
        fn a_test() {}\n\
        #[tokio::test(flavor = \"multi_thread\")]\n\
        // With a comment.\n\
        async fn another() {}\n\
        #[expect(dead_code)]\n\
        fn no_test() {}\n\
        #[test]\n\
        #[ignore = \"long\"]\n\
        fn a_long_one() {}\n";
    assert_eq!(tests_in(text), ["a_test", "another", "a_long_one` (`.ci/run`)`"]);
}

/// Each row's tests: file and name.
fn tests() -> BTreeMap<u8, BTreeSet<(String, String)>> {
    let mut tests = BTreeMap::<_, BTreeSet<_>>::new();
    for folder in ["functions", "shared", "tests"] {
        for source in sources(&top().join(folder)) {
            let text = fs::read_to_string(&source).unwrap();
            let file = source.strip_prefix(top()).unwrap().to_str().unwrap().to_owned();
            for name in tests_in(&text) {
                for row in rows(&name) {
                    tests.entry(row).or_default().insert((file.clone(), name.clone()));
                }
            }
        }
    }
    tests
}

/// A row's tests as the page shows them, file by file.
fn shown(tests: &BTreeSet<(String, String)>) -> String {
    let mut by_file = BTreeMap::<_, Vec<_>>::new();
    for (file, name) in tests {
        by_file.entry(file).or_default().push(format!("`{name}`").replace("``", ""));
    }
    let shown = by_file.iter().map(|(file, names)| {
        let link =
            file.strip_prefix("tests/scenarios/").map_or_else(|| format!("../../{file}"), str::to_owned);
        format!("[{file}]({link}): {}", names.join(", "))
    });
    shown.collect::<Vec<_>>().join("<br>")
}

#[test]
fn the_page_of_attacks_lists_every_row_with_its_tests() {
    let tests = tests();
    let page = fs::read_to_string(top().join(PAGE)).unwrap();
    let mut numbers = Vec::new();
    let mut written = String::new();
    for line in page.lines() {
        let cells: Vec<_> = line.split(" | ").collect();
        let number =
            line.strip_prefix("| ").and_then(|_| cells[0].trim_start_matches("| ").parse::<u8>().ok());
        match (number, cells.as_slice()) {
            (Some(number), [first, attack, required, _]) => {
                numbers.push(number);
                let shown = tests.get(&number).map(shown).unwrap_or_default();
                written.extend([first, " | ", attack, " | ", required, " | ", &shown, " |"]);
            }
            _ => written.push_str(line),
        }
        written.push('\n');
    }
    assert_eq!(numbers, (1..=36).collect::<Vec<_>>(), "the page has every row once");
    let nowhere: Vec<_> = tests.keys().filter(|row| !numbers.contains(row)).collect();
    assert!(nowhere.is_empty(), "tests of rows that are none: {nowhere:?}");
    if std::env::var(WRITE).is_ok_and(|value| value == "write") {
        fs::write(top().join(PAGE), &written).unwrap();
    } else {
        assert!(page == written, "{PAGE} is out of date: {WRITE}=write has this test write it");
    }
    let unproved: Vec<_> = numbers.iter().filter(|row| !tests.contains_key(row)).collect();
    assert!(unproved.is_empty(), "rows without a test: {unproved:?}");
}
