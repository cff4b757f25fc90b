//! `ATTACKS.md` lists the tests of each of its rows. A test belongs to the rows whose numbers are in its name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use harness::repository_root;

const PAGE: &str = "tests/scenarios/ATTACKS.md";
/// The environment variable that makes the test write the page, if its value is `write`.
const WRITE: &str = "ROSTER_ATTACKS";

/// Returns all Rust files below `folder`, sorted.
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

/// Returns the numbers of rows at the beginning of a test's name: 9 and 16 for `s09_s16_declines_only_once`.
fn rows(name: &str) -> Vec<u8> {
    let numbers = name.split('_').map_while(|word| {
        let digits = word.strip_prefix('s').filter(|digits| digits.len() == 2)?;
        digits.parse().ok()
    });
    numbers.collect()
}

/// Returns the names of the tests in a source text. The names of ignored tests get the suffix that the page shows.
fn tests_in(text: &str) -> Vec<String> {
    let mut attributes = Vec::new();
    let mut tests = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            attributes.push(line);
        } else if !line.starts_with("//") {
            let has_attribute =
                |beginning: &str| attributes.iter().any(|attribute| attribute.starts_with(beginning));
            let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            if let Some(name) = name.filter(|_| has_attribute("#[test]") || has_attribute("#[tokio::test")) {
                let name = name.split('(').next().unwrap_or_default();
                tests.push(if has_attribute("#[ignore") {
                    format!("{name}` (`.ci/run`)`")
                } else {
                    name.to_owned()
                });
            }
            attributes.clear();
        }
    }
    tests
}

#[test]
fn finds_only_functions_with_a_test_attribute() {
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

/// Returns the tests of each row, as file and name.
fn tests() -> BTreeMap<u8, BTreeSet<(String, String)>> {
    let mut tests = BTreeMap::<_, BTreeSet<_>>::new();
    for folder in ["functions", "shared", "tests"] {
        for source in sources(&repository_root().join(folder)) {
            let text = fs::read_to_string(&source).unwrap();
            let file = source.strip_prefix(repository_root()).unwrap().to_str().unwrap().to_owned();
            for name in tests_in(&text) {
                for row in rows(&name) {
                    tests.entry(row).or_default().insert((file.clone(), name.clone()));
                }
            }
        }
    }
    tests
}

/// Returns the tests of a row as the page shows them, grouped by file.
fn render(tests: &BTreeSet<(String, String)>) -> String {
    let mut by_file = BTreeMap::<_, Vec<_>>::new();
    for (file, name) in tests {
        by_file.entry(file).or_default().push(format!("`{name}`").replace("``", ""));
    }
    let files = by_file.iter().map(|(file, names)| {
        let link =
            file.strip_prefix("tests/scenarios/").map_or_else(|| format!("../../{file}"), str::to_owned);
        format!("[{file}]({link}): {}", names.join(", "))
    });
    files.collect::<Vec<_>>().join("<br>")
}

#[test]
fn attacks_md_lists_the_tests_of_every_row() {
    let tests = tests();
    let page = fs::read_to_string(repository_root().join(PAGE)).unwrap();
    let mut numbers = Vec::new();
    let mut updated = String::new();
    for line in page.lines() {
        let cells: Vec<_> = line.split(" | ").collect();
        let number =
            line.strip_prefix("| ").and_then(|_| cells[0].trim_start_matches("| ").parse::<u8>().ok());
        match (number, cells.as_slice()) {
            (Some(number), [first, attack, required, _]) => {
                numbers.push(number);
                let tests = tests.get(&number).map(render).unwrap_or_default();
                updated.extend([first, " | ", attack, " | ", required, " | ", &tests, " |"]);
            }
            _ => updated.push_str(line),
        }
        updated.push('\n');
    }
    assert_eq!(numbers, (1..=36).collect::<Vec<_>>(), "{PAGE} has the rows 1 to 36 in order");
    let unknown: Vec<_> = tests.keys().filter(|row| !numbers.contains(row)).collect();
    assert!(unknown.is_empty(), "{PAGE} does not have the rows {unknown:?}, but tests have their numbers");
    if std::env::var(WRITE).is_ok_and(|value| value == "write") {
        fs::write(repository_root().join(PAGE), &updated).unwrap();
    } else {
        assert!(page == updated, "{PAGE} is out of date. To update it, run this test with {WRITE}=write");
    }
    let without_test: Vec<_> = numbers.iter().filter(|row| !tests.contains_key(row)).collect();
    assert!(without_test.is_empty(), "rows without a test: {without_test:?}");
}
