// Supabase's client for one visit. The session is in cookies that only this server can read.

import { createServerClient } from '@supabase/ssr';
import { isSecure, supabase } from './settings.js';

const TIMEOUT_MS = 10_000;

/** With this prefix, no other host of the same site can set the cookie. Browsers accept the prefix only over https. */
const prefix = isSecure ? '__Host-' : '';

/** The cookie of the person's session. */
export const SESSION = `${prefix}session`;
/** The cookie of a session that the person has not accepted yet. */
export const PENDING = `${prefix}pending`;

/**
 * @param {import('./visit.js').Visit} visit
 * @param {string} name the cookie's name
 * @param {number} [maxAge] how long the cookie is kept, in seconds
 */
export function supabaseFor(visit, name = SESSION, maxAge = undefined) {
  return createServerClient(supabase.url, supabase.key, {
    cookieOptions: { name, ...(maxAge && { maxAge }) },
    cookies: {
      // Do not store the user's other data in the cookie: it would be outdated and not verified.
      encode: 'tokens-only',
      getAll: () => visit.cookies,
      setAll: (cookies) => {
        for (const { name, value, options } of cookies) visit.setCookie(name, value, options);
      },
    },
    global: {
      // All visitors reach Supabase through this server. If it did not forward their addresses, one visitor could use
      // up the rate limit for everyone. A hosted project reads Sb-Forwarded-For. A self-hosted server reads the header
      // that is set in GOTRUE_RATE_LIMIT_HEADER.
      headers: { 'Sb-Forwarded-For': visit.address, 'X-Forwarded-For': visit.address },
      fetch: (url, options) => fetch(url, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) }),
    },
    // This portal needs no WebSocket, but the client requires one, and Node has none before version 22.
    realtime: { transport: globalThis.WebSocket ?? class {} },
  });
}

/** Signs out at Supabase and in this portal. If Supabase does not answer, the session ends only in this portal. */
export async function endSession(visit, name = SESSION) {
  await supabaseFor(visit, name).auth.signOut({ scope: 'local' });
  forgetSession(visit, name);
}

/** Removes the cookies of a session, but does not end the session at Supabase. */
export function forgetSession(visit, name) {
  for (const cookie of visit.cookies) {
    // A long session is split into several cookies: session.0, session.1.
    if (cookie.name === name || cookie.name.startsWith(`${name}.`)) visit.removeCookie(cookie.name);
  }
}

/**
 * Who is signed in, according to Supabase.
 * @returns {Promise<string | null>} the address
 * @throws if Supabase does not answer or its rate limit is exceeded, because the person is then unknown
 */
export async function signedInAs(visit, name = SESSION) {
  if (!visit.cookies.some((cookie) => cookie.name.startsWith(name))) return null;
  const { data, error } = await supabaseFor(visit, name).auth.getUser();
  if (error && ['unreachable', 'over_request_rate_limit'].includes(codeOf(error))) throw error;
  return data.user?.email ?? null;
}

/** Supabase's error code, or `unreachable`. */
export function codeOf(error) {
  // A gateway in front of Supabase can have its own rate limit. Its responses have no error code.
  if (error.status === 429) return 'over_request_rate_limit';
  const isRefusal = error.status >= 400 && error.status < 500;
  return isRefusal ? (error.code ?? 'unknown') : 'unreachable';
}
