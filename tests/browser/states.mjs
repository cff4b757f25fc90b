// The states of the pages. Each function opens a new tab and brings it into the state. The API is a real laptop. For a
// lost connection, an unavailable service or a pending response, the requests are intercepted.
import { DEMO, INVITATION_LIFETIME, MAIL_COOLDOWN } from './laptop.mjs';

/** The demo organization. Its id is fixed. */
export const DEMO_ORGANIZATION = { id: 'org_e9qq6x35e8pp8sbddwpp2rvdcm', name: 'Acme' };
/** The seats of each organization on the small laptop. */
export const SMALL_SEATS = 6;

/** The time after which a missing property is reported, in milliseconds: `WAIT_MS` in setup-check.ts. */
export const SETUP_WAIT_MS = 10_000;

/** Responds to a request as the API does while a dependency is down. */
export function respondUnavailable(route) {
  const problem = {
    type: 'urn:roster:problem:unavailable',
    title: 'The service is busy',
    status: 503,
    detail: 'The service is busy. Try again in a moment.',
    code: 'unavailable',
  };
  return route.fulfill({
    status: 503,
    contentType: 'application/problem+json',
    headers: { 'retry-after': '5', 'access-control-allow-origin': '*' },
    body: JSON.stringify(problem),
  });
}

/** Chromium's console error for a request without a response. */
export const NETWORK_ERROR = /net::ERR_/;

/** Returns a function that calls `create` once per laptop. States that change nothing share the result. */
function oncePerLaptop(create) {
  const created = new WeakMap();
  return (laptop) => {
    if (!created.has(laptop)) created.set(laptop, create(laptop));
    return created.get(laptop);
  };
}

/** An organization with owners, members, and invitations in every state. */
const sharedOrganization = oncePerLaptop(async (laptop) => {
  const owner = laptop.newPerson('olga');
  const otto = laptop.newPerson('otto');
  const max = laptop.newPerson('max');
  const mia = laptop.newPerson('mia.katharina.elisabeth.von-hohenstein-waldburg');
  const organization = await laptop.organization({
    name: 'Nordwind Logistics',
    owner,
    owners: [otto],
    members: [max, mia],
    pending: ['early@partner.example', 'late.to.the.party@partner.example'],
  });
  await laptop.advance(INVITATION_LIFETIME);
  await owner.invites(organization, ['ann@partner.example', 'gone@partner.example', 'spam@partner.example']);
  await otto.invites(organization, ['boss@partner.example'], 'owner');
  await max.invites(organization, ['bea@partner.example']);
  await laptop.feedback('ann@partner.example', 'delivery');
  await laptop.feedback('gone@partner.example', 'bounce', { bounce: 'Permanent General', reason: 'There is no such mailbox.' });
  await laptop.feedback('spam@partner.example', 'complaint');
  return { ...organization, max, mia, otto };
});

/** Creates an organization for one scenario: two owners, two members, two pending invitations. */
async function newOrganization(laptop, options = {}) {
  const [otto, max, mia] = ['otto', 'max', 'mia'].map((name) => laptop.newPerson(name));
  const pending = ['ann@partner.example', 'bob@partner.example'];
  const organization = await laptop.organization({ name: 'Nordwind', owners: [otto], members: [max, mia], pending, ...options });
  return { ...organization, otto, max, mia };
}

/** Invites a person. Returns the person, the token and the organization. */
async function invite(laptop, { role = 'member', email, organization, sender } = {}) {
  const ivy = email ? laptop.person(email) : laptop.newPerson('ivy');
  const inviting = organization ?? (await sharedOrganization(laptop));
  await (sender ?? inviting.owner).invites(inviting, [ivy.email], role);
  return { ivy, token: (await laptop.mail(ivy.email)).token, organization: inviting };
}

/** Opens the list of the shared organization. */
async function openList({ laptop, open }, embedOptions = {}, tabOptions = {}) {
  const organization = await sharedOrganization(laptop);
  const tab = await open(tabOptions);
  await tab.embedsUsers(organization, organization.owner, embedOptions);
  return { tab, organization };
}

/** The list with a filter. */
const withFilter = (name) => async (env) => {
  const { tab } = await openList(env);
  await tab.button(new RegExp(`^${name}`)).click();
  await tab.page.locator(`button[aria-pressed=true]:has-text("${name}")`).waitFor();
  return tab;
};

/** The list with the dialog that a button opens. */
const withDialog = (button) => async (env) => {
  const { tab, organization } = await openList(env);
  await tab.button(button(organization)).click();
  await tab.dialog().waitFor();
  return tab;
};

export const USERS = {
  'users-loading': async ({ laptop, open }) => {
    const organization = await sharedOrganization(laptop);
    const tab = await open();
    await tab.delaysRequests('**/v1/organizations/**');
    await tab.embeds('roster-users', organization.owner, { attributes: { organization: organization.id } });
    await tab.waitsForText('Loading…');
    return tab;
  },
  'users-owner': async (env) => (await openList(env)).tab,
  'users-member': async ({ laptop, open }) => {
    const organization = await sharedOrganization(laptop);
    const tab = await open();
    await tab.embedsUsers(organization, organization.max);
    return tab;
  },
  'users-page-2': async ({ laptop, open }) => {
    const tab = await open();
    const owner = laptop.person(DEMO.owner);
    await tab.embeds('roster-users', owner, { attributes: { organization: DEMO_ORGANIZATION.id } });
    await tab.button('Next').last().click();
    await tab.waitsForText('51–100 of 316');
    return tab;
  },
  'users-search': async (env) => {
    const { tab } = await openList(env);
    await tab.page.getByRole('searchbox').fill('partner an');
    await tab.waitsForText('1 person');
    return tab;
  },
  'users-no-match': async (env) => {
    const { tab } = await openList(env);
    await tab.page.getByRole('searchbox').fill('no such address');
    await tab.waitsForText('No matches');
    return tab;
  },
  'users-filter-members': withFilter('Members'),
  'users-filter-pending': withFilter('Pending'),
  'users-filter-expired': withFilter('Expired'),
  'users-filter-bounced': withFilter('Bounced'),
  'users-filter-empty': async ({ laptop, open }) => {
    const organization = await newOrganization(laptop);
    const tab = await open();
    await tab.embedsUsers(organization);
    await tab.button(/^Bounced/).click();
    await tab.waitsForText('No bounced emails');
    return tab;
  },
  'users-resent': async ({ laptop, open }) => {
    const organization = await newOrganization(laptop);
    await laptop.advance(MAIL_COOLDOWN);
    const tab = await open();
    await tab.embedsUsers(organization);
    await tab.button('Resend to ann@partner.example').click();
    await tab.waitsForText(/^Resend in \d/, tab.row('ann@partner.example'));
    return tab;
  },
  'users-resend-too-soon': async ({ laptop, open }) => {
    const organization = await newOrganization(laptop);
    await laptop.advance(MAIL_COOLDOWN);
    const tab = await open();
    tab.expectsErrors(429);
    await tab.embedsUsers(organization);
    // Another user has resent it meanwhile.
    await organization.owner.resends(organization, 'ann@partner.example');
    await tab.button('Resend to ann@partner.example').click();
    await tab.waitsForText(/mailed a moment ago/);
    return tab;
  },
  'users-role-refused': async ({ laptop, open }) => {
    const organization = await newOrganization(laptop);
    const tab = await open();
    tab.expectsErrors(403);
    await tab.embedsUsers(organization);
    // Another owner has demoted the viewer meanwhile.
    await organization.otto.editsRole(organization, organization.owner, 'member');
    await tab.makesOwner(organization.max);
    await tab.waitsForText(/owner/i, tab.row(organization.max.email).locator('.row-error'));
    return tab;
  },
  'users-role-failed': async (env) => {
    const { tab, organization } = await openList(env);
    tab.expectsErrors(503);
    await tab.page.route('**/members/*', respondUnavailable);
    await tab.makesOwner(organization.max);
    await tab.waitsForText(/busy/, tab.row(organization.max.email));
    return tab;
  },
  'users-removal-refused': async (env) => {
    const { tab, organization } = await openList(env);
    tab.expectsErrors(503);
    await tab.page.route('**/members/*', respondUnavailable);
    await tab.button(`Remove ${organization.max.email}`).click();
    await tab.button('Remove member').click();
    await tab.waitsForText(/busy/, tab.row(organization.max.email));
    return tab;
  },
  'users-toast': async ({ laptop, open }) => {
    const organization = await newOrganization(laptop);
    const tab = await open();
    // The toast stays during the audit.
    await tab.page.clock.install();
    await tab.embedsUsers(organization);
    await tab.makesOwner(organization.max);
    await tab.button('Undo').waitFor();
    await tab.button('Undo').hover();
    return tab;
  },
  'users-removed-match': async ({ laptop, open }) => {
    const organization = await newOrganization(laptop);
    const tab = await open();
    await tab.embedsUsers(organization);
    await tab.page.getByRole('searchbox').fill('ann');
    await tab.button('Revoke the invitation to ann@partner.example').click();
    await tab.button('Revoke invitation').click();
    await tab.heading('The invitation to ann@partner.example was revoked.').waitFor();
    return tab;
  },
  'users-waiting': async ({ laptop, open }) => {
    const organization = await newOrganization(laptop);
    const tab = await open();
    await tab.embedsUsers(organization);
    await tab.page.evaluate(() => (globalThis.embedded.token = null));
    await tab.makesOwner(organization.max);
    await tab.waitsForText(/this goes through automatically/, tab.row(organization.max.email));
    return tab;
  },
  'users-promote-dialog': async (env) => {
    const { tab, organization } = await openList(env);
    await tab.row(organization.max.email).getByRole('combobox').selectOption('owner');
    await tab.button('Make owner').waitFor();
    return tab;
  },
  'users-left-embedded': async ({ laptop, open }) => {
    const organization = await newOrganization(laptop);
    const tab = await open();
    await tab.embedsUsers(organization, organization.max);
    await tab.button(`Leave ${organization.name}`).click();
    await tab.button('Leave organization').click();
    await tab.heading(`You left ${organization.name}.`).waitFor();
    return tab;
  },
  'users-name-empty': async (env) => {
    const { tab } = await openList(env, { lang: 'de' }, { locale: 'de-DE' });
    await tab.button('Umbenennen').click();
    await tab.page.getByLabel('Name', { exact: true }).fill(' ');
    await tab.button('Speichern').click();
    await tab.waitsForText('Bitte geben Sie einen Namen ein.', tab.dialog());
    return tab;
  },
  'users-revoke-dialog': withDialog(() => 'Revoke the invitation to ann@partner.example'),
  'users-remove-dialog': withDialog(({ mia }) => `Remove ${mia.email}`),
  'users-leave-dialog': withDialog(({ name }) => `Leave ${name}`),
  'users-rename-dialog': withDialog(() => 'Rename'),
  'users-last-owner': async ({ laptop, open }) => {
    const organization = await newOrganization(laptop, { owners: [] });
    const tab = await open();
    await tab.embedsUsers(organization);
    // The button looks disabled, and a click on it shows the reason.
    await tab.button(`Leave ${organization.name}`).click({ force: true });
    await tab.waitsForText(/Make another member an owner/);
    return tab;
  },
  'users-alone': async ({ laptop, open }) => {
    const organization = await laptop.organization();
    const tab = await open();
    await tab.embedsUsers(organization);
    await tab.waitsForText('You are the only one here');
    return tab;
  },
  'users-seats-full': async ({ open, ...env }) => {
    const small = await env.small();
    const pending = Array.from({ length: SMALL_SEATS - 1 }, (_, number) => `guest-${number}@partner.example`);
    const organization = await small.organization({ pending });
    const tab = await open({ laptop: small });
    await tab.embedsUsers(organization);
    await tab.waitsForText(/All 6 seats are taken/);
    return tab;
  },
  'users-load-failed': async ({ laptop, open }) => {
    const organization = await sharedOrganization(laptop);
    const tab = await open();
    tab.expectsErrors(503);
    await tab.page.route('**/v1/**', respondUnavailable);
    await tab.embeds('roster-users', organization.owner, { attributes: { organization: organization.id } });
    await tab.waitsForText('The users could not be loaded');
    return tab;
  },
  'users-not-found': async ({ laptop, open }) => {
    const organization = await sharedOrganization(laptop);
    const tab = await open();
    tab.expectsErrors(404);
    await tab.embeds('roster-users', laptop.newPerson('eve'), { attributes: { organization: organization.id } });
    await tab.waitsForText('Organization not found');
    return tab;
  },
  'users-signed-out': async ({ laptop, open }) => {
    const organization = await sharedOrganization(laptop);
    const tab = await open();
    await tab.embeds('roster-users', undefined, { attributes: { organization: organization.id } });
    await tab.waitsForText('You are signed out');
    return tab;
  },
  'users-switch': async ({ laptop, open }) => {
    const owner = laptop.newPerson();
    const organization = await laptop.organization({ owner, name: 'Nordwind', members: [laptop.newPerson('max')] });
    await laptop.organization({ owner, name: 'A rather long name for a rather small organization' });
    const tab = await open();
    await tab.embedsUsers(organization, owner, { attributes: { switch: '' } });
    await tab.page.getByRole('combobox', { name: 'Organization' }).waitFor();
    return tab;
  },
  'users-create-dialog': async (env) => {
    const { tab } = await openList(env, { attributes: { switch: '' } });
    await tab.button('New organization').click();
    await tab.dialog().getByRole('heading', { name: 'New organization' }).waitFor();
    return tab;
  },
  'users-create-refused': async (env) => {
    const { tab } = await openList(env, { attributes: { switch: '' } });
    tab.expectsErrors(422);
    await tab.button('New organization').click();
    await tab.page.getByLabel('Name', { exact: true }).fill('Visit https://example.com');
    await tab.button('Create organization').click();
    await tab.dialog().getByRole('alert').locator('svg').waitFor();
    return tab;
  },
  'users-created': async (env) => {
    const { tab } = await openList(env, { attributes: { switch: '' } });
    await tab.button('New organization').click();
    await tab.page.getByLabel('Name', { exact: true }).fill('Südwind & Söhne');
    await tab.button('Create organization').click();
    await tab.waitsForText('You are the only one here');
    return tab;
  },
  'users-none': async ({ laptop, open }) => {
    const tab = await open();
    await tab.embeds('roster-users', laptop.newPerson('new'), { attributes: { switch: '' } });
    await tab.waitsForText('You are not in an organization');
    return tab;
  },
  'users-left': async ({ laptop, open }) => {
    const organization = await newOrganization(laptop);
    const tab = await open();
    await tab.embedsUsers(organization, organization.max, { attributes: { switch: '' } });
    await tab.button(`Leave ${organization.name}`).click();
    await tab.button('Leave organization').click();
    await tab.waitsForText(`You left ${organization.name}.`);
    return tab;
  },
  'users-german': async (env) => (await openList(env, { lang: 'de' }, { locale: 'de-DE' })).tab,
  'users-right-to-left': async (env) => (await openList(env, { dir: 'rtl' })).tab,
  'users-right-to-left-dialog': async (env) => {
    const { tab } = await openList(env, { dir: 'rtl' });
    await tab.button('Revoke the invitation to ann@partner.example').click();
    await tab.dialog().waitFor();
    return tab;
  },
};

/** Valid addresses, and invalid ones of every kind. */
const ADDRESSES = [
  'Carla Cruz <carla@partner.example>',
  'dan@partner.example',
  'finn@partner.example',
  'emil',
  'gita@',
  'jürgen@partner.example',
  '@partner.example',
  'hugo@not a domain',
  `${'long'.repeat(20)}@partner.example`,
];

/** Opens the invite dialog, by default of the shared organization. */
async function openDialog(env, { laptop = env.laptop, embedOptions = {}, tabOptions = {}, organization } = {}) {
  const inviting = organization ?? (await sharedOrganization(laptop));
  const tab = await env.open({ laptop, ...tabOptions });
  await tab.embedsUsers(inviting, inviting.owner, embedOptions);
  await tab.page.locator('button.invite').click();
  await tab.dialog().getByRole('textbox').waitFor();
  return { tab, organization: inviting };
}

/** Fills addresses into the dialog's field, and adds them with Enter. */
export async function entersAddresses(tab, text) {
  await tab.dialog().getByRole('textbox').fill(text.replaceAll('\n', '; '));
  await tab.page.keyboard.press('Enter');
}

/** Pastes text into the dialog's field. */
export async function pastesAddresses(tab, text) {
  await tab.dialog().getByRole('textbox').focus();
  await tab.page.evaluate((text) => {
    let field = document.activeElement;
    while (field.shadowRoot) field = field.shadowRoot.activeElement;
    const clipboardData = new DataTransfer();
    clipboardData.setData('text/plain', text);
    field.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true, composed: true }));
  }, text);
}

const guests = (count) => Array.from({ length: count }, (_, number) => `guest-${number}@partner.example`);

export const INVITE = {
  'invite-empty': async (env) => (await openDialog(env)).tab,
  'invite-chips': async (env) => {
    const { tab, organization } = await openDialog(env);
    await entersAddresses(tab, [...ADDRESSES, organization.max.email, 'ann@partner.example'].join('\n'));
    await tab.waitsForText(/with problems/, tab.dialog());
    return tab;
  },
  'invite-owner': async (env) => {
    const { tab } = await openDialog(env);
    await entersAddresses(tab, 'carl@partner.example\ndora@partner.example');
    await tab.dialog().getByRole('radio', { name: /^Owner/ }).check();
    await tab.button('Invite 2 owners').click();
    await tab.waitsForText('To invite owners, confirm this first.', tab.dialog());
    return tab;
  },
  'invite-pasted-table': async (env) => {
    const { tab } = await openDialog(env);
    const rows = guests(12).map((email, row) => `Person ${row}\tEngineering\t${row % 4 ? email : `guest-${row}@`}\tboss@partner.example`);
    await pastesAddresses(tab, ['Hi, please invite the following:', 'Name\tDepartment\tEmail\tManager', ...rows].join('\n'));
    await tab.waitsForText(/in other columns/, tab.dialog());
    return tab;
  },
  'invite-many': async (env) => {
    const { tab } = await openDialog(env);
    await entersAddresses(tab, guests(300).join('\n'));
    await tab.button(/^and \d+ more$/).waitFor();
    return tab;
  },
  'invite-sending': async (env) => {
    const organization = await env.laptop.organization({ name: 'Nordwind' });
    const { tab } = await openDialog(env, { organization });
    await entersAddresses(tab, guests(120).join('\n'));
    // Respond to the first call. Leave the second one pending.
    let calls = 0;
    const secondCall = new Promise((resolve) => {
      void tab.page.route('**/invitations', async (route) => {
        if (route.request().method() !== 'POST' || ++calls === 1) return route.fallback();
        resolve();
      });
    });
    await tab.button('Invite 120 people').click();
    await secondCall;
    await tab.page.getByRole('progressbar').waitFor();
    return tab;
  },
  'invite-partly-refused': async (env) => {
    const organization = await newOrganization(env.laptop);
    const { tab } = await openDialog(env, { organization });
    // Another owner invites one of them meanwhile, which this page does not show yet.
    await organization.otto.invites(organization, ['carl@partner.example']);
    await entersAddresses(tab, 'carl@partner.example\ndora@partner.example\nerik@partner.example');
    await tab.button('Invite 3 people').click();
    await tab.button('Done').waitFor();
    return tab;
  },
  'invite-too-few-seats': async (env) => {
    const small = await env.small();
    const organization = await small.organization({ name: 'Nordwind', pending: ['ann@partner.example'] });
    const { tab } = await openDialog(env, { laptop: small, organization });
    await entersAddresses(tab, guests(6).join('\n'));
    await tab.waitsForText(/There are not enough seats/, tab.dialog());
    return tab;
  },
  'invite-connection-lost': async (env) => {
    const { tab } = await openDialog(env);
    tab.expectsErrors(NETWORK_ERROR);
    await entersAddresses(tab, 'carl@partner.example\ndora@partner.example');
    await tab.page.route('**/invitations', (route) => route.abort());
    await tab.button('Invite 2 people').click();
    await tab.button('Try again').waitFor();
    return tab;
  },
  'invite-signed-out': async (env) => {
    const { tab } = await openDialog(env);
    await entersAddresses(tab, 'carl@partner.example\ndora@partner.example');
    await tab.page.evaluate(() => (globalThis.embedded.token = null));
    await tab.button('Invite 2 people').click();
    await tab.button('Sign in again').waitFor();
    return tab;
  },
  'invite-member': async (env) => {
    const organization = await sharedOrganization(env.laptop);
    const tab = await env.open();
    await tab.embedsUsers(organization, organization.max);
    await tab.page.locator('button.invite').click();
    await tab.dialog().getByRole('textbox').waitFor();
    return tab;
  },
  'invite-german': async (env) => {
    const { tab } = await openDialog(env, { embedOptions: { lang: 'de' }, tabOptions: { locale: 'de-DE' } });
    await entersAddresses(tab, ADDRESSES.join('\n'));
    await tab.dialog().getByText(/mit Problemen/).first().waitFor();
    return tab;
  },
  'invite-right-to-left': async (env) => {
    const { tab } = await openDialog(env, { embedOptions: { dir: 'rtl' } });
    await entersAddresses(tab, ADDRESSES.join('\n'));
    await tab.waitsForText(/with problems/, tab.dialog());
    return tab;
  },
};

/** Opens the accept element for the token that `prepare` returns, and waits for `heading`. */
const acceptPage = (heading, prepare) => async (env) => {
  const { token, person, before, embedOptions, tabOptions } = await prepare(env);
  const tab = await env.open(tabOptions);
  await before?.(tab);
  await tab.embedsAccept(token, person, embedOptions);
  await tab.heading(heading).waitFor();
  return tab;
};

/** Opens a pending invitation as its invitee, runs `action`, and waits for `heading`. */
const afterAction = (heading, action, prepare = async () => {}) => async (env) => {
  const { ivy, token, organization } = await invite(env.laptop);
  const tab = await env.open();
  await tab.embedsAccept(token, ivy);
  await tab.button('Accept invitation').waitFor();
  await prepare({ ...env, tab, ivy, organization });
  await action(tab);
  await tab.heading(heading).waitFor();
  return tab;
};

const accepts = (tab) => tab.button('Accept invitation').click();
const declines = (tab) => tab.button('Decline').click();

export const ACCEPT = {
  'accept-loading': async ({ laptop, open }) => {
    const { ivy, token } = await invite(laptop);
    const tab = await open();
    const { requested } = await tab.delaysRequests('**/preview');
    await tab.embedsAccept(token, ivy);
    await requested();
    await tab.page.locator('article[aria-busy=true]').waitFor();
    return tab;
  },
  'accept-open': acceptPage(/^Join/, async ({ laptop }) => {
    const { ivy, token } = await invite(laptop);
    return { token, person: ivy };
  }),
  'accept-open-owner': acceptPage(/^Join/, async ({ laptop }) => {
    const { ivy, token } = await invite(laptop, { role: 'owner' });
    return { token, person: ivy };
  }),
  'accept-sign-in': acceptPage(/^Join/, async ({ laptop }) => ({ token: (await invite(laptop)).token })),
  'accept-other-account': acceptPage('You are signed in with another account', async ({ laptop }) => {
    const { token, organization } = await invite(laptop, { email: 'ingrid@partner.example' });
    return { token, person: organization.max };
  }),
  'accept-no-token': acceptPage('No invitation to show', async ({ laptop }) => ({ token: '', person: laptop.newPerson('ivy') })),
  'accept-invalid': acceptPage(/link/i, async ({ laptop }) => {
    const { ivy, token } = await invite(laptop);
    return { token: `${token.slice(0, -4)}AAAA`, person: ivy, before: (tab) => tab.expectsErrors(400) };
  }),
  'accept-expired': acceptPage('This invitation has expired', async ({ laptop }) => {
    const organization = await newOrganization(laptop);
    const { ivy, token } = await invite(laptop, { organization });
    await laptop.advance(INVITATION_LIFETIME);
    return { token, person: ivy };
  }),
  'accept-revoked': acceptPage('This invitation was revoked', async ({ laptop }) => {
    const { ivy, token, organization } = await invite(laptop);
    await organization.owner.revokes(organization, ivy.email);
    return { token, person: ivy };
  }),
  'accept-superseded': acceptPage('There is a newer link', async ({ laptop }) => {
    const { ivy, token, organization } = await invite(laptop);
    await laptop.advance(MAIL_COOLDOWN);
    await organization.owner.resends(organization, ivy.email);
    return { token, person: ivy, before: (tab) => tab.expectsErrors(410) };
  }),
  'accept-used': acceptPage('This invitation was already accepted', async ({ laptop }) => {
    const { ivy, token } = await invite(laptop);
    await ivy.accepts(token);
    return { token, person: ivy };
  }),
  'accept-declined-before': acceptPage('This invitation was declined', async ({ laptop }) => {
    const { ivy, token } = await invite(laptop);
    await ivy.declines(token);
    return { token, person: ivy };
  }),
  'accept-removed': acceptPage(/You are no longer a member/, async ({ laptop }) => {
    const { ivy, token, organization } = await invite(laptop);
    await ivy.accepts(token);
    await organization.owner.removes(organization, ivy);
    return { token, person: ivy };
  }),
  'accept-unreachable': acceptPage('No connection', async ({ laptop }) => {
    const { ivy, token } = await invite(laptop);
    const before = async (tab) => {
      // The element finds out that the API responds to a call without a token.
      tab.expectsErrors(NETWORK_ERROR, 401);
      await tab.page.route('**/preview', (route) => route.abort());
    };
    return { token, person: ivy, before };
  }),
  'accept-problem': acceptPage('Your invitation could not be loaded', async ({ laptop }) => {
    const { ivy, token } = await invite(laptop);
    const before = async (tab) => {
      tab.expectsErrors(503);
      await tab.page.route('**/preview', respondUnavailable);
    };
    return { token, person: ivy, before };
  }),
  'accept-not-set-up': async ({ laptop, open }) => {
    const { token } = await invite(laptop);
    const tab = await open();
    tab.expectsErrors(/has no getToken/);
    await tab.page.clock.install();
    await tab.embedsAccept(token, undefined, { forgetsToken: true });
    await tab.button('Sign in to accept').waitFor();
    await tab.page.clock.fastForward(SETUP_WAIT_MS);
    await tab.heading('This page is not set up yet').waitFor();
    return tab;
  },
  'accept-leaving': async (env) => {
    const tab = await ACCEPT['accept-sign-in'](env);
    await tab.page.locator('roster-accept').evaluate((node) => node.addEventListener('roster-sign-in', () => (node.busy = true)));
    await tab.button('Sign in to accept').click();
    await tab.page.locator('button[aria-disabled=true] .spin').waitFor({ state: 'attached' });
    return tab;
  },
  'accept-joined': afterAction(/^You are a member of/, accepts),
  'accept-declined': afterAction('You declined', async (tab) => {
    await declines(tab);
    await tab.dialog().getByRole('button', { name: 'Decline', exact: true }).click();
  }),
  'accept-decline-dialog': afterAction(/^Decline the invitation/, declines),
  'accept-sender-lost-authority': async ({ laptop, open }) => {
    const organization = await newOrganization(laptop);
    const { ivy, token } = await invite(laptop, { organization, sender: organization.otto, role: 'owner' });
    await organization.owner.editsRole(organization, organization.otto, 'member');
    const tab = await open();
    tab.expectsErrors(409);
    await tab.embedsAccept(token, ivy);
    await accepts(tab);
    await tab.heading('This invitation cannot be accepted right now').waitFor();
    return tab;
  },
  'accept-not-verified': acceptPage('Verify your email address first', async ({ laptop }) => {
    const { ivy, token } = await invite(laptop);
    return { token, person: ivy.withClaims({ verified: false }) };
  }),
  'accept-already-member': async ({ laptop, open }) => {
    const organization = await sharedOrganization(laptop);
    // A member who has a second address, which is invited as well.
    const { ivy, token } = await invite(laptop);
    const tab = await open();
    await tab.embedsAccept(token, ivy.withClaims({ sub: organization.max.sub }));
    await accepts(tab);
    await tab.heading(/already a member/).waitFor();
    return tab;
  },
  'accept-connection-lost': afterAction(/^Join/, accepts, async ({ tab }) => {
    tab.expectsErrors(NETWORK_ERROR);
    await tab.page.route('**/accept', (route) => route.abort());
  }),
  'accept-accepting': async (env) => {
    const { ivy, token } = await invite(env.laptop);
    const tab = await env.open();
    const { requested } = await tab.delaysRequests('**/v1/invitations/accept');
    await tab.embedsAccept(token, ivy);
    await accepts(tab);
    await requested();
    await tab.page.locator('button[aria-disabled=true] .spin').first().waitFor({ state: 'attached' });
    return tab;
  },
  'accept-german': acceptPage(/eingeladen|Einladung|beitreten/i, async ({ laptop }) => {
    const { ivy, token } = await invite(laptop);
    return { token, person: ivy, embedOptions: { lang: 'de' }, tabOptions: { locale: 'de-DE' } };
  }),
  'accept-right-to-left': acceptPage(/^Join/, async ({ laptop }) => {
    const { ivy, token } = await invite(laptop);
    return { token, person: ivy, embedOptions: { dir: 'rtl' } };
  }),
};

/** The pages around the elements, and the issuer's pages. */
export const SHELL = {
  'shell-signed-out': async ({ open }) => {
    const tab = await open();
    await tab.visits('/');
    await tab.button('Sign in').waitFor();
    return tab;
  },
  'shell-issuer': async ({ open }) => {
    const tab = await open();
    await tab.visits('/');
    await tab.button('Sign in').click();
    await tab.button(new RegExp(DEMO.owner)).waitFor();
    return tab;
  },
  'shell-issuer-hinted': async ({ laptop, open }) => {
    const { token, ivy } = await invite(laptop, { organization: await newOrganization(laptop) });
    const tab = await open();
    await tab.visits(`/accept#${token}`);
    await tab.button('Sign in to accept').click();
    await tab.button(new RegExp(ivy.email)).waitFor();
    return tab;
  },
  'shell-issuer-refused': async ({ open }) => {
    const tab = await open();
    tab.expectsErrors(422);
    await tab.visits('/');
    await tab.button('Sign in').click();
    await tab.page.getByLabel('E-mail address').fill('not-an-address');
    await tab.button('Sign in').click();
    await tab.page.getByRole('alert').waitFor();
    return tab;
  },
  'shell-signed-in': async ({ laptop, open }) => {
    const organization = await newOrganization(laptop);
    const tab = await open();
    await tab.opensConsole(organization);
    return tab;
  },
  'shell-cancelled': async ({ open }) => {
    const tab = await open();
    await tab.visits('/');
    await tab.button('Sign in').click();
    await tab.button('Cancel').click();
    await tab.waitsForText(/You were not signed in/);
    return tab;
  },
  'shell-stale': async ({ open }) => {
    const tab = await open();
    await tab.visits('/?code=foreign&state=foreign');
    await tab.waitsForText(/was not started here/);
    return tab;
  },
  'shell-accept': async ({ laptop, open }) => {
    const { token } = await invite(laptop, { organization: await newOrganization(laptop) });
    const tab = await open();
    await tab.visits(`/accept#${token}`);
    await tab.button('Sign in to accept').waitFor();
    return tab;
  },
  'shell-accept-signed-in': async ({ laptop, open }) => {
    const { token, ivy } = await invite(laptop, { organization: await newOrganization(laptop) });
    const tab = await open();
    await tab.visits(`/accept#${token}`);
    await tab.button('Sign in to accept').click();
    await tab.signsInAtIssuer(ivy);
    await tab.button('Accept invitation').waitFor();
    return tab;
  },
  'shell-german': async ({ open }) => {
    const tab = await open({ locale: 'de-DE' });
    await tab.visits('/');
    await tab.button('Anmelden').waitFor();
    return tab;
  },
  'shell-german-signed-in': async ({ laptop, open }) => {
    const organization = await newOrganization(laptop);
    const tab = await open({ locale: 'de-DE' });
    await tab.opensConsole(organization);
    return tab;
  },
};
