// Remembers which addresses asked for a mail in this browser. Somebody could send a person the link of their own mail: the
// person would be signed in as somebody else and not notice it (login CSRF). So the callback page asks before it takes
// a session that nobody asked for here.

import { storedForm } from './address.js';

const KEY = 'portal-asked';
/** Longer than any link works. */
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

/** Forgets the address once it has signed in: nobody who uses this browser later has to see it. */
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
    // The browser stores nothing. Then the callback page asks.
  }
}
