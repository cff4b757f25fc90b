/**
 * Parses addresses from pasted or typed text: mail headers, columns of a spreadsheet, prose, or any list.
 *
 * The npm packages for address lists (`email-addresses`, `addressparser`, `emailjs-addressparser`; 1.3 to 3.2 kB gzip)
 * do not fit: none reads columns or unquoted names with a comma, and the strict one rejects a whole list for one bad
 * address.
 *
 * The parser only splits the text. The API decides which addresses are valid.
 */
import { keyOf } from '../address';
import { findTable } from './table';
import { ADDRESS_MAX, BYTES_MAX, flawOf } from './verdict';

/** One address of the text. */
export interface Entry {
  /** The address without name, brackets and `mailto:`. The original text if it is not an address. */
  readonly address: string;
  /** The name next to the address. */
  readonly name?: string;
}

export interface ParsedText {
  /** In order. Includes invalid texts that seem to be meant as addresses. */
  readonly entries: readonly Entry[];
  /** The number of lines that were skipped because they contain no address. */
  readonly skippedLines: number;
  /** The number of addresses that were skipped because they are not in the table's column of addresses. */
  readonly unusedAddresses: number;
}

const LINE_BREAKS = /\r\n?|[\v\f\x85\u2028\u2029]/g;
/**
 * Soft hyphens, zero-width spaces, direction marks: never part of an address. Joiners are kept: a domain may contain
 * them.
 */
const INVISIBLE = /[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]+/g;
/**
 * Tokens: quoted text (but not a quote inside a word, like an inch mark), text in angle brackets, separators, other
 * text. Linear time.
 */
const TOKENS = /(?<![^\s,;])"[^"]*(?:""[^"]*)*"|<[^<>]*>|[,;\t،؛、，；]|[^"<,;\t،؛、，；]+|["<]/g;
const SEPARATOR = /^[,;\t،؛、，；]$/;
/** The title of a list. */
const TITLE = /^["']?(?:[\p{L}-]+ )?(?:e-?mails?|mail|adresse?n?|addresse?s?)(?:[ -](?:addresse?s?|adressen?))?["']?:?$/iu;
/** A line of a mail's header. */
const MAIL_HEADER = /^\s*(?:from|to|cc|bcc|reply-to|sent|date|subject|von|an|kopie|gesendet|datum|betreff)\s*:/i;
/** Words that can stand before or after an address in a sentence, so they are not a part of an address with a space. */
const SENTENCE_WORDS = new Set(
  (
    'hi hello hey please invite add also and or plus with to for from at via is are me my mail email e-mail write contact cc bcc thanks ' +
    'hallo bitte lade einladen auch und oder sowie mit an von für ist per mail mailadresse danke'
  ).split(' '),
);
/** A word of a name: with an initial capital, from a script without capitals, or a particle. */
const NAME_WORD = /^[("'“‘]*(?:\p{Lu}|\p{Lt}|\p{Lo}|(?:von|van|vom|zu|zur|der|den|de|del|da|dos|di|la|le|bin|al|el|ten|ter)\b)/u;

/** The text between two separators. */
interface Cell {
  /** The addresses in angle brackets, each with the name before it. */
  bracketed: Entry[];
  /** The remaining text, without quotes. */
  text: string;
  /** The separator after the cell; empty at the end of the line. */
  end: string;
}

/** Parses the addresses in `text`. */
export function parseAddresses(text: string): ParsedText {
  const plain = contactsAsList(text.replace(INVISIBLE, '').replace(LINE_BREAKS, '\n'));
  const table = findTable(plain);
  if (!table) return parseLines(plain.split('\n'));
  const others = parseLines(table.others).entries.filter(({ address }) => address.includes('@'));
  const entries = table.rows.flatMap(({ address, name }) =>
    entriesOfLine(cellsOf(address)).map((entry) => entryOf(entry.address, entry.name ?? name)),
  );
  entries.push(...others);
  return { entries, skippedLines: table.skippedLines, unusedAddresses: countUnused(table.unused, entries) };
}

/** Replaces vCards by lines with name and address. */
function contactsAsList(text: string): string {
  if (!text.includes('BEGIN:VCARD')) return text;
  return text.replace(/^BEGIN:VCARD\n(?:(?!BEGIN:|END:).*\n)*END:VCARD$/gim, (card) => {
    const [, name = ''] = /^FN[^:\n]*:(.*)/im.exec(card) ?? [];
    const [, address = ''] = /^(?:\w+\.)?EMAIL[^:\n]*:(.*)/im.exec(card) ?? [];
    return address && `"${name.replaceAll('"', '')}" <${address}>`;
  });
}

/** Parses lists and prose. */
function parseLines(lines: readonly string[]): ParsedText {
  const used = lines.filter((line) => line.trim());
  const rows = used.map(cellsOf);
  // Typed text without an address is an incomplete address.
  if (rows.length === 1 && !hasAt(rows[0]!)) return { entries: entriesOfLine(rows[0]!), skippedLines: 0, unusedAddresses: 0 };
  const isMailHeader = used.map((line) => MAIL_HEADER.test(line));
  // The header of a forwarded mail names the people who wrote it. Without further addresses, the header is the list.
  const hasBody = rows.some((row, index) => !isMailHeader[index] && hasAt(row));
  const entries: Entry[] = [];
  const unused: string[] = [];
  let skippedLines = 0;
  rows.forEach((row, index) => {
    if (isMailHeader[index] && hasBody) {
      if (hasAt(row)) unused.push(used[index]!);
      else skippedLines++;
      return;
    }
    const isTitle = !hasAt(row) && row.some(({ text }) => TITLE.test(text.trim()));
    if (isTitle) return;
    const found = entriesOfLine(row).filter(({ address }) => address.includes('@') || isBrokenAddress(address, rows.length === 1));
    entries.push(...found);
    if (!found.length) skippedLines++;
  });
  return { entries, skippedLines, unusedAddresses: countUnused(unused, entries) };
}

/** Returns the number of addresses in `texts` that are not in `entries`. */
function countUnused(texts: readonly string[], entries: readonly Entry[]): number {
  const used = new Set(entries.map(({ address }) => keyOf(address)));
  const keys = texts.flatMap((text) => entriesOfLine(cellsOf(text))).filter(({ address }) => !flawOf(address));
  return new Set(keys.map(({ address }) => keyOf(address)).filter((key) => !used.has(key))).size;
}

function cellsOf(line: string): Cell[] {
  const cells: Cell[] = [];
  let cell: Cell = { bracketed: [], text: '', end: '' };
  for (const token of line.match(TOKENS) ?? []) {
    if (SEPARATOR.test(token)) {
      cells.push({ ...cell, end: token });
      cell = { bracketed: [], text: '', end: '' };
    } else if (token.length > 1 && token.startsWith('<') && token.endsWith('>')) {
      cell.bracketed.push(entryOf(clean(token), cell.text));
      cell.text = '';
    } else {
      cell.text += token.length > 1 && token.startsWith('"') ? token.slice(1, -1).replaceAll('""', '"') : token;
    }
  }
  return [...cells, cell];
}

const isAddress = (cell: Cell): boolean => cell.bracketed.length > 0 || cell.text.includes('@');
const hasAt = (row: readonly Cell[]): boolean => row.some(isAddress);

/** Parses a list of addresses in one line. */
function entriesOfLine(row: readonly Cell[]): Entry[] {
  const found: Entry[][] = [];
  /** The name in the last cell. */
  let name = '';
  for (const [index, cell] of row.entries()) {
    const next = row[index + 1];
    const text = cell.text.trim();
    // `Doe, Jane <jane@company.example>`, or `Jane Doe, jane@company.example`
    const isNameOfNext = next && isAddress(next) && (next.bracketed[0]?.name ?? text.split(/\s+/).every(isNameWord));
    if (text && !isAddress(cell) && cell.end === ',' && isNameOfNext) {
      name = text;
      continue;
    }
    const [first, ...others] = entriesOf(cell);
    const names = [name, first?.name].filter(Boolean).join(', ');
    if (first) found.push([entryOf(first.address, names), ...others]);
    name = '';
  }
  return found.flat();
}

function entriesOf({ bracketed, text }: Cell): Entry[] {
  // Ignore text after the brackets, unless it contains an address.
  if (bracketed.length) return text.includes('@') ? [...bracketed, ...entriesOf({ bracketed: [], text, end: '' })] : bracketed;
  const words = text.split(/[\s,;]+/).filter(Boolean);
  const isWhole = (word: string): boolean => word.includes('@') && !flawOf(clean(word));
  // `jane@compa ny.example` is one invalid address. `Jane Doe jane@company.example` is an address with a name.
  if (words.length < 2 || !words.some(isWhole) || isSplitAddress(words)) return words.length ? [entryOf(clean(text))] : [];
  const addresses = words.filter((word) => word.includes('@'));
  const end = words.slice(0, words.indexOf(addresses[0]!)).findLastIndex((word) => /\p{L}/u.test(word)) + 1;
  const before = words.slice(0, end);
  const name = before.slice(before.findLastIndex((word) => !isNameWord(word)) + 1).join(' ');
  return addresses.map((word, index) => entryOf(clean(word), index ? '' : name));
}

const isSentenceWord = (word: string): boolean => SENTENCE_WORDS.has(word.toLowerCase().replace(/[^\p{L}-]+/gu, ''));

const isNameWord = (word: string): boolean => NAME_WORD.test(word) && !isSentenceWord(word);

/**
 * Whether the words can be one address that was broken by a space. Otherwise `ann lee@company.example` would be an
 * invitation to `lee@company.example`, which may be another person.
 */
function isSplitAddress(words: readonly string[]): boolean {
  const index = words.findIndex((word) => word.includes('@'));
  const address = words[index]!;
  const [after, ...rest] = words.slice(index + 1);
  if (index === 0) return after !== undefined && !rest.length && /^[a-z.]+$/.test(after) && !isSentenceWord(after);
  if (/^[("'<[]/.test(address)) return false;
  // Punctuation, or a number in a list, separates the address from the words before it.
  const start = words.slice(0, index).findLastIndex((word) => /[:.!?)"'>\]]$/.test(word) || !/\p{L}/u.test(word));
  const before = words.slice(start + 1, index);
  // An address contains no letters of scripts without capitals.
  if (!before.length || before.length > 2 || before.some((word) => isSentenceWord(word) || /\p{Lo}/u.test(word))) return false;
  if (before.length === 2 && before.some((word) => word !== word.toLowerCase())) return false;
  return !isNameOf(before, address.slice(0, address.indexOf('@')));
}

/** Whether the part of an address before the `@` repeats one of the words, or consists of their initials. */
function isNameOf(words: readonly string[], local: string): boolean {
  const plain = (text: string): string =>
    text
      .normalize('NFD')
      .replace(/[^\p{L}]+/gu, '')
      .toLowerCase();
  const initials = plain(words.map((word) => word.charAt(0)).join(''));
  return plain(local) === initials || words.some((word) => plain(word).length > 1 && plain(local).includes(plain(word)));
}

/**
 * Whether a text without an `@` in a list is an incomplete address, like `jane` or `jane.company.example`. In a text of
 * several lines, words with a capital are greetings, names and other cells. In one line, they were typed on purpose.
 */
function isBrokenAddress(text: string, isOneLine: boolean): boolean {
  return /^[a-z\d][^\s:/]*$/i.test(text) && /[a-z]/i.test(text) && !isSentenceWord(text) && (isOneLine || !/^[A-Z]/.test(text));
}

function entryOf(address: string, name = ''): Entry {
  const shortName = name
    .replace(/^\s*(?:from|to|cc|bcc|von|an|kopie)\s*:/i, '')
    .trim()
    .split(/\s+/)
    .join(' ')
    .slice(0, ADDRESS_MAX)
    .replace(/:$/, '');
  return /\p{L}/u.test(shortName) && shortName !== address ? { address, name: shortName } : { address };
}

/** Removes characters around an address that cannot be part of it. */
function clean(text: string): string {
  // The text is too long for an address, and the patterns below would be slow on it.
  if (text.length > BYTES_MAX) return text.trim().slice(0, BYTES_MAX + 1);
  const bare = text
    .replace(/^[\s"(<[{:•·\u200c\u200d]+/, '')
    .replace(/^mailto:([^?]*).*/i, '$1')
    .replace(/[\s">)\]},;:.!?…\u200c\u200d]+$/, '');
  return bare.replace(/^'(.*)'$/, '$1');
}
