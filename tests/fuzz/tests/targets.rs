//! The short run: every target, on mutations of its corpus. It needs no special toolchain.
//!
//! `ROSTER_FUZZ_SEED` selects the inputs. Without it, they are the same in each run. `ROSTER_FUZZ_RUNS` sets the number
//! of inputs per target.

use std::path::PathBuf;
use std::{env, fs};

use fuzz::TARGETS;
use local::function_table::ROUTES;
use mutatis::check::{Check, CheckError};
use mutatis::mutators as m;
use mutatis::{Candidates, Mutate};

/// The default number of mutated inputs per target.
const RUNS: u64 = 400;

/// Mutates bytes, removes ranges, and inserts words of the dictionary.
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

/// Returns the words of the dictionary, which libFuzzer uses as well.
///
/// The words are fragments of the formats. With them, more mutations can be parsed.
fn words() -> Vec<Vec<u8>> {
    let lines = include_str!("../words.dict").lines().filter(|line| line.starts_with('"'));
    lines.map(|line| unescape(line[1..].strip_suffix('"').expect("a word ends"))).collect()
}

/// Resolves libFuzzer's escapes in a word: `\\`, `\"` and `\xAB`.
fn unescape(word: &str) -> Vec<u8> {
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

fn number_from_env(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn run(target: &str) {
    let (_, check) = TARGETS.into_iter().find(|(name, _)| *name == target).expect("there is a target");
    let (runs, seed) = (number_from_env("ROSTER_FUZZ_RUNS", RUNS), number_from_env("ROSTER_FUZZ_SEED", 1));
    let corpus = corpus(target);
    let words = words();
    // A check mutates the same few inputs again and again. Restarting it keeps inputs close to the corpus.
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
    ($($test:ident: $target:literal),* $(,)?) => {
        $(
            #[test]
            fn $test() {
                run($target);
            }
        )*

        #[test]
        fn runs_every_target() {
            assert_eq!(TARGETS.map(|(name, _)| name), [$($target),*]);
        }
    };
}

targets! {
    an_accepted_address_is_one_bare_address: "address",
    every_call_gets_a_response_of_the_contract: "call",
    an_ses_event_updates_at_most_the_delivery_of_the_mail_it_names: "feedback_event",
    an_id_has_one_text: "id",
    an_accepted_name_adds_no_markup_and_no_link: "name",
    an_unreadable_record_does_not_fail_other_records: "stream",
    a_timer_closes_only_a_due_invitation: "timer",
    a_token_has_one_text: "token",
}

/// Mutations reach little code if the corpus itself is refused, for example after a change of a format.
#[test]
fn the_corpus_contains_a_successful_call_of_every_route_and_most_refusals() {
    let responses: Vec<_> = corpus("call").iter().map(|bytes| fuzz::route_and_status(bytes)).collect();
    for route in &*ROUTES {
        let succeeds = responses.iter().any(|(of, status)| *of == route && *status < 300);
        assert!(succeeds, "no call of {} succeeds: {responses:?}", route.key());
    }
    for refusal in [400, 401, 403, 404, 409, 410, 422] {
        assert!(responses.iter().any(|(_, status)| *status == refusal), "no call has the status {refusal}");
    }
}

#[test]
fn parses_words_like_libfuzzer() {
    assert_eq!(unescape(r#"{\"S\": \\x00}"#), br#"{"S": \x00}"#);
    assert_eq!(unescape(r"\x00a\xFF"), b"\0a\xff");
    assert!(words().len() > 60);
}
