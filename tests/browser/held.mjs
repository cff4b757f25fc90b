// Holds every state to what `audit.mjs` asks, in light and dark, wide and narrow, and takes pictures of them.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { audit, auditColours, auditFocus } from './audit.mjs';
import { SMALL_SEATS } from './states.mjs';
import { PICTURES, stage, story } from './world.mjs';

// Dark differs from light in its colours, and in nothing else.
const VARIANTS = [
  { scheme: 'light', width: 1280, audited: audit },
  { scheme: 'dark', width: 1280, audited: auditColours },
  { scheme: 'dark', width: 320, audited: auditColours },
  { scheme: 'light', width: 320, audited: audit },
];
const HEIGHT = 800;

/** A test for each of these states. */
export function hold(states) {
  const it = stage({ smallSeats: SMALL_SEATS });
  for (const [name, reach] of Object.entries(states)) {
    story(it, name, async (world) => {
      const tab = await reach(world);
      const { page } = tab;
      const problems = [];
      for (const { scheme, width, audited } of VARIANTS) {
        await page.emulateMedia({ colorScheme: scheme });
        await page.setViewportSize({ width, height: HEIGHT });
        problems.push(...(await audited(page)).map((problem) => `${scheme}, ${width} px: ${problem}`));
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
