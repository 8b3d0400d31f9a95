// A line through each person's chart at the moment that is chosen or played.
(() => {
  const charts = [...document.querySelectorAll("[data-chart]")].map((chart) => ({
    cursor: chart.querySelector("[data-cursor]"),
    duration: Number(chart.dataset.duration),
  }));

  const move = (event) => {
    for (const { cursor, duration } of charts) {
      const x = duration > 0 ? `${Math.min((100 * event.detail.time) / duration, 100).toFixed(2)}%` : "0";
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
      cursor.setAttribute("visibility", "visible");
    }
  };

  document.addEventListener("moment:chosen", move);
  document.addEventListener("moment:played", move);
})();
