/* Links to runs, and the visitor's own runs in this browser. Nothing of it goes to the server, except
   the link that a visitor opens. What is read back from the browser's storage is only ever shown as
   text or as a picture, and the server checks every link as it checks any stranger's. */

window.varSpaces = (() => {
  const KEY = "var-spaces-runs";
  const MOST = 24;
  const MAX_URL = 2000;
  const MAX_PICTURE = 20000;

  const address = (link) =>
    link.startsWith("?") ? location.origin + location.pathname + link : link;

  function read() {
    try {
      const runs = JSON.parse(localStorage.getItem(KEY) || "[]");
      return Array.isArray(runs) ? runs.filter((run) => run && run.id && run.link) : [];
    } catch {
      return []; // no storage here, or not what we wrote
    }
  }

  function write(runs) {
    try {
      if (runs.length) localStorage.setItem(KEY, JSON.stringify(runs));
      else localStorage.removeItem(KEY);
    } catch {
      if (runs.length > 1) write(runs.slice(0, runs.length >> 1)); // the storage is full
    }
    window.dispatchEvent(new Event(KEY));
  }

  function remember(run) {
    if (!run || !run.link) return;
    const picture = run.picture.length <= MAX_PICTURE ? run.picture : "";
    const others = read().filter((other) => other.id !== run.id);
    write([{ ...run, picture, when: Date.now() }, ...others].slice(0, MOST));
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

  /* The list of runs inside `element`; `open` is called with the link of the one that is chosen. */
  function show(element, open) {
    const list = element.querySelector("ol");
    const clear = element.querySelector("button");
    const draw = () => {
      const runs = read();
      element.querySelector("p").hidden = runs.length > 0;
      clear.hidden = runs.length === 0;
      list.replaceChildren(...runs.map((run) => entry(run, open)));
    };
    clear.addEventListener("click", () => write([]));
    window.addEventListener(KEY, draw);
    window.addEventListener("storage", (event) => event.key === KEY && draw());
    draw();
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

  return { copy, remember, save, say, show, toClipboard };
})();
