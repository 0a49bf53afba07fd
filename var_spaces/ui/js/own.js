/* The key of a visitor's own models, as long as this browser tab is open: a reload keeps them. */

(() => {
  const KEY = "var-spaces-own";

  varSpaces.ownKey = () => {
    try {
      const key = sessionStorage.getItem(KEY);
      return key ? JSON.stringify({ key }) : "";
    } catch {
      return ""; // no storage here: the models end with this page
    }
  };

  varSpaces.keepOwn = (text) => {
    try {
      const { key } = JSON.parse(text || "{}");
      if (key) sessionStorage.setItem(KEY, key);
    } catch {
      /* as above */
    }
    return text;
  };
})();
