/* While the server fills a form, a press of its button waits: it means what is chosen, not what stood there
   before. */

(() => {
  const SOON = 100; // milliseconds, until gradio has read an answer and asked once more, if it must
  const LONG = 10000; // then the server is gone, and a press says so
  const fills = new Map(); // fills under way, by number
  const pressed = new Set(); // buttons that wait

  const waits = (id) => [...fills.values()].some(({ button }) => !button || button === id);

  function end(number) {
    fills.delete(number);
    for (const id of [...pressed])
      if (!waits(id)) {
        pressed.delete(id);
        document.getElementById(id)?.click();
      }
  }

  /* A fill `number` of the form of a button, or of any form, "begins" or "ends", or "fails": what was meant
     cannot be had then, so nothing is drawn. */
  varSpaces.fills = (number, button, what) => {
    if (what !== "begins" && !fills.has(number)) return;
    const fill = fills.get(number) || { button, left: 0 };
    fill.left = what === "begins" ? fill.left + 1 : Math.max(0, fill.left - 1);
    if (what === "fails") for (const id of [...pressed]) if (!button || button === id) pressed.delete(id);
    clearTimeout(fill.timer);
    fill.timer = setTimeout(end, fill.left ? LONG : SOON, number);
    fills.set(number, fill);
  };

  function hold(event, id) {
    if (!id?.endsWith("-go") || !waits(id)) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    pressed.add(id);
  }

  document.addEventListener("click", (event) => hold(event, event.target.closest("button")?.id), true);
  document.addEventListener(
    "keydown", // Enter in the seed draws as well
    (event) => {
      const seed = event.key === "Enter" && event.target.closest('[id$="-seed"]');
      if (seed) hold(event, seed.id.replace(/seed$/, "go"));
    },
    true,
  );
})();
