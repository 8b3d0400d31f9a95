// Sending a video with its progress, and dropping one onto the form. Without this file the form is sent as any other.
(() => {
  const form = document.querySelector("form[data-upload]");
  if (!form) return;
  const find = (name) => form.querySelector(`[data-${name}]`);
  const input = form.querySelector('input[type="file"]');
  const zone = find("dropzone");
  const chosen = find("chosen");
  const [panel, bar, share, caption] = ["upload-progress", "upload-bar", "upload-share", "upload-words"].map(find);
  const [submit, stop, status] = ["upload-submit", "upload-stop", "upload-status"].map(find);
  const words = status.dataset;
  let sending = null;

  const sizeOf = (bytes) => {
    const [unit, divisor] = bytes < 1024 ** 2 ? ["kilobyte", 1024] : bytes < 1024 ** 3 ? ["megabyte", 1024 ** 2] : ["gigabyte", 1024 ** 3];
    const format = { style: "unit", unit, maximumFractionDigits: 1 };
    return new Intl.NumberFormat(document.documentElement.lang, format).format(bytes / divisor);
  };

  const showErrors = (name, sentences) => {
    const field = form.querySelector(`[data-field="${name}"]`);
    const control = field.querySelector(`[name="${name}"]`);
    field.querySelector(".errorlist")?.remove();
    field.classList.toggle("field--invalid", sentences.length > 0);
    control.setAttribute("aria-invalid", String(sentences.length > 0));
    if (control.getAttribute("aria-describedby") === `${control.id}_error`) control.removeAttribute("aria-describedby");
    if (!sentences.length) return;
    const list = document.createElement("ul");
    list.className = "errorlist";
    list.id = `${control.id}_error`;
    for (const sentence of sentences) {
      const item = document.createElement("li");
      item.textContent = sentence;
      list.append(item);
    }
    field.querySelector("label").after(list);
    control.setAttribute("aria-describedby", list.id);
    control.focus();
    status.textContent = sentences.join(" ");
  };

  const refuse = (errors) => {
    for (const name of ["frames", "video"]) showErrors(name, errors[name] ?? []);
  };

  const showChosen = () => {
    const file = input.files[0];
    chosen.hidden = !file;
    if (!file) return;
    chosen.textContent = `${file.name} · ${sizeOf(file.size)}`;
    showErrors("video", file.size > Number(words.maxBytes) ? [words.large] : []);
  };

  const end = () => {
    sending = null;
    panel.hidden = true;
    stop.hidden = true;
    submit.disabled = false;
  };

  const answered = (request) => {
    let reply = {};
    try {
      reply = JSON.parse(request.responseText);
    } catch {
      if (request.status === 200) return window.location.assign(request.responseURL); // a log-in page
    }
    if (request.status === 201) return window.location.assign(reply.location);
    end();
    if (reply.errors) return refuse(reply.errors);
    return refuse({ video: [request.status === 413 ? words.large : words.refused] });
  };

  const send = () => {
    const request = new XMLHttpRequest();
    sending = request;
    refuse({});
    panel.hidden = false;
    stop.hidden = false;
    submit.disabled = true;
    bar.value = 0;
    share.textContent = "";
    status.textContent = caption.textContent = words.sending;
    request.upload.addEventListener("progress", (event) => {
      if (!event.lengthComputable) return;
      bar.value = (100 * event.loaded) / event.total;
      share.textContent = `${Math.floor(bar.value)} %`;
    });
    request.upload.addEventListener("load", () => {
      bar.removeAttribute("value");
      share.textContent = "";
      status.textContent = caption.textContent = words.checking;
    });
    request.addEventListener("load", () => {
      sending = null; // leaving the page is meant now
      answered(request);
    });
    request.addEventListener("error", () => {
      end();
      refuse({ video: [words.lost] });
    });
    request.addEventListener("abort", () => {
      end();
      status.textContent = words.stopped;
      submit.focus();
    });
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.send(new FormData(form));
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (sending) return;
    const file = input.files[0];
    if (!file) refuse({ video: [words.none] });
    else if (file.size > Number(words.maxBytes)) refuse({ video: [words.large] });
    else send();
  });
  stop.addEventListener("click", () => sending?.abort());
  input.addEventListener("change", showChosen);
  window.addEventListener("beforeunload", (event) => {
    if (sending) event.preventDefault();
  });

  // A file dropped beside the zone would replace the page, so the whole window takes it.
  window.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("dropzone--over");
  });
  window.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) zone.classList.remove("dropzone--over");
  });
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("dropzone--over");
    if (sending || !event.dataTransfer.files.length) return;
    const one = new DataTransfer();
    one.items.add(event.dataTransfer.files[0]);
    input.files = one.files;
    showChosen();
  });
  find("drop-words").hidden = false;
  zone.classList.add("dropzone--enhanced");
  showChosen();
})();
