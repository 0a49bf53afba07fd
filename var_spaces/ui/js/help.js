/* The help panel: every special word, from the button in the header, from words with [data-term], and
   from a "?" beside controls whose label is explained. `varSpaces.terms` is written by ui/glossary.py. */

(() => {
  let panel = null;

  function make() {
    panel = document.createElement("dialog");
    panel.className = "vs-help";
    panel.setAttribute("aria-labelledby", "vs-help-title");
    panel.innerHTML =
      '<form method="dialog"><h2 id="vs-help-title"></h2><button></button></form>' +
      '<p></p><input type="search"><dl></dl>';
    panel.querySelector("h2").textContent = "The words on this page";
    panel.querySelector("form button").textContent = "Close";
    panel.querySelector("p").textContent =
      "Ctrl-Enter draws, Esc stops, arrows walk along pictures. Click a picture to enlarge it.";
    panel.querySelector("p").after(document.createElement("p"));
    panel.querySelector("p + p").textContent = "Prompts and names of classes are English only.";
    const search = panel.querySelector("input");
    search.placeholder = "Search";
    search.setAttribute("aria-label", "Search");
    search.addEventListener("input", () => {
      const word = search.value.trim().toLowerCase();
      for (const part of panel.querySelectorAll("dl > div"))
        part.hidden = !part.textContent.toLowerCase().includes(word);
    });
    panel.addEventListener("click", (event) => event.target === panel && panel.close());
    const list = panel.querySelector("dl");
    for (const [key, [title, text]] of Object.entries(varSpaces.terms)) {
      const part = document.createElement("div");
      part.dataset.key = key;
      part.append(document.createElement("dt"), document.createElement("dd"));
      part.firstChild.textContent = title;
      part.lastChild.textContent = text;
      list.append(part);
    }
    document.querySelector(".gradio-container").append(panel);
  }

  function open(key) {
    if (!panel) make();
    panel.querySelector("input").value = "";
    for (const part of panel.querySelectorAll("dl > div")) {
      part.hidden = false;
      part.classList.toggle("vs-found", part.dataset.key === key);
    }
    panel.showModal();
    const found = panel.querySelector(".vs-found");
    if (found) found.scrollIntoView({ block: "center" });
    else panel.scrollTop = 0;
  }

  varSpaces.term = (key) => {
    if (!varSpaces.terms[key]) return null;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "vs-ask";
    button.dataset.term = key;
    button.textContent = "?";
    button.setAttribute("aria-label", `${varSpaces.terms[key][0]}?`);
    return button;
  };

  /* gradio's own controls: the last part of their id is the key */
  function mark() {
    for (const label of document.querySelectorAll('[data-testid="block-info"]:not([data-asked])')) {
      label.dataset.asked = "";
      const block = label.closest(".block[id]");
      const made = block && varSpaces.term(block.id.replace(/^.*-/, ""));
      if (made && !block.querySelector(":scope > .vs-ask")) block.append(made);
    }
  }

  let waits = false;
  new MutationObserver(() => {
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => {
      waits = false;
      mark();
    });
  }).observe(document.documentElement, { subtree: true, childList: true });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-term]");
    if (button) open(button.dataset.term);
  });
})();
