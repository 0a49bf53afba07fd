/* Where a run tells of itself may be above its button or below it: who starts one sees it. */

varSpaces.bring = (id) => {
  const LOW = 0.5; // of the window; what follows would be out of it
  const place = document.getElementById(id);
  const { top } = place.getBoundingClientRect();
  if (top >= 0 && top <= LOW * window.innerHeight) return;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  place.scrollIntoView({ behavior: still ? "auto" : "smooth" });
};
