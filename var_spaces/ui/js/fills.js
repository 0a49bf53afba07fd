/* While the server fills a form, a press of the tab's button waits: it means what is chosen, not what stood
   there before. */

(() => {
  const SOON = 100; // milliseconds, until gradio has read an answer
  const LONG = 10000; // then the server is gone, and a press says so
  const filling = new Map(); // what is being filled, and the timer that gives up
  const again = new Set(); // what will be filled once more: gradio asks when it has the first answer
  const pressed = new Set(); // buttons that wait

  function end(what) {
    again.delete(what);
    filling.delete(what);
    if (filling.size) return;
    const waiting = [...pressed];
    pressed.clear();
    for (const button of waiting) document.getElementById(button)?.click();
  }

  /* An event of the page begins to fill a form, or is done, however it ended. */
  varSpaces.fills = (what, begins) => {
    if (!begins && !filling.has(what)) return;
    if (begins && filling.has(what)) again.add(what);
    const more = begins || again.delete(what);
    clearTimeout(filling.get(what));
    filling.set(what, setTimeout(end, more ? LONG : SOON, what));
  };

  document.addEventListener(
    "click",
    (event) => {
      const { id } = event.target.closest("button") || {};
      if (!filling.size || !id?.endsWith("-go")) return;
      event.stopImmediatePropagation();
      pressed.add(id);
    },
    true,
  );
})();
