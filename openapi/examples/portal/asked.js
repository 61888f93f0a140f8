// Remembers the addresses for which a mail was requested in this browser. An attacker could send a person the link from
// the attacker's own mail. The person would then work in the attacker's account without noticing (login CSRF). So the
// callback page asks the person before it accepts a session that was not requested in this browser.

import { storedForm } from './address.js';

const KEY = 'portal-asked';
/** How long an address is remembered. This must be longer than a link works (LINK_LIFETIME of the worker). */
const HOURS = 24;
const MAX_ADDRESSES = 20;

export function rememberAsked(address) {
  const email = storedForm(address);
  const others = stillAsked().filter((asked) => asked.email !== email);
  keep([...others, { email, until: Date.now() + HOURS * 3_600_000 }].slice(-MAX_ADDRESSES));
}

export function askedHere(address) {
  return stillAsked().some((asked) => asked.email === storedForm(address));
}

/** Forgets the address after sign-in, so that people who use this browser later cannot see it. */
export function forgetAsked(address) {
  keep(stillAsked().filter((asked) => asked.email !== storedForm(address)));
}

function stillAsked() {
  try {
    const all = JSON.parse(localStorage.getItem(KEY)) ?? [];
    return all.filter((asked) => asked.until > Date.now());
  } catch {
    return [];
  }
}

function keep(all) {
  try {
    if (all.length) localStorage.setItem(KEY, JSON.stringify(all));
    else localStorage.removeItem(KEY);
  } catch {
    // The browser does not allow storage, so the callback page will ask before it signs the person in.
  }
}
