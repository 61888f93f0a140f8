// The form, the request for a mail, and the page shown after the request.

import { messages } from '../portal/messages.js';
import { sendMagicLink } from './api.js';
import { askedHere, rememberAsked } from './asked.js';
import { formPage, sentPage } from './pages.js';
import { formAddress, placeAfter } from './place.js';
import { origin } from './settings.js';
import { endSession, signedInAs } from './supabase.js';

export async function showForm(visit) {
  const next = visit.url.searchParams.get('next');
  if (await signedInAs(visit)) return visit.goTo(placeAfter(next));
  visit.page(200, formPage({ next }));
}

export async function requestMail(visit) {
  const form = await visit.form();
  const [email, next] = [form.get('email') ?? '', form.get('next')];
  const answer = await sendMagicLink(email, next, visit);
  if (answer.ok) {
    rememberAsked(visit, email);
    // The next page has its own URL, so that reloading it does not send the form again.
    return visit.goTo(`${origin}/sent?next=${encodeURIComponent(next ?? '')}`);
  }
  const fieldError = answer.fieldErrors?.email;
  const notice = fieldError ? '' : `${textOf(answer.code)} ${waitOf(answer.retryAfter)}`.trim();
  const headers = answer.retryAfter ? { 'Retry-After': String(answer.retryAfter) } : {};
  visit.page(answer.status, formPage({ next, email, fieldError, notice }), headers);
}

export function showSent(visit) {
  const next = visit.url.searchParams.get('next');
  const address = askedHere(visit).at(-1);
  if (!address) return visit.goTo(formAddress(next));
  visit.page(200, sentPage({ next, address }));
}

export async function signOut(visit) {
  await endSession(visit);
  visit.goTo(formAddress(null));
}

function textOf(code) {
  return Object.hasOwn(messages, code) ? messages[code] : messages.internal_error;
}

function waitOf(seconds) {
  if (!seconds) return '';
  return seconds < 120 ? `Please wait ${seconds} seconds.` : `Please wait ${Math.ceil(seconds / 60)} minutes.`;
}
