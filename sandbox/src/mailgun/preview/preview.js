// Makes each frame as tall as its mail, and preserves the state of the switches when the page is reloaded. Without this
// script, the frames scroll.
'use strict';

// Adjusts a frame whenever the height of its mail changes: when the page becomes wider or narrower, or when a switch
// shows or hides the mail.
function fit(frame) {
  const mail = frame.contentDocument?.documentElement;
  if (!mail || frame.contentDocument.URL === 'about:blank') return;
  for (const link of frame.contentDocument.links) {
    link.target = '_blank';
    link.rel = 'noopener noreferrer';
  }
  new ResizeObserver(() => {
    // 2 px for the frame's border.
    if (mail.offsetHeight > 0) frame.style.height = `${mail.offsetHeight + 2}px`;
  }).observe(mail);
}

for (const frame of document.querySelectorAll('iframe')) {
  frame.addEventListener('load', () => fit(frame));
  if (frame.contentDocument?.readyState === 'complete') fit(frame);
}

for (const choice of document.querySelectorAll('.bar input')) {
  if (sessionStorage.getItem(choice.name) === choice.id) choice.checked = true;
  choice.addEventListener('change', () => sessionStorage.setItem(choice.name, choice.id));
}
