import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddresses, verdict, type Known, type Verdict } from './addresses';

/** Returns each entry as `address` or `name|address`. */
function parsed(text: string): string[] {
  return parseAddresses(text).map(({ address, name }) => (name === undefined ? address : `${name}|${address}`));
}

function assertParses(cases: [text: string, expected: string[]][]): void {
  for (const [text, expected] of cases) assert.deepEqual(parsed(text), expected, JSON.stringify(text));
}

test('parses typed addresses', () => {
  assertParses([
    ['', []],
    [' \n\t , ;; ', []],
    ['a@x.example', ['a@x.example']],
    ['A@X.Example', ['A@X.Example']],
    ['a@x.example, b@y.example', ['a@x.example', 'b@y.example']],
    ['a@x.example;b@y.example;', ['a@x.example', 'b@y.example']],
    ['a@x.example b@y.example', ['a@x.example', 'b@y.example']],
    ['a@x.example\r\nb@y.example\n\n', ['a@x.example', 'b@y.example']],
    ['a@x.example\u2028b@y.example', ['a@x.example', 'b@y.example']],
    ['a@x.example、b@y.example，c@z.example', ['a@x.example', 'b@y.example', 'c@z.example']],
    ['bob', ['bob']],
    ['bob, a@x.example', ['bob', 'a@x.example']],
    ['a@x.example, bob', ['a@x.example', 'bob']],
    ['jane @x.example', ['jane @x.example']],
    ['jane@compa ny.example', ['jane@compa ny.example']],
    ['a@@x.example', ['a@@x.example']],
    ['@', ['@']],
  ]);
});

test('parses addresses copied from mail programs', () => {
  assertParses([
    ['Name <a@x.example>; b@y.example', ['Name|a@x.example', 'b@y.example']],
    ['"Doe, Jane" <jane@x.example>, c@x.example', ['Doe, Jane|jane@x.example', 'c@x.example']],
    ['Doe, Jane <jane@x.example>; Roe, Rick <rick@y.example>', ['Doe, Jane|jane@x.example', 'Roe, Rick|rick@y.example']],
    ['<a@x.example>', ['a@x.example']],
    ['<a@x.example> <b@y.example>', ['a@x.example', 'b@y.example']],
    ['Ada <a@x.example> Bo <b@y.example>', ['Ada|a@x.example', 'Bo|b@y.example']],
    ['Ada Lovelace a@x.example', ['Ada Lovelace|a@x.example']],
    ['a@x.example (Ada)', ['a@x.example']],
    ['a@x.example <a@x.example>', ['a@x.example']],
    ["'a@x.example' <a@x.example>", ["'a@x.example'|a@x.example"]],
    ["'a@x.example'", ['a@x.example']],
    ["o'neil@x.example", ["o'neil@x.example"]],
    ['To: a@x.example', ['To:|a@x.example']],
    ['mailto:a@x.example', ['a@x.example']],
    ['<MAILTO:a@x.example?subject=Hi>', ['a@x.example']],
    ['a@x.example.', ['a@x.example']],
    ['(a@x.example),', ['a@x.example']],
    ['• a@x.example\n• b@y.example', ['a@x.example', 'b@y.example']],
    ['1. a@x.example', ['a@x.example']],
    ['Jane <jane>', ['Jane|jane']],
    ['Jane <jane@x.example', ['Jane|jane@x.example']],
    ['"Ada ""The First"" L" <a@x.example>', ['Ada "The First" L|a@x.example']],
    ['"a@x.example"', ['a@x.example']],
    ['"a@x.example, b@y.example"', ['a@x.example', 'b@y.example']],
    ['a@x.example, 5" of it, b@y.example', ['a@x.example', '5" of it', 'b@y.example']],
    ['"a@x.example, b@y.example', ['a@x.example', 'b@y.example']],
  ]);
});

test('parses tables', () => {
  assertParses([
    ['email,name\na@x.example,Ada\nb@y.example,"Bo, B"', ['Ada|a@x.example', 'Bo, B|b@y.example']],
    ['Name;E-Mail\nAda;a@x.example\nBo;b@y.example', ['Ada|a@x.example', 'Bo|b@y.example']],
    ['E-mail address\na@x.example\nb@y.example', ['a@x.example', 'b@y.example']],
    ['a@x.example\tAda\nb@y.example\tBo', ['Ada|a@x.example', 'Bo|b@y.example']],
    ['Ada\tLovelace\ta@x.example', ['Ada|a@x.example']],
    ['a@x.example,Ada\nb@y.example,Bo', ['Ada|a@x.example', 'Bo|b@y.example']],
    ['id,email,role\n7,a@x.example,owner\n8,b@y.example,', ['owner|a@x.example', 'b@y.example']],
    ['"email","name"\n"a@x.example","Ada"', ['Ada|a@x.example']],
    // The rows differ in length, so this is not a table, and `bob` is an incomplete address.
    ['a@x.example, bob\nb@y.example', ['a@x.example', 'bob', 'b@y.example']],
    ['a@x.example, b@x.example\nc@x.example, d@x.example', ['a@x.example', 'b@x.example', 'c@x.example', 'd@x.example']],
    // A row without an address is kept.
    ['email,name\na@x.example,Ada\nbo.y.example,Bo', ['Ada|a@x.example', 'bo.y.example', 'Bo']],
  ]);
});

test('removes invisible characters', () => {
  assertParses([
    ['\ufeffa@x.example', ['a@x.example']],
    ['\u00a0a@x.example\u00a0', ['a@x.example']],
    ['a\u200b@x.exam\u00adple', ['a@x.example']],
    ['\u202aa@x.example\u202c', ['a@x.example']],
    ['\u200da@x.example\u200c', ['a@x.example']],
    ['Ada\u00a0L <a@x.example>', ['Ada L|a@x.example']],
  ]);
});

test('parses large and hostile texts in linear time', () => {
  // With this length, quadratic parsing would take more than ten seconds.
  const LENGTH = 200_000;
  const filled = (piece: string): string => piece.repeat(LENGTH / piece.length);
  const marks = ['"', '\\"', '"",', '" ,', '<', '<a', '>', ',', '.', '.x', '@', ' ', "'", '\u200c'];
  const texts = [...marks, 'a ', 'a@', 'a\n', 'a@x.example,', 'a@x.example\n', 'Ada <a@x.example>\t'];
  for (const piece of [...texts, ...texts.map((text) => `${text}x@y`)]) {
    for (const text of [filled(piece), `a@x.example ${filled(piece)}x`]) {
      const before = process.cpuUsage();
      const entries = parseAddresses(text);
      for (const { address } of entries.slice(0, 1_000)) verdict(address, noneKnown);
      // CPU time of this process, which does not depend on the load of the machine.
      const { user, system } = process.cpuUsage(before);
      assert.ok(user + system < 3_000_000, `${JSON.stringify(piece)} took ${user + system} µs`);
      assert.ok(entries.every(({ address }) => address.length <= 1_017));
    }
  }
});

test('parses a megabyte of addresses completely', () => {
  assert.equal(parseAddresses('a@x.example,'.repeat(83_333)).length, 83_333);
  assert.equal(parseAddresses('Ada,a@x.example\n'.repeat(62_500)).length, 62_500);
});

const noneKnown: Known = { members: new Set(), invited: new Set(), entered: new Set() };

test('reports flaws that are certain', () => {
  const label = 'l'.repeat(63);
  const cases: [address: string, expected: Verdict][] = [
    ['ada@example.com', 'ready'],
    ['Ada+news@Example.co.uk', 'ready'],
    ["o'neil@example.com", 'ready'],
    ['a!#$%&*-/=?^_`{|}~@example.com', 'ready'],
    ['ada@münchen.example', 'ready'],
    ['ada@xn--mnchen-3ya.example', 'ready'],
    ['ada@MÜNCHEN.example', 'ready'],
    // Only the API can check international domains. It refuses this one.
    ['ada@xn--a.example', 'ready'],
    ['', 'no_at'],
    ['ada', 'no_at'],
    ['@', 'no_local'],
    ['@example.com', 'no_local'],
    ['ada@', 'no_domain'],
    ['ada@example', 'no_domain'],
    ['ada@exa mple.com', 'spaces'],
    ['a da@example.com', 'spaces'],
    ['ada@@example.com', 'bad_local'],
    ['.ada@example.com', 'bad_local'],
    ['ada.@example.com', 'bad_local'],
    ['a..da@example.com', 'bad_local'],
    ['"ada"@example.com', 'bad_local'],
    ['ada(comment)@example.com', 'bad_local'],
    ['m\u0131ke@example.com', 'not_ascii'],
    ['mi\u212ae@example.com', 'not_ascii'],
    ['ada@-example.com', 'bad_domain'],
    ['ada@example-.com', 'bad_domain'],
    ['ada@example..com', 'bad_domain'],
    ['ada@.example.com', 'bad_domain'],
    ['ada@[127.0.0.1]', 'bad_domain'],
    ['ada@127.0.0.1', 'bad_domain'],
    ['ada@x.123', 'bad_domain'],
    ['ada@example.c', 'bad_domain'],
    ['ada@under_score.example', 'bad_domain'],
    [`ada@${label}.example`, 'ready'],
    [`ada@${label}l.example`, 'bad_domain'],
    [`${'l'.repeat(64)}@example.com`, 'ready'],
    [`${'l'.repeat(65)}@example.com`, 'too_long'],
    [`a@${label}.${label}.${label}.${'l'.repeat(60)}`, 'ready'],
    [`a@${label}.${label}.${label}.${'l'.repeat(61)}`, 'too_long'],
    [`a@${'ü'.repeat(50)}.${'ü'.repeat(50)}.${'ü'.repeat(50)}.example`, 'ready'],
    ['x'.repeat(2_000), 'too_long'],
  ];
  for (const [address, expected] of cases) assert.equal(verdict(address, noneKnown), expected, address);
});

test('reports members, invitees and duplicates', () => {
  const known: Known = {
    members: new Set(['ada@example.com', 'ada@xn--mnchen-3ya.example']),
    invited: new Set(['ivy@example.com']),
    entered: new Set(['bob@example.com', 'bo']),
  };
  const cases: [address: string, expected: Verdict][] = [
    ['ADA@example.com', 'already_member'],
    ['ada@münchen.example', 'already_member'],
    ['Ivy@Example.com', 'already_invited'],
    ['bob@example.com', 'duplicate'],
    ['bo', 'duplicate'],
    ['ada+news@example.com', 'ready'],
    ['ad.a@example.com', 'ready'],
    // A Kelvin sign is not a k.
    ['\u212aarl@example.com', 'not_ascii'],
  ];
  for (const [address, expected] of cases) assert.equal(verdict(address, known), expected, address);
});
