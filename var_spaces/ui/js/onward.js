/* What follows from a picture: it is enlarged, sent to another tab, kept as a preset. Works for every
   picture on the page, by what the elements say:

   .vs-open around a picture            enlarges it
   [data-send=TAB]                      opens a tab with the picture (or its run, to compare: the server
                                        knows what the run was drawn from)
   [data-keep=ID]                       keeps the settings of a run under a name
   [data-run] around them               the run spec */

(() => {
  const MOST = 3_000_000; // letters of a picture that is sent; larger ones are made smaller
  const SIDES = "[id$=-stage], .vs-columns, .vs-duel, .vs-drawn, table";
  let number = 0;
  let box = null; // the dialog
  let shown = [];
  let at = 0;

  const pending = {}; // what a tab begins with, until it is opened
  const opener = (tab) => document.getElementById(`tab-${tab}-button`);

  /* PNG of a picture, at most MOST letters long. */
  function data(picture) {
    if (picture.src.startsWith("data:image/png") && picture.src.length <= MOST) return picture.src;
    const canvas = document.createElement("canvas");
    const share = Math.min(1, 1024 / Math.max(picture.naturalWidth, picture.naturalHeight));
    canvas.width = Math.round(picture.naturalWidth * share);
    canvas.height = Math.round(picture.naturalHeight * share);
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    const png = canvas.toDataURL("image/png");
    return png.length <= MOST ? png : canvas.toDataURL("image/jpeg", 0.95);
  }

  const field = (tab, part) => document.querySelector(`#${tab}-${part} textarea, #${tab}-${part} input`);

  function type(place, text) {
    Object.getOwnPropertyDescriptor(Object.getPrototypeOf(place), "value").set.call(place, text);
    place.dispatchEvent(new Event("input", { bubbles: true }));
  }

  /* Where a tab takes its first picture, as soon as it does; a picture that is in its way goes. What
     is taught takes files (`TAB-files`). */
  function taking(tab) {
    for (const block of document.querySelectorAll(`[id^="${tab}-inputs-"], #${tab}-files`)) {
      if (block.offsetParent === null) continue;
      const input = block.querySelector("input[type=file]");
      const editor = block.querySelector(".pixi-target");
      const clear = [...block.querySelectorAll(".icon-button-wrapper button")].at(-1); // its name is in any language
      if (!input && !editor) clear?.click();
      else if (input && varSpaces.takes(block)) return input;
    }
    return null;
  }

  /* What a tab says that has no model to begin with. */
  const lacking = (tab) =>
    document.querySelector(`#${tab}-go, #${tab}-train`) ? null : document.getElementById(`${tab}-missing`);

  function file(uri) {
    const kind = uri.slice(5, uri.indexOf(";"));
    const bytes = Uint8Array.from(atob(uri.slice(uri.indexOf(",") + 1)), (letter) => letter.charCodeAt(0));
    return new File([bytes], `picture.${kind.split("/")[1]}`, { type: kind });
  }

  const isOpen = (tab) => opener(tab).getAttribute("aria-selected") === "true";

  /* Opens a tab that gets a picture, or a run if it is the tab that compares. */
  async function send(tab, picture, run) {
    const png = tab === "compare" ? "" : data(picture);
    box?.close();
    const begin = JSON.stringify({ runs: run ? [JSON.parse(run)] : [], number: `b${++number}` });
    if (tab === "compare" && !isOpen(tab)) pending[tab] = begin;
    if (!isOpen(tab)) opener(tab).click();
    else if (tab === "compare") type(field(tab, "wanted"), begin);
    document.getElementById("tabs")?.scrollIntoView({ block: "start" });
    if (!png) return;
    const place = await varSpaces.there(() => taking(tab) || lacking(tab));
    if (place.matches("input")) varSpaces.handIn(place, [file(png)]);
  }

  /* Buttons to tabs that are not there go. */
  function fitting(holder, run) {
    for (const button of holder.querySelectorAll("[data-send]"))
      button.hidden = !opener(button.dataset.send) || (button.dataset.send === "compare" && !run);
  }

  function make() {
    box = document.createElement("dialog");
    box.className = "vs-look";
    box.setAttribute("aria-label", "Picture");
    box.innerHTML =
      '<figure><img alt=""><figcaption></figcaption></figure><div class="vs-next"></div>' +
      '<form method="dialog"><button type="button" data-by="-1" aria-label="Previous picture">←</button>' +
      '<button type="button" data-by="1" aria-label="Next picture">→</button><button>Close</button></form>';
    box.addEventListener("click", (event) => {
      if (event.target === box) box.close();
      const by = event.target.closest("[data-by]");
      if (by) look(at + Number(by.dataset.by));
    });
    box.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (by) look(at + by);
    });
    document.querySelector(".gradio-container").append(box);
  }

  function look(next) {
    at = (next + shown.length) % shown.length;
    const picture = shown[at];
    const large = box.querySelector("img");
    large.src = picture.src;
    large.alt = picture.alt;
    large.className = picture.naturalWidth < 400 ? "vs-crisp" : "";
    box.querySelector("figcaption").textContent = picture.alt;
    const next_ = box.querySelector(".vs-next");
    const stage = picture.closest("[id$=-stage]");
    next_.innerHTML = varSpaces.sends;
    next_.dataset.run = picture.dataset.run || stage?.querySelector(".vs-next")?.dataset.run || "";
    fitting(next_, next_.dataset.run);
    box.querySelectorAll("[data-by]").forEach((button) => (button.hidden = shown.length < 2));
  }

  function enlarge(picture) {
    if (!box) make();
    const around = picture.closest(SIDES) || picture.parentElement;
    shown = [...around.querySelectorAll(".vs-picture, .vs-frame img:not(.vs-tile)")];
    if (!shown.includes(picture)) shown = [picture];
    look(shown.indexOf(picture));
    box.showModal();
  }

  /* A name is asked for in the place of the button. */
  function keep(button) {
    const form = document.createElement("form");
    form.className = "vs-keep";
    form.innerHTML =
      '<input type="text" maxlength="60" required aria-label="Name of the preset" placeholder="Name">' +
      '<button>Save</button>';
    const run = button.dataset.keep;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const done = varSpaces.keep(run, form.querySelector("input").value.trim());
      form.replaceWith(button);
      varSpaces.say(button, done ? "Kept in My runs" : "Too long to keep: use the PNG");
      button.focus();
    });
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      form.replaceWith(button);
      button.focus();
    });
    button.replaceWith(form);
    form.querySelector("input").focus();
  }

  function again(button) {
    const picture = button.closest("[id$=-stage]")?.querySelector(".vs-grows");
    if (!picture) return;
    picture.classList.remove("vs-grows");
    void picture.offsetWidth; // else the browser would not begin anew
    picture.classList.add("vs-grows");
  }

  document.addEventListener("click", (event) => {
    const open = event.target.closest(".vs-open, .vs-frame img:not(.vs-tile)");
    if (open) return enlarge(open.matches("img") ? open : open.querySelector("img"));
    const button = event.target.closest("[data-send], [data-keep], [data-replay]");
    if (!button) return;
    if ("replay" in button.dataset) return again(button);
    if ("keep" in button.dataset) return keep(button);
    const holder = button.closest(".vs-next");
    const stage = button.closest("[id$=-stage]");
    const picture = box?.open ? shown[at] : stage?.querySelector(".vs-picture, .vs-slider img + img");
    if (picture) send(button.dataset.send, picture, holder?.dataset.run);
  });

  varSpaces.fitting = fitting;

  /* What was sent to a tab before it was opened; asked for once. */
  varSpaces.sent = (tab) => {
    const text = pending[tab] || "";
    delete pending[tab];
    return text;
  };
})();
