/**
 * Parses addresses from pasted or typed text: mail headers, columns of a spreadsheet, or any list.
 *
 * The npm packages for address lists (`email-addresses`, `addressparser`, `emailjs-addressparser`; 1.3 to 3.2 kB gzip)
 * do not fit: none reads columns or unquoted names with a comma, and the strict one rejects a whole list for one bad
 * address.
 *
 * The parser only splits the text. The API decides which addresses are valid.
 */
import { isAscii, keyOf } from '../address';

/** One address of the text. */
export interface Entry {
  /** The address without name, brackets and `mailto:`. The original text if it is not an address. */
  address: string;
  /** The name next to the address. */
  name?: string;
}

/** Known addresses, each as the result of `keyOf`. */
export interface Known {
  /** The addresses of members. */
  members: ReadonlySet<string>;
  /** The addresses of pending invitations. */
  invited: ReadonlySet<string>;
  /** The addresses that have already been entered. */
  entered: ReadonlySet<string>;
}

/**
 * The reason why a text is not an address by the API's rules (`shared/domain/src/email.rs`). Covers only certain cases.
 */
export type Flaw = 'no_at' | 'spaces' | 'no_local' | 'no_domain' | 'not_ascii' | 'bad_local' | 'bad_domain' | 'too_long';

/** The status of an address before it is sent to the API. */
export type Verdict = 'ready' | 'duplicate' | 'already_member' | 'already_invited' | Flaw;

/** The maximum length of an address in ASCII. */
const ADDRESS_MAX = 254;
/** The maximum length of the part before the `@`. */
const LOCAL_MAX = 64;
/** The maximum length of an address in UTF-8 bytes. The API rejects longer texts without parsing them. */
const BYTES_MAX = 4 * ADDRESS_MAX;

const LINES = /[\r\n\v\f\x85\u2028\u2029]+/;
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
const HEADER = /mail|address|adress/i;

/** The text between two separators. */
interface Cell {
  /** The addresses in angle brackets, each with the name before it. */
  bracketed: Entry[];
  /** The remaining text, without quotes. */
  text: string;
  /** The separator after the cell; empty at the end of the line. */
  end: string;
}

/** Returns the addresses in `text`, in order. Includes invalid texts that seem to be meant as addresses. */
export function parseAddresses(text: string): Entry[] {
  const rows = text
    .replace(INVISIBLE, '')
    .split(LINES)
    .filter((line) => line.trim())
    .map(cellsOf);
  const [first, ...others] = rows;
  if (!first) return [];
  const isHeader = others.some(hasAddress) && !hasAddress(first) && (first.length > 1 || HEADER.test(first[0]!.text));
  const body = isHeader ? others : rows;
  // In a table, the cells of a row describe the same person.
  const isTable =
    body.every((row) => row.filter(isAddress).length < 2) &&
    (isHeader ? first.length > 1 : first.length > 1 && rows.every((row) => row.length === first.length)) &&
    (rows.length > 1 || first.some((cell) => cell.end === '\t'));
  return body.flatMap((row) => (isTable && hasAddress(row) ? entriesOfTableRow(row) : entriesOfList(row)));
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
const hasAddress = (row: Cell[]): boolean => row.some(isAddress);

/** Parses a row of a table: one address, and the first cell that can be a name. */
function entriesOfTableRow(row: Cell[]): Entry[] {
  const nameCell = row.find((cell) => !isAddress(cell) && /\p{L}/u.test(cell.text));
  return row
    .filter(isAddress)
    .flatMap(entriesOf)
    .map((found) => entryOf(found.address, found.name ?? nameCell?.text));
}

/** Parses a list of addresses in one line. */
function entriesOfList(row: Cell[]): Entry[] {
  const found: Entry[][] = [];
  /** The `Doe, ` in `Doe, Jane <jane@company.example>`. */
  let lastName = '';
  for (const [index, cell] of row.entries()) {
    const next = row[index + 1];
    if (!isAddress(cell) && cell.text.trim() && cell.end === ',' && next?.bracketed[0]?.name) {
      lastName = `${cell.text.trim()}, `;
      continue;
    }
    const [first, ...others] = entriesOf(cell);
    if (first) found.push([lastName ? entryOf(first.address, lastName + first.name) : first, ...others]);
    lastName = '';
  }
  return found.flat();
}

function entriesOf({ bracketed, text }: Cell): Entry[] {
  // Ignore text after the brackets, unless it contains an address.
  if (bracketed.length) return text.includes('@') ? [...bracketed, ...entriesOf({ bracketed: [], text, end: '' })] : bracketed;
  const words = text.split(/[\s,;]+/).filter(Boolean);
  const isWhole = (word: string): boolean => word.includes('@') && !flawOf(clean(word));
  // `jane@compa ny.example` is one invalid address. `Jane Doe jane@company.example` is an address with a name.
  if (words.length < 2 || !words.some(isWhole)) return words.length ? [entryOf(clean(text))] : [];
  const addresses = words.filter((word) => word.includes('@'));
  const name = words.slice(0, words.indexOf(addresses[0]!)).join(' ');
  return addresses.map((word, index) => entryOf(clean(word), index ? '' : name));
}

function entryOf(address: string, name = ''): Entry {
  const shortName = name.trim().split(/\s+/).join(' ').slice(0, ADDRESS_MAX);
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

/** Returns the status of `address` without asking the API. In doubt, the status is `ready`. */
export function verdict(address: string, known: Known): Verdict {
  const key = keyOf(address);
  if (known.entered.has(key)) return 'duplicate';
  if (known.members.has(key)) return 'already_member';
  if (known.invited.has(key)) return 'already_invited';
  return flawOf(address) ?? 'ready';
}

const LOCAL = /^[\w!#$%&'*+\-/=?^`{|}~]+(?:\.[\w!#$%&'*+\-/=?^`{|}~]+)*$/;
const LABEL = /^[a-z\d](?:[a-z\d-]*[a-z\d])?$/i;
const TOP_LEVEL = /^(?:[a-z]{2,}|xn--.*)$/;

/** Returns the reason why `address` is certainly invalid, or undefined. */
function flawOf(address: string): Flaw | undefined {
  if (address.length > BYTES_MAX) return 'too_long';
  const at = address.lastIndexOf('@');
  if (at < 0) return 'no_at';
  if (/\s/.test(address)) return 'spaces';
  const local = address.slice(0, at);
  const domain = address.slice(at + 1);
  if (!local) return 'no_local';
  if (!isAscii(local)) return 'not_ascii';
  const key = keyOf(address);
  const labels = key.slice(at + 1).split('.');
  if (key.length > ADDRESS_MAX || local.length > LOCAL_MAX) return 'too_long';
  if (!LOCAL.test(local)) return 'bad_local';
  if (!domain || (labels.length < 2 && isAscii(domain))) return 'no_domain';
  // Only the API checks the characters of an international domain.
  if (!isAscii(domain)) return undefined;
  const isDomain = labels.every((label) => label.length < 64 && LABEL.test(label)) && TOP_LEVEL.test(labels.at(-1)!);
  return isDomain ? undefined : 'bad_domain';
}
