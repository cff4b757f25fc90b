import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddresses } from './addresses';
import { verdict } from './verdict';

/** Returns each entry as `address` or `name|address`. */
function parsed(text: string): string[] {
  return parseAddresses(text).entries.map(({ address, name }) => (name === undefined ? address : `${name}|${address}`));
}

function assertParses(cases: [text: string, expected: string[]][]): void {
  for (const [text, expected] of cases) assert.deepEqual(parsed(text), expected, JSON.stringify(text));
}

/** Asserts that each address in the text is either found or counted as unused. */
function assertComplete(text: string, name: string): void {
  const { entries, unusedAddresses } = parseAddresses(text);
  const all = new Set(text.match(/[^\s<>,;:()"|]+@[^\s<>,;:()"|]*[^\s<>,;:()"|.]/g));
  const found = entries.filter(({ address }) => all.has(address));
  assert.equal(found.length + unusedAddresses, all.size, name);
}

const noKeys: ReadonlySet<string> = new Set();

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
    ['To: a@x.example', ['a@x.example']],
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
    ['a@x.example, 5" of it, b@y.example', ['a@x.example', 'b@y.example']],
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
    ['id,email,role\n7,a@x.example,owner\n8,b@y.example,', ['a@x.example', 'b@y.example']],
    ['"email","name"\n"a@x.example","Ada"', ['Ada|a@x.example']],
    // The rows differ in length, so this is not a table, and `bob` is an incomplete address.
    ['a@x.example, bob\nb@y.example', ['a@x.example', 'bob', 'b@y.example']],
    ['a@x.example, b@x.example\nc@x.example, d@x.example', ['a@x.example', 'b@x.example', 'c@x.example', 'd@x.example']],
    // A row without an address is kept.
    ['email,name\na@x.example,Ada\nbo.y.example,Bo', ['Ada|a@x.example', 'Bo|bo.y.example']],
  ]);
});

test('finds the columns of pasted tables', () => {
  const people = ['Ada Lovelace|ada@x.example', 'Bo Beck|bo@x.example'];
  const cases: Record<string, [lines: string[], expected: string[], skippedLines?: number, unusedAddresses?: number]> = {
    'Excel and Sheets with a header': [
      [
        'Name\tDepartment\tPhone\tEmail\tStart date',
        'Ada Lovelace\tEngineering\t+49 30 1234\tada@x.example\t2024-01-03',
        'Bo Beck\tSales\t\tbo@x.example\t',
      ],
      people,
    ],
    'Excel and Sheets without a header': [
      [
        'Ada Lovelace\tEngineering\tada@x.example\t+49 30 1234',
        'Bo Beck\tEngineering\tbo@x.example\t+49 30 1235',
        'Cy Cole\tSales\tcy@x.example\t',
      ],
      [...people, 'Cy Cole|cy@x.example'],
    ],
    'one row of a spreadsheet': [['Ada Lovelace\tada@x.example\t01.02.2024'], ['Ada Lovelace|ada@x.example']],
    'cells with line breaks': [['"Ada\nLovelace"\tada@x.example', 'Bo Beck\tbo@x.example'], people],
    'German Excel': [
      [
        'Nachname;Vorname;Abteilung;E-Mail-Adresse;Telefon',
        'Müller;Jörg;Vertrieb;joerg@x.example;030 1234',
        '"Groß; Klein";Anna;;anna@x.example;',
      ],
      ['Jörg Müller|joerg@x.example', 'Anna Groß; Klein|anna@x.example'],
    ],
    'names with commas in quotes': [['Email,Name', 'ada@x.example,"Lovelace, Ada"'], ['Lovelace, Ada|ada@x.example']],
    // A comma without quotes moves the columns of its row.
    'names with commas without quotes': [
      ['Name,Email,Department', 'Beck, Bo,bo@x.example,Sales', 'Ada Lovelace,ada@x.example,Engineering'],
      ['Ada Lovelace|ada@x.example', 'Bo|bo@x.example'],
    ],
    'Google Groups': [
      [
        'Members for group team@x.example',
        'Email address,Nickname,Group status,Email status,Email preference,Posting permissions,Join year,Join month,Join day',
        'ada@x.example,Ada Lovelace,member,,All email,allowed,2020,1,31',
        'bo@x.example,,owner,,No email,allowed,2021,12,1',
      ],
      ['Ada Lovelace|ada@x.example', 'bo@x.example'],
      0,
      1,
    ],
    'Google Contacts': [
      [
        'First Name,Last Name,E-mail 1 - Label,E-mail 1 - Value,E-mail 2 - Label,E-mail 2 - Value,Phone 1 - Value',
        'Ada,Lovelace,* Work,ada@x.example,Home,ada@home.example,+49 30 1234',
        'Bo,Beck,Work,bo@x.example,,,',
      ],
      people,
      0,
      1,
    ],
    'Slack members': [
      [
        'username,email,status,billing-active,has-2fa,has-sso,userid,fullname,displayname,expiration-timestamp',
        'ada,ada@x.example,Member,1,1,0,U024BE7LH,Ada Lovelace,ada,',
        'bo,bo@x.example,Admin,1,0,0,U024BE7LJ,Bo Beck,bo,',
      ],
      people,
    ],
    // Only the first column is meant, by its header: the managers may be members already.
    "managers' addresses": [
      ['Name,Email,Manager email', 'Ada Lovelace,ada@x.example,boss@x.example', 'Bo Beck,bo@x.example,ada@x.example'],
      people,
      0,
      1,
    ],
    "managers' addresses in the first column": [
      ["Manager's email;Name;Email", 'boss@x.example;Ada Lovelace;ada@x.example', 'boss@x.example;Bo Beck;bo@x.example'],
      people,
      0,
      1,
    ],
    // Without a header, the column with the most different addresses is meant.
    "managers' addresses without a header": [
      ['boss@x.example,Ada Lovelace,ada@x.example', 'boss@x.example,Bo Beck,bo@x.example'],
      people,
      0,
      1,
    ],
    'a header in another language': [['Nom;Courriel', 'Ada Lovelace;ada@x.example', 'Bo Beck;bo@x.example'], people],
    Markdown: [['| Name | Email |', '|---|---|', '| Ada Lovelace | ada@x.example |', '| Bo Beck | bo@x.example |'], people, 1],
    'rows without an address': [['Name,Email', 'Ada Lovelace,ada@x.example', 'Cy,', 'Dora,n/a', 'Bo Beck,bo@x.example'], people, 2],
    'a repeated header': [['Name,Email', 'Ada Lovelace,ada@x.example', 'Name,Email', 'Bo Beck,bo@x.example'], people],
    'text around the table': [
      [
        'Hi, please invite the following:',
        '',
        'Name,Email,Department',
        'Ada Lovelace,ada@x.example,Engineering',
        'Bo Beck,bo@x.example,',
        '',
        'Thanks,',
        'Bob',
      ],
      people,
      3,
    ],
    "a mail's header before the table": [
      [
        'From: Boss <boss@x.example>',
        'Sent: Monday, 30 November 2026 09:15',
        'To: me@x.example',
        'Subject: New people',
        '',
        'Name\tEmail',
        'Ada Lovelace\tada@x.example',
        'Bo Beck\tbo@x.example',
      ],
      people,
      2,
      2,
    ],
  };
  for (const [name, [lines, expected, skippedLines = 0, unusedAddresses = 0]] of Object.entries(cases)) {
    for (const lineBreak of ['\n', '\r\n']) {
      const text = lines.join(lineBreak) + lineBreak;
      assert.deepEqual(parsed(text), expected, name);
      const result = parseAddresses(text);
      assert.deepEqual([result.skippedLines, result.unusedAddresses], [skippedLines, unusedAddresses], name);
      assertComplete(text, name);
    }
  }
});

test('finds the addresses in pasted lists and prose', () => {
  const people = ['Lovelace, Ada|ada@x.example', 'Beck, Bo|bo@x.example'];
  const cases: Record<string, [lines: string[], expected: string[], skippedLines?: number, unusedAddresses?: number]> = {
    'Outlook recipients in one line': [['Lovelace, Ada <ada@x.example>; Beck, Bo <bo@x.example>;'], people],
    'Outlook recipients in lines': [['Lovelace, Ada <ada@x.example>;', 'Beck, Bo <bo@x.example>;'], people],
    'recipients in lines without separators': [['Lovelace, Ada <ada@x.example>', 'Beck, Bo <bo@x.example>'], people],
    "a mail's recipients": [
      ['To: Ada <ada@x.example>, bo@x.example; cy@x.example', 'Cc: Dora <dora@x.example>'],
      ['Ada|ada@x.example', 'bo@x.example', 'cy@x.example', 'Dora|dora@x.example'],
    ],
    'a forwarded mail': [
      [
        'From: Boss <boss@x.example>',
        'Sent: Monday, 30 November 2026 09:15',
        'To: Me <me@x.example>',
        'Subject: New people',
        '',
        'Hi all,',
        'please add these people:',
        'Ada Lovelace <ada@y.example>',
        'Bo, bo@y.example',
        '',
        'Best,',
        'Boss',
      ],
      ['Ada Lovelace|ada@y.example', 'Bo|bo@y.example'],
      6,
      2,
    ],
    'prose in lines': [
      [
        'Hi team,',
        '',
        'please invite Ada Lovelace (ada@x.example), Bo (bo@y.example) and carl@z.example. You can also ask dora@x.example.',
        'Thanks!',
        'Bob',
      ],
      ['Ada Lovelace|ada@x.example', 'Bo|bo@y.example', 'carl@z.example', 'dora@x.example'],
      3,
    ],
    'prose in one line': [['Hi team, please invite ada@x.example, and bob@y.example, thanks'], ['ada@x.example', 'bob@y.example']],
    'a numbered list': [
      ['1. Ada Lovelace - ada@x.example', '2. Bo – bo@x.example', '3) cy@x.example', '• dora@x.example'],
      ['Ada Lovelace|ada@x.example', 'Bo|bo@x.example', 'cy@x.example', 'dora@x.example'],
    ],
    'blocks of lines': [
      ['Ada Lovelace', 'Engineering', 'ada@x.example', '+49 30 1234', '', 'Bo Beck', 'Sales', 'bo@x.example'],
      ['ada@x.example', 'bo@x.example'],
      5,
    ],
    vCards: [
      [
        'BEGIN:VCARD',
        'VERSION:3.0',
        'N:Lovelace;Ada;;;',
        'FN:Ada Lovelace',
        'EMAIL;TYPE=INTERNET:ada@x.example',
        'TEL:+49 30 1234',
        'END:VCARD',
        'BEGIN:VCARD',
        'FN:Bo',
        'item1.EMAIL:bo@x.example',
        'END:VCARD',
      ],
      ['Ada Lovelace|ada@x.example', 'Bo|bo@x.example'],
    ],
    // Words in lower case seem to be meant as addresses, so that the user can complete them.
    'a list with incomplete addresses': [
      ['a@x.example', 'emil', 'gita@', 'c@x.example'],
      ['a@x.example', 'emil', 'gita@', 'c@x.example'],
    ],
    'only names': [['Anna', 'Bob'], [], 2],
    'a title of columns above lines of another form': [
      ['email,name', '"Doe, Jane" <jane@x.example>;', 'jane@y.example', 'mailto:kim@x.example', 'emil'],
      ['Doe, Jane|jane@x.example', 'jane@y.example', 'kim@x.example', 'emil'],
    ],
    // This is no title.
    'a text with a word of a title': [
      ['a@x.example', 'not-an-address'],
      ['a@x.example', 'not-an-address'],
    ],
    'a title': [
      ['E-mail addresses', 'a@x.example', 'b@x.example'],
      ['a@x.example', 'b@x.example'],
    ],
  };
  for (const [name, [lines, expected, skippedLines = 0, unusedAddresses = 0]] of Object.entries(cases)) {
    const text = lines.join('\n');
    assert.deepEqual(parsed(text), expected, name);
    const result = parseAddresses(text);
    assert.deepEqual([result.skippedLines, result.unusedAddresses], [skippedLines, unusedAddresses], name);
    assertComplete(text, name);
  }
});

test('makes no red chip of 1,000 rows with extra columns', () => {
  const departments = ['Engineering', 'Sales', 'Human Resources', 'Vertrieb'];
  const rows = Array.from({ length: 1_000 }, (_, row) =>
    [`Person ${row}`, departments[row % 4], `+49 30 ${row}`, `p${row}@x.example`, `boss${row % 7}@x.example`, '2024-01-03'].join('\t'),
  );
  const { entries, skippedLines, unusedAddresses } = parseAddresses(rows.join('\n'));
  assert.deepEqual(
    entries.map(({ address }) => address),
    rows.map((_, row) => `p${row}@x.example`),
  );
  assert.deepEqual([skippedLines, unusedAddresses], [0, 7]);
  // A department is no name.
  assert(entries.every(({ name }) => name === undefined));
});

test('does not turn a broken address into another address', () => {
  const broken = [
    'ann lee@x.example',
    'Ann Lee@x.example',
    'mary ann lee@x.example',
    'ann\u00a0lee@x.example',
    '"ann lee"@x.example',
    'jane@company.co m',
    'jane@company.example .uk',
  ];
  for (const text of broken) {
    const address = text.replaceAll('"', '').replace('\u00a0', ' ');
    for (const [pasted, others] of [
      [text, []],
      [`${text}, b@x.example`, ['b@x.example']],
      [`${text}\nb@x.example`, ['b@x.example']],
      // In a table, quotes belong to the cell.
      [`Email\tPhone\n${address}\t1\nb@x.example\t2`, ['b@x.example']],
    ] as const) {
      const { entries } = parseAddresses(pasted);
      assert.deepEqual(
        entries.map((entry) => entry.address.replace('\u00a0', ' ')),
        [address, ...others],
        pasted,
      );
      assert.equal(verdict(entries[0]!.address, { members: noKeys, invited: noKeys, entered: noKeys }), 'spaces', pasted);
    }
  }
  // Here the words are certainly a name, or a part of a sentence.
  assertParses([
    ['Ann <lee@x.example>', ['Ann|lee@x.example']],
    ['Ann (lee@x.example)', ['Ann|lee@x.example']],
    ['Ann: lee@x.example', ['Ann|lee@x.example']],
    ['Ann Lee lee@x.example', ['Ann Lee|lee@x.example']],
    ['Ann ann.lee@x.example', ['Ann|ann.lee@x.example']],
    ['José jose@x.example', ['José|jose@x.example']],
    ['Ada Lovelace al@x.example', ['Ada Lovelace|al@x.example']],
    ['Robert Brown bob@x.example', ['Robert Brown|bob@x.example']],
    ['李明 ming@x.example', ['李明|ming@x.example']],
    ['and lee@x.example', ['lee@x.example']],
    ['und lee@x.example', ['lee@x.example']],
    ['please add lee@x.example today', ['lee@x.example']],
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
  const texts = [
    ...marks,
    'a ',
    'a@',
    'a\n',
    'a@x.example,',
    'a@x.example\n',
    'Ada <a@x.example>\t',
    'BEGIN:VCARD\n',
    '"\n',
    'a\tb@x\n',
    '|',
    ';\n',
  ];
  for (const piece of [...texts, ...texts.map((text) => `${text}x@y`)]) {
    for (const text of [filled(piece), `a@x.example ${filled(piece)}x`]) {
      const before = process.cpuUsage();
      const { entries } = parseAddresses(text);
      for (const { address } of entries.slice(0, 1_000)) verdict(address, { members: noKeys, invited: noKeys, entered: noKeys });
      // CPU time of this process, which does not depend on the load of the machine.
      const { user, system } = process.cpuUsage(before);
      assert.ok(user + system < 3_000_000, `${JSON.stringify(piece)} took ${user + system} µs`);
      assert.ok(entries.every(({ address }) => address.length <= 1_017));
    }
  }
});

test('parses a megabyte of addresses completely', () => {
  assert.equal(parseAddresses('a@x.example,'.repeat(83_333)).entries.length, 83_333);
  assert.equal(parseAddresses('Ada,a@x.example\n'.repeat(62_500)).entries.length, 62_500);
});
