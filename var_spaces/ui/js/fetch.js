/* The one place that stands between gradio and the server: who wants to see or hold back what is sent adds a
   function of a request, which hands it on by calling its last argument. */

(() => {
  const real = window.fetch;
  const between = [];

  varSpaces.between = (look) => between.push(look);

  window.fetch = (input, init) => {
    const on = (at) => (at < between.length ? between[at](input, init, () => on(at + 1)) : real(input, init));
    return on(0);
  };
})();
