import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asciiLowerCase, keyOf, sameAddress } from './address';

test('converts only ASCII letters to lower case', () => {
  assert.equal(asciiLowerCase('AZaz09@-_.'), 'azaz09@-_.');
  for (const text of ['\u212a', 'Ä', 'İ', 'Σ', 'Ａ']) assert.equal(asciiLowerCase(text), text);
});

test('converts addresses to the form of the API', () => {
  const cases = [
    ['Ada@Example.COM', 'ada@example.com'],
    ['ada@münchen.example', 'ada@xn--mnchen-3ya.example'],
    ['ada@straße.example', 'ada@xn--strae-oqa.example'],
    ['ada', 'ada'],
    ['ada@ü/../x', 'ada@ü/../x'],
    // Every spelling of a domain is the same domain.
    ['ada@MÜNCHEN.example', 'ada@xn--mnchen-3ya.example'],
    ['ada@mu\u0308nchen.example', 'ada@xn--mnchen-3ya.example'],
    ['ada@\u212aarl.example', 'ada@karl.example'],
    ['ada@ｍ.example', 'ada@m.example'],
    ['ada@g\u0131thub.example', 'ada@xn--gthub-n4a.example'],
    // The dots of Chinese and Japanese text separate labels, too.
    ['ada@例え\u3002テスト', 'ada@xn--r8jz45g.xn--zckzah'],
    ['ada@m\uff0eexample', 'ada@m.example'],
    ['ada@m\uff61example', 'ada@m.example'],
  ] as const;
  for (const [address, key] of cases) assert.equal(keyOf(address), key);
});

test('compares addresses by the rules of the API', () => {
  assert.ok(sameAddress('Ivy@Partner.Example', 'ivy@partner.example'));
  assert.ok(sameAddress('ivy@bücher.example', 'ivy@xn--bcher-kva.example'));
  assert.ok(!sameAddress('ivy+a@partner.example', 'ivy@partner.example'));
  assert.ok(!sameAddress('ivy', 'ivy@partner.example'));
  // Before the @, a Kelvin sign is not a k. In a domain, it is.
  assert.ok(!sameAddress('\u212aim@partner.example', 'kim@partner.example'));
  assert.ok(sameAddress('kim@\u212aarl.example', 'kim@karl.example'));
});
