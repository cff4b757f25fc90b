/** Addresses as people read them. Use the result for display only: the API answers and compares stored addresses. */
import { keyOf } from './address';

let unicodeDomain: ((domain: string) => string) | undefined;
let loading: Promise<void> | undefined;

/**
 * Returns an address for display: an international domain in Unicode if it cannot be mistaken for another one, else in
 * punycode. An address with an ASCII domain stays as it is.
 *
 * The rule and the decoder are loaded on demand. Until then the domain is in punycode, and `onLoad` is called once they
 * are there.
 */
export function readable(address: string, onLoad: () => void): string {
  const key = keyOf(address);
  const at = key.lastIndexOf('@') + 1;
  if (!at || !/[@.]xn--/.test(key.slice(at - 1))) return address;
  if (unicodeDomain) return key.slice(0, at) + unicodeDomain(key.slice(at));
  loading ??= import('./unicode-domain').then((module) => void ({ unicodeDomain } = module));
  // If the module cannot be loaded, domains stay in punycode.
  loading.then(onLoad, () => {});
  return key;
}
