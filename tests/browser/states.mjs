// Every state of the pages, by name: how a fresh tab gets there. By the real laptop where that can be; where it cannot
// (a lost connection, a service that is down, an answer that is on its way), the way to it is disturbed.
import { A_WHILE, DEMO, TWO_DAYS } from './laptop.mjs';

/** The demo organization, whose id never changes. */
export const DEMO_ORGANIZATION = { id: 'org_e9qq6x35e8pp8sbddwpp2rvdcm', name: 'Acme' };
/** Seats of the organizations on the small laptop. */
export const SMALL_SEATS = 6;

/** An answer as the API gives it while a dependency is down. */
export function unavailable(route) {
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

/** What Chromium says of a request that came to nothing. */
export const LOST = /net::ERR_/;

/** Makes it once for each laptop: states that change nothing share it. */
function shared(make) {
  const made = new WeakMap();
  return (laptop) => {
    if (!made.has(laptop)) made.set(laptop, make(laptop));
    return made.get(laptop);
  };
}

/** An organization in which everything has happened: owners, members, and invitations of every kind. */
const lively = shared(async (laptop) => {
  const owner = laptop.somebody('olga');
  const otto = laptop.somebody('otto');
  const max = laptop.somebody('max');
  const mia = laptop.somebody('mia.katharina.elisabeth.von-hohenstein-waldburg');
  const organization = await laptop.organization({
    name: 'Nordwind Logistics',
    owner,
    owners: [otto],
    members: [max, mia],
    pending: ['early@partner.example', 'late.to.the.party@partner.example'],
  });
  await laptop.advance(TWO_DAYS);
  await owner.invites(organization, ['ann@partner.example', 'gone@partner.example', 'spam@partner.example']);
  await otto.invites(organization, ['boss@partner.example'], 'owner');
  await max.invites(organization, ['bea@partner.example']);
  await laptop.feedback('ann@partner.example', 'delivery');
  await laptop.feedback('gone@partner.example', 'bounce', { bounce: 'Permanent General', reason: 'There is no such mailbox.' });
  await laptop.feedback('spam@partner.example', 'complaint');
  return { ...organization, max, mia, otto };
});

/** One of two owners and two members with two pending invitations, to be changed. */
async function fresh(laptop, more = {}) {
  const [otto, max, mia] = ['otto', 'max', 'mia'].map((name) => laptop.somebody(name));
  const pending = ['ann@partner.example', 'bob@partner.example'];
  const organization = await laptop.organization({ name: 'Nordwind', owners: [otto], members: [max, mia], pending, ...more });
  return { ...organization, otto, max, mia };
}

/** An invitation's token, for somebody who has not met it yet. */
async function invited(laptop, { role = 'member', email, organization, sender } = {}) {
  const ivy = email ? laptop.person(email) : laptop.somebody('ivy');
  const to = organization ?? (await lively(laptop));
  await (sender ?? to.owner).invites(to, [ivy.email], role);
  return { ivy, token: (await laptop.mail(ivy.email)).token, organization: to };
}

async function list({ laptop, open }, more = {}, options = {}) {
  const organization = await lively(laptop);
  const tab = await open(options);
  await tab.lists(organization, organization.owner, more);
  return { tab, organization };
}

const filtered = (name) => async (world) => {
  const { tab } = await list(world);
  await tab.button(new RegExp(`^${name}`)).click();
  await tab.page.locator(`button[aria-pressed=true]:has-text("${name}")`).waitFor();
  return tab;
};

const asking = (button) => async (world) => {
  const { tab, organization } = await list(world);
  await tab.button(button(organization)).click();
  await tab.dialog().waitFor();
  return tab;
};

export const USERS = {
  'users-loading': async ({ laptop, open }) => {
    const organization = await lively(laptop);
    const tab = await open();
    await tab.holds('**/v1/organizations/**');
    await tab.embeds('roster-users', organization.owner, { attributes: { organization: organization.id } });
    await tab.shows('Loading…');
    return tab;
  },
  'users-owner': async (world) => (await list(world)).tab,
  'users-member': async ({ laptop, open }) => {
    const organization = await lively(laptop);
    const tab = await open();
    await tab.lists(organization, organization.max);
    return tab;
  },
  'users-page-2': async ({ laptop, open }) => {
    const tab = await open();
    const owner = laptop.person(DEMO.owner);
    await tab.embeds('roster-users', owner, { attributes: { organization: DEMO_ORGANIZATION.id } });
    await tab.button('Next').click();
    await tab.shows('51–100 of 316');
    return tab;
  },
  'users-search': async (world) => {
    const { tab } = await list(world);
    await tab.page.getByRole('searchbox').fill('partner an');
    await tab.shows('1–1 of 1');
    return tab;
  },
  'users-no-match': async (world) => {
    const { tab } = await list(world);
    await tab.page.getByRole('searchbox').fill('nobody of that name');
    await tab.shows('Nobody matches');
    return tab;
  },
  'users-filter-members': filtered('Members'),
  'users-filter-pending': filtered('Pending'),
  'users-filter-expired': filtered('Expired'),
  'users-filter-bounced': filtered('Bounced'),
  'users-filter-nobody': async ({ laptop, open }) => {
    const organization = await fresh(laptop);
    const tab = await open();
    await tab.lists(organization);
    await tab.button(/^Bounced/).click();
    await tab.shows('No mail has bounced');
    return tab;
  },
  'users-resent': async ({ laptop, open }) => {
    const organization = await fresh(laptop);
    await laptop.advance(A_WHILE);
    const tab = await open();
    await tab.lists(organization);
    await tab.button('Resend to ann@partner.example').click();
    await tab.shows(/^Resend in \d/, tab.row('ann@partner.example'));
    return tab;
  },
  'users-resend-too-soon': async ({ laptop, open }) => {
    const organization = await fresh(laptop);
    await laptop.advance(A_WHILE);
    const tab = await open();
    tab.expects(429);
    await tab.lists(organization);
    // Meanwhile somebody else did.
    await organization.owner.resends(organization, 'ann@partner.example');
    await tab.button('Resend to ann@partner.example').click();
    await tab.shows(/mailed a moment ago/);
    return tab;
  },
  'users-role-refused': async ({ laptop, open }) => {
    const organization = await fresh(laptop);
    const tab = await open();
    tab.expects(403);
    await tab.lists(organization);
    // Meanwhile the viewer is an owner no more.
    await organization.otto.edits(organization, organization.owner, 'member');
    await tab.row(organization.max.email).getByRole('combobox').selectOption('owner');
    await tab.shows(/owner/i, tab.row(organization.max.email).locator('.trouble'));
    return tab;
  },
  'users-role-failed': async (world) => {
    const { tab, organization } = await list(world);
    tab.expects(503);
    await tab.page.route('**/members/*', unavailable);
    await tab.row(organization.max.email).getByRole('combobox').selectOption('owner');
    await tab.shows(/busy/, tab.row(organization.max.email));
    return tab;
  },
  'users-removal-refused': async (world) => {
    const { tab, organization } = await list(world);
    tab.expects(503);
    await tab.page.route('**/members/*', unavailable);
    await tab.button(`Remove ${organization.max.email}`).click();
    await tab.button('Remove member').click();
    await tab.shows(/busy/, tab.row(organization.max.email));
    return tab;
  },
  'users-revoke-dialog': asking(() => 'Revoke the invitation to ann@partner.example'),
  'users-remove-dialog': asking(({ mia }) => `Remove ${mia.email}`),
  'users-leave-dialog': asking(({ name }) => `Leave ${name}`),
  'users-rename-dialog': asking(() => 'Rename'),
  'users-last-owner': async ({ laptop, open }) => {
    const organization = await fresh(laptop, { owners: [] });
    const tab = await open();
    await tab.lists(organization);
    // It looks unavailable, and says why to whoever asks.
    await tab.button(`Leave ${organization.name}`).click({ force: true });
    await tab.shows(/Make somebody else an owner/);
    return tab;
  },
  'users-alone': async ({ laptop, open }) => {
    const organization = await laptop.organization();
    const tab = await open();
    await tab.lists(organization);
    await tab.shows('You are the only one here');
    return tab;
  },
  'users-seats-full': async ({ open, ...world }) => {
    const small = await world.small();
    const pending = Array.from({ length: SMALL_SEATS - 1 }, (_, number) => `guest-${number}@partner.example`);
    const organization = await small.organization({ pending });
    const tab = await open({ laptop: small });
    await tab.lists(organization);
    await tab.shows(/All 6 seats are taken/);
    return tab;
  },
  'users-load-failed': async ({ laptop, open }) => {
    const organization = await lively(laptop);
    const tab = await open();
    tab.expects(503);
    await tab.page.route('**/v1/**', unavailable);
    await tab.embeds('roster-users', organization.owner, { attributes: { organization: organization.id } });
    await tab.shows('The users could not be loaded');
    return tab;
  },
  'users-not-found': async ({ laptop, open }) => {
    const organization = await lively(laptop);
    const tab = await open();
    tab.expects(404);
    await tab.embeds('roster-users', laptop.somebody('eve'), { attributes: { organization: organization.id } });
    await tab.shows('No organization here');
    return tab;
  },
  'users-signed-out': async ({ laptop, open }) => {
    const organization = await lively(laptop);
    const tab = await open();
    await tab.embeds('roster-users', undefined, { attributes: { organization: organization.id } });
    await tab.shows('You are signed out');
    return tab;
  },
  'users-switch': async ({ laptop, open }) => {
    const owner = laptop.somebody();
    const organization = await laptop.organization({ owner, name: 'Nordwind', members: [laptop.somebody('max')] });
    await laptop.organization({ owner, name: 'A rather long name for what is a small organization' });
    const tab = await open();
    await tab.lists(organization, owner, { attributes: { switch: '' } });
    await tab.page.getByRole('combobox', { name: 'Organization' }).waitFor();
    return tab;
  },
  'users-create-dialog': async (world) => {
    const { tab } = await list(world, { attributes: { switch: '' } });
    await tab.button('New organization').click();
    await tab.dialog().getByRole('heading', { name: 'New organization' }).waitFor();
    return tab;
  },
  'users-create-refused': async (world) => {
    const { tab } = await list(world, { attributes: { switch: '' } });
    tab.expects(422);
    await tab.button('New organization').click();
    await tab.page.getByLabel('Name', { exact: true }).fill('Visit https://example.com');
    await tab.button('Create organization').click();
    await tab.dialog().getByRole('alert').locator('svg').waitFor();
    return tab;
  },
  'users-created': async (world) => {
    const { tab } = await list(world, { attributes: { switch: '' } });
    await tab.button('New organization').click();
    await tab.page.getByLabel('Name', { exact: true }).fill('Südwind & Söhne');
    await tab.button('Create organization').click();
    await tab.shows('You are the only one here');
    return tab;
  },
  'users-none': async ({ laptop, open }) => {
    const tab = await open();
    await tab.embeds('roster-users', laptop.somebody('new'), { attributes: { switch: '' } });
    await tab.shows('You are in no organization yet');
    return tab;
  },
  'users-left': async ({ laptop, open }) => {
    const organization = await fresh(laptop);
    const tab = await open();
    await tab.lists(organization, organization.max, { attributes: { switch: '' } });
    await tab.button(`Leave ${organization.name}`).click();
    await tab.button('Leave organization').click();
    await tab.shows(`You left ${organization.name}.`);
    return tab;
  },
  'users-german': async (world) => (await list(world, { lang: 'de' }, { locale: 'de-DE' })).tab,
  'users-right-to-left': async (world) => (await list(world, { dir: 'rtl' })).tab,
  'users-right-to-left-dialog': async (world) => {
    const { tab } = await list(world, { dir: 'rtl' });
    await tab.button('Revoke the invitation to ann@partner.example').click();
    await tab.dialog().waitFor();
    return tab;
  },
};

/** Everything that is wrong with an address, and what is not. */
const CHIPS = [
  'Carla Cruz <carla@partner.example>',
  'dan@partner.example',
  'finn@partner.example',
  'nobody',
  'gita@',
  'jürgen@partner.example',
  '@partner.example',
  'hugo@not a domain',
  `${'long'.repeat(20)}@partner.example`,
];

async function dialog(world, { laptop = world.laptop, more = {}, options = {}, organization } = {}) {
  const its = organization ?? (await lively(laptop));
  const tab = await world.open({ laptop, ...options });
  await tab.lists(its, its.owner, more);
  await tab.page.locator('button.invite').click();
  await tab.dialog().getByRole('textbox').waitFor();
  return { tab, organization: its };
}

/** Types addresses into the dialog's field, as somebody who pastes them. */
export async function enters(tab, text) {
  await tab.dialog().getByRole('textbox').fill(text.replaceAll('\n', '; '));
  await tab.page.keyboard.press('Enter');
}

const guests = (count) => Array.from({ length: count }, (_, number) => `guest-${number}@partner.example`);

export const INVITE = {
  'invite-empty': async (world) => (await dialog(world)).tab,
  'invite-chips': async (world) => {
    const { tab, organization } = await dialog(world);
    await enters(tab, [...CHIPS, organization.max.email, 'ann@partner.example'].join('\n'));
    await tab.shows(/with a problem/, tab.dialog());
    return tab;
  },
  'invite-many': async (world) => {
    const { tab } = await dialog(world);
    await enters(tab, guests(300).join('\n'));
    await tab.button(/^and \d+ more$/).waitFor();
    return tab;
  },
  'invite-sending': async (world) => {
    const organization = await world.laptop.organization({ name: 'Nordwind' });
    const { tab } = await dialog(world, { organization });
    await enters(tab, guests(120).join('\n'));
    // The first call is answered, the second one is on its way.
    let calls = 0;
    const second = new Promise((resolve) => {
      void tab.page.route('**/invitations', async (route) => {
        if (route.request().method() !== 'POST' || ++calls === 1) return route.fallback();
        resolve();
      });
    });
    await tab.button('Invite 120 people').click();
    await second;
    await tab.page.getByRole('progressbar').waitFor();
    return tab;
  },
  'invite-partly-refused': async (world) => {
    const organization = await fresh(world.laptop);
    const { tab } = await dialog(world, { organization });
    // Somebody else is faster than what this page knows.
    await organization.otto.invites(organization, ['carl@partner.example']);
    await enters(tab, 'carl@partner.example\ndora@partner.example\nerik@partner.example');
    await tab.button('Invite 3 people').click();
    await tab.button('Done').waitFor();
    return tab;
  },
  'invite-too-few-seats': async (world) => {
    const small = await world.small();
    const organization = await small.organization({ name: 'Nordwind', pending: ['ann@partner.example'] });
    const { tab } = await dialog(world, { laptop: small, organization });
    await enters(tab, guests(6).join('\n'));
    await tab.shows(/There are not enough seats/, tab.dialog());
    return tab;
  },
  'invite-lost': async (world) => {
    const { tab } = await dialog(world);
    tab.expects(LOST);
    await enters(tab, 'carl@partner.example\ndora@partner.example');
    await tab.page.route('**/invitations', (route) => route.abort());
    await tab.button('Invite 2 people').click();
    await tab.button('Try again').waitFor();
    return tab;
  },
  'invite-signed-out': async (world) => {
    const { tab } = await dialog(world);
    await enters(tab, 'carl@partner.example\ndora@partner.example');
    await tab.page.evaluate(() => (globalThis.embedded.token = null));
    await tab.button('Invite 2 people').click();
    await tab.button('Sign in again').waitFor();
    return tab;
  },
  'invite-member': async (world) => {
    const organization = await lively(world.laptop);
    const tab = await world.open();
    await tab.lists(organization, organization.max);
    await tab.page.locator('button.invite').click();
    await tab.dialog().getByRole('textbox').waitFor();
    return tab;
  },
  'invite-german': async (world) => {
    const { tab } = await dialog(world, { more: { lang: 'de' }, options: { locale: 'de-DE' } });
    await enters(tab, CHIPS.join('\n'));
    await tab.dialog().getByText(/mit Problem|mit einem Problem/).first().waitFor();
    return tab;
  },
  'invite-right-to-left': async (world) => {
    const { tab } = await dialog(world, { more: { dir: 'rtl' } });
    await enters(tab, CHIPS.join('\n'));
    await tab.shows(/with a problem/, tab.dialog());
    return tab;
  },
};

/** The accept page of a token, as it stands once `heading` shows. */
const card = (heading, prepare) => async (world) => {
  const { token, person, before, more, options } = await prepare(world);
  const tab = await world.open(options);
  await before?.(tab);
  await tab.answers(token, person, more);
  await tab.heading(heading).waitFor();
  return tab;
};

/** An open invitation, and what its person does on the page. */
const doing = (heading, does, prepare = async () => {}) => async (world) => {
  const { ivy, token, organization } = await invited(world.laptop);
  const tab = await world.open();
  await tab.answers(token, ivy);
  await tab.button('Accept invitation').waitFor();
  await prepare({ ...world, tab, ivy, organization });
  await does(tab);
  await tab.heading(heading).waitFor();
  return tab;
};

const accepts = (tab) => tab.button('Accept invitation').click();
const declines = (tab) => tab.button('Decline').click();

export const ACCEPT = {
  'accept-loading': async ({ laptop, open }) => {
    const { ivy, token } = await invited(laptop);
    const tab = await open();
    const { asked } = await tab.holds('**/preview');
    await tab.answers(token, ivy);
    await asked();
    await tab.page.locator('article[aria-busy=true]').waitFor();
    return tab;
  },
  'accept-open': card(/^Join/, async ({ laptop }) => {
    const { ivy, token } = await invited(laptop);
    return { token, person: ivy };
  }),
  'accept-open-owner': card(/^Join/, async ({ laptop }) => {
    const { ivy, token } = await invited(laptop, { role: 'owner' });
    return { token, person: ivy };
  }),
  'accept-sign-in': card(/^Join/, async ({ laptop }) => ({ token: (await invited(laptop)).token })),
  'accept-other-account': card('You are signed in with another account', async ({ laptop }) => {
    const { token, organization } = await invited(laptop, { email: 'ingrid@partner.example' });
    return { token, person: organization.max };
  }),
  'accept-no-token': card(/link/i, async ({ laptop }) => ({ token: '', person: laptop.somebody('ivy') })),
  'accept-invalid': card(/link/i, async ({ laptop }) => {
    const { ivy, token } = await invited(laptop);
    return { token: `${token.slice(0, -4)}AAAA`, person: ivy, before: (tab) => tab.expects(400) };
  }),
  'accept-expired': card('This invitation has expired', async ({ laptop }) => {
    const organization = await fresh(laptop);
    const { ivy, token } = await invited(laptop, { organization });
    await laptop.advance(TWO_DAYS);
    return { token, person: ivy };
  }),
  'accept-revoked': card('This invitation was withdrawn', async ({ laptop }) => {
    const { ivy, token, organization } = await invited(laptop);
    await organization.owner.revokes(organization, ivy.email);
    return { token, person: ivy };
  }),
  'accept-superseded': card('There is a newer link', async ({ laptop }) => {
    const { ivy, token, organization } = await invited(laptop);
    await laptop.advance(A_WHILE);
    await organization.owner.resends(organization, ivy.email);
    return { token, person: ivy, before: (tab) => tab.expects(410) };
  }),
  'accept-used': card('This invitation has been used', async ({ laptop }) => {
    const { ivy, token } = await invited(laptop);
    await ivy.accepts(token);
    return { token, person: ivy };
  }),
  'accept-declined-before': card('This invitation was declined', async ({ laptop }) => {
    const { ivy, token } = await invited(laptop);
    await ivy.declines(token);
    return { token, person: ivy };
  }),
  'accept-removed': card(/You are no longer a member/, async ({ laptop }) => {
    const { ivy, token, organization } = await invited(laptop);
    await ivy.accepts(token);
    await organization.owner.removes(organization, ivy);
    return { token, person: ivy };
  }),
  'accept-unreachable': card('No connection', async ({ laptop }) => {
    const { ivy, token } = await invited(laptop);
    const before = async (tab) => {
      tab.expects(LOST);
      await tab.page.route('**/preview', (route) => route.abort());
    };
    return { token, person: ivy, before };
  }),
  'accept-problem': card('Your invitation could not be looked up', async ({ laptop }) => {
    const { ivy, token } = await invited(laptop);
    const before = async (tab) => {
      tab.expects(503);
      await tab.page.route('**/preview', unavailable);
    };
    return { token, person: ivy, before };
  }),
  'accept-joined': doing(/^You are a member of/, accepts),
  'accept-declined': doing('You declined', async (tab) => {
    await declines(tab);
    await tab.dialog().getByRole('button', { name: 'Decline', exact: true }).click();
  }),
  'accept-decline-dialog': doing(/^Decline the invitation/, declines),
  'accept-sender-lost-authority': async ({ laptop, open }) => {
    const organization = await fresh(laptop);
    const { ivy, token } = await invited(laptop, { organization, sender: organization.otto, role: 'owner' });
    await organization.owner.edits(organization, organization.otto, 'member');
    const tab = await open();
    tab.expects(409);
    await tab.answers(token, ivy);
    await accepts(tab);
    await tab.heading('This invitation cannot be accepted right now').waitFor();
    return tab;
  },
  'accept-not-verified': async ({ laptop, open }) => {
    const { ivy, token } = await invited(laptop);
    const tab = await open();
    tab.expects(403);
    await tab.answers(token, ivy.as({ verified: false }));
    await accepts(tab);
    await tab.heading('Verify your address first').waitFor();
    return tab;
  },
  'accept-already-member': async ({ laptop, open }) => {
    const organization = await lively(laptop);
    // Somebody who has another address by now, and was invited by that, too.
    const { ivy, token } = await invited(laptop);
    const tab = await open();
    tab.expects(409);
    await tab.answers(token, ivy.as({ sub: organization.max.sub }));
    await accepts(tab);
    await tab.heading(/already$/).waitFor();
    return tab;
  },
  'accept-lost': doing(/^Join/, accepts, async ({ tab }) => {
    tab.expects(LOST);
    await tab.page.route('**/accept', (route) => route.abort());
  }),
  'accept-accepting': async (world) => {
    const { ivy, token } = await invited(world.laptop);
    const tab = await world.open();
    const { asked } = await tab.holds('**/v1/invitations/accept');
    await tab.answers(token, ivy);
    await accepts(tab);
    await asked();
    await tab.page.locator('button[aria-disabled=true] .spin').first().waitFor({ state: 'attached' });
    return tab;
  },
  'accept-german': card(/eingeladen|Einladung|beitreten/i, async ({ laptop }) => {
    const { ivy, token } = await invited(laptop);
    return { token, person: ivy, more: { lang: 'de' }, options: { locale: 'de-DE' } };
  }),
  'accept-right-to-left': card(/^Join/, async ({ laptop }) => {
    const { ivy, token } = await invited(laptop);
    return { token, person: ivy, more: { dir: 'rtl' } };
  }),
};

/** The pages around the elements, and the issuer's. */
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
    const { token, ivy } = await invited(laptop, { organization: await fresh(laptop) });
    const tab = await open();
    await tab.visits(`/accept#${token}`);
    await tab.button('Sign in to accept').click();
    await tab.button(new RegExp(ivy.email)).waitFor();
    return tab;
  },
  'shell-issuer-refused': async ({ open }) => {
    const tab = await open();
    tab.expects(422);
    await tab.visits('/');
    await tab.button('Sign in').click();
    await tab.page.getByLabel('E-mail address').fill('nobody');
    await tab.button('Sign in').click();
    await tab.page.getByRole('alert').waitFor();
    return tab;
  },
  'shell-signed-in': async ({ laptop, open }) => {
    const organization = await fresh(laptop);
    const tab = await open();
    await tab.manages(organization);
    return tab;
  },
  'shell-cancelled': async ({ open }) => {
    const tab = await open();
    await tab.visits('/');
    await tab.button('Sign in').click();
    await tab.button('Cancel').click();
    await tab.shows(/You were not signed in/);
    return tab;
  },
  'shell-stale': async ({ open }) => {
    const tab = await open();
    await tab.visits('/?code=foreign&state=foreign');
    await tab.shows(/was not started here/);
    return tab;
  },
  'shell-accept': async ({ laptop, open }) => {
    const { token } = await invited(laptop, { organization: await fresh(laptop) });
    const tab = await open();
    await tab.visits(`/accept#${token}`);
    await tab.button('Sign in to accept').waitFor();
    return tab;
  },
  'shell-accept-signed-in': async ({ laptop, open }) => {
    const { token, ivy } = await invited(laptop, { organization: await fresh(laptop) });
    const tab = await open();
    await tab.visits(`/accept#${token}`);
    await tab.button('Sign in to accept').click();
    await tab.chooses(ivy);
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
    const organization = await fresh(laptop);
    const tab = await open({ locale: 'de-DE' });
    await tab.manages(organization);
    return tab;
  },
};
