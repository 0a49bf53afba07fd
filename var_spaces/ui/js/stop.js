/* Buttons that stop a run. Gradio lets go of a run only when the server has answered that it is in the line;
   what it sends before that, the pictures of the form above all, can take a while. A press waits until then. */

(() => {
  const SOON = 100; // milliseconds, until gradio has read an answer
  const early = new Set(); // buttons whose run is not in the line yet
  const pressed = new Set();
  let sending = [];

  function arrived(stop) {
    early.delete(stop);
    if (pressed.delete(stop)) document.getElementById(stop)?.click();
  }

  /* A run begins, is sent, or ends: whether the button can be pressed. */
  varSpaces.runs = (stop, what) => {
    if (what === "sent") sending.push(stop);
    else {
      pressed.delete(stop);
      if (what === "begins") early.add(stop);
      else early.delete(stop);
    }
    return { __type__: "update", interactive: what === "begins" };
  };

  varSpaces.between((input, init, send) => {
    const answer = send();
    if (sending.length && String(input).includes("/queue/join")) {
      const buttons = sending;
      const later = () => setTimeout(() => buttons.forEach(arrived), SOON);
      sending = [];
      answer.then(later, later);
    }
    return answer;
  });

  document.addEventListener(
    "click",
    (event) => {
      const { id } = event.target.closest("button") || {};
      if (!early.has(id)) return;
      event.stopImmediatePropagation();
      pressed.add(id);
    },
    true,
  );
})();
