/* The key of a visitor's own models, as long as this browser tab is open: a reload keeps them. */

(() => {
  const KEY = "var-spaces-own";
  let tell;

  /* Until the server knows whose models these are, no tab can be laid out that shows them. */
  varSpaces.ownKnown = new Promise((known) => (tell = known));

  varSpaces.ownKey = () => {
    let key = null;
    try {
      key = sessionStorage.getItem(KEY);
    } catch {
      /* no storage here: the models end with this page */
    }
    if (!key) tell();
    return key ? JSON.stringify({ key }) : "";
  };

  varSpaces.keepOwn = (text) => {
    try {
      const { key, models } = JSON.parse(text || "{}");
      if (!key || models) tell();
      if (key) sessionStorage.setItem(KEY, key);
    } catch {
      /* as above */
    }
    return text;
  };
})();
