// Makes each frame as high as its mail, and keeps the switches when the page is opened again. Without this script, the frames
// scroll.
'use strict';

// The mail changes its height with its width, and is shown or hidden by the switches.
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
