// The portal's two calls to Supabase Auth. A portal that uses supabase-js calls these methods instead:
//   signInWithCode   supabase.auth.verifyOtp({ email, token, type: 'email' })
//   addressOf        supabase.auth.getUser(accessToken)

import { supabase } from './config.js';

/**
 * Signs in with the code from a mail. The type `email` works for the code from any mail.
 * @param {string} email the address that the mail was requested for
 * @param {string} token the digits of the code
 * @returns {Promise<{ok: true, session: object} | {ok: false, code: string}>}
 *   `code` is Supabase's error code, or `unreachable`
 */
export async function signInWithCode(email, token) {
  const answer = await call('verify', { method: 'POST', body: JSON.stringify({ type: 'email', email, token }) });
  return answer.ok ? { ok: true, session: answer.body } : { ok: false, code: answer.code };
}

/**
 * Asks Supabase whose session this is. The claims inside the token do not prove it, because anybody can write a token
 * into a link.
 * @returns {Promise<{ok: true, email: string} | {ok: false, code: string}>}
 */
export async function addressOf(accessToken) {
  const answer = await call('user', { headers: { Authorization: `Bearer ${accessToken}` } });
  return answer.ok ? { ok: true, email: answer.body.email ?? '' } : { ok: false, code: answer.code };
}

async function call(path, { headers, ...rest }) {
  try {
    const answer = await fetch(`${supabase.url}/auth/v1/${path}`, {
      ...rest,
      headers: {
        ...headers,
        apikey: supabase.key,
        'Content-Type': 'application/json',
        // With this API version, all errors have the same shape.
        'X-Supabase-Api-Version': '2024-01-01',
      },
    });
    const body = await answer.json().catch(() => ({}));
    if (answer.ok) return { ok: true, body };
    return { ok: false, code: answer.status === 429 ? 'over_request_rate_limit' : (body.code ?? 'unknown') };
  } catch {
    return { ok: false, code: 'unreachable' };
  }
}
