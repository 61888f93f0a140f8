// The page works without this script. The script ignores presses in the first half second, so that nobody presses the button
// who clicks twice on another page, and it ignores a second press.
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

// The page can be shown again: from the back-forward cache, or when its window comes to the front.
function start() {
  shownAt = performance.now();
}
addEventListener('pageshow', () => {
  start();
  isSent = false;
  button.removeAttribute('aria-disabled');
});
document.addEventListener('visibilitychange', start);
