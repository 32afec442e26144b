// The layer itself, as MapLibre draws it.

import { ABOVE } from "./background.js";

export const LAYER = "udf";
const COLOUR = "#1f5eff";
const HOVER = "#ff8a00";
const tint = ["case", ["boolean", ["feature-state", "hover"], false], HOVER, COLOUR];
const is = (kind) => ["==", ["geometry-type"], kind];

const VECTORS = [
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
export const VECTOR_LAYERS = VECTORS.map((layer) => layer.id);

const OPACITIES = {
  raster: [["udf-raster", "raster-opacity", 1]],
  vector: [
    ["udf-fill", "fill-opacity", 0.28], ["udf-line", "line-opacity", 1],
    ["udf-circle", "circle-opacity", 0.85], ["udf-circle", "circle-stroke-opacity", 1],
  ],
};

export function addLayer(map, page, template) {
  const common = { tiles: [template], minzoom: page.minzoom, maxzoom: page.maxzoom, bounds: page.bounds };
  if (page.kind === "raster") {
    map.addSource(LAYER, { type: "raster", tileSize: 256, ...common });
    map.addLayer({ id: "udf-raster", type: "raster", source: LAYER, paint: { "raster-fade-duration": 150 } }, ABOVE);
    return;
  }
  map.addSource(LAYER, { type: "vector", ...common });
  for (const layer of VECTORS) map.addLayer({ ...layer, source: LAYER, "source-layer": page.layer });
}

export function setOpacity(map, kind, value) {
  for (const [layer, property, full] of OPACITIES[kind]) map.setPaintProperty(layer, property, full * value);
}
