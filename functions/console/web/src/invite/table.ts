/**
 * Finds a table in pasted text: the column with the addresses, and the columns with the names.
 *
 * d3-dsv (ISC, 1.1 kB gzip) splits the rows, because it reads quoted cells with delimiters, quotes and line breaks. Of
 * the others, Papa Parse also guesses the delimiter, but takes 7 kB and is misled by lines before the table.
 */
import { dsvFormat } from 'd3-dsv';

/** A cell can contain a comma, so a comma is tried after the delimiters that are rare in text. */
const DELIMITERS = ['\t', ';', ',', '|'];
/** The part of the rows that must fit, so that a text without a header is a table. A few may be broken. */
const FITTING_ROWS_MIN = 0.8;

const EMAIL_HEADER = /e-?mail|^mail|^adress?e?$|^address$/i;
/** Columns with addresses of other people, or with further addresses of the same person. */
const OTHER_HEADER =
  /manager|supervisor|lead|boss|assistant|contact|owner|sponsor|invited|referr|backup|recovery|secondary|alternat|private|personal|other|status|preference|type|verified|vorgesetz|leit|chef|assisten|vertret|privat|weitere|zweit|\b[2-9]\b/i;
const NAME_HEADER = /^(?:full|display|real|voller|vollständiger|anzeige)?[ _-]?name$|^nick ?name$|^contact$|^person$|^mitarbeiter(?:in)?$/i;
const FIRST_NAME_HEADER = /^(?:first|given)[ _-]?name$|^vorname$/i;
const LAST_NAME_HEADER = /^(?:last|family)[ _-]?name$|^surname$|^(?:nach|familien)name$/i;
const BRACKETED_NAME = /[^\s<]\s*<[^<>]*@/;

/** A person in a table. */
export interface TableRow {
  /** The text in the column with the addresses. Never empty. */
  readonly address: string;
  /** The name in other columns. May be empty. */
  readonly name: string;
}

export interface Table {
  readonly rows: readonly TableRow[];
  /** Rows below or within the table that do not fit into it, each as text. */
  readonly others: readonly string[];
  /** The number of lines without an address, except the header: lines before the table, and rows without an address. */
  readonly skippedLines: number;
  /** Texts with addresses that are not used: lines before the table, and other columns. */
  readonly unused: readonly string[];
}

type Row = readonly string[];

/** Returns the table in `text`, or undefined if the text is a list or prose. Lines must end with `\n`. */
export function findTable(text: string): Table | undefined {
  const isOneLine = !text.trim().includes('\n');
  for (const delimiter of DELIMITERS) {
    if (!text.includes(delimiter) || (isOneLine && delimiter !== '\t')) continue;
    const rows = dsvFormat(delimiter)
      .parseRows(text)
      .map((row) => row.map((cell) => cell.trim()))
      .filter((row) => row.some(Boolean));
    const table = readTable(rows, delimiter);
    if (table) return table;
  }
  return undefined;
}

const isAddress = (cell: string): boolean => /[^\s@<]@[^\s@]/.test(cell);
const hasAddress = (row: Row): boolean => row.some(isAddress);
const isName = (cell: string): boolean => /\p{L}/u.test(cell) && !/[\d@]/.test(cell);

function readTable(rows: readonly Row[], delimiter: string): Table | undefined {
  const { header, body, preamble } = split(rows);
  const width = header?.length ?? commonWidth(body);
  if (width < 2) return undefined;
  const fitting = body.filter((row) => row.length === width);
  const column = addressColumn(header, fitting);
  if (column === undefined) return undefined;
  const withAddress = fitting.filter((row) => isAddress(row[column]!));
  const isList = body.every((row) => row.every((cell) => !cell || cell.includes('@')));
  if (header ? withAddress.length * 2 < body.filter(hasAddress).length : isList) return undefined;
  if (!header) {
    const rowsMin = delimiter === '\t' ? 1 : 2;
    // Names with a comma look like two columns: `Doe, Jane <jane@company.example>`.
    const hasNames = delimiter === ',' && withAddress.some((row) => BRACKETED_NAME.test(row[column]!));
    const last = body.findLastIndex(hasAddress);
    if (hasNames || withAddress.length < Math.max(rowsMin, FITTING_ROWS_MIN * (last + 1))) return undefined;
  }
  const nameOf = nameReader(header, fitting, column);
  const found: TableRow[] = [];
  const others: string[] = [];
  const unused = preamble.filter(hasAddress).map((row) => row.join(' '));
  let skippedLines = preamble.length - unused.length;
  for (const row of body) {
    const address = row[column] ?? '';
    // Tables that span several pages repeat the header.
    if (header && address === header[column]) continue;
    if (row.length !== width && !isAddress(address)) {
      // A comma within a cell without quotes moves the columns.
      if (hasAddress(row)) others.push(row.join(delimiter));
      else skippedLines++;
    } else if (/\p{L}/u.test(address) && !/^(?:n\/?a|none|null|keine?|unknown|unbekannt)$/i.test(address)) {
      found.push({ address, name: nameOf(row) });
      unused.push(...row.filter((cell, index) => index !== column && isAddress(cell)));
    } else skippedLines++;
  }
  return { rows: found, others, skippedLines, unused };
}

/** Splits the rows into the lines before the table, its header, and its other rows. */
function split(rows: readonly Row[]): { header: Row | undefined; body: readonly Row[]; preamble: readonly Row[] } {
  const isHeader = (row: Row): boolean => row.length > 1 && !hasAddress(row) && row.some((cell) => isEmailHeader(cell));
  const named = rows.findIndex(isHeader);
  if (named >= 0 && rows.slice(named + 1).some(hasAddress)) {
    return { header: rows[named], body: rows.slice(named + 1), preamble: rows.slice(0, named) };
  }
  const start = Math.max(0, rows.findIndex(hasAddress));
  const body = rows.slice(start);
  // A header in another language, which is no line of text: it has a short text for each column.
  const above = rows[start - 1];
  const isTitled = above && above.length === commonWidth(body) && above.every((cell) => cell && isTitle(cell));
  return isTitled && above.length > 1
    ? { header: above, body, preamble: rows.slice(0, start - 1) }
    : { header: undefined, body, preamble: rows.slice(0, start) };
}

/** Whether a cell is a title, and not a part of a sentence. */
function isTitle(cell: string): boolean {
  return cell.length < 40 && cell.split(' ').length < 5 && !/[.:!?]$/.test(cell);
}

/** Whether a cell is the title of a column of addresses. */
function isEmailHeader(cell: string): boolean {
  return EMAIL_HEADER.test(cell) && isTitle(cell);
}

/** Returns the most frequent number of cells in rows with an address. */
function commonWidth(rows: readonly Row[]): number {
  const counts = new Map<number, number>();
  for (const row of rows) if (hasAddress(row)) counts.set(row.length, (counts.get(row.length) ?? 0) + 1);
  return [...counts].reduce((best, next) => (next[1] > best[1] ? next : best), [0, 0])[0];
}

/** Returns the numbers of the columns, the best one by `score` first. */
function ranked(columns: readonly number[], score: (column: number) => readonly number[]): number[] {
  const scores = new Map(columns.map((column) => [column, score(column)]));
  const compare = (one: number, other: number): number => {
    const differences = scores.get(other)!.map((value, index) => value - scores.get(one)![index]!);
    return differences.find(Boolean) ?? 0;
  };
  return [...columns].sort(compare);
}

const distinct = (rows: readonly Row[], column: number, isCounted: (cell: string) => boolean): number =>
  new Set(rows.map((row) => row[column]!).filter(isCounted)).size;

/**
 * Returns the column with the addresses of the people. Another column may hold addresses of their managers: such
 * addresses repeat, and the header says so.
 */
function addressColumn(header: Row | undefined, rows: readonly Row[]): number | undefined {
  const columns = (rows[0] ?? []).map((_, column) => column);
  const candidates = columns.filter((column) => rows.some((row) => isAddress(row[column]!)));
  return ranked(candidates, (column) => {
    const title = header?.[column] ?? '';
    const isOther = OTHER_HEADER.test(title);
    return [Number(isEmailHeader(title) && !isOther), Number(!isOther), distinct(rows, column, isAddress)];
  })[0];
}

/** Returns a function that reads the name of a row: by the header, else from the column with the most different names. */
function nameReader(header: Row | undefined, rows: readonly Row[], address: number): (row: Row) => string {
  const find = (pattern: RegExp): number => header?.findIndex((cell, column) => column !== address && pattern.test(cell)) ?? -1;
  const full = find(NAME_HEADER);
  const parts = [find(FIRST_NAME_HEADER), find(LAST_NAME_HEADER)].filter((column) => column >= 0);
  if (full >= 0 && parts.length < 2) return (row) => row[full] ?? '';
  if (parts.length) return (row) => parts.map((column) => row[column]).join(' ');
  if (header?.some(isEmailHeader)) return () => '';
  const columns = (rows[0] ?? []).map((_, column) => column).filter((column) => column !== address);
  // Departments and roles repeat.
  const isDistinct = (column: number): boolean => distinct(rows, column, isName) * 2 >= rows.length;
  const names = columns.filter((column) => isDistinct(column) && rows.every((row) => !row[column] || isName(row[column])));
  const [name] = ranked(names, (column) => [distinct(rows, column, isName)]);
  return (row) => (name === undefined ? '' : (row[name] ?? ''));
}
