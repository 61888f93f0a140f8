// The page that the link opens, for LINK_STYLE=token_hash. Mail scanners also open this page, and some of them run
// scripts. So opening the page only shows a button, and the POST that the button sends uses up the link.

import { codeMessages, linkMessages } from '../portal/messages.js';
import { askedHere, forgetAsked } from './asked.js';
import { buttonPage, failedPage, questionPage } from './pages.js';
import { formAddress, placeAfter } from './place.js';
import { PENDING, codeOf, endSession, forgetSession, signedInAs, supabaseFor } from './supabase.js';

/** The number of seconds that the person has to answer the question. */
const PENDING_SECONDS = 600;

export function showButton(visit) {
  const query = visit.url.searchParams;
  const [tokenHash, next] = [query.get('token_hash'), query.get('next')];
  if (!isHash(tokenHash) || query.get('type') !== 'email') return refuseMalformed(visit, next);
  visit.page(200, buttonPage({ next, tokenHash }));
}

export async function useLink(visit) {
  const form = await visit.form();
  const [tokenHash, next] = [form.get('token_hash'), form.get('next')];
  if (!isHash(tokenHash)) return refuseMalformed(visit, next);
  // Ask Supabase who is signed in before using the link: if Supabase does not answer, the link is not used up.
  const current = await signedInAs(visit);
  const pending = supabaseFor(visit, PENDING, PENDING_SECONDS);
  const { data, error } = await pending.auth.verifyOtp({ token_hash: tokenHash, type: 'email' });
  if (error) return explain(visit, codeOf(error), { next, tokenHash });
  const address = data.user.email;
  const isUnasked = !askedHere(visit).includes(address);
  if (current ? current === address : !isUnasked) return accept(visit, data.session, next);
  visit.page(200, questionPage({ next, address, current, isUnasked }));
}

export async function acceptPending(visit) {
  const form = await visit.form();
  const next = form.get('next');
  // Another link might have been opened since the question was shown. The answer is valid only for the address that the
  // question showed.
  const address = await signedInAs(visit, PENDING);
  const isNamed = address !== null && address === form.get('address');
  const { data } = await supabaseFor(visit, PENDING).auth.getSession();
  if (!isNamed || !data.session) {
    return visit.page(403, failedPage({ next, text: 'Your answer came too late. Please request a new link.' }));
  }
  await accept(visit, data.session, next);
}

export async function declinePending(visit) {
  const next = (await visit.form()).get('next');
  await endSession(visit, PENDING);
  visit.goTo((await signedInAs(visit)) ? placeAfter(next) : formAddress(next));
}

/** Signs the person in with this session. The client asks Supabase to whom the session belongs, so a forged cookie has
 *  no effect. */
async function accept(visit, { access_token, refresh_token }, next) {
  const { data, error } = await supabaseFor(visit).auth.setSession({ access_token, refresh_token });
  forgetSession(visit, PENDING);
  if (error) return visit.page(403, failedPage({ next, text: messageOf(codeOf(error)) }));
  forgetAsked(visit, data.user.email);
  visit.goTo(placeAfter(next));
}

/** Explains an error. Shows the button again if the link might still work. */
function explain(visit, code, link) {
  const status = { over_request_rate_limit: 429, unreachable: 503 }[code];
  if (status) return visit.page(status, buttonPage({ ...link, notice: codeMessages[code] }));
  visit.page(403, failedPage({ next: link.next, text: messageOf(code) }));
}

function messageOf(code) {
  if (Object.hasOwn(linkMessages, code)) return linkMessages[code];
  // This is not the visitor's fault. For example, the key might be wrong.
  console.error(`Supabase refused a link: ${code}`);
  return 'Please request a new one.';
}

function refuseMalformed(visit, next) {
  const text = 'Some mail programs cut off long links. Copy the whole link from the mail, or request a new one.';
  visit.page(400, failedPage({ next, title: 'This link is incomplete', text }));
}

/** Whether the text looks like one of Supabase's hashes: SHA-224, in hex. Other text is not sent to Supabase. */
function isHash(text) {
  return /^[0-9a-f]{56}$/.test(text ?? '');
}
