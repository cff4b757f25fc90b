/**
 * Domains as people read them. Only a page that shows a domain in punycode loads this module. It imports no other module
 * of the pages, because a shared module would become one more file that every page loads.
 */
import { decode } from 'punycode/punycode.es6.js';

/** A reserved prefix: the rest of the label is punycode. */
const PREFIX = 'xn--';

/**
 * Labels that can be shown in Unicode. Each pattern has the characters of one script or of one usual mixture, with ASCII
 * digits and hyphens. The lookaheads ensure that a label has a character that looks like no ASCII character.
 *
 * - Latin: the letters of European languages and of Vietnamese. A dotless i, æ, œ and þ are missing, because they look
 *   like ASCII text. Letters that UTS 39 does not recommend are missing, too.
 * - Cyrillic and Greek: a label needs one letter that looks like no Latin letter. Accented letters do not count, since
 *   `ё` looks like the Latin `ë`.
 * - Japanese (kanji and kana), Chinese, and Korean (Hangul and hanja), each without Latin letters. A katakana `ノ` and
 *   the Han characters `丶`, `丿` and `丫` are missing, because they look like ASCII characters. `ideographs` restricts
 *   the Han characters.
 * - Devanagari, without its own digits and without the visarga, which looks like a colon.
 */
const SAFE = [
  /^(?!.*[æþ÷ıĕĭĸŏœŗţſ])[a-z\d\-ß-žơưșțạ-ỹ]+$/,
  /^(?=.*[вджзиклмнтфцчщыэюяђєљњћ])[\d\-а-яёђ-ќўџґғқңүұһәө]+$/,
  /^(?=.*[δεζθλξπςφψ])[\d\-ά-ώ]+$/,
  /^(?=.*[^\d\-ー一])(?!.*[ノ丶丿丫])[\d\-ぁ-ゖァ-ヺー々\u4e00-\u9fff]+$/,
  /^(?=.*[가-힣])(?!.*[丶丿丫])[\d\-가-힣\u4e00-\u9fff]+$/,
  /^(?=.*[\u0915-\u0939])(?!.*[\u090c\u0929\u0934\u093d\u0944])[\d\-\u0901\u0902\u0905-\u094d]+$/,
];

/**
 * Encodings with the Han characters in common use: of each, the first and last lead byte, and the first trail byte.
 * They are the standards GB 2312, JIS X 0208 and Big5.
 */
const ENCODINGS = [
  ['gb2312', 0xb0, 0xf7, 0xa1],
  ['euc-jp', 0xb0, 0xf4, 0xa1],
  ['big5', 0xa4, 0xc5, 0x40],
  ['big5', 0xc9, 0xf8, 0x40],
] as const;

let commonHan: ReadonlySet<string> | undefined;

/**
 * Returns the Han characters in common use. UTS 39 does not recommend the others of the same block, and browsers have no
 * list of them. The characters of old encodings are all recommended.
 */
function ideographs(): ReadonlySet<string> {
  if (commonHan) return commonHan;
  const texts = ENCODINGS.map(([encoding, first, last, trailFirst]) => {
    const bytes: number[] = [];
    for (let lead = first; lead <= last; lead++) {
      // The line break ends a pair that is not assigned.
      for (let trail = trailFirst; trail < 0xff; trail++) bytes.push(lead, trail, 0x0a);
    }
    return new TextDecoder(encoding).decode(new Uint8Array(bytes));
  });
  return (commonHan = new Set(texts.join('').match(/[\u4e00-\u9fff]/g)));
}

/**
 * Whether people can read `label` without taking it for another one.
 *
 * The rule allows less than the one for mails (`functions/mail/src/readable.rs`), which needs the data of UTS 39. Mails
 * also show these labels in Unicode: other scripts in common use, for example Thai and Georgian; Latin letters between
 * Chinese, Japanese or Korean ones; rare letters of the scripts above.
 */
function isSafe(label: string): boolean {
  return (
    /^[\0-\x7f]*$/.test(label) ||
    (SAFE.some((pattern) => pattern.test(label)) &&
      [...label.matchAll(/[\u4e00-\u9fff]/g)].every(([character]) => ideographs().has(character)))
  );
}

function decoded(label: string): string {
  return label.startsWith(PREFIX) ? decode(label.slice(PREFIX.length)) : label;
}

const cache = new Map<string, string>();

/** Returns a domain in Unicode if none of its labels can be mistaken for another one; else the domain itself. */
export function unicodeDomain(domain: string): string {
  const cached = cache.get(domain);
  if (cached !== undefined) return cached;
  let shown = domain;
  try {
    const labels = domain.split('.').map(decoded);
    const unicode = labels.join('.');
    // The browser encodes only a valid domain, and only in its one spelling, as the same text again.
    if (labels.every(isSafe) && new URL(`http://${unicode}`).hostname === domain) shown = unicode;
  } catch {
    // The punycode is not valid.
  }
  cache.set(domain, shown);
  return shown;
}
