/** Runs the operations on rows, and keeps their changes until the API has confirmed them. */
import type { Change } from './rows';

/** An operation on a row. */
export interface Task<Result> {
  /** The change that is shown until the API has responded. */
  readonly change?: Change | undefined;
  /** Calls the API. */
  readonly call: () => Promise<Result>;
  /**
   * Called at once when the call has succeeded, after `change` has been dropped. `isCurrent` is false if other rows are
   * shown meanwhile.
   */
  readonly onDone: (result: Result, isCurrent: boolean) => void;
  /** Called at once when the call has failed, after `change` has been dropped, unless other rows are shown meanwhile. */
  readonly onFailed: (error: unknown) => void;
}

/** The result of a task. `superseded` if another organization is shown meanwhile. */
export type Outcome = { is: 'done' } | { is: 'failed'; error: unknown } | { is: 'superseded' };

export class RowTasks {
  /** Changes that the API has not confirmed yet, by row key. */
  readonly changes = new Map<string, Change>();
  /** The errors of failed tasks, by row key. */
  readonly errors = new Map<string, unknown>();
  /** The last unfinished task of each row, by row key. */
  readonly #running = new Map<string, Promise<unknown>>();
  /** Identifies the rows that are shown. Results for earlier rows are ignored. */
  #view = Symbol();

  /** `onChange` is called after each change of the state. */
  constructor(readonly onChange: () => void) {}

  /** Whether any task is unfinished. */
  get isBusy(): boolean {
    return this.#running.size > 0;
  }

  /** Whether a task of this row is unfinished. */
  isRunning(key: string): boolean {
    return this.#running.has(key);
  }

  /** Forgets all rows. Unfinished tasks are superseded. */
  clear(): void {
    this.#view = Symbol();
    for (const state of [this.changes, this.errors, this.#running]) state.clear();
  }

  /** Runs a task after the row's previous task has finished. */
  run<Result>(key: string, task: Task<Result>): Promise<Outcome> {
    const previous = this.#running.get(key);
    this.errors.delete(key);
    if (task.change) this.changes.set(key, task.change);
    const running = this.#runAfter(previous, key, task).finally(() => {
      if (this.#running.get(key) === running) this.#running.delete(key);
      this.onChange();
    });
    this.#running.set(key, running);
    this.onChange();
    return running;
  }

  async #runAfter<Result>(previous: Promise<unknown> | undefined, key: string, task: Task<Result>): Promise<Outcome> {
    const view = this.#view;
    await previous;
    if (view !== this.#view) return { is: 'superseded' };
    const isCurrent = (): boolean => view === this.#view;
    // Keep a newer change of the same row.
    const dropChange = (): void => {
      if (isCurrent() && task.change && this.changes.get(key) === task.change) this.changes.delete(key);
    };
    try {
      const result = await task.call();
      dropChange();
      const outcome: Outcome = { is: isCurrent() ? 'done' : 'superseded' };
      task.onDone(result, isCurrent());
      return outcome;
    } catch (error) {
      if (!isCurrent()) return { is: 'superseded' };
      dropChange();
      task.onFailed(error);
      return { is: 'failed', error };
    }
  }
}
