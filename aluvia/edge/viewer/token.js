// The token of the API, which both pages ask for once: kept for this tab, and gone with it. No other
// site's page can read it, and no script but these two runs here.
"use strict";

const byId = (id) => document.getElementById(id);

const keptToken = {
  name: "aluvia-edge-token",
  get() {
    return sessionStorage.getItem(this.name) || "";
  },
  keep(token) {
    sessionStorage.setItem(this.name, token);
    byId("forget").hidden = false;
  },
  forget() {
    sessionStorage.removeItem(this.name);
  },
};

byId("token").value = keptToken.get();
byId("forget").hidden = !keptToken.get();
byId("forget").addEventListener("click", () => {
  keptToken.forget();
  location.reload();
});
