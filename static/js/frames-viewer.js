// The frames that were looked at, one at a time: buttons and arrow keys go through them, and a moment chosen elsewhere is shown.
// Without this file they are a strip to scroll.
(() => {
  const viewer = document.querySelector("[data-frames]");
  if (!viewer) return;
  const strip = viewer.querySelector("[data-frames-strip]");
  const figures = [...strip.querySelectorAll("[data-frame]")];
  const count = viewer.querySelector("[data-frames-count]");
  const buttons = viewer.querySelector("[data-frames-buttons]");
  let current = 0;

  const mark = (index) => {
    current = index;
    count.textContent = `${index + 1} / ${figures.length}`;
    for (const button of buttons.querySelectorAll("[data-frames-step]")) {
      const target = index + Number(button.dataset.framesStep);
      button.setAttribute("aria-disabled", String(target < 0 || target >= figures.length));
    }
  };

  const show = (index) => {
    mark(index);
    strip.scrollLeft = figures[index].offsetLeft;
  };

  const choose = (index) => {
    if (index < 0 || index >= figures.length || index === current) return;
    show(index);
    tell();
  };

  const tell = () => {
    const { frame, time } = figures[current].dataset;
    const detail = { frame: Number(frame), time: Number(time), source: "frames", byPointer: false };
    document.dispatchEvent(new CustomEvent("moment:chosen", { detail }));
  };

  buttons.addEventListener("click", (event) => {
    const button = event.target.closest("[data-frames-step]");
    if (button) choose(current + Number(button.dataset.framesStep));
  });

  strip.addEventListener("keydown", (event) => {
    const target = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: figures.length - 1 }[event.key];
    if (target === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    choose(target);
  });

  // A finger or a trackpad moves the strip itself: when it has come to rest, that frame is the chosen one.
  let resting;
  strip.addEventListener("scroll", () => {
    clearTimeout(resting);
    resting = setTimeout(() => {
      const step = figures.length > 1 ? figures[1].offsetLeft - figures[0].offsetLeft : 1;
      const index = Math.min(Math.max(Math.round(strip.scrollLeft / step), 0), figures.length - 1);
      if (index === current) return;
      mark(index);
      tell();
    }, 160);
  });

  document.addEventListener("moment:chosen", (event) => {
    if (event.detail.source === "frames") return;
    const index = figures.findIndex((figure) => Number(figure.dataset.frame) === event.detail.frame);
    if (index < 0) return;
    show(index);
    const place = viewer.getBoundingClientRect();
    const isSeen = place.bottom > 80 && place.top < window.innerHeight - 80;
    if (event.detail.byPointer && !isSeen) viewer.scrollIntoView({ block: "start" });
  });

  mark(0);
  const asked = figures.findIndex((figure) => `#${figure.id}` === window.location.hash);
  if (asked > 0) show(asked);
})();
