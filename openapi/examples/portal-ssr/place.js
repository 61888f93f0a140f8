// Decides where to go after sign-in.

import { origin } from './settings.js';

const OWN_PAGES = ['/', '/sent', '/sign-in', '/sign-out'];

/**
 * `next` if it is a page of this portal, otherwise the start page. Anybody can write a link to the callback, so the URL
 * is compared and used as browsers parse it. The result is an absolute URL, because the path `//example.com/` would
 * open another host.
 * @param {string | null} next
 */
export function placeAfter(next) {
  const start = `${origin}/home`;
  if (!next || !URL.canParse(next, origin)) return start;
  const place = new URL(next, origin);
  // Do not compare `place.origin`: it is also our origin for `blob:https://portal.example.com/x`.
  const isInside = place.href.startsWith(`${origin}/`);
  const isPage = isInside && !OWN_PAGES.includes(place.pathname) && !place.pathname.startsWith('/auth/');
  return isPage ? place.href : start;
}

/** The URL of the form. After sign-in, the person is sent to `next`. */
export function formAddress(next) {
  return next ? `${origin}/?next=${encodeURIComponent(next)}` : `${origin}/`;
}
