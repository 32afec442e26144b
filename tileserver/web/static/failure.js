// Why a tile did not come, in words.

import { byId, element } from "./elements.js";

const QUIET = 1500;

// Returns { show(facts), tell(url), settle(), clear() }; `again` is called by the button.
export function makeFailurePanel(again) {
  const panel = byId("failure");
  let last = 0;
  let asked = 0;
  const clear = () => {
    asked += 1;
    panel.hidden = true;
  };
  const show = (facts) => {
    panel.replaceChildren(...contents(facts, clear, again));
    panel.hidden = false;
  };
  return {
    clear,
    show,
    // Of the many tiles that fail together one is asked for its reason.
    async tell(url) {
      last = Date.now();
      if (!panel.hidden) return;
      const ask = (asked += 1);
      panel.hidden = false;
      panel.replaceChildren(element("p", { class: "sentence" }, "A tile did not come."));
      const facts = await reason(url);
      if (ask !== asked) return;
      if (facts) show(facts);
      else clear();
    },
    // A tile came: over, unless others failed just now.
    settle() {
      if (!panel.hidden && Date.now() - last > QUIET) clear();
    },
  };
}

// The body {code, detail, ...} of an error; null when the tile comes after all.
export async function reason(url) {
  try {
    const answer = await fetch(url, { credentials: "same-origin" });
    return answer.ok ? null : await explain(answer);
  } catch {
    return { code: "unreachable", detail: "The server does not answer." };
  }
}

export async function explain(answer) {
  try {
    return await answer.json();
  } catch {
    return { code: String(answer.status), detail: `The server answered ${answer.status} ${answer.statusText}.` };
  }
}

function contents(facts, clear, again) {
  const close = element("button", { type: "button", class: "icon", "aria-label": "Close" }, "×");
  close.addEventListener("click", clear);
  const retry = element("button", { type: "button", class: "quiet" }, "Try again");
  retry.addEventListener("click", again);
  const parts = [close, element("p", { class: "sentence" }, sentence(facts))];
  if (facts.exception || facts.message) parts.push(element("p", { class: "reason" }, said(facts)));
  if (facts.line) parts.push(element("p", { class: "where" }, `Line ${facts.line} of the function's file`));
  if (facts.printed) parts.push(block("Printed", facts.printed, true));
  if (facts.traceback) parts.push(block("Traceback", facts.traceback, false));
  parts.push(element("div", { class: "actions" }, retry, element("code", {}, facts.code ?? "")));
  return parts;
}

// To its owner nobody need say that the owner can see more.
function sentence({ detail, code, message }) {
  return message && detail ? `${detail.split(";")[0].replace(/\.$/, "")}.` : detail ?? code;
}

function said({ exception, message }) {
  if (!exception || message?.startsWith(exception)) return message || exception;
  return message ? `${exception}: ${message}` : exception;
}

function block(title, text, open) {
  return element("details", { open }, element("summary", {}, title), element("pre", { tabindex: "0" }, text));
}
