// The page of one layer: the map, and the panel with its parameters. Every request goes to where the page came from.

import { AttributionControl, Map, MercatorCoordinate, NavigationControl, ScaleControl } from "./maplibre/maplibre-gl.mjs";
import { backgroundStyle, drawBackground } from "./background.js";
import { addressRow, makeTabs, qgisAddress, snippet } from "./clients.js";
import { makeControls } from "./controls.js";
import { byId, element } from "./elements.js";
import { explain, makeFailurePanel } from "./failure.js";
import { addLayer, LAYER, setOpacity } from "./layer.js";
import { showFacts } from "./popup.js";

const page = JSON.parse(byId("page").textContent);
const tiles = new URL(".", location.href).href.replace(/[?#].*$/, "");
const HERE = { tiles, file: new URL(`../../files/${page.token}`, tiles).href };
const PUBLIC = { tiles: page.tile_url.split("{z}")[0], file: page.file_url };
const DOWNLOADS = {
  raster: [".png"], vector: [".geojson", ".parquet", ".csv"], table: [".csv", ".parquet", ".json"], document: [""],
};
const PHONE = matchMedia("(max-width: 640px)");

const display = page.range_note ? displayParameters(page.parameters) : [];
const controls = makeControls(byId("controls"), [...page.parameters, ...display], new URLSearchParams(location.search), changed);
const failure = makeFailurePanel(refresh);
let map = null;
let asking = 0;
let redrawCode = () => {};

async function start() {
  foldable();
  if (page.kind === "document") showDocument();
  else await showMap();
  byId("snippets").hidden = !tiled();
  if (tiled()) redrawCode = makeTabs(byId("snippets"), (name) => snippet(name, page, withQuery(page.tile_url), resultAddress));
  share();
  if (page.logs_url) await showRuns();
}

// Only the owner's page loads this.
async function showRuns() {
  const { makeRunsPanel, tilePlace } = await import("./runs.js");
  makeRunsPanel(page.logs_url, tilePlace(() => map, deeper));
}

const tiled = () => page.kind === "raster" || page.kind === "vector";

// How values become colours, unless the function has parameters of these names itself.
function displayParameters(parameters) {
  const taken = new Set(parameters.map((parameter) => parameter.name));
  return [["rescale", "low,high"], ["colormap", "viridis"]]
    .filter(([name]) => !taken.has(name))
    .map(([name, example]) => ({ name, type: "str", default: null, choices: [], optional: true, required: false, example }));
}

function withQuery(url, more = {}) {
  const query = new URLSearchParams([...controls.query(), ...Object.entries(more)]).toString();
  return query ? `${url}?${query}` : url;
}

// The result of one run, as a file; of a function that takes a tile, for the one in the middle of the map.
function resultAddress(extension, at = PUBLIC) {
  return withQuery((page.takes_tile ? at.tiles + middleTile() : at.file) + extension);
}

function middleTile() {
  const [west, south, east, north] = page.bounds;
  const { lng, lat } = map?.getCenter() ?? { lng: (west + east) / 2, lat: (south + north) / 2 };
  const zoom = Math.round(map?.getZoom() ?? 0) + deeper();
  const z = Math.min(Math.max(zoom, page.minzoom), page.maxzoom);
  const { x, y } = MercatorCoordinate.fromLngLat({ lng: ((((lng + 180) % 360) + 360) % 360) - 180, lat });
  return [z, ...[x, y].map((side) => Math.min(Math.floor(side * 2 ** z), 2 ** z - 1))].join("/");
}

function tileTemplate() {
  const scale = page.kind === "raster" && devicePixelRatio > 1 ? "@2x" : "";
  return withQuery(`${tiles}{z}/{x}/{y}${scale}${{ raster: ".png", vector: ".mvt" }[page.kind] ?? ""}`, { v: page.version });
}

function changed() {
  const query = controls.query().toString();
  history.replaceState(history.state, "", `${location.pathname}${query ? `?${query}` : ""}${location.hash}`);
  refresh();
  share();
}

// Asks for everything anew, with the parameters as they are.
function refresh() {
  failure.clear();
  if (page.kind === "document") return showDocument();
  if (lacking() || !map) return undefined;
  if (map.getSource(LAYER)) return map.getSource(LAYER).setTiles([tileTemplate()]);
  return showLayer();
}

function lacking() {
  const missing = controls.missing();
  notice(missing.length ? element("span", {}, `Fill in ${missing.join(" and ")} to see the layer.`) : null);
  return missing.length > 0;
}

function notice(...content) {
  document.querySelector(".notice")?.remove();
  if (content[0]) byId("map").append(element("div", { class: "notice", role: "status" }, ...content));
}

// --- the map ---------------------------------------------------------------------------------------------------

async function showMap() {
  map = new Map({
    container: "map", style: backgroundStyle(), hash: true, maxZoom: 24, attributionControl: false,
    dragRotate: false, pitchWithRotate: false, touchPitch: false, ...firstView(),
  });
  map.touchZoomRotate.disableRotation();
  map.addControl(new NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new AttributionControl({ compact: PHONE.matches, customAttribution: attribution() }), "bottom-right");
  map.addControl(new ScaleControl(), "bottom-right");
  map.on("error", failed);
  map.on("load", () => {
    drawBackground(map);
    if (!lacking()) showLayer();
  });
}

function firstView() {
  const [west, south, east, north] = page.bounds;
  if (east - west > 300) return { center: [10, 20], zoom: PHONE.matches ? 0.4 : 1.6 };
  const padding = PHONE.matches ? { top: 24, right: 24, bottom: 140, left: 24 } : { top: 40, right: 60, bottom: 40, left: 400 };
  return { bounds: [[west, south], [east, north]], fitBoundsOptions: { padding } };
}

// MapLibre takes attributions as HTML; the author's is text.
function attribution() {
  const text = element("span", {}, page.attribution ?? "").innerHTML;
  return [text, "Land: Natural Earth"].filter(Boolean);
}

async function showLayer() {
  if (!page.kind) await findKind();
  if (!tiled()) return notice(...otherKind());
  addLayer(map, page, tileTemplate());
  byId("display").hidden = false;
  byId("opacity").addEventListener("input", opacityChanged);
  map.on("dataloading", (event) => { if (event.sourceId === LAYER) busy(true); });
  map.on("idle", () => busy(false));
  map.on("sourcedata", (event) => { if (event.sourceId === LAYER && event.tile?.state === "loaded") failure.settle(); });
  map.on("moveend", () => { hintZoom(); offerFiles(); redrawCode(); });
  hintZoom();
  return page.kind === "vector" ? showFacts(map) : undefined;
}

// MapLibre says nothing of a tile that came back unchanged: where that was the last, it is asked whether all is there.
function busy(loading) {
  byId("progress").hidden = !loading;
  byId("map").setAttribute("aria-busy", String(loading));
  clearInterval(asking);
  if (loading) asking = setInterval(() => map.loaded() && map.triggerRepaint(), 250);
}

// Before the probe is through, a tile says what the function returns.
async function findKind() {
  const answer = await fetch(withQuery(`${tiles}0/0/0`), { credentials: "same-origin" });
  if (!answer.ok) return failure.show(await explain(answer));
  const media = answer.headers.get("content-type") ?? "";
  const vector = answer.status === 204 || media.includes("vector-tile");
  page.kind = vector ? "vector" : media.startsWith("image/") ? "raster" : "table";
  return undefined;
}

function otherKind() {
  if (!page.kind) return [];
  const link = element("a", { href: resultAddress("", HERE) }, "Open its result");
  return [element("span", {}, `This function returns a ${page.kind}, which has no place on a map. `), link];
}

function opacityChanged(event) {
  const value = Number(event.target.value);
  document.querySelector("output[for=opacity]").textContent = `${Math.round(value * 100)} %`;
  setOpacity(map, value);
}

// Raster tiles are 256 pixels: MapLibre, which counts in tiles of 512, asks one zoom deeper.
const deeper = () => (page.kind === "raster" ? 1 : 0);

function hintZoom() {
  const wanted = page.minzoom - deeper();
  if (map.getZoom() >= wanted - (deeper() ? 0.5 : 0)) return notice(null);
  const button = element("button", { type: "button", class: "quiet" }, "Zoom in");
  button.addEventListener("click", () => map.easeTo({ zoom: wanted + 0.01 }));
  return notice(element("span", {}, `This layer begins at zoom ${page.minzoom}.`), button);
}

function failed(event) {
  const place = event.tile?.tileID?.canonical;
  if (event.sourceId !== LAYER || !place) return console.warn(event.error?.message);
  busy(false);
  const { z, x, y } = place;
  return failure.tell(tileTemplate().replace("{z}", z).replace("{x}", x).replace("{y}", y));
}

// --- documents, and what is shared -------------------------------------------------------------------------------

// What a function made is shown apart from this page: its scripts reach nothing here.
function showDocument() {
  if (lacking()) return;
  const frame = element("iframe", { sandbox: "allow-scripts", src: resultAddress("", HERE), title: page.name });
  byId("map").replaceChildren(frame);
}

function share() {
  const rows = tiled()
    ? [["Tile URL", withQuery(page.tile_url)], ["TileJSON", withQuery(page.tilejson_url)], ["QGIS", qgisAddress(page, withQuery(page.tile_url))]]
    : [["File URL", resultAddress("")]];
  byId("addresses").replaceChildren(...rows.map(([label, text]) => addressRow(label, text)));
  offerFiles();
  redrawCode();
}

function offerFiles() {
  const links = (DOWNLOADS[page.kind] ?? [""]).map((extension) =>
    element("a", { class: "chip", href: resultAddress(extension, HERE) }, extension ? extension.slice(1) : "open"));
  byId("files").replaceChildren(element("span", {}, page.takes_tile ? "Middle tile as" : "As a file"), ...links);
}

// On a phone the panel starts folded: the map is what people came for.
function foldable() {
  const button = byId("fold");
  const fold = (folded) => {
    byId("panel").classList.toggle("folded", folded);
    button.setAttribute("aria-expanded", String(!folded));
    button.setAttribute("aria-label", folded ? "Unfold the panel" : "Fold the panel");
  };
  button.addEventListener("click", () => fold(button.getAttribute("aria-expanded") === "true"));
  fold(PHONE.matches);
}

start();
