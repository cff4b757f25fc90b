/** Compares addresses by the API's rule: ASCII lower case, and domains as DNS compares them (`shared/domain/src/email.rs`). */

/** Converts the ASCII letters to lower case. `toLowerCase` alone would also turn a Kelvin sign (U+212A) into a k. */
export function asciiLowerCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

export const isAscii = (text: string): boolean => /^[\0-\x7f]*$/.test(text);

/**
 * Returns the address in the API's form, for comparisons: ASCII letters in lower case, international domains in
 * punycode.
 */
export function keyOf(address: string): string {
  const lower = asciiLowerCase(address);
  const at = lower.lastIndexOf('@') + 1;
  const domain = lower.slice(at);
  if (!at || isAscii(domain) || !/^[\p{L}\p{M}\p{N}.。．｡-]+$/u.test(domain)) return lower;
  const url = `http://${domain}`;
  return URL.canParse(url) ? lower.slice(0, at) + new URL(url).hostname : lower;
}

/** Whether the API treats two addresses as equal. */
export function sameAddress(one: string, other: string): boolean {
  return keyOf(one) === keyOf(other);
}
