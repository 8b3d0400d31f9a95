// The history's ticks: all at once, and a delete button that counts them. Without this file every tick is set by hand.
(() => {
  const form = document.querySelector("[data-selection]");
  if (!form) return;
  const boxes = [...form.querySelectorAll('input[name="analyses"]')];
  const label = form.querySelector("[data-select-all]");
  const all = label.querySelector("input");
  const submit = form.querySelector("[data-selection-submit]");
  const words = submit.textContent.trim();

  const count = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    all.checked = ticked === boxes.length;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
    submit.disabled = ticked === 0;
    submit.textContent = ticked ? `${words} (${ticked})` : words;
  };

  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    count();
  });
  form.addEventListener("change", count);
  window.addEventListener("pageshow", count); // the browser keeps ticks when one comes back
  count();
})();
