// The page works without this script. The script ignores presses in the first half second: a double click on another page could
// otherwise press the button. It also ignores a second press.
'use strict';

const INERT_MILLISECONDS = 500;
const form = document.querySelector('form');
const button = document.getElementById('sign-in');
let shownAt = performance.now();
let isSent = false;

form.addEventListener('submit', (event) => {
  if (isSent || performance.now() - shownAt < INERT_MILLISECONDS) {
    event.preventDefault();
    return;
  }
  isSent = true;
  button.setAttribute('aria-disabled', 'true');
});

// Restarts the half second when the page is shown again: from the back-forward cache, or when its tab becomes visible.
function start() {
  shownAt = performance.now();
}
addEventListener('pageshow', () => {
  start();
  isSent = false;
  button.removeAttribute('aria-disabled');
});
document.addEventListener('visibilitychange', start);
