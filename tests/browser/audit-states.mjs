// Audits every state with `audit.mjs`: in light and dark, wide and narrow. Takes screenshots if ROSTER_PICTURES is set.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { audit, auditColours, auditFocus } from './audit.mjs';
import { SMALL_SEATS } from './states.mjs';
import { PICTURES, scenario, setUp } from './harness.mjs';

// Dark differs from light only in its colours, so it needs only the colour rules.
const VARIANTS = [
  { scheme: 'light', width: 1280, run: audit },
  { scheme: 'dark', width: 1280, run: auditColours },
  { scheme: 'dark', width: 320, run: auditColours },
  { scheme: 'light', width: 320, run: audit },
];
const HEIGHT = 800;

/** Defines a test for each of the states. */
export function auditStates(states) {
  const env = setUp({ smallSeats: SMALL_SEATS });
  for (const [name, reach] of Object.entries(states)) {
    scenario(env, name, async (context) => {
      const tab = await reach(context);
      const { page } = tab;
      const problems = [];
      for (const { scheme, width, run } of VARIANTS) {
        await page.emulateMedia({ colorScheme: scheme });
        await page.setViewportSize({ width, height: HEIGHT });
        problems.push(...(await run(page)).map((problem) => `${scheme}, ${width} px: ${problem}`));
        if (PICTURES) {
          mkdirSync(PICTURES, { recursive: true });
          const fullPage = (await tab.dialog().count()) === 0;
          await page.screenshot({ path: path.join(PICTURES, `${name}-${scheme}-${width}.png`), fullPage });
        }
      }
      problems.push(...(await auditFocus(page)));
      assert.deepEqual(problems, []);
    });
  }
}
