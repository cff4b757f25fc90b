/**
 * The `sessionStorage` key of the operations that wait for a sign-in, which may lead to another page and back. The value
 * contains ids, and no addresses. Remove it when the user signs out on purpose.
 */
export const WAITING_KEY = 'roster.waiting';
