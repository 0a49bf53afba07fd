/* While the server fills a form, a press of the tab's button waits: it means what is chosen, not what stood
   there before. */

(() => {
  const SOON = 100; // milliseconds, until gradio has read an answer
  const LONG = 10000; // then the server is gone, and a press says so
  const filled = new Map(); // of what is being filled, the timer that gives up
  const pressed = new Set(); // buttons that wait

  function end(what) {
    clearTimeout(filled.get(what));
    filled.delete(what);
    if (filled.size) return;
    const waiting = [...pressed];
    pressed.clear();
    for (const button of waiting) document.getElementById(button)?.click();
  }

  /* An event of the page begins to fill a form, or is done, however it ended. */
  varSpaces.fills = (what, begins) => {
    clearTimeout(filled.get(what));
    filled.set(what, setTimeout(end, begins ? LONG : SOON, what));
  };

  document.addEventListener(
    "click",
    (event) => {
      const { id } = event.target.closest("button") || {};
      if (!filled.size || !id?.endsWith("-go")) return;
      event.stopImmediatePropagation();
      pressed.add(id);
    },
    true,
  );
})();
