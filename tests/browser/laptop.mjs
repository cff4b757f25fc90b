// A laptop of one's own, and the people who call its API: with verbs, as in tests/harness.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const BINARY = path.resolve(process.env.ROSTER_BINARY ?? path.join(here, '../../target/debug/roster'));

/** After so many seconds an invitation has expired. */
export const TWO_DAYS = 48 * 60 * 60;
/** After so many seconds an address can be mailed again. */
export const A_WHILE = 61;
/** The demo organization's people, by their addresses. */
export const DEMO = { owner: 'ada@acme.example', member: 'grace@acme.example', invitee: 'ivy@partner.example' };

/** Addresses that one call takes. */
const CALL_ADDRESSES_MAX = 50;

/** The API has refused what a story takes for granted. */
class Refused extends Error {}

export class Laptop {
  #process;
  #names = 0;
  /** Tokens are good for an hour of the laptop's clock, and dear. */
  #tokens = new Map();

  /** Starts one on any free port. */
  static async start(flags = []) {
    if (!existsSync(BINARY)) {
      throw new Error(`there is no ${BINARY}: build it by \`cargo build --workspace --bin roster\`, or name another one in ROSTER_BINARY`);
    }
    const laptop = new Laptop();
    const child = spawn(BINARY, ['--port', '0', ...flags], { stdio: ['ignore', 'pipe', 'pipe'] });
    laptop.#process = child;
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.off('exit', kill));
    let said = '';
    child.stderr.on('data', (text) => (said += text));
    laptop.url = await new Promise((resolve, reject) => {
      const lines = createInterface({ input: child.stdout });
      lines.on('line', (line) => {
        const [, url] = /^ *API +(http:\/\/\S+)\/v1/.exec(line) ?? [];
        if (url) resolve(url);
      });
      child.once('exit', (code) => reject(new Error(`the laptop has ended with ${code}: ${said}`)));
      child.once('error', reject);
    });
    return laptop;
  }

  async stop() {
    const child = this.#process;
    if (child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGINT');
    await ended;
  }

  /** A call of whatever; the answer's body is parsed where it is JSON. */
  async call(method, at, { body, headers = {} } = {}) {
    const answer = await fetch(this.url + at, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const text = await answer.text();
    const json = (answer.headers.get('content-type') ?? '').includes('json');
    return { status: answer.status, body: json && text ? JSON.parse(text) : text };
  }

  async #good(...call) {
    const { status, body } = await this.call(...call);
    if (status >= 300) throw new Refused(`${call[0]} ${call[1]}: ${status} ${JSON.stringify(body)}`);
    return body;
  }

  /** Once every mail is out and nothing is in flight. */
  async idle() {
    await this.#good('GET', '/_dev/idle');
  }

  /** Lets time go by, and whatever falls due meanwhile. */
  async advance(seconds) {
    this.#tokens.clear();
    await this.#good('POST', '/_dev/clock', { body: { advance_seconds: seconds } });
  }

  /** The mails to somebody, the newest first. */
  async mails(to) {
    await this.idle();
    return (await this.#good('GET', `/_dev/mail?to=${encodeURIComponent(to)}`, { headers: { accept: 'application/json' } })).items;
  }

  /** The newest mail to somebody. */
  async mail(to) {
    const [mail] = await this.mails(to);
    if (!mail) throw new Error(`there is no mail to ${to}`);
    return mail;
  }

  /** What SES tells of the newest mail to somebody. */
  async feedback(to, kind, more = {}) {
    const { message_id } = await this.mail(to);
    await this.#good('POST', '/_dev/feedback', { body: { message_id, kind, ...more } });
    await this.idle();
  }

  /** Holds everything that the rules ask of the table. */
  async check() {
    return this.#good('GET', '/_dev/check');
  }

  /** Somebody with that verified address. */
  person(email) {
    return new Person(this, email.includes('@') ? email : `${email}@acme.example`);
  }

  /** Somebody whom nobody has met before. */
  somebody(name = 'olga') {
    return this.person(`${name}-${++this.#names}@acme.example`);
  }

  /** A token for that person. */
  async token({ sub, email, verified }) {
    const body = { sub, email, email_verified: verified };
    const key = JSON.stringify(body);
    let token = this.#tokens.get(key);
    if (!token) {
      token = (await this.#good('POST', '/_dev/token', { body })).access_token;
      this.#tokens.set(key, token);
    }
    return token;
  }

  /**
   * An organization of its own: `owner` has founded it, `owners` and `members` have joined, `pending` are invited and
   * mailed.
   */
  async organization({ name = 'Example', owner = this.somebody(), owners = [], members = [], pending = [] } = {}) {
    const organization = await owner.creates(name);
    const people = [...owners.map((person) => [person, 'owner']), ...members.map((person) => [person, 'member'])];
    for (const role of ['owner', 'member']) {
      const emails = people.filter(([, its]) => its === role).map(([person]) => person.email);
      await owner.invites(organization, emails, role);
    }
    await this.idle();
    for (const [person] of people) await person.accepts((await this.mail(person.email)).token);
    await owner.invites(organization, pending);
    await this.idle();
    return { ...organization, owner, owners, members, pending };
  }
}

export class Person {
  constructor(laptop, email) {
    this.laptop = laptop;
    this.email = email;
    this.verified = true;
    // As the dev issuer names people: the demo's by short ids, all others by their addresses.
    this.sub = Object.values(DEMO).includes(email) ? email.split('@')[0] : email;
  }

  /** The same person, in other words. */
  as(claims) {
    return Object.assign(new Person(this.laptop, this.email), { sub: this.sub }, claims);
  }

  /** Calls the API, whatever the answer. */
  async calls(method, at, body) {
    const authorization = `Bearer ${await this.laptop.token(this)}`;
    return this.laptop.call(method, `/v1${at}`, { body, headers: { authorization } });
  }

  async #does(method, at, body) {
    const answer = await this.calls(method, at, body);
    if (answer.status >= 300) throw new Refused(`${this.email}: ${method} ${at}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  creates(name) {
    return this.#does('POST', '/organizations', { name });
  }

  looksAt({ id }) {
    return this.#does('GET', `/organizations/${id}`);
  }

  /** Invites any number of addresses. */
  async invites({ id }, emails, role = 'member') {
    for (let at = 0; at < emails.length; at += CALL_ADDRESSES_MAX) {
      await this.#does('POST', `/organizations/${id}/invitations`, { emails: emails.slice(at, at + CALL_ADDRESSES_MAX), role });
    }
  }

  async invitations({ id }, status = 'pending') {
    return (await this.#does('GET', `/organizations/${id}/invitations?limit=1000&status=${status}`)).items;
  }

  async members({ id }) {
    return (await this.#does('GET', `/organizations/${id}/members?limit=1000`)).items;
  }

  async #invitation(organization, email) {
    const all = [...(await this.invitations(organization)), ...(await this.invitations(organization, 'expired'))];
    return all.find((invitation) => invitation.email === email).id;
  }

  async resends(organization, email) {
    return this.#does('POST', `/organizations/${organization.id}/invitations/${await this.#invitation(organization, email)}/resend`);
  }

  async revokes(organization, email) {
    return this.#does('DELETE', `/organizations/${organization.id}/invitations/${await this.#invitation(organization, email)}`);
  }

  accepts(token) {
    return this.#does('POST', '/invitations/accept', { token });
  }

  declines(token) {
    return this.#does('POST', '/invitations/decline', { token });
  }

  edits({ id }, person, role) {
    return this.#does('PATCH', `/organizations/${id}/members/${encodeURIComponent(person.sub)}`, { role });
  }

  removes({ id }, person) {
    return this.#does('DELETE', `/organizations/${id}/members/${encodeURIComponent(person.sub)}`);
  }
}
