/** Access to the browser's storage, which it can block: reading then returns null, and writing has no effect. */

/** Runs `access`. Returns null if the browser blocks the storage, which throws, or if the value is not valid JSON. */
export function tryStorage<Value>(access: () => Value): Value | null {
  try {
    return access();
  } catch {
    return null;
  }
}
