// The laptop's page `/docs`, which shows the API contract with Swagger UI.
import assert from 'node:assert/strict';
import { DEMO, scenario, setUp } from './harness.mjs';

const env = setUp({ flags: ['--no-console'] });

scenario(env, 'shows the contract and sends a call with a token', async ({ laptop, open }) => {
  const tab = await open();
  const { page } = tab;
  // Swagger UI's page has no icon.
  tab.expectsErrors(/favicon\.ico/);
  await tab.visits('/docs');
  await page.getByRole('heading', { name: 'Roster' }).waitFor();
  assert.equal(await page.locator('select#servers').inputValue(), laptop.url);

  await page.getByRole('button', { name: 'Authorize' }).first().click();
  const dialog = page.locator('.auth-container');
  await dialog.getByRole('textbox').fill(await laptop.token(laptop.person(DEMO.owner)));
  await dialog.getByRole('button', { name: 'Apply credentials' }).click();
  await dialog.getByRole('button', { name: 'Close' }).click();

  const operation = page.locator('#operations-Organizations-listOrganizations');
  await operation.getByRole('button').first().click();
  await operation.getByRole('button', { name: 'Try it out' }).click();
  await operation.getByRole('button', { name: 'Execute' }).click();
  await operation.locator('.live-responses-table .response-col_status', { hasText: '200' }).waitFor();
  assert.match(await operation.locator('.live-responses-table').textContent(), /Acme/);
});
