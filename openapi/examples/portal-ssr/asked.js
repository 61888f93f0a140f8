// Remembers in a cookie the addresses for which a mail was requested in this browser. An attacker could send a person
// the link from the attacker's own mail. The person would then work in the attacker's account without noticing (login
// CSRF). So the callback page asks the person before it accepts a session that was not requested in this browser.

import { storedForm } from '../portal/address.js';
import { isSecure } from './settings.js';

const COOKIE = `${isSecure ? '__Host-' : ''}asked`;
/** How long an address is remembered. This must be longer than a link works (LINK_LIFETIME of the worker). */
const SECONDS = 24 * 60 * 60;
const MAX_ADDRESSES = 5;

/** The addresses for which a mail was requested in this browser, newest last. */
export function askedHere(visit) {
  try {
    const addresses = JSON.parse(Buffer.from(visit.cookie(COOKIE) ?? '', 'base64url').toString());
    return Array.isArray(addresses) ? addresses.filter((address) => typeof address === 'string') : [];
  } catch {
    return [];
  }
}

export function rememberAsked(visit, typed) {
  const address = storedForm(typed);
  const others = askedHere(visit).filter((asked) => asked !== address);
  keep(visit, [...others, address].slice(-MAX_ADDRESSES));
}

/** Forgets the address after sign-in, so that people who use this browser later cannot see it. */
export function forgetAsked(visit, address) {
  keep(visit, askedHere(visit).filter((asked) => asked !== address));
}

function keep(visit, addresses) {
  if (addresses.length === 0) return visit.removeCookie(COOKIE);
  visit.setCookie(COOKIE, Buffer.from(JSON.stringify(addresses)).toString('base64url'), { maxAge: SECONDS });
}
