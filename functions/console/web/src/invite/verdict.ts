/** Decides without the API whether an address can be invited. In doubt, only the API decides. */
import { isAscii, keyOf } from '../address';

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
export const ADDRESS_MAX = 254;
/** The maximum length of the part before the `@`. */
const LOCAL_MAX = 64;
/** The maximum length of an address in UTF-8 bytes. The API rejects longer texts without parsing them. */
export const BYTES_MAX = 4 * ADDRESS_MAX;

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
export function flawOf(address: string): Flaw | undefined {
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
