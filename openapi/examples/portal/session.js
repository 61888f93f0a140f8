// The session that a link brought, and where to go with it.
//
// It lies where supabase-js would keep it. A portal that uses supabase-js calls `supabase.auth.setSession` in place of
// `keepSession`. Either way, what the page believes is for show: a server that is asked for data checks the token.

const KEY = 'portal-session';

export function keepSession(session) {
  localStorage.setItem(KEY, JSON.stringify(session));
}

export function forgetSession() {
  localStorage.removeItem(KEY);
}

/** The session, or null where there is none that still works. */
export function readSession() {
  try {
    const session = JSON.parse(localStorage.getItem(KEY));
    return session && session.expires_at * 1000 > Date.now() ? session : null;
  } catch {
    return null;
  }
}

/** Whose session it is, from the token's claims: not checked, so only to be shown. */
export function emailOf(session) {
  try {
    const claims = session.access_token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
    return JSON.parse(atob(claims)).email ?? '';
  } catch {
    return '';
  }
}

/**
 * Where to go after signing in: `next` if it is a page of this portal, else the start page. The api has checked it
 * before, but anybody can write a link to the callback page. What the browser itself makes of it is compared, and that
 * is what is gone to: no reading of slashes and dots of our own.
 */
export function placeAfter(next) {
  const start = new URL('/home', location.origin);
  if (!next || !URL.canParse(next, location.origin)) return start.href;
  const place = new URL(next, location.origin);
  const isPage = place.origin === location.origin && !['/', '/auth/callback'].includes(place.pathname);
  return isPage ? place.href : start.href;
}
