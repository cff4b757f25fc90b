/**
 * Shows the whole text of what a row cuts off (`clip`): of the text under the pointer, or of all texts in the row with
 * the focus. Screen readers read the whole text anyway.
 */
import style from './overflow-tip.css?inline';

const isCutOff = (element: Element): boolean => element.scrollWidth > element.clientWidth;

/** Starts to show the texts that are cut off in `root`. */
export function showCutOffTexts(root: ShadowRoot): void {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(style);
  root.adoptedStyleSheets.push(sheet);
  const tip = document.createElement('div');
  tip.className = 'tip';
  tip.ariaHidden = 'true';
  tip.hidden = true;
  root.append(tip);

  const hide = (): void => void (tip.hidden = true);
  /** Shows the texts above the first of them. */
  const show = (cutOff: readonly Element[]): void => {
    const [first] = cutOff;
    tip.hidden = !first;
    if (!first) return;
    tip.textContent = cutOff.map(({ textContent }) => textContent?.trim().replace(/\s+/g, ' ')).join('\n');
    const [box, host] = [first.getBoundingClientRect(), root.host.getBoundingClientRect()];
    const space = host.width - tip.offsetWidth;
    tip.style.insetInlineStart = 'auto';
    tip.style.left = `${Math.max(0, Math.min(box.left - host.left, space))}px`;
    tip.style.top = `${box.top - host.top - tip.offsetHeight}px`;
  };
  const showFocused = (): void => {
    const row = root.activeElement?.closest('tbody tr');
    show(row ? [...row.querySelectorAll('.clip')].filter(isCutOff) : []);
  };
  const showHovered = (text: Element | null): void => {
    if (text && isCutOff(text)) show([text]);
    else showFocused();
  };
  const onPointer = ({ target }: Event): void => {
    // The pointer may move over the tip, for example to select its text.
    if (target !== tip) showHovered((target as Element).closest('.clip'));
  };
  root.addEventListener('mouseover', onPointer);
  root.host.addEventListener('mouseleave', showFocused);
  root.addEventListener('focusin', showFocused);
  root.addEventListener('focusout', hide);
  root.addEventListener('keydown', (event) => void ((event as KeyboardEvent).key === 'Escape' && hide()));
  showHovered(root.querySelector('.clip:hover'));
}
