/* The open tab is in the address: Back leads to the one before, a reload stays, and a link opens one. What a
   tab adds to its address (the filters of the leaderboard, say) is there again when the tab is. */

(() => {
  const queries = {}; // by tab, as they were when it was left
  let last = null; // that was seen open
  let touched = false; // else a tab that opens is the one of a link

  const named = () => new URLSearchParams(location.search).get("tab");
  const asked = () => history.state?.tab || named() || varSpaces.first;
  const open = () => document.querySelector('[id^="tab-"][role="tab"][aria-selected="true"]')?.id.slice(4, -7);

  /* The page's address with another query; what gradio keeps there (its look, say) stays. */
  function address(query) {
    const url = new URL(location.href);
    const own = [...url.searchParams].filter(([name]) => name.startsWith("__"));
    url.search = query;
    for (const [name, value] of own) if (!url.searchParams.has(name)) url.searchParams.set(name, value);
    return url;
  }

  const replace = (url, tab = last) => history.replaceState({ ...history.state, tab }, "", url);

  const go = (tab) => tab !== open() && document.getElementById(`tab-${tab}-button`)?.click();

  function opened(now) {
    const before = last;
    last = now;
    if (before === null) return varSpaces.ownKnown.then(() => touched || go(named() || now)); // a run opens its own
    if (now === asked()) return;
    if (!touched) return replace(location.href);
    if (before === asked()) queries[before] = location.search;
    history.pushState({ tab: now }, "", address(queries[now] ?? (now === varSpaces.first ? "" : `tab=${now}`)));
  }

  new MutationObserver(() => {
    const now = open();
    if (now && now !== last) opened(now);
  }).observe(document.documentElement, {
    subtree: true, childList: true, attributes: true, attributeFilter: ["aria-selected"],
  });
  for (const type of ["pointerdown", "keydown", "click"])
    addEventListener(type, (event) => (touched ||= event.isTrusted), true);
  addEventListener("popstate", () => go(asked()));

  /* A tab says what it shows, late perhaps: if another one is open by now, it counts when it is opened again. */
  varSpaces.address = (query) => {
    const tab = new URLSearchParams(query).get("tab");
    if (tab === last) replace(address(query));
    else queries[tab] = query;
  };

  /* What the address says of a tab, if it is the tab's. */
  varSpaces.asked = (tab) => (named() === tab ? location.search.slice(1) : "");
})();
