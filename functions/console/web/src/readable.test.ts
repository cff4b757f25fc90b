import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyOf } from './address';
import { readable } from './readable';
import { unicodeDomain } from './unicode-domain';

/** Converts a domain to punycode, then to the text for display. */
const shown = (domain: string): string => unicodeDomain(keyOf(`@${domain}`).slice(1));

// The domains of the tests in functions/mail/src/readable.rs, which has the rule for mails.

test('shows international domains in Unicode', () => {
  for (const domain of [
    'example.com',
    'münchen.example',
    'straße.example',
    'smørrebrød.example',
    'łódź.example',
    'почта.рф',
    '例え.テスト',
    '한국.example',
    'ελλάδα.example',
    'क्ष.example',
    'mail.bücher.example',
  ]) {
    assert.match(keyOf(`@${domain}`), /^[\0-\x7f]+$/);
    assert.equal(shown(domain), domain);
  }
});

test('shows a domain that looks like another one in ASCII', () => {
  for (const [domain, ascii] of [
    // Cyrillic letters that look like `apple`, and a dotless i.
    ['\u0430\u0440\u0440\u04cf\u0435.example', 'xn--80ak6aa92e.example'],
    ['g\u0131thub.example', 'xn--gthub-n4a.example'],
    // A Cyrillic а between Latin letters, and a Greek letter between them.
    ['p\u0430ypal.example', 'xn--pypal-4ve.example'],
    ['g\u03bf\u03bfgle.example', 'xn--ggle-0nda.example'],
    // Safe by itself, but not the other label.
    ['münchen.p\u0430ypal.example', 'xn--mnchen-3ya.xn--pypal-4ve.example'],
    // A right-to-left script.
    ['אב.example', 'xn--4dbc.example'],
    // A script that is not in common use.
    ['\u13a0\u13b3\u13a9.example', 'xn--58ds3a.example'],
  ] as const) {
    assert.equal(shown(domain), ascii, domain);
  }
});

test('shows a label in ASCII if each of its characters looks like an ASCII character', () => {
  for (const label of [
    // Latin, Cyrillic, Greek, Katakana and Han.
    'k\u00e6rlig',
    '\u03bf\u03c5',
    '\u0441\u043e\u0441\u043e',
    '\u0441\u0451\u0441\u043e',
    'a\u30ceb',
    '\u30ce\u30ce',
    '\u4e36',
    '\u30fc',
    '\u4e00',
    // The visarga looks like a colon, and the digit zero like an o.
    '\u0915\u0903',
    '\u0915\u0966',
  ]) {
    assert.match(shown(`${label}.example`), /^[\0-\x7f]+$/, label);
  }
});

test('mixes only the scripts that people mix', () => {
  for (const label of ['東京タワー', 'お茶の水', '中国2', '韓國어', 'ひらがな-カタカナ']) assert.equal(shown(label), label);
  for (const label of ['東京tower', '어ひ', 'почта東', 'почтаελ', 'münchenд']) {
    assert.match(shown(label), /^xn--[a-z\d-]+$/, label);
  }
});

test('shows only Han characters in common use', () => {
  for (const label of ['简体中文', '繁體中文', '日本語', '妳嗎']) assert.equal(shown(label), label);
  for (const label of ['圡', '囻', '日囻']) assert.match(shown(label), /^xn--/, label);
});

test('shows only Latin letters beside a Latin letter', () => {
  let count = 0;
  for (let code = 0x80; code < 0x2_0000; code++) {
    const character = String.fromCodePoint(code);
    const domain = `${character}a`;
    // Skip characters that no domain has, and other spellings, for example upper case.
    if (!keyOf(`@${domain}`).startsWith('@xn--') || shown(domain) !== domain) continue;
    assert.match(character, /^\p{Script=Latin}$/u);
    count++;
  }
  assert.ok(count > 100, `${count} letters`);
});

test('keeps a domain that is not valid or not in its only spelling', () => {
  for (const domain of [
    'xn--a.example',
    'xn--.example',
    'xn--mnchen-3ya!.example',
    'xn--99999999.example',
    // Punycode of ASCII text, of an upper case letter and of a decomposed letter.
    'xn--munchen-.example',
    'xn--mnchen-psa.example',
    'xn--munchen-gie.example',
    'xn--münchen.example',
    '',
  ]) {
    assert.equal(unicodeDomain(domain), domain);
  }
});

test('shows the stored form until the rule is loaded, then the readable form', async () => {
  const loaded = await new Promise<string>((resolve) => {
    const show = (): string => readable('ada@xn--mnchen-3ya.example', () => resolve(show()));
    assert.equal(show(), 'ada@xn--mnchen-3ya.example');
  });
  assert.equal(loaded, 'ada@münchen.example');
  const unexpected = (): void => assert.fail('the rule is already loaded');
  for (const [address, text] of [
    ['ada@mail.xn--mnchen-3ya.example', 'ada@mail.münchen.example'],
    ['ada@MÜNCHEN.example', 'ada@münchen.example'],
    ['Ada@xn--mnchen-3ya.example', 'ada@münchen.example'],
    // The claim of an identity provider, or an address that was typed.
    ['ada@p\u0430ypal.example', 'ada@xn--pypal-4ve.example'],
    // Only the domain can be in punycode.
    ['xn--mnchen-3ya@example.com', 'xn--mnchen-3ya@example.com'],
    ['Ada@Example.com', 'Ada@Example.com'],
    ['ada@axn--mnchen-3ya.example', 'ada@axn--mnchen-3ya.example'],
    ['xn--mnchen-3ya.example', 'xn--mnchen-3ya.example'],
    ['ada@ü/../x', 'ada@ü/../x'],
    ['', ''],
  ] as const) {
    assert.equal(readable(address, unexpected), text);
  }
});
