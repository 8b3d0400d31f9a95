// The number of frames: a slider beside the number, what the choice means, and how long it will take at the present pace.
(() => {
  for (const field of document.querySelectorAll("[data-frames-field]")) {
    const number = field.querySelector('input[type="number"]');
    const range = field.querySelector("[data-frames-range]");
    const pace = field.querySelector("[data-frames-pace]");
    const perFrame = Number(field.dataset.secondsPerFrame);
    const guide = [...field.querySelectorAll("[data-from]")];

    const say = () => {
      const frames = Number(number.value);
      for (const item of guide) {
        const isMeant = frames >= Number(item.dataset.from) && frames <= Number(item.dataset.to);
        if (isMeant) item.setAttribute("aria-current", "true");
        else item.removeAttribute("aria-current");
      }
      const isInRange = frames >= Number(number.min) && frames <= Number(number.max);
      pace.hidden = !perFrame || !isInRange;
      if (pace.hidden) return;
      const seconds = Math.max(Math.round(frames * perFrame), 1);
      const [words, amount] =
        seconds === 1 ? [pace.dataset.second, 1]
          : seconds < 100 ? [pace.dataset.seconds, seconds]
            : [pace.dataset.minutes, Math.round(seconds / 60)];
      pace.textContent = words.replace("#", amount);
    };

    number.addEventListener("input", () => {
      range.value = number.value;
      say();
    });
    range.addEventListener("input", () => {
      number.value = range.value;
      say();
    });
    range.hidden = false;
    range.value = number.value;
    say();
  }
})();
