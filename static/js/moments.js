// Links to a moment of the video (a[data-frame]) and arrow keys inside a group of them ([data-roving]): tells the rest of the
// page with a "moment:chosen" event. Without this file the links jump to the frame's picture.
(() => {
  const choose = (link, byPointer) => {
    const detail = { frame: Number(link.dataset.frame), time: Number(link.dataset.time), source: "link", byPointer };
    document.dispatchEvent(new CustomEvent("moment:chosen", { detail }));
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-frame]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    choose(link, true);
  });

  const steps = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, Home: -Infinity, End: Infinity };

  for (const group of document.querySelectorAll("[data-roving]")) {
    const links = [...group.querySelectorAll("a[data-frame]")];
    const enter = (chosen) => links.forEach((link) => link.setAttribute("tabindex", link === chosen ? "0" : "-1"));
    if (links.length) enter(links[0]);

    group.addEventListener("keydown", (event) => {
      const at = links.indexOf(event.target.closest("a[data-frame]"));
      if (at < 0 || !(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const next = links[Math.min(Math.max(at + steps[event.key], 0), links.length - 1)];
      enter(next);
      next.focus();
      choose(next, false);
    });

    document.addEventListener("moment:chosen", (event) => {
      const chosen = links.find((link) => Number(link.dataset.frame) === event.detail.frame);
      for (const link of links) {
        if (link === chosen) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
      if (!chosen) return;
      if (!group.contains(document.activeElement)) enter(chosen);
      if (group.scrollWidth > group.clientWidth) {
        const item = chosen.parentElement;
        group.scrollLeft = item.offsetLeft - (group.clientWidth - item.offsetWidth) / 2;
      }
    });
  }
})();
