/* Classes and styles are chosen by their pictures: the lists of gradio's dropdowns get a thumbnail per
   entry, and the search in them stays. `varSpaces.gallery` says what there is. No list is a stop of Tab. */

(() => {
  const FIELDS = ["class", "style"];
  const place = (number, count) => (100 * number) / Math.max(count - 1, 1);

  function thumb(name, style) {
    const { classes, styles, src } = varSpaces.gallery;
    const column = classes.indexOf(name);
    const row = Math.max(styles.indexOf(style), 0);
    if (column < 0) return null;
    const made = document.createElement("i");
    made.className = "vs-thumb";
    made.style.cssText =
      `background-image:url("${src}");background-size:${100 * classes.length}% ${100 * styles.length}%;` +
      `background-position:${place(column, classes.length)}% ${place(row, styles.length)}%`;
    return made;
  }

  const chosen = (prefix, field) =>
    document.querySelector(`#${prefix}-inputs-${field} input`)?.value || "";

  function decorate(option, prefix, field) {
    const name = option.getAttribute("aria-label");
    if (option.dataset.thumb === name) return;
    option.dataset.thumb = name;
    option.querySelector(".vs-thumb")?.remove();
    const { classes, styles } = varSpaces.gallery;
    const known = chosen(prefix, "class");
    const made =
      field === "class"
        ? thumb(name, chosen(prefix, "style"))
        : styles.includes(name) && thumb(classes.includes(known) ? known : classes[0], name);
    if (!made) return; // "any", or a class that was never drawn
    option.prepend(made);
    option.closest("[role=listbox]").classList.add("vs-thumbs");
  }

  function lists() {
    for (const field of FIELDS)
      for (const box of document.querySelectorAll(`[id$="-inputs-${field}"]`))
        for (const option of box.querySelectorAll("[role=option]"))
          decorate(option, box.id.replace(/-inputs-.*/, ""), field);
  }

  new MutationObserver(() => {
    const open = document.querySelectorAll("ul[role=listbox]");
    if (open.length) lists();
    // browsers stop at what scrolls, and the list is gone by then; its field is where keys go
    for (const list of open) list.tabIndex = -1;
  }).observe(document.documentElement, { subtree: true, childList: true });
})();
