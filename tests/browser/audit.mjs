// What every state of every page is held to, whatever it shows.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
/** Experimental, and worth it: names that do not hold what is seen. */
const RULES = { 'label-content-name-mismatch': { enabled: true } };
/** What the colour scheme has a part in. */
const COLOUR_RULES = ['color-contrast', 'link-in-text-block'];
/** Steps that the keyboard takes through a page. */
const STEPS_MAX = 25;

/** Whatever is wrong with the page as it stands, as texts. */
export async function audit(page) {
  const found = [
    ...(await violations(page, { runOnly: { type: 'tag', values: TAGS }, rules: RULES })),
    ...(await page.evaluate(layout)),
    ...(await glued(page)),
  ];
  return [...new Set(found)];
}

/** Whatever is wrong with its colours alone: of a page that was audited in another scheme. */
export function auditColours(page) {
  return violations(page, { runOnly: { type: 'rule', values: COLOUR_RULES } });
}

async function violations(page, options) {
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(axe);
  const results = await page.evaluate(
    (options) =>
      globalThis.axe.run(document, { ...options, resultTypes: ['violations'] }).then((run) =>
        run.violations.flatMap(({ id, nodes }) =>
          nodes.map(({ target, html, any, all, none }) => {
            const why = [...any, ...all, ...none].map(({ message }) => message).join('; ');
            return `axe ${id}: ${target.flat().join(' ')}: ${html.slice(0, 160)}: ${why}`;
          }),
        ),
      ),
    options,
  );
  return results;
}

/** In the page: sideways scrolling, small targets, texts that are cut off. */
function layout() {
  const problems = [];
  const every = [];
  const collect = (root) => {
    for (const element of root.querySelectorAll('*')) {
      every.push(element);
      if (element.shadowRoot) collect(element.shadowRoot);
    }
  };
  collect(document);
  const parent = (element) => element.assignedSlot ?? element.parentElement ?? element.getRootNode().host;
  const named = (element) => {
    const text = (element.getAttribute('aria-label') ?? element.textContent ?? '').replace(/\s+/g, ' ').trim();
    return `<${element.localName}${element.className ? `.${element.className}` : ''}> "${text.slice(0, 60)}"`;
  };
  const ancestors = (element) => {
    const found = [];
    for (let at = element; at; at = parent(at)) found.push(at);
    return found;
  };
  // What is there for screen readers alone, or not at all.
  const hidden = (element) =>
    !element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) ||
    ancestors(element).some((at) => getComputedStyle(at).clipPath !== 'none');
  // Below a modal dialog nothing can be used, and what is on top covers it.
  const modal = every.find((element) => element.localName === 'dialog' && element.matches(':modal'));
  const inert = (element) => modal && !ancestors(element).includes(modal);

  const wide = document.documentElement;
  if (wide.scrollWidth > wide.clientWidth) problems.push(`the page scrolls sideways: ${wide.scrollWidth} in ${wide.clientWidth} px`);
  for (const element of every) {
    const { overflowX } = getComputedStyle(element);
    const scrolls = overflowX === 'auto' || overflowX === 'scroll';
    if (scrolls && element.scrollWidth > element.clientWidth + 1 && !hidden(element)) {
      problems.push(`it scrolls sideways: ${named(element)}`);
    }
  }

  // 2.5.8: 24 px each way, or a circle of 24 px around its middle that touches no other target.
  const TARGET_PX = 24;
  const controls = every.filter(
    (element) =>
      element.matches('button, a[href], input:not([type=hidden]), select, textarea, summary, [role=button], [tabindex="0"]') &&
      !hidden(element) &&
      !inert(element),
  );
  const boxes = controls.map((element) => {
    // A label belongs to what it is hit for.
    const rects = [element, ...(element.labels ?? [])].map((part) => part.getBoundingClientRect());
    const hit = element.matches('input[type=radio], input[type=checkbox]') ? rects : rects.slice(0, 1);
    const left = Math.min(...hit.map((rect) => rect.left));
    const top = Math.min(...hit.map((rect) => rect.top));
    return { left, top, right: Math.max(...hit.map((rect) => rect.right)), bottom: Math.max(...hit.map((rect) => rect.bottom)) };
  });
  controls.forEach((element, number) => {
    const box = boxes[number];
    const [width, height] = [box.right - box.left, box.bottom - box.top];
    if (width >= TARGET_PX - 0.5 && height >= TARGET_PX - 0.5) return;
    const inline = element.localName === 'a' && getComputedStyle(element).display === 'inline' && parent(element).localName === 'p';
    const [x, y] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
    const near = boxes.find(
      (other, at) =>
        at !== number &&
        Math.hypot(
          Math.max(other.left - x, 0, x - other.right),
          Math.max(other.top - y, 0, y - other.bottom),
        ) <
          TARGET_PX / 2,
    );
    if (!inline && near) problems.push(`a target of ${Math.round(width)} x ${Math.round(height)} px beside another: ${named(element)}`);
  });

  // What is in a cell stays there.
  for (const element of controls) {
    const cell = ancestors(element).find((at) => at.matches('td, th'));
    if (!cell) continue;
    const { paddingLeft, paddingRight } = getComputedStyle(cell);
    const [box, room] = [element.getBoundingClientRect(), cell.getBoundingClientRect()];
    if (box.left < room.left + parseFloat(paddingLeft) - 1 || box.right > room.right - parseFloat(paddingRight) + 1) {
      problems.push(`it sticks out of its cell: ${named(element)}`);
    }
  }

  // Text that its box, a box around it or the window cuts off.
  for (const element of every) {
    if (hidden(element) || inert(element)) continue;
    const texts = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    for (const text of texts) {
      if (['option', 'style', 'script', 'title', 'noscript'].includes(element.localName)) continue;
      const range = document.createRange();
      range.selectNodeContents(text);
      const rects = [...range.getClientRects()].filter((rect) => rect.width > 1);
      if (!rects.length) continue;
      const left = Math.min(...rects.map((rect) => rect.left));
      const right = Math.max(...rects.map((rect) => rect.right));
      const top = Math.min(...rects.map((rect) => rect.top));
      const bottom = Math.max(...rects.map((rect) => rect.bottom));
      // Whoever scrolls shows the rest.
      let scrolled = false;
      for (const at of ancestors(element)) {
        const { overflowX, overflowY, display, webkitLineClamp } = getComputedStyle(at);
        // Whatever else than an address was pasted: its beginning tells what it is.
        if (webkitLineClamp !== 'none') break;
        if (display === 'contents' || display === 'inline') continue;
        const rect = at.getBoundingClientRect();
        const clips = (overflow) => overflow === 'hidden' || overflow === 'clip';
        scrolled ||= overflowY === 'auto' || overflowY === 'scroll';
        const cutX = clips(overflowX) && (left < rect.left - 1 || right > rect.right + 1);
        const cutY = clips(overflowY) && !scrolled && (top < rect.top - 2 || bottom > rect.bottom + 2);
        if (cutX || cutY) {
          problems.push(`cut off by ${named(at).slice(0, 80)}: "${text.data.trim().slice(0, 60)}"`);
          break;
        }
      }
      if (left < -1 || right > wide.clientWidth + 1) problems.push(`outside of the window: "${text.data.trim().slice(0, 60)}"`);
    }
    const shown = element.localName === 'select' ? element.selectedOptions[0]?.text : element.value || element.placeholder;
    if (element.matches('select, input:not([type=checkbox], [type=radio], [type=hidden])') && shown) {
      const style = getComputedStyle(element);
      const pen = (globalThis.auditPen ??= document.createElement('canvas').getContext('2d'));
      pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
      const room = element.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
      // A field scrolls to what is typed; what it proposes has to fit.
      const typed = element.localName === 'input' && element.value;
      if (!typed && pen.measureText(shown).width > room + 1 && style.textOverflow !== 'ellipsis') {
        problems.push(`cut off: ${named(element).slice(0, 80)} "${shown}"`);
      }
    }
  }
  return problems;
}

/** Names in which words run together that are seen apart: `Removeada`. */
async function glued(page) {
  const pairs = await page.evaluate(() => {
    const found = [];
    const visit = (root) => {
      const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
      let before;
      for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        if (node.nodeType === Node.ELEMENT_NODE) {
          if (node.shadowRoot) visit(node.shadowRoot);
          continue;
        }
        if (!node.data || ['STYLE', 'SCRIPT', 'OPTION'].includes(node.parentElement?.nodeName)) continue;
        const apart = !before || /\s$/.test(before.data) || /^\s/.test(node.data);
        if (!apart && before.parentElement !== node.parentElement) {
          const rects = [before, node].map((text) => {
            const range = document.createRange();
            range.selectNodeContents(text);
            return [...range.getClientRects()];
          });
          const [last, first] = [rects[0].at(-1), rects[1][0]];
          const seenApart = last && first && (Math.abs(first.top - last.top) > 4 || Math.abs(first.left - last.right) > 2);
          const [end, start] = [before.data.split(/\s+/).at(-1), node.data.split(/\s+/)[0]];
          // A comma stands at what it follows.
          if (seenApart && /\p{L}|\p{N}/u.test(end) && /^[\p{L}\p{N}]/u.test(start)) found.push(end + start);
        }
        before = node;
      }
    };
    visit(document);
    return found;
  });
  if (!pairs.length) return [];
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  await session.detach();
  const names = nodes.filter((node) => !node.ignored && node.role.value !== 'StaticText').map((node) => node.name?.value ?? '');
  return pairs.flatMap((pair) => names.filter((name) => name.includes(pair)).map((name) => `words run together: "${name}"`));
}

/**
 * Goes through the page by Tab: nothing that has the focus is without a sign of it, or covered, and the focus is not
 * lost on the way.
 */
export async function auditFocus(page) {
  const problems = [];
  const seen = new Set();
  for (let step = 0; step < STEPS_MAX; step++) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate(() => {
      let active = document.activeElement;
      while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
      // Behind the last one is the browser's own.
      if (!active || active === document.body || active === document.documentElement) return undefined;
      globalThis.auditStops ??= [];
      const again = globalThis.auditStops.includes(active);
      globalThis.auditStops.push(active);
      const style = getComputedStyle(active);
      const marked = (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1) || style.boxShadow !== 'none';
      const box = active.getBoundingClientRect();
      const [x, y] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
      let top = document.elementFromPoint(x, y);
      while (top?.shadowRoot?.elementFromPoint(x, y) && top.shadowRoot.elementFromPoint(x, y) !== top) {
        top = top.shadowRoot.elementFromPoint(x, y);
      }
      let at = top;
      while (at && at !== active) at = at.parentElement ?? at.getRootNode().host;
      const label = active.labels?.[0] ?? null;
      const covered = at !== active && !(label && label.contains(top));
      const name = `${active.localName} "${(active.getAttribute('aria-label') ?? active.textContent).replace(/\s+/g, ' ').trim().slice(0, 60)}"`;
      return { name, marked, covered, again };
    });
    if (!stop || stop.again) break;
    if (!stop.marked) seen.add(`no sign of the focus: ${stop.name}`);
    if (stop.covered) seen.add(`covered while it has the focus: ${stop.name}`);
  }
  problems.push(...seen);
  return problems;
}
