// The callback page must first read the session from the URL, then remove it from the URL, and only then continue. The
// server must not redirect this page: browsers would pass the fragment, which contains the tokens, on to the redirect's
// target.

const fragment = new URLSearchParams(location.hash.slice(1));
history.replaceState(null, '', location.pathname + location.search);

// Import the other modules only now, so that the tokens are removed from the URL even if the imports fail.
const { askedHere } = await import('./asked.js');
const { linkMessages } = await import('./messages.js');
const { belongsTo, emailOf, keepSession, placeAfter, readSession } = await import('./session.js');
const { addressOf } = await import('./supabase.js');

const next = new URLSearchParams(location.search).get('next');
const at = (id) => document.getElementById(id);

if (fragment.get('access_token') && fragment.get('refresh_token')) {
  await consider({
    access_token: fragment.get('access_token'),
    refresh_token: fragment.get('refresh_token'),
    expires_at: Number(fragment.get('expires_at')),
  });
} else {
  explain(fragment.get('error_code'));
}

/** Accepts the session, or asks the person first. Until the person has answered, only this page's memory holds the
 *  session. */
async function consider(session) {
  const owner = await addressOf(session.access_token);
  if (!owner.ok) return explain(owner.code);
  const current = readSession();
  const isOther = current && !belongsTo(current, owner.email);
  const isUnasked = !askedHere(owner.email);
  if (current ? isOther : isUnasked) ask(session, owner.email, isOther ? emailOf(current) : null, isUnasked);
  else accept(session);
}

function accept(session) {
  keepSession(session);
  goOn();
}

function goOn() {
  // Use replace, so that the back button does not return to this page.
  location.replace(placeAfter(next));
}

/**
 * Asks whether to sign in as `email`.
 * @param {string | null} current the address that is signed in now
 */
function ask(session, email, current, isUnasked) {
  at('question-title').textContent = current ? `Sign in as ${email} instead?` : `Sign in as ${email}?`;
  at('now').textContent = current ? `You are signed in as ${current}.` : '';
  at('unasked').hidden = !isUnasked;
  at('no').textContent = current ? `Stay signed in as ${current}` : 'Not me';
  at('yes').addEventListener('click', () => session && accept(session));
  at('no').addEventListener('click', () => {
    session = null;
    if (current) goOn();
    else location.replace(formAddress());
  });
  show('question', 'question-title');
}

function explain(code) {
  const text = code
    ? Object.hasOwn(linkMessages, code) ? linkMessages[code] : 'Please request a new one.'
    : 'This page opens when you use the link in a sign-in mail.';
  at('title').textContent = code ? 'This link did not sign you in' : 'Nothing to do here';
  at('text').textContent = text;
  at('again').href = formAddress();
  if (readSession()) {
    at('go-on').href = placeAfter(next);
    at('signed-in').hidden = false;
  }
  show('failed', 'title');
}

/** The URL of the form. After sign-in, the person is sent to the page `next`. */
function formAddress() {
  return next ? `/?next=${encodeURIComponent(next)}` : '/';
}

function show(section, heading) {
  at(section).hidden = false;
  at('busy').hidden = true;
  at(heading).focus();
}
