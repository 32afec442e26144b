// What a feature says of itself: on hover with a mouse, on a tap without.

import { Popup } from "./maplibre/maplibre-gl.mjs";
import { element } from "./elements.js";
import { drawn, LAYER } from "./layer.js";

const MOST = 16;

export function showFacts(map) {
  const popup = new Popup({ closeButton: false, closeOnClick: false, className: "facts", maxWidth: "320px", offset: 12 });
  let hovered = null;
  const light = (feature) => {
    if (hovered) map.setFeatureState(hovered, { hover: false });
    hovered = feature?.id === undefined ? null : { source: LAYER, sourceLayer: feature.sourceLayer, id: feature.id };
    if (hovered) map.setFeatureState(hovered, { hover: true });
  };
  const look = (event) => {
    const feature = map.queryRenderedFeatures(around(event.point), { layers: drawn(map) })[0];
    map.getCanvas().style.cursor = feature ? "pointer" : "";
    light(feature);
    if (!feature) return popup.remove();
    return popup.setLngLat(event.lngLat).setDOMContent(table(feature)).addTo(map);
  };
  map.on("mousemove", look);
  map.on("click", look);
  map.getCanvas().addEventListener("mouseleave", () => { light(null); popup.remove(); });
}

const around = ({ x, y }) => [[x - 3, y - 3], [x + 3, y + 3]];

function table(feature) {
  const facts = Object.entries(feature.properties);
  if (facts.length === 0) return element("p", {}, feature.id === undefined ? "No attributes" : `Feature ${feature.id}`);
  const rows = facts.slice(0, MOST).map(([name, value]) =>
    element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, said(value))));
  if (facts.length > MOST) rows.push(element("tr", {}, element("td", { colspan: 2 }, `and ${facts.length - MOST} more`)));
  return element("table", {}, element("tbody", {}, ...rows));
}

const said = (value) => (typeof value === "number" ? value.toLocaleString("en", { maximumFractionDigits: 6, useGrouping: false }) : String(value));
