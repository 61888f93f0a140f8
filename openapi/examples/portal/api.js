// The one request of this portal.

import { api } from './config.js';

/**
 * Asks for a sign-in mail.
 * @param {string} email as typed; the api checks it
 * @param {string | null} next the page of this portal to land on
 * @returns {Promise<{ok: true} | {ok: false, code: string, fieldErrors?: Record<string, string>, retryAfter?: number}>}
 *   besides the api's codes: `page_refused`, `unreachable`
 */
export async function sendMagicLink(email, next) {
  try {
    const answer = await fetch(`${api}/auth/send-magic-link`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ email, callback_origin: location.origin, callback_next: next }),
    });
    const body = await answer.json();
    if (answer.ok) return { ok: true };
    return { ok: false, code: body.code, fieldErrors: body.fieldErrors, retryAfter: body.retryAfter };
  } catch {
    // No network, no server, a proxy's own page, or an origin that the api does not allow.
    return { ok: false, code: (await isReachable()) ? 'page_refused' : 'unreachable' };
  }
}

/** Whether the api answers at all. To a page whose origin is not allowed, a browser does not show why a request failed. */
async function isReachable() {
  try {
    await fetch(new URL('/health/live', api), { mode: 'no-cors' });
    return true;
  } catch {
    return false;
  }
}
