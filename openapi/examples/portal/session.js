// Stores the session from the link or the code, and decides where to go after sign-in.
//
// The session is kept in localStorage, as in supabase-js. A portal that uses supabase-js calls
// `supabase.auth.setSession` instead of `keepSession`. In both cases, the page only uses the session for display: a
// server that returns data must check the token.

import { storedForm } from './address.js';
import { forgetAsked } from './asked.js';

const KEY = 'portal-session';

export function keepSession({ access_token, refresh_token, expires_at }) {
  const session = { access_token, refresh_token, expires_at };
  localStorage.setItem(KEY, JSON.stringify(session));
  forgetAsked(emailOf(session));
}

export function forgetSession() {
  localStorage.removeItem(KEY);
}

/** The session, or null if there is none or it has expired. */
export function readSession() {
  try {
    const session = JSON.parse(localStorage.getItem(KEY));
    return session && session.expires_at * 1000 > Date.now() ? session : null;
  } catch {
    return null;
  }
}

/** Whether the session belongs to this address. */
export function belongsTo(session, address) {
  return storedForm(emailOf(session)) === storedForm(address);
}

/** The user's address from the token's claims. The claims are not verified, so use the address only for display. */
export function emailOf(session) {
  try {
    const claims = session.access_token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
    return JSON.parse(atob(claims)).email ?? '';
  } catch {
    return '';
  }
}

/**
 * Where to go after sign-in: `next` if it is a page of this portal, otherwise the start page. The api has checked
 * `next`, but anybody can write a link to the callback page. So compare and use the URL as the browser parses it,
 * instead of parsing slashes and dots here.
 */
export function placeAfter(next) {
  const start = new URL('/home', location.origin);
  if (!next || !URL.canParse(next, location.origin)) return start.href;
  const place = new URL(next, location.origin);
  // Do not compare `place.origin`: it is also our origin for `blob:https://portal.example.com/x`.
  const isPage = place.href.startsWith(`${location.origin}/`) && !['/', '/auth/callback'].includes(place.pathname);
  return isPage ? place.href : start.href;
}
