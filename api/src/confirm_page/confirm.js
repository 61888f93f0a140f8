// The page works without this script. The script ignores a press of the button in the first half second, because such a
// press might be the second click of a double click on another page. The script also ignores a second press.
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

// Restarts the half-second delay when the page is shown again, from the back-forward cache or because its tab becomes
// visible.
function start() {
  shownAt = performance.now();
}
addEventListener('pageshow', () => {
  start();
  isSent = false;
  button.removeAttribute('aria-disabled');
});
document.addEventListener('visibilitychange', start);
