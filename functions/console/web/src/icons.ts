/** Icons of 24 by 24 units. They always accompany text, so they are hidden from screen readers. */
import { svg, html, type TemplateResult } from 'lit';

const icon = (paths: TemplateResult): TemplateResult =>
  html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">${paths}</svg>`;

export const alert = icon(svg`<path d="M12 3.5 2.5 20h19zM12 10v4m0 3v.01"/>`);
export const check = icon(svg`<path d="m5 12.5 4.5 4.5L19 7.5"/>`);
export const clock = icon(svg`<circle cx="12" cy="12" r="9"/><path d="M12 7v5l3 2"/>`);
export const cross = icon(svg`<path d="M6 6l12 12M18 6 6 18"/>`);
/** For errors. `alert` is for warnings: the forms differ, since colour alone is not accessible. */
export const error = icon(svg`<path d="M8.3 3h7.4L21 8.3v7.4L15.7 21H8.3L3 15.7V8.3zM12 7.5v5m0 3.5v.01"/>`);
export const info = icon(svg`<circle cx="12" cy="12" r="9"/><path d="M12 11v5m0-8v.01"/>`);
export const lock = icon(svg`<rect x="5" y="11" width="14" height="9" rx="2"/><path d="M8 11V8a4 4 0 0 1 8 0v3"/>`);
export const mail = icon(svg`<rect x="3" y="5" width="18" height="14" rx="2"/><path d="m3.5 7 8.5 6 8.5-6"/>`);
export const people = icon(
  svg`<circle cx="9" cy="8" r="3.5"/><path d="M2.5 20a6.5 6.5 0 0 1 13 0M16 4.9a3.5 3.5 0 0 1 0 6.2M18 14.5a6.5 6.5 0 0 1 3.5 5.5"/>`,
);
export const plus = icon(svg`<path d="M12 5v14M5 12h14"/>`);
export const search = icon(svg`<circle cx="11" cy="11" r="6.5"/><path d="m16 16 4.5 4.5"/>`);
