// The ground below a layer: land, graticule and coastlines, all from this server.

const DAY = { sea: "#dfe7ef", land: "#f7f6f2", grid: "#b9c6d4", coast: "#8d99a8", label: "#7d8998", halo: "#eef2f6" };
const NIGHT = { sea: "#11161d", land: "#1d242d", grid: "#2c3642", coast: "#5a6675", label: "#6f7c8c", halo: "#141a21" };
const dark = matchMedia("(prefers-color-scheme: dark)");
const palette = () => (dark.matches ? NIGHT : DAY);
const EMPTY = { type: "FeatureCollection", features: [] };

// The layer goes in front of this one: coastlines and labels stay visible over it.
export const ABOVE = "coast";

export function backgroundStyle() {
  const colour = palette();
  const fine = ["interpolate", ["linear"], ["zoom"], 0, 0.5, 6, 0.8];
  return {
    version: 8,
    sources: {
      land: { type: "geojson", data: EMPTY, tolerance: 0.4 },
      coast: { type: "geojson", data: EMPTY, tolerance: 0.4 },
      graticule: { type: "geojson", data: EMPTY, tolerance: 0 },
    },
    layers: [
      { id: "sea", type: "background", paint: { "background-color": colour.sea } },
      { id: "land", type: "fill", source: "land", paint: { "fill-color": colour.land } },
      { id: "grid", type: "line", source: "graticule", paint: { "line-color": colour.grid, "line-width": fine } },
      {
        id: "coast", type: "line", source: "coast",
        // The outline is coarse: from far it says where one is, near by it would be wrong.
        paint: {
          "line-color": colour.coast, "line-width": 0.9,
          "line-opacity": ["interpolate", ["linear"], ["zoom"], 5, 0.9, 9, 0.15],
        },
      },
      {
        id: "degrees", type: "symbol", source: "graticule",
        layout: {
          "symbol-placement": "line", "text-field": ["get", "label"], "text-font": ["sans-serif"], "text-size": 10,
          "symbol-spacing": 420, "text-padding": 12,
        },
        paint: { "text-color": colour.label, "text-halo-color": colour.halo, "text-halo-width": 1.2 },
      },
    ],
  };
}

export async function drawBackground(map) {
  followColours(map);
  const redraw = () => map.getSource("graticule").setData(graticule(map));
  map.on("moveend", redraw);
  redraw();
  const answer = await fetch(new URL("land.json", import.meta.url));
  const land = await answer.json();
  map.getSource("land").setData(land);
  map.getSource("coast").setData(coastlines(land));
}

function followColours(map) {
  dark.addEventListener("change", () => {
    for (const layer of backgroundStyle().layers) {
      for (const [name, value] of Object.entries(layer.paint)) map.setPaintProperty(layer.id, name, value);
    }
  });
}

// The rings without the seams along the antimeridian and the pole, which are no coast.
function coastlines(land) {
  const seam = ([lon, lat], [nextLon, nextLat]) =>
    (Math.abs(lon) > 179.98 && Math.abs(nextLon) > 179.98) || (lat < -89 && nextLat < -89) || Math.abs(lon - nextLon) > 300;
  const lines = [];
  for (const ring of land.geometry.coordinates.flat()) {
    let line = [ring[0]];
    for (let i = 1; i < ring.length; i += 1) {
      if (seam(ring[i - 1], ring[i])) {
        lines.push(line);
        line = [];
      }
      line.push(ring[i]);
    }
    lines.push(line);
  }
  const coordinates = lines.filter((line) => line.length > 1);
  return { type: "Feature", properties: {}, geometry: { type: "MultiLineString", coordinates } };
}

const STEPS = [30, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];

function graticule(map) {
  const box = map.getBounds();
  const width = Math.min(box.getEast() - box.getWest(), 360);
  const step = STEPS.find((each) => width / each >= 5) ?? STEPS.at(-1);
  const [south, north] = [Math.max(box.getSouth() - step, -85), Math.min(box.getNorth() + step, 85)];
  const [west, east] = [box.getWest() - step, box.getEast() + step];
  const features = [];
  for (const lon of multiples(west, east, step)) features.push(line([[lon, south], [lon, north]], meridian(lon, step)));
  for (const lat of multiples(south, north, step)) features.push(line([[west, lat], [east, lat]], parallel(lat, step)));
  return { type: "FeatureCollection", features };
}

function multiples(low, high, step) {
  const first = Math.ceil(low / step);
  const count = Math.max(Math.floor(high / step) - first + 1, 0);
  return Array.from({ length: count }, (_, i) => (first + i) * step);
}

const line = (coordinates, label) => ({ type: "Feature", properties: { label }, geometry: { type: "LineString", coordinates } });
const degrees = (value, step) => `${Math.abs(value).toFixed(Math.max(0, Math.ceil(-Math.log10(step))))}°`;
const parallel = (lat, step) => degrees(lat, step) + (lat > 0 ? "N" : lat < 0 ? "S" : "");

function meridian(lon, step) {
  const wrapped = ((((lon + 180) % 360) + 360) % 360) - 180;
  return degrees(wrapped, step) + (wrapped > 0 ? "E" : wrapped < 0 && wrapped > -180 ? "W" : "");
}
