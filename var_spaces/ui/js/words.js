/* Other languages than English: `varSpaces.languages` says which, their tables are fetched when they
   are wanted. A table maps what the page says in English to the language; {} stands for anything and
   {n} for a number.

   It works on what is in the page, so it reaches gradio's controls, the server's HTML and what these
   scripts write alike. Names (of classes, models, methods) are in no table and stay what they are. */

(() => {
  const KEY = "var-spaces-language";
  const SPOKEN = ["placeholder", "title", "aria-label", "alt"];
  const SILENT = "code, pre, script, style, textarea, .vs-mono, [contenteditable]";
  const PLACE = /\{n?\}/;
  const PLACES = { "{}": "(.+?)", "{n}": "([\\d.,%]+)" };
  const literal = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const exact = new Map();
  const patterns = [];

  function stored() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // no storage here
    }
  }

  function wanted() {
    const known = (code) => code === "en" || code in varSpaces.languages;
    const asked = [stored(), ...navigator.languages.map((one) => one.slice(0, 2))];
    return asked.find((code) => code && known(code)) || "en";
  }

  function learn(table) {
    for (const [english, other] of Object.entries(table)) {
      if (!PLACE.test(english)) exact.set(english, other);
      else {
        const parts = english.split(/(\{n?\})/).map((part) => PLACES[part] || literal(part));
        patterns.push([new RegExp(`^${parts.join("")}$`, "s"), other]);
      }
    }
    patterns.sort((a, b) => b[0].source.length - a[0].source.length); // the most exact one first
  }

  function translate(text) {
    const words = text.trim().replace(/\s+/g, " ");
    if (!/[A-Za-z]{2}/.test(words)) return text;
    let found = exact.get(words);
    if (found === undefined) {
      for (const [pattern, other] of patterns) {
        const match = pattern.exec(words);
        if (!match) continue;
        const parts = match.slice(1);
        found = other.replace(/\{n?\}/g, () => translate(parts.shift()));
        break;
      }
      if (found === undefined) return text;
    }
    return text.match(/^\s*/)[0] + found + text.match(/\s*$/)[0];
  }

  function put(node) {
    if (node.parentElement?.closest(SILENT)) return;
    const said = translate(node.data);
    if (said !== node.data) node.data = said;
  }

  function speak(element) {
    for (const name of SPOKEN) {
      const text = element.getAttribute(name);
      if (!text) continue;
      const said = translate(text);
      if (said !== text) element.setAttribute(name, said);
    }
  }

  function all(root) {
    if (root.nodeType === Node.TEXT_NODE) return put(root);
    if (root.nodeType !== Node.ELEMENT_NODE) return;
    const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
    do {
      const node = walk.currentNode;
      if (node.nodeType === Node.TEXT_NODE) put(node);
      else speak(node);
    } while (walk.nextNode());
  }

  async function begin(code) {
    document.documentElement.lang = code;
    if (code === "en") return;
    const answer = await fetch(varSpaces.languages[code].src);
    if (!answer.ok) return;
    learn(await answer.json());
    all(document.body);
    new MutationObserver((changes) => {
      for (const change of changes) {
        if (change.type === "characterData") put(change.target);
        else if (change.type === "attributes") speak(change.target);
        else change.addedNodes.forEach(all);
      }
    }).observe(document.body, {
      subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: SPOKEN,
    });
  }

  /* The choice stands in the header. */
  function choice(place, code) {
    const list = document.createElement("select");
    list.setAttribute("aria-label", "Language");
    list.append(new Option("English", "en"));
    for (const [other, { name }] of Object.entries(varSpaces.languages)) list.append(new Option(name, other));
    list.value = code;
    list.addEventListener("change", () => {
      try {
        localStorage.setItem(KEY, list.value);
      } catch {
        return; // then the browser's own language it is
      }
      location.reload();
    });
    place.append(list);
  }

  queueMicrotask(() => {
    const code = wanted();
    const start = () => {
      begin(code);
      const header = () => document.querySelector(".vs-language:empty");
      if (header()) choice(header(), code);
      new MutationObserver(() => header() && choice(header(), code)).observe(document.body, {
        subtree: true, childList: true,
      });
    };
    if (document.body) start();
    else document.addEventListener("DOMContentLoaded", start);
  });
})();
