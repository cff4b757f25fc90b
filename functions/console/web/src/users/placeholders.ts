/** What is shown while there are no rows: the list is loading, has failed to load, or is empty. */
import { html, nothing, type TemplateResult } from 'lit';
import * as icons from '../icons';
import type { Texts } from './view';

export function renderLoading({ messages }: Texts): TemplateResult {
  return html`<div class="loading">
    <p class="soft"><span class="spin" aria-hidden="true"></span> ${messages.loading}</p>
    ${[0, 1, 2, 3, 4].map(() => html`<div class="skeleton" aria-hidden="true"></div>`)}
  </div>`;
}

export function renderFailure(reason: string, { messages }: Texts, onRetry: () => void): TemplateResult {
  return html`<div class="empty" role="alert">
    ${icons.alert}
    <h3>${messages.loadFailed}</h3>
    <p class="soft">${reason}</p>
    <button @click=${onRetry}>${messages.tryAgain}</button>
  </div>`;
}

export function renderEmpty(icon: TemplateResult, title: string, text: string, label?: string, onClick?: () => void): TemplateResult {
  return html`<div class="empty">
    ${icon}
    <h3>${title}</h3>
    <p class="soft">${text}</p>
    ${label ? html`<button class="primary" @click=${onClick}>${label}</button>` : nothing}
  </div>`;
}
