/* Links to runs, and the visitor's own runs and presets in this browser. Nothing of it goes to the server, except
   the link that a visitor opens. What is read back from the browser's storage is only ever shown as
   text or as a picture, and the server checks every link as it checks any stranger's. */

window.varSpaces = (() => {
  const KEY = "var-spaces-runs";
  const PRESETS = "var-spaces-presets";
  const MOST = 24;
  const MAX_URL = 2000;
  const MAX_PICTURE = 20000;

  const address = (link) =>
    link.startsWith("?") ? location.origin + location.pathname + link : link;

  function read(key = KEY) {
    try {
      const runs = JSON.parse(localStorage.getItem(key) || "[]");
      return Array.isArray(runs) ? runs.filter((run) => run && run.id && run.link) : [];
    } catch {
      return []; // no storage here, or not what we wrote
    }
  }

  function write(runs, key = KEY) {
    try {
      if (runs.length) localStorage.setItem(key, JSON.stringify(runs));
      else localStorage.removeItem(key);
    } catch {
      if (runs.length > 1) write(runs.slice(0, runs.length >> 1), key); // the storage is full
    }
    window.dispatchEvent(new Event(KEY));
  }

  function remember(run) {
    if (!run || !run.link) return;
    const picture = run.picture.length <= MAX_PICTURE ? run.picture : "";
    const others = read().filter((other) => other.id !== run.id);
    write([{ ...run, picture, when: Date.now() }, ...others].slice(0, MOST));
  }

  /* A run of the list under a name; false if there is no such run, or no link that holds it. */
  function keep(id, name) {
    const run = read().find((found) => found.id === id);
    if (!run || !run.link || !name) return false;
    const others = read(PRESETS).filter((other) => other.title !== name);
    write([{ ...run, title: name, when: Date.now() }, ...others].slice(0, MOST), PRESETS);
    return true;
  }

  /* Also where a frame may not use the clipboard of its page. */
  async function toClipboard(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = Object.assign(document.createElement("textarea"), { value: text });
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  }

  async function copy(run, button) {
    const link = run && run.link ? address(run.link) : "";
    let said = "Too long for a link: use the PNG";
    if (link && link.length < MAX_URL)
      said = (await toClipboard(link)) ? "Link copied" : "Copy it below, in Run details";
    say(document.getElementById(button), said);
  }

  /* What came of it, on the button itself for a while. */
  function say(element, said) {
    const before = element.dataset.label || element.textContent;
    element.dataset.label = before;
    element.setAttribute("aria-live", "polite");
    element.textContent = said;
    setTimeout(() => (element.textContent = before), 2500);
  }

  /* The presets and the runs inside `element`; `open` is called with the link of the one that is
     chosen. */
  function show(element, open) {
    for (const holder of element.querySelectorAll("section")) {
      const key = holder.dataset.list === "presets" ? PRESETS : KEY;
      const list = holder.querySelector("ol");
      const clear = holder.querySelector(":scope > button");
      const draw = () => {
        const runs = read(key);
        holder.hidden = key === PRESETS && !runs.length;
        const empty = holder.querySelector("p");
        if (empty) empty.hidden = runs.length > 0;
        clear.hidden = runs.length === 0;
        list.replaceChildren(...runs.map((run) => entry(run, open)));
      };
      clear.addEventListener("click", () => write([], key));
      window.addEventListener(KEY, draw);
      window.addEventListener("storage", draw);
      draw();
    }
  }

  function entry(run, open) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    const picture = document.createElement("img");
    const title = document.createElement("span");
    const when = new Date(run.when).toLocaleString(undefined, {
      dateStyle: "short",
      timeStyle: "short",
    });
    picture.alt = "";
    if (String(run.picture).startsWith("data:image/")) picture.src = run.picture;
    title.textContent = String(run.title).slice(0, 60);
    button.title = `${run.title} (${run.id}, ${when})`;
    button.append(picture, title);
    const link = new URL(address(String(run.link)), location.href);
    button.addEventListener("click", () => open(link.searchParams.get("run")));
    item.append(button);
    return item;
  }

  /* Lets the visitor save a text as a file. */
  function save({ name, text }) {
    const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
    const link = Object.assign(document.createElement("a"), { href: address, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  }

  return { copy, keep, remember, save, say, show, toClipboard };
})();
