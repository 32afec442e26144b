// The layer itself, as MapLibre draws it.

import { ABOVE } from "./background.js";

export const LAYER = "udf";
const COLOUR = "#1f5eff";
const HOVER = "#ff8a00";
const tint = ["case", ["boolean", ["feature-state", "hover"], false], HOVER, COLOUR];
const is = (kind) => ["==", ["geometry-type"], kind];

const VECTORS = [  // drawn in this order, of all layers of the tiles
  { id: "udf-fill", type: "fill", filter: is("Polygon"), paint: { "fill-color": tint, "fill-opacity": 0.28 } },
  {
    id: "udf-line", type: "line", filter: ["!", is("Point")], layout: { "line-join": "round", "line-cap": "round" },
    paint: { "line-color": tint, "line-width": ["interpolate", ["linear"], ["zoom"], 2, 0.8, 14, 2] },
  },
  {
    id: "udf-circle", type: "circle", filter: is("Point"),
    paint: {
      "circle-color": tint, "circle-opacity": 0.85, "circle-stroke-color": "#ffffff", "circle-stroke-width": 1,
      "circle-stroke-opacity": 1, "circle-radius": ["interpolate", ["linear"], ["zoom"], 0, 2.5, 8, 5, 16, 7],
    },
  },
];

const OPACITIES = {
  raster: [["raster-opacity", 1]],
  fill: [["fill-opacity", 0.28]],
  line: [["line-opacity", 1]],
  circle: [["circle-opacity", 0.85], ["circle-stroke-opacity", 1]],
};

export function addLayer(map, page, template) {
  const common = { tiles: [template], minzoom: page.minzoom, maxzoom: page.maxzoom, bounds: page.bounds };
  if (page.kind === "raster") {
    map.addSource(LAYER, { type: "raster", tileSize: 256, ...common });
    map.addLayer({ id: "udf-raster", type: "raster", source: LAYER, paint: { "raster-fade-duration": 150 } }, ABOVE);
    return;
  }
  map.addSource(LAYER, { type: "vector", ...common });
  for (const layer of VECTORS) {
    for (const name of page.layers) {
      map.addLayer({ ...layer, id: `${layer.id}-${name}`, source: LAYER, "source-layer": name });
    }
  }
}

export const drawn = (map) => map.getLayersOrder().filter((id) => map.getLayer(id).source === LAYER);

export function setOpacity(map, value) {
  for (const id of drawn(map)) {
    for (const [property, full] of OPACITIES[map.getLayer(id).type]) map.setPaintProperty(id, property, full * value);
  }
}
