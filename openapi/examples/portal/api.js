// The portal's request to the api.

import { api } from './config.js';

/**
 * Requests a sign-in mail.
 * @param {string} email as typed; the api checks it
 * @param {string | null} next the page of this portal to open after sign-in
 * @returns {Promise<{ok: true} | {ok: false, code: string, fieldErrors?: Record<string, string>, retryAfter?: number}>}
 *   `code` is one of the api's codes, `page_refused` or `unreachable`
 */
export async function sendMagicLink(email, next) {
  try {
    const answer = await fetch(`${api}/auth/send-magic-link`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({
        email,
        callback_origin: location.origin,
        callback_next: next,
        // The page is in English, but the mail should be in the language of the person's browser.
        locale: navigator.language,
        time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      }),
    });
    const body = await answer.json();
    if (answer.ok) return { ok: true };
    return { ok: false, code: body.code, fieldErrors: body.fieldErrors, retryAfter: body.retryAfter };
  } catch {
    // The network or the server is down, a proxy sent its own page, or the api does not allow this origin.
    return { ok: false, code: (await isReachable()) ? 'page_refused' : 'unreachable' };
  }
}

/** Whether the api answers at all. If the api does not allow a page's origin, the browser does not show the page why a
 *  request failed. */
async function isReachable() {
  try {
    await fetch(new URL('/health/live', api), { mode: 'no-cors' });
    return true;
  } catch {
    return false;
  }
}
