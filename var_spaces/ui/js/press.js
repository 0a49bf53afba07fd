/* A press is meant for what lay under the pointer when it went down. Gradio fetches the code of a control
   when a tab first shows one, so what stands below it moves for a moment; if a button moves away before the
   pointer is up, browsers click whatever lies around both places, and the press would be lost. */

(() => {
  const STILL = 8; // pixels; who moves further thinks better of it
  let down = null;

  document.addEventListener(
    "pointerdown",
    (event) => {
      const meant = event.isPrimary && event.button === 0 && event.target.closest?.("button, summary, a[href]");
      down = meant ? { meant, x: event.clientX, y: event.clientY } : null;
    },
    true,
  );

  document.addEventListener(
    "click",
    (event) => {
      if (!event.detail) return; // by a key or a script
      const was = down;
      down = null;
      if (!was?.meant.isConnected || was.meant.contains(event.target)) return;
      if (Math.hypot(event.clientX - was.x, event.clientY - was.y) > STILL) return;
      event.stopImmediatePropagation();
      event.preventDefault();
      was.meant.click();
    },
    true,
  );
})();
