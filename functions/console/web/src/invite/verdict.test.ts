import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verdict, type Known, type Verdict } from './verdict';

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
