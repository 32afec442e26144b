// What to copy into map clients: addresses and code.

import { announce, element } from "./elements.js";

export function qgisAddress(page, url) {
  const zooms = `&zmin=${page.minzoom}&zmax=${page.maxzoom}`;
  return `type=xyz&url=${encodeURIComponent(url).replace(/%7B/g, "{").replace(/%7D/g, "}")}${zooms}`;
}

export function addressRow(label, text) {
  const id = `address-${label.toLowerCase().replaceAll(" ", "-")}`;
  const field = element("input", { id, type: "text", readonly: true, value: text, spellcheck: "false" });
  field.addEventListener("focus", () => field.select());
  return element("div", { class: "address" }, element("label", { for: id }, label), field, copyButton(label, () => field.value));
}

export function copyButton(label, read) {
  const button = element("button", { type: "button", class: "copy", "aria-label": `Copy ${label}` }, "Copy");
  button.addEventListener("click", async () => {
    await copy(read());
    button.textContent = "Copied";
    announce(`${label} copied`);
    setTimeout(() => { button.textContent = "Copy"; }, 1600);
  });
  return button;
}

// Without HTTPS there is no clipboard object, except on this very computer.
async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) {
    try {
      await navigator.clipboard.writeText(text);
      return;
    } catch { /* refused in a frame: the way below */ }
  }
  const area = element("textarea", { class: "unseen" });
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

const quoted = (value) => JSON.stringify(value);

const RASTER = {
  MapLibre: (page, url) => `map.addSource(${quoted(page.name)}, {
  type: "raster",
  tiles: [${quoted(url)}],
  tileSize: 256, minzoom: ${page.minzoom}, maxzoom: ${page.maxzoom},
});
map.addLayer({ id: ${quoted(page.name)}, type: "raster", source: ${quoted(page.name)} });`,
  Leaflet: (page, url) => `L.tileLayer(${quoted(url)}, {
  minZoom: ${page.minzoom}, maxNativeZoom: ${page.maxzoom}, maxZoom: 24,
}).addTo(map);`,
  "deck.gl": (page, url) => `new TileLayer({
  id: ${quoted(page.name)},
  data: ${quoted(url)},
  tileSize: 256, minZoom: ${page.minzoom}, maxZoom: ${page.maxzoom},
  renderSubLayers: ({ tile, data, ...props }) => {
    const { west, south, east, north } = tile.bbox;
    return new BitmapLayer(props, { image: data, bounds: [west, south, east, north] });
  },
});`,
  Python: (page, url) => `from lonboard import BitmapTileLayer, Map

layer = BitmapTileLayer(
    data=${quoted(url)},
    tile_size=256, min_zoom=${page.minzoom}, max_zoom=${page.maxzoom},
)
Map(layer)`,
};

const VECTOR = {
  MapLibre: (page, url) => `map.addSource(${quoted(page.name)}, {
  type: "vector",
  tiles: [${quoted(url)}],
  minzoom: ${page.minzoom}, maxzoom: ${page.maxzoom},
});
map.addLayer({
  id: ${quoted(page.name)}, type: "fill", source: ${quoted(page.name)},
  "source-layer": ${quoted(page.layers[0])}, paint: { "fill-color": "#1f5eff", "fill-opacity": 0.3 },
});`,
  Leaflet: (page, url) => `// with the plugin Leaflet.VectorGrid
L.vectorGrid.protobuf(${quoted(url)}, {
  minZoom: ${page.minzoom}, maxNativeZoom: ${page.maxzoom}, interactive: true,
  vectorTileLayerStyles: { ${quoted(page.layers[0])}: { color: "#1f5eff", weight: 1, fill: true } },
}).addTo(map);`,
  "deck.gl": (page, url) => `new MVTLayer({
  id: ${quoted(page.name)},
  data: ${quoted(url)},
  minZoom: ${page.minzoom}, maxZoom: ${page.maxzoom},
  getFillColor: [31, 94, 255, 80], getLineColor: [31, 94, 255], lineWidthMinPixels: 1,
  pickable: true,
});`,
  Python: (page, url, result) => `import geopandas as gpd
from lonboard import viz

# ${page.takes_tile ? "the tile in the middle of the map" : "the function run once, without a tile"}
features = gpd.read_file(${quoted(result(".geojson"))})
viz(features)`,
};

// Tabs by the pattern of the ARIA authoring practices: arrow keys move, one tab stop. Returns what redraws the code.
export function makeTabs(root, draw) {
  const list = root.querySelector("[role=tablist]");
  const panel = root.querySelector("[role=tabpanel]");
  const code = panel.querySelector("code");
  const tabs = Object.keys(RASTER).map((name) =>
    element("button", { type: "button", role: "tab", id: `tab-${name.replace(".", "")}`, "aria-controls": panel.id }, name));
  let chosen = tabs[0];
  const show = (tab, focus) => {
    chosen = tab;
    for (const each of tabs) {
      each.setAttribute("aria-selected", String(each === tab));
      each.tabIndex = each === tab ? 0 : -1;
    }
    panel.setAttribute("aria-labelledby", tab.id);
    code.textContent = draw(tab.textContent);
    if (focus) tab.focus();
  };
  list.append(...tabs);
  list.addEventListener("click", (event) => tabs.includes(event.target) && show(event.target));
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) show(tabs[(tabs.indexOf(chosen) + step + tabs.length) % tabs.length], true);
  });
  panel.append(copyButton("code", () => code.textContent));
  show(chosen);
  return () => show(chosen);
}

export const snippet = (name, page, url, result) => (page.kind === "vector" ? VECTOR : RASTER)[name](page, url, result);
