// Starts local servers ("laptops", see ARCHITECTURE.md), and calls their API as different people.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const BINARY = path.resolve(process.env.ROSTER_BINARY ?? path.join(here, '../../target/debug/roster'));

/** The lifetime of an invitation, in seconds. */
export const INVITATION_LIFETIME = 48 * 60 * 60;
/** The time in seconds after which an address can be mailed again: the cooldown of 60 s, and 1 s to be sure. */
export const MAIL_COOLDOWN = 61;
/** The addresses of people in the demo organization. */
export const DEMO = { owner: 'ada@acme.example', member: 'grace@acme.example', invitee: 'ivy@partner.example' };

/** The maximum number of addresses in one call. */
const CALL_ADDRESSES_MAX = 50;

/** The API refused a call that a scenario needs as a precondition. */
class UnexpectedRefusal extends Error {}

export class Laptop {
  #process;
  #names = 0;
  /**
   * Access tokens by claims. They are cached because they are slow to make. They are valid for an hour of the laptop's
   * clock.
   */
  #tokens = new Map();

  /** Starts a laptop on a free port. */
  static async start(flags = []) {
    if (!existsSync(BINARY)) {
      throw new Error(`${BINARY} does not exist: run \`cargo build --workspace --bin roster\`, or set ROSTER_BINARY to another binary`);
    }
    const laptop = new Laptop();
    const child = spawn(BINARY, ['--port', '0', ...flags], { stdio: ['ignore', 'pipe', 'pipe'] });
    laptop.#process = child;
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.off('exit', kill));
    let stderr = '';
    child.stderr.on('data', (text) => (stderr += text));
    laptop.url = await new Promise((resolve, reject) => {
      const lines = createInterface({ input: child.stdout });
      lines.on('line', (line) => {
        const [, url] = /^ *API +(http:\/\/\S+)\/v1/.exec(line) ?? [];
        if (url) resolve(url);
      });
      child.once('exit', (code) => reject(new Error(`the laptop exited with ${code}: ${stderr}`)));
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

  /** Sends a request. Returns the status and the body, which is parsed if it is JSON. */
  async call(method, path, { body, headers = {} } = {}) {
    const response = await fetch(this.url + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const text = await response.text();
    const json = (response.headers.get('content-type') ?? '').includes('json');
    return { status: response.status, body: json && text ? JSON.parse(text) : text };
  }

  /** Sends a request that must succeed. Returns the body. */
  async #mustCall(...call) {
    const { status, body } = await this.call(...call);
    if (status >= 300) throw new UnexpectedRefusal(`${call[0]} ${call[1]}: ${status} ${JSON.stringify(body)}`);
    return body;
  }

  /** Waits until all mails are sent and no work is in progress. */
  async idle() {
    await this.#mustCall('GET', '/_dev/idle');
  }

  /** Advances the clock, and runs everything that becomes due. */
  async advance(seconds) {
    this.#tokens.clear();
    await this.#mustCall('POST', '/_dev/clock', { body: { advance_seconds: seconds } });
  }

  /** Returns the mails to an address, the newest first. */
  async mails(to) {
    await this.idle();
    return (await this.#mustCall('GET', `/_dev/mail?to=${encodeURIComponent(to)}`, { headers: { accept: 'application/json' } })).items;
  }

  /** Returns the newest mail to an address. */
  async mail(to) {
    const [mail] = await this.mails(to);
    if (!mail) throw new Error(`there is no mail to ${to}`);
    return mail;
  }

  /** Simulates an SES event about the newest mail to an address. */
  async feedback(to, kind, fields = {}) {
    const { message_id } = await this.mail(to);
    await this.#mustCall('POST', '/_dev/feedback', { body: { message_id, kind, ...fields } });
    await this.idle();
  }

  /** Returns a person with this verified address. */
  person(email) {
    return new Person(this, email.includes('@') ? email : `${email}@acme.example`);
  }

  /** Returns a person with a new address. */
  newPerson(name = 'olga') {
    return this.person(`${name}-${++this.#names}@acme.example`);
  }

  /** Returns an access token for the person. */
  async token({ sub, email, verified }) {
    const body = { sub, email, email_verified: verified };
    const key = JSON.stringify(body);
    let token = this.#tokens.get(key);
    if (!token) {
      token = (await this.#mustCall('POST', '/_dev/token', { body })).access_token;
      this.#tokens.set(key, token);
    }
    return token;
  }

  /**
   * Creates an organization. `owner` is its founder, who creates it. `owners` and `members` have accepted invitations.
   * The addresses in `pending` have been invited and mailed.
   */
  async organization({ name = 'Example', owner = this.newPerson(), owners = [], members = [], pending = [] } = {}) {
    const organization = await owner.creates(name);
    const people = [...owners.map((person) => [person, 'owner']), ...members.map((person) => [person, 'member'])];
    for (const role of ['owner', 'member']) {
      const emails = people.filter(([, personRole]) => personRole === role).map(([person]) => person.email);
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
    // The laptop's issuer uses short ids for the demo people, and addresses for all others.
    this.sub = Object.values(DEMO).includes(email) ? email.split('@')[0] : email;
  }

  /** Returns the same person with other claims in the token. */
  withClaims(claims) {
    return Object.assign(new Person(this.laptop, this.email), { sub: this.sub }, claims);
  }

  /** Calls the API. Also returns refusals. */
  async calls(method, path, body) {
    const authorization = `Bearer ${await this.laptop.token(this)}`;
    return this.laptop.call(method, `/v1${path}`, { body, headers: { authorization } });
  }

  /** Calls the API. The call must succeed. Returns the body. */
  async #mustCall(method, path, body) {
    const { status, body: result } = await this.calls(method, path, body);
    if (status >= 300) throw new UnexpectedRefusal(`${this.email}: ${method} ${path}: ${status} ${JSON.stringify(result)}`);
    return result;
  }

  creates(name) {
    return this.#mustCall('POST', '/organizations', { name });
  }

  loadsOrganization({ id }) {
    return this.#mustCall('GET', `/organizations/${id}`);
  }

  /** Invites any number of addresses. */
  async invites({ id }, emails, role = 'member') {
    for (let start = 0; start < emails.length; start += CALL_ADDRESSES_MAX) {
      await this.#mustCall('POST', `/organizations/${id}/invitations`, { emails: emails.slice(start, start + CALL_ADDRESSES_MAX), role });
    }
  }

  async invitations({ id }, status = 'pending') {
    return (await this.#mustCall('GET', `/organizations/${id}/invitations?limit=1000&status=${status}`)).items;
  }

  async members({ id }) {
    return (await this.#mustCall('GET', `/organizations/${id}/members?limit=1000`)).items;
  }

  async #invitation(organization, email) {
    const all = [...(await this.invitations(organization)), ...(await this.invitations(organization, 'expired'))];
    return all.find((invitation) => invitation.email === email).id;
  }

  async resends(organization, email) {
    return this.#mustCall('POST', `/organizations/${organization.id}/invitations/${await this.#invitation(organization, email)}/resend`);
  }

  async revokes(organization, email) {
    return this.#mustCall('DELETE', `/organizations/${organization.id}/invitations/${await this.#invitation(organization, email)}`);
  }

  accepts(token) {
    return this.#mustCall('POST', '/invitations/accept', { token });
  }

  declines(token) {
    return this.#mustCall('POST', '/invitations/decline', { token });
  }

  editsRole({ id }, person, role) {
    return this.#mustCall('PATCH', `/organizations/${id}/members/${encodeURIComponent(person.sub)}`, { role });
  }

  removes({ id }, person) {
    return this.#mustCall('DELETE', `/organizations/${id}/members/${encodeURIComponent(person.sub)}`);
  }
}
