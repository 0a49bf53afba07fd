/* The API has a page of its own, so that the first view is light: what leads to it from here, and what
   stands there, from what the server says of its endpoints. */

(() => {
  const there = () => /\/api\/?$/.test(location.pathname);
  const leave = () => (location.href = "api");
  if (!there() && new URLSearchParams(location.search).get("view") === "api") leave();

  document.addEventListener(
    "click",
    (event) => {
      if (!event.target.closest("footer .show-api")) return;
      event.stopPropagation();
      event.preventDefault();
      if (!there()) leave();
    },
    true,
  );

  function made(tag, text, ...children) {
    const element = document.createElement(tag);
    element.textContent = text;
    element.append(...children);
    return element;
  }

  function row({ parameter_name, python_type, parameter_has_default }) {
    const name = made("th", parameter_name);
    name.scope = "row";
    return made("tr", "", name, made("td", python_type?.type || ""), made("td", parameter_has_default ? "" : "needed"));
  }

  function endpoint([name, { description, parameters, returns }]) {
    const table = made("table", "", made("tbody", "", ...parameters.map(row)));
    table.className = "vs-table";
    const answer = returns.map(({ python_type }) => python_type?.type).join(", ");
    return made("details", "", made("summary", name), made("p", description || ""), table, made("p", `→ ${answer}`));
  }

  varSpaces.endpoints = (element) => {
    const list = Object.entries(window.gradio_api_info?.named_endpoints || {});
    element.querySelector(".vs-endpoints").append(...list.map(endpoint));
  };
})();
