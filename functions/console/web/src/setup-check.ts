import type { LitElement, ReactiveController } from 'lit';

/**
 * How long a required property may be missing, in milliseconds. Frameworks set properties after their hydration, which
 * can take several seconds on a slow device.
 */
const WAIT_MS = 10_000;

/** Notices that the embedding page has forgotten a property. The element would otherwise load for ever. */
export class SetupCheck implements ReactiveController {
  /** Whether a property is still missing after the wait. */
  isIncomplete = false;
  readonly #host: LitElement;
  readonly #missing: () => string | undefined;
  readonly #onIncomplete: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `missing` returns the name of a missing property. `onIncomplete` is called after the wait. */
  constructor(host: LitElement, missing: () => string | undefined, onIncomplete: () => void) {
    this.#host = host;
    this.#missing = missing;
    this.#onIncomplete = onIncomplete;
    host.addController(this);
  }

  hostConnected(): void {
    this.hostUpdate();
  }

  hostDisconnected(): void {
    this.#stop();
  }

  hostUpdate(): void {
    if (!this.#missing()) this.#stop();
    else this.#timer ??= setTimeout(this.#report, WAIT_MS);
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.isIncomplete = false;
  }

  readonly #report = (): void => {
    const name = this.#missing();
    if (!name) return;
    this.isIncomplete = true;
    this.#host.requestUpdate();
    this.#onIncomplete();
    void import('./diagnosis').then(({ reportMissing }) => reportMissing(this.#host, name));
  };
}
