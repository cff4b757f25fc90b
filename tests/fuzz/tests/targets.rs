//! Every target, on its corpus and on what mutations make of it: the short run, on any toolchain. The same inputs each
//! time, unless `ROSTER_FUZZ_SEED` says otherwise; `ROSTER_FUZZ_RUNS` says how many.

use std::path::PathBuf;
use std::{env, fs};

use fuzz::TARGETS;
use mutatis::check::{Check, CheckError};
use mutatis::mutators as m;
use mutatis::{Candidates, Mutate};

/// Mutations of each corpus, unless something else is asked for.
const RUNS: u64 = 400;

/// What formats consist of, so that mutations get past their first byte.
const WORDS: &[&str] = &[
    "$organization",
    "$hidden",
    "$ivy",
    "$quinn",
    "$otto",
    "$guest",
    "$token",
    "$stale",
    "$expires",
    "$members",
    "$invitations",
    "$organizations",
    "olga",
    "mia",
    "ivy@example.com",
    "owner",
    "member",
    "xn--",
    "@",
    ".",
    "%00",
    "%0a",
    "%2F",
    "%ff",
    "\u{0}",
    "\u{202e}",
    "\u{212a}",
    "\u{1f469}",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "18446744073709551616",
    "9223372036854775807",
    "query: ",
    "limit=",
    "cursor=",
    "&",
    "sub: ",
    "email: ",
    "email_verified: ",
    "\n",
    "\n\n",
    "https://",
    "www.",
    "{\"S\": \"\"}",
    "{\"N\": \"1\"}",
    "{\"NULL\": true}",
    "{\"M\": {}}",
    "{\"B\": \"AA==\"}",
    "ORG#",
    "INVITATION#",
];

/// Bytes, one at a time, and words.
struct Text;

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
        for word in WORDS {
            for _ in 0..4 {
                candidates.mutation(|context| {
                    let at = context.rng().gen_index(bytes.len() + 1).unwrap_or(0);
                    bytes.splice(at..at, word.bytes());
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
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
    // A check changes the same few inputs on and on; so that they stay near what they were, it is begun anew.
    let round = 5 * corpus.len();
    for seed in (seed..).take(usize::try_from(runs).expect("not too many").div_ceil(round)) {
        let found = Check::new().iters(round).seed(seed).run_with(Text, corpus.clone(), |bytes| {
            check(bytes);
            Ok::<(), String>(())
        });
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
