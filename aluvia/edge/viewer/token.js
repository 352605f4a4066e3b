// The token of the API, which both pages ask for once: kept for this tab, and gone with it. No other
// site's page can read it, and no script but these two runs here.
"use strict";

const byId = (id) => document.getElementById(id);

const keptToken = {
  name: "aluvia-edge-token",
  // A browser may have no place to keep it: then it stays in the field, and no longer.
  storage(use) {
    try {
      return use(sessionStorage);
    } catch {
      return null;
    }
  },
  get() {
    return this.storage((place) => place.getItem(this.name)) || "";
  },
  keep(token) {
    this.storage((place) => place.setItem(this.name, token));
    byId("forget").hidden = false;
  },
  forget() {
    this.storage((place) => place.removeItem(this.name));
  },
};

byId("token").value = keptToken.get();
byId("forget").hidden = !keptToken.get();
byId("forget").addEventListener("click", () => {
  keptToken.forget();
  location.reload();
});
