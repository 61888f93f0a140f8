// The pages. They work without scripts, and look like the pages of the example in ../portal.

import { html, pageOf } from './html.js';
import { formAddress, placeAfter } from './place.js';

/** The form. `fieldError` is shown next to the address. `notice` is for all other messages. */
export function formPage({ next, email = '', fieldError = '', notice = '' }) {
  return pageOf('Sign in', html`
<h1>Sign in</h1>
<p class="soft">No password needed: we send you a mail that signs you in.</p>
<form method="post" action="/sign-in" novalidate>
<label for="email">Email address</label>
<input id="email" name="email" type="email" autocomplete="email" autocapitalize="off" spellcheck="false" placeholder="name@example.com" aria-describedby="email-error" ${fieldError && html`aria-invalid="true"`} value="${email}" required autofocus>
<p class="error" id="email-error" role="alert">${fieldError}</p>
<p class="notice" id="notice" role="alert">${notice}</p>
${nextField(next)}
<button class="primary" id="submit">Send me a mail</button>
</form>`);
}

export function sentPage({ next, address }) {
  return pageOf('Check your mail', html`
<section>
<h1 id="sent">Check your mail</h1>
<p>If <strong id="address">${address}</strong> can sign in here, a mail is on its way. Its link or code works once. If you request another mail, use the newest one.</p>
<p class="soft">No mail after a minute? Check your spam folder, or <a href="${formAddress(next)}">request another mail</a>.</p>
</section>`);
}

/** The page that the link opens. The link is used up only when the button is pressed. */
export function buttonPage({ next, tokenHash, notice = '' }) {
  return pageOf('Sign in', html`
<section>
<h1>Sign in to Example Portal</h1>
<p>Press the button to use your link. It works once.</p>
<form method="post" action="/auth/callback">
<input type="hidden" name="token_hash" value="${tokenHash}">
${nextField(next)}
<p class="notice" id="notice" role="alert">${notice}</p>
<button class="primary" id="sign-in">Sign in</button>
</form>
</section>`);
}

/**
 * Asks whether to sign in as `address`.
 * @param {string | null} current the address that is signed in now
 */
export function questionPage({ next, address, current, isUnasked }) {
  return pageOf('Sign in', html`
<section id="question">
<h1 id="question-title">${current ? `Sign in as ${address} instead?` : `Sign in as ${address}?`}</h1>
${current && html`<p id="now">You are signed in as ${current}.</p>`}
${isUnasked && html`<p id="unasked">You did not request this link in this browser. That is fine if you requested it on another device. If somebody else sent you the link, do not continue.</p>`}
<form method="post" action="/auth/accept">
<input type="hidden" name="address" value="${address}">
${nextField(next)}
<div class="row">
<button class="primary" id="yes">Continue</button>
<button class="second" id="no" formaction="/auth/decline">${current ? `Stay signed in as ${current}` : 'Not me'}</button>
</div>
</form>
</section>`);
}

export function failedPage({ next, title = 'This link did not sign you in', text }) {
  return pageOf(title, html`
<section>
<h1 id="title">${title}</h1>
<p id="text">${text}</p>
<p><a class="primary" id="again" href="${formAddress(next)}">Request a new link</a></p>
</section>`);
}

export function memberPage({ address, place }) {
  const corner = html`<form method="post" action="/sign-out"><button class="plain" id="sign-out">Sign out</button></form>`;
  return pageOf('Welcome', html`
<p class="badge">Signed in</p>
<h1>Welcome</h1>
<dl id="page">
<dt>You are</dt><dd id="who">${address}</dd>
<dt>This page is</dt><dd><code id="where">${place}</code></dd>
</dl>
<p class="soft">Any page of the portal could be here. Open <a href="${placeAfter('/projects/42?tab=files')}">another one</a>, sign out there, and your next sign-in link will take you back to it.</p>`, corner);
}

/** A page that reports a problem other than a failed sign-in link. */
export function problemPage({ title, text }) {
  return pageOf(title, html`<section><h1 id="title">${title}</h1><p id="text">${text}</p><p><a href="/">Start page</a></p></section>`);
}

function nextField(next) {
  return next && html`<input type="hidden" name="next" value="${next}">`;
}
