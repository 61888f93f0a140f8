// A page for people who are signed in. Other people are sent to the form, and return to this page after signing in.

import { emailOf, forgetSession, readSession } from './session.js';

const session = readSession();
if (session) {
  document.getElementById('who').textContent = emailOf(session);
  document.getElementById('where').textContent = location.pathname + location.search;
  document.getElementById('page').hidden = false;
} else {
  leaveForForm();
}

/** Opens the form, which sends the person back to this page after sign-in. */
function leaveForForm() {
  location.replace(`/?next=${encodeURIComponent(location.pathname + location.search)}`);
}

document.getElementById('sign-out').addEventListener('click', () => {
  forgetSession();
  leaveForForm();
});
