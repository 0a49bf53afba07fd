/* Keys: Ctrl-Enter starts what the open tab does, Esc stops it, arrows walk along galleries, Tab closes the list
   that it leaves. */

(() => {
  const seen = (element) => element.offsetParent !== null && !element.disabled;
  const first = (end) =>
    [...document.querySelectorAll(`button[id$="-${end}"]`)].find(
      (button) => seen(button) && !button.id.startsWith("submit"),
    );

  /* Esc also closes lists, editors and dialogs; then it stops nothing. */
  const busy = (target) =>
    document.querySelector("dialog[open], [role=listbox], [aria-modal=true]") ||
    target.closest?.("form.vs-keep");

  document.addEventListener(
    "keydown",
    (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        const go = first("go");
        if (!go) return;
        event.preventDefault();
        event.stopPropagation();
        document.activeElement?.blur?.(); // what is typed counts
        go.focus();
        go.click();
      } else if (event.key === "Escape" && !busy(event.target)) first("stop")?.click();
      else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
        const list = event.target.closest?.(".vs-runs ol, .vs-chips-row, .vs-pictures, .vs-drawn");
        if (!list || event.target.matches("input, textarea")) return;
        const items = [...list.querySelectorAll("button")];
        const place = items.indexOf(event.target.closest("button"));
        const next = items[place + (event.key === "ArrowLeft" ? -1 : 1)];
        if (place < 0 || !next) return;
        event.preventDefault();
        next.focus();
      }
    },
    true,
  );

  /* Gradio's dropdown shows its list at any key, a moment later: at Tab that is after it was left, and
     nothing would close it again. */
  document.addEventListener(
    "keydown",
    (event) => {
      const leaves = event.key === "Tab" || event.key === "Shift";
      if (leaves && event.target.matches?.("input[role=combobox]")) event.stopPropagation();
    },
    true,
  );
})();
