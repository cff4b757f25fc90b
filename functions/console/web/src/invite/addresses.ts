/**
 * What people paste or type, as addresses: mail headers, columns of a spreadsheet, a list of anything.
 *
 * The packages that read address lists were weighed (`email-addresses`, `addressparser`, `emailjs-addressparser`): 1.3 to
 * 3.2 kB gzip; none reads columns, nor a comma in a name without quotes, and the strict one gives up a whole list for one
 * bad address. So the text is taken apart here, and nothing is decided: the API alone says what an address is.
 */

/** One address, as it was written. */
export interface Entry {
  /** Without its name, brackets and `mailto:`; whatever was written where it is no address. */
  address: string;
  /** The name beside it. */
  name?: string;
}

/** The addresses that are known already, as `keyOf` has them. */
export interface Known {
  /** Of members. */
  members: ReadonlySet<string>;
  /** Of invitations that are pending. */
  invited: ReadonlySet<string>;
  /** Of addresses that were entered before. */
  entered: ReadonlySet<string>;
}

/** Why a text cannot be an address, as far as that is certain without the API (`shared/domain/src/email.rs`). */
export type Flaw = 'no_at' | 'spaces' | 'no_local' | 'no_domain' | 'not_ascii' | 'bad_local' | 'bad_domain' | 'too_long';

/** What is known of an address before the API is asked. */
export type Verdict = 'ready' | 'duplicate' | 'already_member' | 'already_invited' | Flaw;

/** The longest address, in ASCII, and the longest part before its `@`. */
const ADDRESS_MAX = 254;
const LOCAL_MAX = 64;
/** Bytes of UTF-8, above which the API does not look any more. */
const BYTES_MAX = 4 * ADDRESS_MAX;

const LINES = /[\r\n\v\f\x85\u2028\u2029]+/;
/** Soft hyphens, zero-width spaces, marks of direction: nobody has typed them. Joiners may belong to a domain. */
const UNSEEN = /[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]+/g;
/** Quotes (not within a word, like inches), angle brackets, separators, and what is between. Takes linear time. */
const PIECES = /(?<![^\s,;])"[^"]*(?:""[^"]*)*"|<[^<>]*>|[,;\t،؛、，；]|[^"<,;\t،؛、，；]+|["<]/g;
const SEPARATOR = /^[,;\t،؛、，；]$/;
const HEADER = /mail|address|adress/i;

/** What stands between two separators. */
interface Cell {
  /** What stands in angle brackets, and the name before it. */
  bracketed: Entry[];
  /** The rest: quotes are taken off. */
  text: string;
  /** What ends it. */
  end: string;
}

/** Every address in `text`, in its order. What seems to be meant as one, and is none, is among them. */
export function parseAddresses(text: string): Entry[] {
  const rows = text
    .replace(UNSEEN, '')
    .split(LINES)
    .filter((line) => line.trim())
    .map(cellsOf);
  const [first, ...others] = rows;
  if (!first) return [];
  const isHeader = others.some(hasAddress) && !hasAddress(first) && (first.length > 1 || HEADER.test(first[0]!.text));
  const body = isHeader ? others : rows;
  // Columns: then what is beside an address is about the same person.
  const isTable =
    body.every((row) => row.filter(isAddress).length < 2) &&
    (isHeader ? first.length > 1 : first.length > 1 && rows.every((row) => row.length === first.length)) &&
    (rows.length > 1 || first.some((cell) => cell.end === '\t'));
  return body.flatMap((row) => (isTable && hasAddress(row) ? person(row) : list(row)));
}

function cellsOf(line: string): Cell[] {
  const cells: Cell[] = [];
  let cell: Cell = { bracketed: [], text: '', end: '' };
  for (const piece of line.match(PIECES) ?? []) {
    if (SEPARATOR.test(piece)) {
      cells.push({ ...cell, end: piece });
      cell = { bracketed: [], text: '', end: '' };
    } else if (piece.length > 1 && piece.startsWith('<') && piece.endsWith('>')) {
      cell.bracketed.push(entry(tidy(piece), cell.text));
      cell.text = '';
    } else {
      cell.text += piece.length > 1 && piece.startsWith('"') ? piece.slice(1, -1).replaceAll('""', '"') : piece;
    }
  }
  return [...cells, cell];
}

const isAddress = (cell: Cell): boolean => cell.bracketed.length > 0 || cell.text.includes('@');
const hasAddress = (row: Cell[]): boolean => row.some(isAddress);

/** A row of a table: one address, and the first thing beside it that can be a name. */
function person(row: Cell[]): Entry[] {
  const beside = row.find((cell) => !isAddress(cell) && /\p{L}/u.test(cell.text));
  return row.filter(isAddress).flatMap(entriesOf).map((found) => entry(found.address, found.name ?? beside?.text));
}

/** Addresses one after the other. */
function list(row: Cell[]): Entry[] {
  const found: Entry[][] = [];
  /** `Doe` of `Doe, Jane <jane@company.example>`. */
  let before = '';
  for (const [index, cell] of row.entries()) {
    const next = row[index + 1];
    if (!isAddress(cell) && cell.text.trim() && cell.end === ',' && next?.bracketed[0]?.name) {
      before = `${cell.text.trim()}, `;
      continue;
    }
    const [first, ...others] = entriesOf(cell);
    if (first) found.push([before ? entry(first.address, before + first.name) : first, ...others]);
    before = '';
  }
  return found.flat();
}

function entriesOf({ bracketed, text }: Cell): Entry[] {
  // What follows brackets, without being an address itself, is a remark.
  if (bracketed.length) return text.includes('@') ? [...bracketed, ...entriesOf({ bracketed: [], text, end: '' })] : bracketed;
  const words = text.split(/[\s,;]+/).filter(Boolean);
  const isWhole = (word: string): boolean => word.includes('@') && !flawOf(tidy(word));
  // `jane@compa ny.example` is one address with a flaw, `Jane Doe jane@company.example` is one with a name.
  if (words.length < 2 || !words.some(isWhole)) return words.length ? [entry(tidy(text))] : [];
  const addresses = words.filter((word) => word.includes('@'));
  const name = words.slice(0, words.indexOf(addresses[0]!)).join(' ');
  return addresses.map((word, index) => entry(tidy(word), index ? '' : name));
}

function entry(address: string, name = ''): Entry {
  const words = name.trim().split(/\s+/).join(' ').slice(0, ADDRESS_MAX);
  return /\p{L}/u.test(words) && words !== address ? { address, name: words } : { address };
}

/** Takes off what cannot be part of an address. */
function tidy(text: string): string {
  // Too long for an address, and for the patterns below.
  if (text.length > BYTES_MAX) return text.trim().slice(0, BYTES_MAX + 1);
  const bare = text
    .replace(/^[\s"(<[{:•·\u200c\u200d]+/, '')
    .replace(/^mailto:([^?]*).*/i, '$1')
    .replace(/[\s">)\]},;:.!?…\u200c\u200d]+$/, '');
  return bare.replace(/^'(.*)'$/, '$1');
}

/** ASCII letters in lower case, an international domain in punycode: as the API writes `address`. For comparing. */
export function keyOf(address: string): string {
  const lower = address.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
  const at = lower.lastIndexOf('@') + 1;
  const domain = lower.slice(at);
  if (!at || isAscii(domain) || !/^[\p{L}\p{M}\p{N}.-]+$/u.test(domain)) return lower;
  const url = `http://${domain}`;
  return URL.canParse(url) ? lower.slice(0, at) + new URL(url).hostname : lower;
}

/** What can be said of `address` without the API. Where in doubt it is ready. */
export function verdict(address: string, known: Known): Verdict {
  const key = keyOf(address);
  if (known.entered.has(key)) return 'duplicate';
  if (known.members.has(key)) return 'already_member';
  if (known.invited.has(key)) return 'already_invited';
  return flawOf(address) ?? 'ready';
}

const isAscii = (text: string): boolean => /^[\0-\x7f]*$/.test(text);
const LOCAL = /^[\w!#$%&'*+\-/=?^`{|}~]+(?:\.[\w!#$%&'*+\-/=?^`{|}~]+)*$/;
const LABEL = /^[a-z\d](?:[\w!#$%&'*+\-/=?^`{|}~]*[a-z\d])?$/i;

function flawOf(address: string): Flaw | undefined {
  if (address.length > BYTES_MAX) return 'too_long';
  const at = address.lastIndexOf('@');
  if (at < 0) return 'no_at';
  if (/\s/.test(address)) return 'spaces';
  const local = address.slice(0, at);
  const written = address.slice(at + 1);
  if (!local) return 'no_local';
  if (!isAscii(local)) return 'not_ascii';
  const key = keyOf(address);
  const labels = key.slice(at + 1).split('.');
  if (key.length > ADDRESS_MAX || local.length > LOCAL_MAX) return 'too_long';
  if (!LOCAL.test(local)) return 'bad_local';
  if (!written || (labels.length < 2 && isAscii(written))) return 'no_domain';
  // What an international domain may hold, the API knows.
  return isAscii(written) && !labels.every((label) => label.length < 64 && LABEL.test(label)) ? 'bad_domain' : undefined;
}
