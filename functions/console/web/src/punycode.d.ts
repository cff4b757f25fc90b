declare module 'punycode/punycode.es6.js' {
  /** Decodes the part of a label after `xn--`. Throws a `RangeError` if it is not valid. */
  export function decode(text: string): string;
}
