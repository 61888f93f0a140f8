// A button that is disabled for a number of seconds and shows the remaining time.

/**
 * Disables the button and counts down on it. It uses the clock, because timers are slow in background tabs. The button
 * shows `waitingWord in 0:30`, and `word` after that.
 * @returns {() => void} stops the countdown
 */
export function countDown(button, seconds, word, waitingWord) {
  const end = performance.now() + seconds * 1000;
  const stop = () => {
    clearInterval(timer);
    button.disabled = false;
    button.textContent = word;
  };
  const tick = () => {
    const left = Math.ceil((end - performance.now()) / 1000);
    if (left <= 0) return stop();
    button.textContent = `${waitingWord} in ${clock(left)}`;
  };
  const timer = setInterval(tick, 250);
  button.disabled = true;
  tick();
  return stop;
}

/** Formats a number of seconds, such as 0:07, 14:59 or 2:00:00. */
function clock(seconds) {
  const two = (number) => String(number).padStart(2, '0');
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(seconds % 60)}`;
}
