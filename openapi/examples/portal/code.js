// The field for the code, on the page "Check your mail".

import { mailsShowCode } from './config.js';
import { codeMessages } from './messages.js';
import { signInWithCode } from './supabase.js';

const at = (id) => document.getElementById(id);
const field = at('code');
const button = at('code-submit');

/**
 * Shows the field if mails show a code.
 * @param {() => string} address the address that the mail was requested for
 * @param {(session: object) => void} signedIn what to do with the session
 */
export function offerCode(address, signedIn) {
  at('code-form').hidden = !mailsShowCode;
  at('code-form').addEventListener('submit', (event) => {
    event.preventDefault();
    if (!button.disabled) signIn(address(), signedIn);
  });
  field.addEventListener('input', () => complain(''));
}

/** Clears the field, so that the person can enter the code from the next mail. */
export function clearCode() {
  field.value = '';
  complain('');
}

/**
 * Returns the digits of a typed or pasted code. Removes spaces, dashes and invisible characters, and converts
 * full-width digits from East Asian keyboards to ASCII. Returns null if the result is not a code. Supabase's codes have
 * 6 to 10 digits.
 */
export function digitsOf(typed) {
  const fromFullWidth = (digit) => String.fromCharCode(digit.charCodeAt(0) - 0xff10 + 0x30);
  const digits = typed.replace(/[\s\p{Pd}\p{Cf}]/gu, '').replace(/[\uff10-\uff19]/g, fromFullWidth);
  return /^\d{6,10}$/.test(digits) ? digits : null;
}

async function signIn(email, signedIn) {
  const digits = digitsOf(field.value);
  if (!digits) return complain(codeMessages.no_code);
  complain('');
  button.disabled = true;
  button.textContent = 'Signing in…';
  const answer = await signInWithCode(email, digits);
  button.disabled = false;
  button.textContent = 'Sign in';
  if (answer.ok) return signedIn(answer.session);
  complain(codeMessages[answer.code] ?? codeMessages.unknown);
}

function complain(text) {
  at('code-error').textContent = text;
  if (!text) return field.removeAttribute('aria-invalid');
  field.setAttribute('aria-invalid', 'true');
  field.focus();
}
