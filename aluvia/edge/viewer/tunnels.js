// The page of tunnels, kept up to date: every few seconds it is asked for anew, as the server writes
// it, and what differs takes the place of what was there. Nothing is made into markup here.
"use strict";

// Milliseconds.
const EVERY = 3000;
const PATIENCE = 15000;

const shown = byId("shown");
const live = byId("live");

let timer = 0;
let turn = 0;

function say(text, stale) {
  byId("state").textContent = text;
  shown.classList.toggle("stale", stale);
}

// Put into one element what another one has, and leave alone what is the same: a row that has not
// changed keeps its focus, and what is selected in it.
function update(old, fresh) {
  if (old.isEqualNode(fresh)) {
    return;
  }
  const [before, after] = [[...old.children], [...fresh.children]];
  const same =
    old.cloneNode(false).isEqualNode(fresh.cloneNode(false)) &&
    before.length > 0 &&
    before.length === after.length &&
    before.every((child, at) => child.tagName === after[at].tagName && child.id === after[at].id) &&
    [...old.childNodes, ...fresh.childNodes].every((node) => node.nodeType === Node.ELEMENT_NODE);
  if (same) {
    before.forEach((child, at) => update(child, after[at]));
  } else {
    old.replaceWith(document.importNode(fresh, true));
  }
}

async function ask(token) {
  const find = byId("find").value.trim();
  const query = find ? `?${new URLSearchParams({ find })}` : "";
  const response = await fetch(`tunnels${query}`, {
    headers: { Authorization: `Bearer ${token}` },
    cache: "no-store",
    signal: AbortSignal.timeout(PATIENCE),
  });
  return { status: response.status, text: await response.text() };
}

async function look() {
  clearTimeout(timer);
  const token = byId("token").value.trim();
  const mine = ++turn;
  if (!token || document.hidden) {
    return;
  }
  let answer = { status: 401 };
  // Another one could not even be sent.
  if (/^[\x21-\x7e]+$/.test(token)) {
    answer = await ask(token).catch(() => ({ status: 0 }));
  }
  if (mine !== turn) {
    return;
  }
  if (answer.status === 200) {
    keptToken.keep(token);
    const page = new DOMParser().parseFromString(answer.text, "text/html");
    const main = page.getElementById("shown");
    if (shown.children.length === main.children.length) {
      [...shown.children].forEach((child, at) => update(child, main.children[at]));
    } else {
      shown.replaceChildren(...main.children);
    }
    live.parentElement.hidden = false;
    say("", false);
  } else if (answer.status === 401) {
    keptToken.forget();
    shown.replaceChildren();
    say("That is not the token.", false);
    return;
  } else {
    say(answer.status ? `The edge answers ${answer.status}.` : "The edge does not answer.", true);
  }
  if (live.checked) {
    timer = setTimeout(look, EVERY);
  }
}

live.addEventListener("change", look);
document.addEventListener("visibilitychange", look);
byId("asking").addEventListener("submit", (event) => {
  event.preventDefault();
  look();
});
look();
