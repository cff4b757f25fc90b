//! Every target, on its corpus and on what mutations make of it: the short run, on any toolchain. The same inputs each
//! time, unless `ROSTER_FUZZ_SEED` says otherwise; `ROSTER_FUZZ_RUNS` says how many.

use std::path::PathBuf;
use std::{env, fs};

use fuzz::TARGETS;
use local::function_table::ROUTES;
use mutatis::check::{Check, CheckError};
use mutatis::mutators as m;
use mutatis::{Candidates, Mutate};

/// Mutations of each corpus, unless something else is asked for.
const RUNS: u64 = 400;

/// Bytes, one at a time, and words.
struct Text {
    words: Vec<Vec<u8>>,
}

impl Mutate<Vec<u8>> for Text {
    fn mutate(&mut self, candidates: &mut Candidates<'_>, bytes: &mut Vec<u8>) -> mutatis::Result<()> {
        m::vec(m::u8()).mutate(candidates, bytes)?;
        if !bytes.is_empty() {
            for _ in 0..20 {
                candidates.mutation(|context| {
                    let [from, to] = [(); 2].map(|()| context.rng().gen_index(bytes.len()).unwrap_or(0));
                    bytes.drain(from.min(to)..from.max(to));
                    Ok(())
                })?;
            }
        }
        if candidates.shrink() {
            return Ok(());
        }
        for word in &self.words {
            for _ in 0..4 {
                candidates.mutation(|context| {
                    let at = context.rng().gen_index(bytes.len() + 1).unwrap_or(0);
                    bytes.splice(at..at, word.iter().copied());
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}

/// The dictionary that libFuzzer has, too: what formats consist of, so that mutations get past their first byte.
fn words() -> Vec<Vec<u8>> {
    let lines = include_str!("../words.dict").lines().filter(|line| line.starts_with('"'));
    lines.map(|line| unescaped(line[1..].strip_suffix('"').expect("a word ends"))).collect()
}

/// A word without libFuzzer's escapes: `\\`, `\"` and `\xAB`.
fn unescaped(word: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend(before.bytes());
        let (byte, used) = match after.strip_prefix('x') {
            Some(hex) => (u8::from_str_radix(&hex[..2], 16).expect("two digits"), 3),
            None => (after.as_bytes()[0], 1),
        };
        bytes.push(byte);
        rest = &after[used..];
    }
    bytes.extend(rest.bytes());
    bytes
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("there is a corpus")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a file can be read")).collect()
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn run(target: &str) {
    let (_, check) = TARGETS.into_iter().find(|(name, _)| *name == target).expect("there is a target");
    let (runs, seed) = (number("ROSTER_FUZZ_RUNS", RUNS), number("ROSTER_FUZZ_SEED", 1));
    let corpus = corpus(target);
    let words = words();
    // A check changes the same few inputs on and on; so that they stay near what they were, it is begun anew.
    let round = 5 * corpus.len();
    for seed in (seed..).take(usize::try_from(runs).expect("not too many").div_ceil(round)) {
        let found = Check::new().iters(round).seed(seed).run_with(
            Text { words: words.clone() },
            corpus.clone(),
            |bytes| {
                check(bytes);
                Ok::<(), String>(())
            },
        );
        if let Err(CheckError::Failed(failed)) = &found {
            panic!("seed {seed}: {target} fails at\n{}", failed.value.escape_ascii());
        }
        found.expect("the corpus can be mutated");
    }
}

macro_rules! targets {
    ($($sentence:ident: $target:literal),* $(,)?) => {
        $(
            #[test]
            fn $sentence() {
                run($target);
            }
        )*

        #[test]
        fn every_target_is_run() {
            assert_eq!(TARGETS.map(|(name, _)| name), [$($target),*]);
        }
    };
}

targets! {
    an_address_that_is_taken_is_one_bare_address: "address",
    a_call_is_answered_as_the_contract_says_whatever_it_holds: "call",
    what_ses_tells_leaves_a_mark_on_the_mail_it_names_or_none: "feedback_event",
    an_id_has_one_text: "id",
    a_name_that_is_taken_makes_no_markup_and_no_link: "name",
    a_record_that_cannot_be_read_fails_alone: "stream",
    a_timer_closes_what_is_due_and_nothing_else: "timer",
    a_token_has_one_text: "token",
}

/// What mutations begin with has to get through, else they never get far; nobody sees it when a format has changed.
#[test]
fn the_corpus_has_a_call_of_every_route_that_works_and_most_refusals() {
    let answers: Vec<_> = corpus("call").iter().map(|bytes| fuzz::answered(bytes)).collect();
    for route in &*ROUTES {
        let works = answers.iter().any(|(of, status)| *of == route && *status < 300);
        assert!(works, "{} is answered {answers:?}", route.key());
    }
    for refusal in [400, 401, 403, 404, 409, 410, 422] {
        assert!(answers.iter().any(|(_, status)| *status == refusal), "nothing is answered {refusal}");
    }
}

#[test]
fn words_are_read_as_libfuzzer_reads_them() {
    assert_eq!(unescaped(r#"{\"S\": \\x00}"#), br#"{"S": \x00}"#);
    assert_eq!(unescaped(r"\x00a\xFF"), b"\0a\xff");
    assert!(words().len() > 60);
}
