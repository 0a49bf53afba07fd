/* The API has a page of its own, so that the first view is light: what leads to it from here. */

document.addEventListener(
  "click",
  (event) => {
    if (!event.target.closest("footer .show-api") || location.pathname.endsWith("/api")) return;
    event.stopPropagation();
    event.preventDefault();
    location.href = "api?view=api";
  },
  true,
);
