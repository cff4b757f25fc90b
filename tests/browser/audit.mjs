// Audits a page: accessibility rules, layout, and keyboard focus. Every state of every page must pass.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
/** An experimental rule of axe: accessible names must contain the visible text. */
const RULES = { 'label-content-name-mismatch': { enabled: true } };
/** The rules that depend on the colour scheme. */
const COLOUR_RULES = ['color-contrast', 'link-in-text-block'];
/** The maximum number of Tab presses in one page. */
const STEPS_MAX = 25;

/** Returns a text for each problem of the page. */
export async function audit(page) {
  const found = [
    ...(await violations(page, { runOnly: { type: 'tag', values: TAGS }, rules: RULES })),
    ...(await auditLayout(page)),
    ...(await joinedWords(page)),
  ];
  return [...new Set(found)];
}

/** Returns the problems of the page's layout. */
export function auditLayout(page) {
  return page.evaluate(layoutProblems);
}

/** Returns the problems of the page's colours. For a page that has passed `audit` in the other colour scheme. */
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
            const reason = [...any, ...all, ...none].map(({ message }) => message).join('; ');
            return `axe ${id}: ${target.flat().join(' ')}: ${html.slice(0, 160)}: ${reason}`;
          }),
        ),
      ),
    options,
  );
  return results;
}

/** Runs in the page. Finds horizontal scrolling, small targets, and text that is cut off. */
function layoutProblems() {
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
  const describe = (element) => {
    const text = (element.getAttribute('aria-label') ?? element.textContent ?? '').replace(/\s+/g, ' ').trim();
    return `<${element.localName}${element.className ? `.${element.className}` : ''}> "${text.slice(0, 60)}"`;
  };
  const ancestors = (element) => {
    const found = [];
    for (let at = element; at; at = parent(at)) found.push(at);
    return found;
  };
  // Elements that are invisible, or only for screen readers.
  const hidden = (element) =>
    !element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) ||
    ancestors(element).some((at) => getComputedStyle(at).clipPath !== 'none');
  // Elements behind a modal dialog cannot be used, and the dialog may cover them.
  const modal = every.find((element) => element.localName === 'dialog' && element.matches(':modal'));
  const inert = (element) => modal && !ancestors(element).includes(modal);

  const wide = document.documentElement;
  if (wide.scrollWidth > wide.clientWidth) problems.push(`the page scrolls horizontally: ${wide.scrollWidth} in ${wide.clientWidth} px`);
  for (const element of every) {
    const { overflowX } = getComputedStyle(element);
    const scrolls = overflowX === 'auto' || overflowX === 'scroll';
    if (scrolls && element.scrollWidth > element.clientWidth + 1 && !hidden(element)) {
      problems.push(`an element scrolls horizontally: ${describe(element)}`);
    }
  }

  // WCAG 2.5.8: a target has at least 24 by 24 px, or a circle of 24 px around its centre touches no other target.
  const TARGET_PX = 24;
  const controls = every.filter(
    (element) =>
      element.matches('button, a[href], input:not([type=hidden]), select, textarea, summary, [role=button], [tabindex="0"]') &&
      !hidden(element) &&
      !inert(element),
  );
  const boxes = controls.map((element) => {
    // A label is part of the target of a radio button or checkbox.
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
    if (!inline && near) problems.push(`a target of ${Math.round(width)} x ${Math.round(height)} px next to another target: ${describe(element)}`);
  });

  // Controls must not overflow their table cells.
  for (const element of controls) {
    const cell = ancestors(element).find((at) => at.matches('td, th'));
    if (!cell) continue;
    const { paddingLeft, paddingRight } = getComputedStyle(cell);
    const [box, room] = [element.getBoundingClientRect(), cell.getBoundingClientRect()];
    if (box.left < room.left + parseFloat(paddingLeft) - 1 || box.right > room.right - parseFloat(paddingRight) + 1) {
      problems.push(`a control overflows its cell: ${describe(element)}`);
    }
  }

  // Text must not be cut off by its box, an ancestor's box or the window.
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
      // Text in a scrollable box is not cut off vertically, since users can scroll to it.
      let isScrollable = false;
      let isClipped = false;
      for (const at of ancestors(element)) {
        const { overflowX, overflowY, display, webkitLineClamp } = getComputedStyle(at);
        // `line-clamp` cuts off text on purpose: its beginning is enough to recognize it. The list shows the whole text
        // of a `clip` under the pointer and with the focus (layout.test.mjs).
        isClipped = at.matches('.clip');
        if (webkitLineClamp !== 'none' || isClipped) break;
        if (display === 'contents' || display === 'inline') continue;
        const rect = at.getBoundingClientRect();
        const clips = (overflow) => overflow === 'hidden' || overflow === 'clip';
        isScrollable ||= overflowY === 'auto' || overflowY === 'scroll';
        const cutX = clips(overflowX) && (left < rect.left - 1 || right > rect.right + 1);
        const cutY = clips(overflowY) && !isScrollable && (top < rect.top - 2 || bottom > rect.bottom + 2);
        if (cutX || cutY) {
          problems.push(`cut off by ${describe(at).slice(0, 80)}: "${text.data.trim().slice(0, 60)}"`);
          break;
        }
      }
      if (!isClipped && (left < -1 || right > wide.clientWidth + 1)) problems.push(`outside the window: "${text.data.trim().slice(0, 60)}"`);
    }
    const shown = element.localName === 'select' ? element.selectedOptions[0]?.text : element.value || element.placeholder;
    if (element.matches('select, input:not([type=checkbox], [type=radio], [type=hidden])') && shown) {
      const style = getComputedStyle(element);
      const canvas = (globalThis.auditCanvas ??= document.createElement('canvas').getContext('2d'));
      canvas.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
      const room = element.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
      // A field may be shorter than the typed text, but not shorter than its placeholder.
      const isTyped = element.localName === 'input' && element.value;
      if (!isTyped && canvas.measureText(shown).width > room + 1 && style.textOverflow !== 'ellipsis') {
        problems.push(`cut off: ${describe(element).slice(0, 80)} "${shown}"`);
      }
    }
  }
  return problems;
}

/** Finds accessible names that join words which are visually separate, like `Removeada`. */
async function joinedWords(page) {
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
        const hasSpace = !before || /\s$/.test(before.data) || /^\s/.test(node.data);
        if (!hasSpace && before.parentElement !== node.parentElement) {
          const rects = [before, node].map((text) => {
            const range = document.createRange();
            range.selectNodeContents(text);
            return [...range.getClientRects()];
          });
          const [last, first] = [rects[0].at(-1), rects[1][0]];
          const isSeparate = last && first && (Math.abs(first.top - last.top) > 4 || Math.abs(first.left - last.right) > 2);
          const [end, start] = [before.data.split(/\s+/).at(-1), node.data.split(/\s+/)[0]];
          // Ignore punctuation, which follows a word without a space.
          if (isSeparate && /\p{L}|\p{N}/u.test(end) && /^[\p{L}\p{N}]/u.test(start)) found.push(end + start);
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
  return pairs.flatMap((pair) => names.filter((name) => name.includes(pair)).map((name) => `joined words: "${name}"`));
}

/** Moves the focus through the page with Tab. Finds focused elements that are covered or have no focus indicator. */
export async function auditFocus(page) {
  const problems = new Set();
  for (let step = 0; step < STEPS_MAX; step++) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate(() => {
      let active = document.activeElement;
      while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
      // After the last element, the focus moves to the browser's own controls.
      if (!active || active === document.body || active === document.documentElement) return undefined;
      globalThis.auditStops ??= [];
      const isRepeated = globalThis.auditStops.includes(active);
      globalThis.auditStops.push(active);
      const style = getComputedStyle(active);
      const isMarked = (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1) || style.boxShadow !== 'none';
      const box = active.getBoundingClientRect();
      const [x, y] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
      let top = document.elementFromPoint(x, y);
      while (top?.shadowRoot?.elementFromPoint(x, y) && top.shadowRoot.elementFromPoint(x, y) !== top) {
        top = top.shadowRoot.elementFromPoint(x, y);
      }
      let at = top;
      while (at && at !== active) at = at.parentElement ?? at.getRootNode().host;
      const label = active.labels?.[0] ?? null;
      const isCovered = at !== active && !(label && label.contains(top));
      const name = `${active.localName} "${(active.getAttribute('aria-label') ?? active.textContent).replace(/\s+/g, ' ').trim().slice(0, 60)}"`;
      return { name, isMarked, isCovered, isRepeated };
    });
    if (!stop || stop.isRepeated) break;
    if (!stop.isMarked) problems.add(`no focus indicator: ${stop.name}`);
    if (stop.isCovered) problems.add(`covered while focused: ${stop.name}`);
  }
  return [...problems];
}
