// The portal's request to the api.

import { api, origin } from './settings.js';

const TIMEOUT_MS = 10_000;

/**
 * Requests a sign-in mail. List this server in the api's TRUSTED_PROXIES. The api then counts each visitor's
 * requests separately, instead of counting all requests under this server's address.
 * @param {string} email as typed; the api checks it
 * @param {string | null} next the page of this portal to open after sign-in
 * @param {{address: string, languages?: string}} visitor their address, and the `Accept-Language` of their browser
 * @returns {Promise<{ok: true} | {ok: false, status: number, code: string, fieldErrors?: Record<string, string>, retryAfter?: number}>}
 */
export async function sendMagicLink(email, next, { address, languages = '*' }) {
  try {
    const answer = await fetch(`${api}/auth/send-magic-link`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Forwarded-For': address, 'Accept-Language': languages },
      body: JSON.stringify({ email, callback_origin: origin, callback_next: next }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const { code, fieldErrors, retryAfter } = await answer.json();
    return answer.ok ? { ok: true } : { ok: false, status: answer.status, code, fieldErrors, retryAfter };
  } catch {
    return { ok: false, status: 503, code: 'unreachable' };
  }
}
