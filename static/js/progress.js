// Beside htmx on the page of an unfinished analysis: says a new stage aloud once, shows the share in the title, tells when the
// server is silent, and reloads when it answers with another page (a log-in, or none).
(() => {
  const status = document.querySelector("[data-progress-announcement]");
  const lost = document.querySelector("[data-progress-lost]");
  const title = document.title;

  const tell = () => {
    const part = document.getElementById("progress");
    if (!part) return;
    const { announcement, percent } = part.dataset;
    if (status.textContent !== announcement) status.textContent = announcement;
    document.title = `${percent} % · ${title}`;
  };

  document.body.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, pathInfo } = event.detail;
    if (xhr.responseURL && new URL(xhr.responseURL).pathname !== pathInfo.requestPath) {
      event.detail.shouldSwap = false;
      window.location.reload();
    }
  });
  document.body.addEventListener("htmx:afterSwap", () => {
    lost.hidden = true;
    tell();
  });
  document.body.addEventListener("htmx:sendError", () => {
    lost.hidden = false;
  });
  document.body.addEventListener("htmx:responseError", (event) => {
    if (event.detail.xhr.status === 404) window.location.reload();
    else lost.hidden = false;
  });
  tell();
})();
