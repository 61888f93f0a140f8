// The callback page's duty, in this order: take the session out of the address, clean the address, only then go on.
// The server must answer this page with 200: browsers carry a fragment along on a 3xx, tokens and all, to wherever it
// leads.

const fragment = new URLSearchParams(location.hash.slice(1));
history.replaceState(null, '', location.pathname + location.search);

// Not imported at the top: the address is clean even if these do not load.
const { keepSession, placeAfter, readSession } = await import('./session.js');
const { linkMessages } = await import('./messages.js');

const next = new URLSearchParams(location.search).get('next');

if (fragment.get('access_token') && fragment.get('refresh_token')) {
  keepSession({
    access_token: fragment.get('access_token'),
    refresh_token: fragment.get('refresh_token'),
    expires_at: Number(fragment.get('expires_at')),
  });
  // replace: going back must not lead here again.
  location.replace(placeAfter(next));
} else {
  explain(fragment.get('error_code'));
}

function explain(code) {
  const text = code
    ? (linkMessages[code] ?? 'Please request a new one.')
    : 'The link in a sign-in mail leads to this page.';
  document.getElementById('title').textContent = code ? 'This link did not sign you in' : 'Nothing to do here';
  document.getElementById('text').textContent = text;
  const again = document.getElementById('again');
  if (next) again.href = `/?next=${encodeURIComponent(next)}`;
  if (readSession()) {
    document.getElementById('go-on').href = placeAfter(next);
    document.getElementById('signed-in').hidden = false;
  }
  document.getElementById('failed').hidden = false;
  document.getElementById('busy').hidden = true;
  document.getElementById('title').focus();
}
