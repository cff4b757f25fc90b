/** Renders the rows of a page in several frames, so that an input is followed by a paint at once. */
import type { Row } from './rows';

/** The rows of the first slice, which fill a window. On a slow telephone, more rows take longer than 50 ms (`npm run speed`). */
const FIRST_ROWS = 10;
/** The rows of each further slice. The next input may wait for one of them. */
const SLICE_ROWS = 20;

export class RowSlices {
  /** The number of rows that the next rendering shows. */
  #count = FIRST_ROWS;
  #shown: readonly Row[] = [];

  /** `render` renders again. */
  constructor(readonly render: () => void) {}

  /** Call this when the user has asked for other rows: they are shown from the top, slice by slice. */
  restart(): void {
    this.#count = FIRST_ROWS;
  }

  /** Returns the rows to render for a page: its first ones, and then rows that were shown before, which cost no time. */
  next(rows: readonly Row[]): readonly Row[] {
    const count = this.#count;
    if (rows.length <= count) {
      this.#count = Infinity;
      return (this.#shown = rows);
    }
    this.#count += SLICE_ROWS;
    const first = rows.slice(0, count);
    const keys = new Set(first.map(({ key }) => key));
    const old = this.#shown.slice(count).filter(({ key }) => !keys.has(key));
    this.#shown = [...first, ...old.slice(0, rows.length - count)];
    // After the paint.
    requestAnimationFrame(() => setTimeout(this.render));
    return this.#shown;
  }
}
