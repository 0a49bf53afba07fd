/* The open tab is in the address: Back leads to the one before, a reload stays, and a link opens one. */

(() => {
  const FIRST = "generate";
  const asked = () => location.hash.slice(1) || FIRST;
  const button = (name) => document.getElementById(`tab-${name}-button`);
  const open = () => document.querySelector('[id^="tab-"][role="tab"][aria-selected="true"]')?.id.slice(4, -7);
  let last = null; // that was seen open

  function go() {
    if (asked() !== open()) button(asked())?.click();
  }

  new MutationObserver(() => {
    const now = open();
    if (!now || now === last) return;
    const begins = last === null;
    last = now;
    if (begins) go();
    else if (now !== asked()) history.pushState(null, "", `#${now}`);
  }).observe(document.documentElement, {
    subtree: true, childList: true, attributes: true, attributeFilter: ["aria-selected"],
  });
  addEventListener("popstate", go);
})();
