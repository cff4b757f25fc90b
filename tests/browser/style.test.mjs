// How the elements follow the page that embeds them: its font, its language, and the user's settings in the browser.
import assert from 'node:assert/strict';
import { MAIL_COOLDOWN, setUp, scenario, startBrowser, Tab } from './harness.mjs';

const env = setUp();

/** The default font size of most browsers, and one that a user has set, in pixels. */
const [DEFAULT_PX, LARGE_PX] = [16, 24];
/** The smallest text at the default font size, in pixels. */
const SMALLEST_PX = 12;

/** Returns the font size of each text in the element, with the text. Numbers are 0, because remaining times change. */
async function fontSizes(tab, element) {
  return tab.page.locator(element).evaluate((host) => {
    const sizes = [];
    const visit = (root) => {
      for (const node of root.querySelectorAll('*')) {
        const texts = [...node.childNodes].filter((child) => child.nodeType === Node.TEXT_NODE && child.data.trim());
        if (texts.length && node.checkVisibility()) sizes.push([texts[0].data.trim().replace(/\d+/g, '0'), parseFloat(getComputedStyle(node).fontSize)]);
        if (node.shadowRoot) visit(node.shadowRoot);
      }
    };
    visit(host.shadowRoot);
    return sizes;
  });
}

/** Opens both elements, each on a page with these styles. Returns their font sizes, and their heights. */
async function measures({ laptop, site, open }, organization, token, css) {
  const measured = [];
  for (const [element, options] of [
    ['roster-users', { attributes: { organization: organization.id } }],
    ['roster-accept', { properties: { token } }],
  ]) {
    const tab = await open({ width: 900 });
    site.embedding(laptop.url);
    await tab.page.route('**/product.css', async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: `${await response.text()}\nbody { width: 800px; } main { max-width: none; padding: 0; }\n${css}` });
    });
    await tab.embeds(element, organization.owner, options);
    await (element === 'roster-users' ? tab.row(organization.owner.email) : tab.heading(/another account/)).waitFor();
    const { height } = await tab.page.locator(element).boundingBox();
    measured.push({ sizes: await fontSizes(tab, element), height });
  }
  return measured;
}

async function organizationWithInvitation(laptop) {
  const organization = await laptop.organization({ pending: ['ivy@partner.example'] });
  // No remaining time is shown, so that all pages show the same.
  await laptop.advance(MAIL_COOLDOWN);
  return { organization, token: (await laptop.mail('ivy@partner.example')).token };
}

scenario(env, 'keeps its sizes on a page whose root has another font size', async (context) => {
  const { organization, token } = await organizationWithInvitation(context.laptop);
  const plain = await measures(context, organization, token, '');
  for (const { sizes } of plain) for (const [text, size] of sizes) assert(size >= SMALLEST_PX, `${text}: ${size} px`);
  for (const css of ['html { font-size: 62.5%; }', 'html { font-size: 62.5%; } main { font-size: 3rem; }', 'html { font-size: 30px; }']) {
    assert.deepEqual(await measures(context, organization, token, css), plain, css);
  }
});

scenario(env, 'takes the font family of the page, and no other text style', async (context) => {
  const { organization, token } = await organizationWithInvitation(context.laptop);
  const tab = await context.open();
  await tab.embedsUsers(organization);
  const styles = () =>
    tab.page.locator('roster-users').evaluate((host) => {
      const texts = ['h2', 'button', 'input', '.email'].map((selector) => getComputedStyle(host.shadowRoot.querySelector(selector)));
      return texts.map(({ fontFamily, fontWeight, textTransform, letterSpacing, textAlign }) => ({ fontFamily, fontWeight, textTransform, letterSpacing, textAlign }));
    });
  const plain = await styles();
  await tab.page.locator('main').evaluate(({ style }) => {
    Object.assign(style, { fontFamily: 'Georgia, serif', fontWeight: '300', textTransform: 'uppercase', letterSpacing: '3px', textAlign: 'center' });
  });
  assert.deepEqual(await styles(), plain.map((style) => ({ ...style, fontFamily: 'Georgia, serif' })));
  assert(token);
});

scenario(env, 'can be given another font size by the page', async (context) => {
  const { organization, token } = await organizationWithInvitation(context.laptop);
  const plain = await measures(context, organization, token, '');
  const double = await measures(context, organization, token, `roster-users, roster-accept { font-size: ${2 * DEFAULT_PX}px; }`);
  for (const [number, { sizes }] of double.entries()) {
    assert.deepEqual(sizes, plain[number].sizes.map(([text, size]) => [text, 2 * size]));
  }
});

scenario(env, 'follows the default font size that the user has set in the browser', async ({ laptop, site }) => {
  const { organization, token } = await organizationWithInvitation(laptop);
  const browser = await startBrowser([`--blink-settings=defaultFontSize=${LARGE_PX}`]);
  try {
    const open = (options) => Tab.open({ laptop, site, browser }, options);
    for (const { sizes } of await measures({ laptop, site, open }, organization, token, 'html { font-size: 62.5%; }')) {
      for (const [text, size] of sizes) assert(size >= (SMALLEST_PX * LARGE_PX) / DEFAULT_PX, `${text}: ${size} px`);
    }
  } finally {
    await browser.close();
  }
});

for (const element of ['roster-users', 'roster-accept']) {
  scenario(env, `${element} follows a language that changes`, async ({ laptop, open }) => {
    const { organization, token } = await organizationWithInvitation(laptop);
    const tab = await open();
    await tab.embeds(element, organization.owner, { attributes: { organization: organization.id }, properties: { token } });
    const [english, german] = element === 'roster-users' ? ['Invite people', 'Personen einladen'] : ['Use another account', 'Anderes Konto verwenden'];
    await tab.button(english).waitFor();
    const setLanguage = (selector, lang) => tab.page.locator(selector).evaluate((node, lang) => (node.lang = lang), lang);
    await setLanguage('html', 'de-CH');
    await tab.button(german).waitFor();
    await setLanguage('main', 'en');
    await tab.button(english).waitFor();
    await setLanguage(element, 'de');
    await tab.button(german).waitFor();
    // Inside of another component, the language of its host counts.
    await tab.page.locator(element).evaluate((node) => {
      node.lang = '';
      const host = document.createElement('div');
      host.id = 'host';
      document.querySelector('main').append(host);
      host.attachShadow({ mode: 'open' }).append(node);
    });
    await tab.button(english).waitFor();
    await setLanguage('#host', 'de');
    await tab.button(german).waitFor();
    await tab.page.locator('#host').evaluate((host) => (host.shadowRoot.firstElementChild.lang = 'en'));
    await tab.button(english).waitFor();
  });
}

/** Returns the OKLab coordinates of a colour like `rgb(1, 2, 3)`. */
function oklab(colour) {
  const [r, g, b] = colour
    .match(/[\d.]+/g)
    .map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  const [l, m, s] = [
    0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b,
    0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b,
    0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b,
  ].map(Math.cbrt);
  return {
    a: 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    b: 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  };
}

/** The smallest difference of hue between warnings and errors, in degrees: an orange and a red differ by half of it. */
const HUE_DIFFERENCE_MIN = 60;

scenario(env, 'distinguishes warnings from errors by hue and by icon, in both colour schemes', async ({ laptop, open }) => {
  const { token } = await organizationWithInvitation(laptop);
  const tab = await open();
  tab.expectsErrors(400);
  await tab.embedsAccept('');
  const box = tab.page.locator('roster-accept .icon-box');
  await tab.heading('No invitation to show').waitFor();
  const shown = {};
  for (const kind of ['warn', 'bad']) {
    if (kind === 'bad') {
      await tab.page.locator('roster-accept').evaluate((node, token) => (node.token = token), `${token.slice(0, -4)}AAAA`);
      await tab.heading('This link is not valid').waitFor();
    }
    for (const scheme of ['light', 'dark']) {
      await tab.page.emulateMedia({ colorScheme: scheme });
      const colour = await box.evaluate((node) => getComputedStyle(node).color);
      const { a, b } = oklab(colour);
      shown[`${kind} ${scheme}`] = (Math.atan2(b, a) * 180) / Math.PI;
    }
    shown[kind] = await box.locator('path').getAttribute('d');
  }
  for (const scheme of ['light', 'dark']) {
    const difference = Math.abs(shown[`warn ${scheme}`] - shown[`bad ${scheme}`]);
    assert(difference >= HUE_DIFFERENCE_MIN, `${scheme}: ${difference} degrees`);
  }
  assert.notEqual(shown.warn, shown.bad);
});
