/** Returns a function that returns its last result again while its arguments are the same. */
export function memoized<Arguments extends unknown[], Result>(compute: (...args: Arguments) => Result): (...args: Arguments) => Result {
  let last: { args: Arguments; result: Result } | undefined;
  return (...args) => {
    const isSame = last?.args.length === args.length && last.args.every((arg, index) => arg === args[index]);
    if (!last || !isSame) last = { args, result: compute(...args) };
    return last.result;
  };
}
