// The sign-in form, and the page that follows: "Check your mail", with a field for the code and a button that requests
// another mail.

import { storedForm } from './address.js';
import { sendMagicLink } from './api.js';
import { rememberAsked } from './asked.js';
import { clearCode, offerCode } from './code.js';
import { resendAfter } from './config.js';
import { countDown } from './count-down.js';
import { messages } from './messages.js';
import { belongsTo, keepSession, placeAfter, readSession } from './session.js';

const next = new URLSearchParams(location.search).get('next');
const at = (id) => document.getElementById(id);
const form = at('form');
const email = at('email');

/** The address that the newest mail was requested for, on this page. */
let asked = null;

/** Stops the current countdown, so that a new one can start. */
let stopWaiting = () => {};

function wait(button, seconds, word, waitingWord) {
  stopWaiting();
  stopWaiting = countDown(button, seconds, word, waitingWord);
}

function show(section, heading) {
  for (const other of ['ask', 'sent']) at(other).hidden = other !== section;
  at(heading).focus();
}

/** Shows the error: next to the field if the error is about the address, and otherwise in `notice`. */
function complain(answer, notice) {
  const atField = answer.fieldErrors?.email;
  at('email-error').textContent = atField ?? '';
  if (atField) email.setAttribute('aria-invalid', 'true');
  notice.textContent = atField ? '' : (messages[answer.code] ?? messages.internal_error);
  if (atField) email.focus();
}

function clear() {
  at('email-error').textContent = '';
  at('notice').textContent = '';
  at('sent-notice').textContent = '';
  email.removeAttribute('aria-invalid');
}

/** Sends a request from one of the two buttons. The button is disabled until the response arrives, so that a double
 *  click sends only one request. */
async function send(button, word, notice) {
  if (button.disabled) return;
  clear();
  button.disabled = true;
  button.textContent = 'Sending…';
  const address = email.value;
  const answer = await sendMagicLink(address, next);
  button.disabled = false;
  button.textContent = word;
  if (answer.ok) {
    asked = storedForm(address);
    rememberAsked(asked);
    clearCode();
    at('address').textContent = address.trim();
    at('sent-again').textContent = notice === at('sent-notice') ? 'A new mail is on its way. Use the newest one.' : '';
    show('sent', 'sent-title');
    wait(at('resend'), resendAfter, 'Send again', 'Send again');
    return;
  }
  at('sent-again').textContent = '';
  if (answer.fieldErrors?.email) show('ask', 'ask-title');
  complain(answer, notice);
  if (answer.retryAfter) wait(button, answer.retryAfter, word, 'Try again');
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  send(at('submit'), 'Send me a mail', at('notice'));
});

at('resend').addEventListener('click', () => send(at('resend'), 'Send again', at('sent-notice')));

at('other').addEventListener('click', () => {
  stopWaiting();
  clear();
  show('ask', 'ask-title');
  email.focus();
});

// The countdown applies to one address. As soon as the person types another address, they can send the form again.
email.addEventListener('input', () => {
  stopWaiting();
  clear();
});

offerCode(
  () => asked,
  (session) => {
    keepSession(session);
    goOn();
  },
);

// The link opens in a new tab. Once the person is signed in there, this tab continues as well, unless it requested a
// mail for another address. Browsers do not always notify background tabs, so this tab also checks when the person
// returns to it.
function goOnIfSignedIn() {
  const session = readSession();
  if (session && (asked === null || belongsTo(session, asked))) goOn();
}

function goOn() {
  location.replace(placeAfter(next));
}

for (const event of ['storage', 'focus', 'pageshow']) addEventListener(event, goOnIfSignedIn);
document.addEventListener('visibilitychange', goOnIfSignedIn);
goOnIfSignedIn();
