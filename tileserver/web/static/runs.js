// The function's runs, for its owner: what each printed, raised and cost. Asks for news only while its panel is open.

import { MercatorCoordinate } from "./maplibre/maplibre-gl.mjs";
import { byId, element } from "./elements.js";

const SHOWN = 200;
const WAIT = 25;
const PAUSE = 2000;
const OUTLINE = "run";
const OUTCOMES = {
  udf_raised: "raised", bad_result: "bad result", udf_timed_out: "timed out", udf_crashed: "crashed",
  memory_exceeded: "out of memory", result_too_large: "too large", invalid_parameter: "bad parameter",
};

export function makeRunsPanel(url, place) {
  const [panel, button, list, more] = ["runs", "runs-button", "runs-list", "runs-new"].map(byId);
  let following = null;
  let last = -1;

  function open(wanted) {
    panel.hidden = !wanted;
    button.setAttribute("aria-expanded", String(wanted));
    document.body.classList.toggle("with-runs", wanted);
    if (!wanted) place.clear();
    watch();
  }

  function watch() {
    following?.abort();
    following = panel.hidden || document.hidden ? null : new AbortController();
    if (following) follow(following.signal);
  }

  async function follow(signal) {
    while (!signal.aborted) {
      try {
        const query = last < 0 ? `limit=${SHOWN}` : `limit=${SHOWN}&after=${last}&wait=${WAIT}`;
        const answer = await fetch(`${url}?${query}`, { credentials: "same-origin", cache: "no-store", signal });
        if (answer.status === 401) return tell("Your session has ended. Sign in again to see runs.");
        if (!answer.ok) throw new Error(answer.statusText);
        add(await answer.json());
      } catch {
        if (signal.aborted) return undefined;
        tell("The server does not answer. Trying again…");
        await new Promise((resolve) => { setTimeout(resolve, PAUSE); });
      }
    }
    return undefined;
  }

  // New runs come on top; who reads further down, or has opened one, is not moved.
  function add(runs) {
    last = runs.at(-1)?.id ?? Math.max(last, 0);
    const reading = list.scrollTop > 0 || list.querySelector("details[open]") !== null;
    const height = list.scrollHeight;
    list.prepend(...runs.map((run) => row(run, place, list)).reverse());
    while (list.childElementCount > SHOWN) list.lastElementChild.remove();
    if (reading) list.scrollTop += list.scrollHeight - height;
    more.hidden = list.scrollTop === 0 || (more.hidden && runs.length === 0);
    tell(count(list));
  }

  button.addEventListener("click", () => open(panel.hidden));
  byId("runs-close").addEventListener("click", () => { open(false); button.focus(); });
  byId("runs-failed").addEventListener("change", (event) => list.classList.toggle("failed-only", event.target.checked));
  more.addEventListener("click", () => list.scrollTo({ top: 0 }));
  list.addEventListener("scroll", () => { if (list.scrollTop === 0) more.hidden = true; });
  document.addEventListener("visibilitychange", watch);
}

const tell = (text) => { byId("runs-state").textContent = text; };

function count(list) {
  const all = list.childElementCount;
  const failed = list.querySelectorAll(".failed").length;
  if (all === 0) return "None yet: move the map.";
  return failed ? `${all} · ${failed} failed` : `${all}`;
}

// --- one run -----------------------------------------------------------------------------------------------------

function row(run, place, list) {
  const ok = run.outcome === "ok";
  const details = element("details", { name: "run" }, summary(run, ok));
  details.addEventListener("toggle", () => {
    // Another that opens closes this one: then the place is the other's.
    if (!details.open) return list.querySelector("details[open]") ? undefined : place.clear();
    if (details.childElementCount === 1) details.append(body(run, ok));
    return run.tile ? place.show(run.tile) : place.clear();
  });
  return element("li", { class: ok ? "ok" : "failed" }, details);
}

function summary(run, ok) {
  const kind = ok ? { none: "not cached", probe: "first look", call: "called" }[run.cache] : OUTCOMES[run.outcome] ?? run.outcome;
  const said = (ok ? run.printed : run.message || run.exception || run.printed).trim().split("\n")[0];
  const when = new Date(run.started * 1000);
  return element("summary", {},
    element("span", { class: "dot", role: "img", "aria-label": ok ? "well" : "failed" }),
    element("span", { class: "tile" }, run.tile ?? "file"),
    element("span", { class: "kind" }, kind ?? ""),
    element("span", { class: "took" }, duration(run.wall_ms)),
    element("span", { class: "said" }, said),
    element("time", { datetime: when.toISOString() }, moment(when)));
}

function body(run, ok) {
  const parts = [];
  if (!ok) parts.push(element("p", { class: "reason" }, run.message || run.exception || run.outcome));
  if (run.line) parts.push(element("p", { class: "where" }, `Line ${run.line} of the function's file`));
  if (run.printed) parts.push(element("h3", {}, "Printed"), element("pre", { tabindex: "0" }, run.printed.trimEnd()));
  if (run.traceback) parts.push(element("h3", {}, "Traceback"), element("pre", { tabindex: "0" }, run.traceback.trimEnd()));
  return element("div", { class: "run" }, ...parts, facts(run));
}

function facts(run) {
  const parameters = Object.entries(run.parameters).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
  const known = [
    ["Time", duration(run.wall_ms)],
    ["Processor", run.cpu_ms ? duration(run.cpu_ms) : ""],
    ["Memory", run.memory ? `${size(run.memory)} at its peak` : ""],
    ["Answer", run.outcome === "ok" ? [size(run.bytes), run.media_type.split(";")[0]].filter(Boolean).join(", ") : ""],
    ["Parameters", parameters.join("\n")],
  ].filter(([, value]) => value);
  return element("dl", {}, ...known.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

function duration(ms) {
  if (ms >= 1000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  const step = bytes < 1000 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), 3);
  const value = bytes / 1000 ** step;
  return `${value.toFixed(step && value < 10 ? 1 : 0)} ${units[step]}`;
}

function moment(when) {
  const time = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  return when.toDateString() === new Date().toDateString() ? time : `${when.toLocaleDateString()} ${time}`;
}

// --- where it ran ------------------------------------------------------------------------------------------------

// Shows a tile: flies to where its zoom is the one that is drawn, in the middle of what no panel covers.
export function tilePlace(getMap, deeper) {
  const set = (features) => {
    const map = getMap();
    if (!map?.getStyle()) return; // the map is not there yet, or never will be
    const data = { type: "FeatureCollection", features };
    if (map.getSource(OUTLINE)) map.getSource(OUTLINE).setData(data);
    else if (features.length) addOutline(map, data);
  };
  return {
    clear: () => set([]),
    show(text) {
      const [z, x, y] = text.split("/").map(Number);
      const at = (column, row) => new MercatorCoordinate(column / 2 ** z, row / 2 ** z).toLngLat().toArray();
      const ring = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]].map(([right, down]) => at(x + right, y + down));
      set([{ type: "Feature", properties: {}, geometry: { type: "Polygon", coordinates: [ring] } }]);
      getMap()?.flyTo({ center: at(x + 0.5, y + 0.5), zoom: Math.max(z - deeper(), 0), offset: middle(), maxDuration: 2500 });
    },
  };
}

function addOutline(map, data) {
  map.addSource(OUTLINE, { type: "geojson", data });
  const paint = (color, width) => ({ "line-color": color, "line-width": width });
  map.addLayer({ id: "run-halo", type: "line", source: OUTLINE, paint: paint("#ffffff", 5) });
  map.addLayer({ id: "run-outline", type: "line", source: OUTLINE, paint: paint("#d9480f", 2.5) });
}

function middle() {
  const [panel, runs] = ["panel", "runs"].map((id) => byId(id).getBoundingClientRect());
  const below = runs.width >= innerWidth;
  return below ? [0, (runs.top - innerHeight) / 2] : [(panel.right + runs.left - innerWidth) / 2, 0];
}
