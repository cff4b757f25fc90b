/** Sends the ready addresses of a list to the API. */
import type { ReactiveControllerHost } from 'lit';
import { CallError } from '../api';
import type { InviteResult, Role } from '../elements';
import type { Language } from '../i18n';
import { Batches, refusedAddresses, type Batch } from './batches';
import type { AddressList } from './list';

/** The numbers of addresses that the API has answered, that the current call ends with, and that are sent in all. */
export interface Progress {
  readonly done: number;
  readonly upTo: number;
  readonly total: number;
}

export interface SendOptions {
  readonly role: Role;
  readonly language: Language | undefined;
  /** Sends one batch to the API. */
  readonly invite: (batch: Batch) => Promise<InviteResult[]>;
  /** Called after each batch that invited people. */
  readonly onInvited: (results: InviteResult[]) => void;
  /** Whether to send another batch. */
  readonly isCurrent: () => boolean;
}

/** Sends batches one after the other, removes the invited addresses from the list, and marks the refused ones. */
export class Sending {
  readonly #host: Pick<ReactiveControllerHost, 'requestUpdate'>;
  readonly #list: AddressList;
  readonly #batches = new Batches();
  #progress: Progress | undefined;
  #isStopping = false;

  constructor(host: Pick<ReactiveControllerHost, 'requestUpdate'>, list: AddressList) {
    this.#host = host;
    this.#list = list;
  }

  /** Undefined if no sending is under way. */
  get progress(): Progress | undefined {
    return this.#progress;
  }

  /** Whether the current call is the last one. */
  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** Ends the sending after the current call. */
  stop(): void {
    this.#isStopping = this.#progress !== undefined;
    this.#host.requestUpdate();
  }

  /**
   * Sends all ready addresses in batches, until `stop` is called. Returns the error of a failed call, else undefined.
   * The next `send` repeats a call without a response with the same idempotency key.
   */
  async send({ role, language, invite, onInvited, isCurrent }: SendOptions): Promise<unknown> {
    const list = this.#list;
    const total = list.ready.length;
    this.#isStopping = false;
    try {
      while (list.ready.length && !this.#isStopping && isCurrent()) {
        const addresses = list.ready.map(({ address }) => address);
        const batch = this.#batches.next(addresses, role, language);
        const done = total - list.ready.length;
        this.#progress = { done, upTo: done + batch.emails.length, total };
        this.#host.requestUpdate();
        try {
          const invited = list.applyResults(batch.emails, await invite(batch));
          if (invited.length) onInvited(invited);
        } catch (error) {
          if (!this.#markRefused(batch, error)) return error;
        }
        this.#batches.answered();
      }
    } catch (error) {
      return error;
    } finally {
      this.#progress = undefined;
      this.#isStopping = false;
      this.#host.requestUpdate();
    }
    return undefined;
  }

  /** Marks the addresses that the API names as the reason for a refusal. Returns false if it names none. */
  #markRefused(batch: Batch, error: unknown): boolean {
    if (!(error instanceof CallError)) return false;
    const { code, problem, retryAfter } = error;
    if (problem.seats) this.#list.freeSeats = problem.seats.free;
    const refused = refusedAddresses(batch, error);
    this.#list.refuse(refused, code, code === 'resend_too_soon' ? retryAfter : undefined);
    return refused.size > 0;
  }
}
