// The callback page must do this, in this order: read the session from the URL, remove it from the URL, then continue.
// The server must answer this page with 200: on a 3xx, browsers send the fragment, with the tokens, to the redirect's
// target.

const fragment = new URLSearchParams(location.hash.slice(1));
history.replaceState(null, '', location.pathname + location.search);

// These are imported only now, so that the tokens are removed from the URL even if the imports fail.
const { keepSession, placeAfter, readSession } = await import('./session.js');
const { linkMessages } = await import('./messages.js');

const next = new URLSearchParams(location.search).get('next');

if (fragment.get('access_token') && fragment.get('refresh_token')) {
  keepSession({
    access_token: fragment.get('access_token'),
    refresh_token: fragment.get('refresh_token'),
    expires_at: Number(fragment.get('expires_at')),
  });
  // Use replace, so that the back button does not lead here again.
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
