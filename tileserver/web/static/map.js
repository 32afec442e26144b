// The map page: a layer over a plain world, a control for each parameter, addresses to copy, what went wrong.
import * as maplibregl from './maplibre/maplibre-gl.mjs'

const page = JSON.parse(document.getElementById('page').textContent)
const here = new URL('.', location.href)
const find = (id) => document.getElementById(id)
const tiled = page.kind === 'raster' || page.kind === 'vector'
const given = new URLSearchParams(location.search)

function element(name, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(name), attributes)
  made.append(...children)
  return made
}

// Parameters: a control each; the page's own query holds what differs from the default, so a link can be shared.

function control(parameter) {
  const { name, type, choices } = parameter
  const value = given.get(name) ?? written(parameter.default)
  if (type === 'bool') return element('input', { id: name, type: 'checkbox', checked: value === 'true' || value === '1' })
  if (type === 'literal') {
    const options = choices.map((each) => element('option', { value: String(each), textContent: String(each) }))
    return Object.assign(element('select', { id: name }, ...options), { value })
  }
  if (type === 'datetime') return element('input', { id: name, type: 'datetime-local', step: 1, value: value.replace(/(Z|[+]00:00)$/, '') })
  const number = type === 'int' || type === 'float'
  return element('input', { id: name, type: number ? 'number' : 'text', step: type === 'float' ? 'any' : 1, value,
    placeholder: parameter.required ? 'needed' : parameter.optional ? 'none' : '', autocomplete: 'off', spellcheck: false })
}

function written(value) {
  return value === null || value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function read(parameter) {
  const input = find(parameter.name)
  if (parameter.type === 'bool') return String(input.checked)
  if (parameter.type === 'datetime' && input.value) return input.value + 'Z'
  return input.value
}

function query() {
  const set = new URLSearchParams()
  for (const parameter of page.parameters) {
    const value = read(parameter)
    if (value !== written(parameter.default) && !(parameter.type === 'bool' && value === String(Boolean(parameter.default)))) {
      set.set(parameter.name, value)
    }
  }
  return set
}

function withQuery(address) {
  const set = query().toString()
  return set ? `${address}?${set}` : address
}

// Addresses

function relative(extension) {
  const scale = page.kind === 'raster' && devicePixelRatio > 1 ? '@2x' : ''
  const set = query()
  set.set('v', page.version)
  return `${here.href}{z}/{x}/{y}${scale}${extension}?${set}`
}

function addresses() {
  const tile = withQuery(page.tile_url)
  const qgis = `type=xyz&url=${encodeURIComponent(tile)}&zmin=${page.minzoom}&zmax=${page.maxzoom}`
  return tiled ? { 'Tiles': tile, 'TileJSON': withQuery(page.tilejson_url), 'QGIS': qgis } : { 'File': withQuery(page.file_url) }
}

function showAddresses() {
  const rows = Object.entries(addresses()).flatMap(([label, text]) => {
    const button = element('button', { type: 'button', textContent: 'Copy', ariaLabel: `Copy the ${label} address` })
    button.addEventListener('click', async () => {
      await navigator.clipboard.writeText(text)
      button.textContent = 'Copied'
      setTimeout(() => { button.textContent = 'Copy' }, 1500)
    })
    return [element('div', { className: 'label', textContent: label }),
      element('div', { className: 'copy' }, element('code', { textContent: text, tabIndex: 0 }), button)]
  })
  find('addresses').replaceChildren(...rows)
  for (const link of document.querySelectorAll('#file')) link.href = new URL(withQuery('../../files/' + page.token), here)
}

// The world behind the layer

function graticule(step) {
  const lines = []
  for (let x = -180; x <= 180; x += step) lines.push([[x, -85], [x, 85]])
  for (let y = -80; y <= 80; y += step) lines.push(Array.from({ length: 37 }, (_, n) => [n * 10 - 180, y]))
  return { type: 'Feature', properties: {}, geometry: { type: 'MultiLineString', coordinates: lines } }
}

const dark = matchMedia('(prefers-color-scheme: dark)').matches
const colours = dark
  ? { sea: '#16212a', land: '#24313b', shore: '#3b4c58', line: '#2b3a45', layer: '#6cc3bd' }
  : { sea: '#dbe7ee', land: '#f6f5f0', shore: '#b9c6ce', line: '#c8d6de', layer: '#1f6f78' }

const style = {
  version: 8,
  sources: {
    land: { type: 'geojson', data: new URL(`${page.static}/land.json`, here).href, attribution: 'Natural Earth' },
    grid: { type: 'geojson', data: graticule(10) },
  },
  layers: [
    { id: 'sea', type: 'background', paint: { 'background-color': colours.sea } },
    { id: 'land', type: 'fill', source: 'land', paint: { 'fill-color': colours.land } },
    { id: 'grid', type: 'line', source: 'grid', paint: { 'line-color': colours.line, 'line-width': 1 } },
    { id: 'shore', type: 'line', source: 'land', paint: { 'line-color': colours.shore, 'line-width': 1 } },
  ],
}

const map = new maplibregl.Map({ container: 'map', style, hash: true, maxZoom: 24, attributionControl: { compact: true }, renderWorldCopies: true,
  bounds: page.bounds, fitBoundsOptions: { padding: { left: innerWidth > 640 ? 370 : 10, right: 10, top: 10, bottom: innerWidth > 640 ? 10 : 90 } } })
map.addControl(new maplibregl.NavigationControl({ showCompass: false }), 'top-right')
map.addControl(new maplibregl.ScaleControl(), 'bottom-right')

// The layer

const SHAPES = [
  ['fill', ['==', ['geometry-type'], 'Polygon'], { 'fill-color': colours.layer, 'fill-opacity': 0.25 }],
  ['line', ['!=', ['geometry-type'], 'Point'], { 'line-color': colours.layer, 'line-width': 1.4 }],
  ['circle', ['==', ['geometry-type'], 'Point'], { 'circle-color': colours.layer, 'circle-radius': 4, 'circle-stroke-color': '#fff', 'circle-stroke-width': 1 }],
]
const names = page.kind === 'raster' ? ['layer'] : SHAPES.map(([type]) => `layer-${type}`)

function addLayer() {
  if (!tiled) return
  const common = { minzoom: page.minzoom, maxzoom: page.maxzoom, bounds: page.bounds, attribution: escaped(page.attribution) }
  if (page.kind === 'raster') {
    map.addSource('layer', { type: 'raster', tiles: [relative('.png')], tileSize: 256, ...common })
    map.addLayer({ id: 'layer', type: 'raster', source: 'layer', paint: { 'raster-fade-duration': 150 } }, 'shore')
    return
  }
  map.addSource('layer', { type: 'vector', tiles: [relative('.mvt')], ...common })
  for (const [type, filter, paint] of SHAPES) {
    map.addLayer({ id: `layer-${type}`, type, source: 'layer', 'source-layer': page.layer, filter, paint })
  }
}

function escaped(text) {
  return element('span', { textContent: text }).innerHTML
}

function setOpacity(value) {
  const kinds = { layer: 'raster', 'layer-fill': 'fill', 'layer-line': 'line', 'layer-circle': 'circle' }
  for (const name of names) {
    if (map.getLayer(name)) map.setPaintProperty(name, `${kinds[name]}-opacity`, name === 'layer-fill' ? value / 4 : value)
  }
}

function refresh() {
  const set = query().toString()
  history.replaceState(null, '', `${set ? '?' + set : location.pathname}${location.hash}`)
  showAddresses()
  hideError()
  const source = map.getSource('layer')
  if (source) source.setTiles([relative(page.kind === 'raster' ? '.png' : '.mvt')])
}

const popup = new maplibregl.Popup({ closeButton: false, closeOnClick: false, maxWidth: '320px' })
map.on('mousemove', (event) => {
  const shown = page.kind === 'vector' ? names.filter((name) => map.getLayer(name)) : []
  const [feature] = shown.length ? map.queryRenderedFeatures(event.point, { layers: shown }) : []
  if (!feature) { popup.remove(); return }
  const rows = Object.entries(feature.properties).slice(0, 12).map(([name, value]) =>
    element('tr', {}, element('td', { textContent: name }), element('td', { textContent: String(value).slice(0, 120) })))
  popup.setLngLat(event.lngLat).setDOMContent(element('table', {}, ...rows)).addTo(map)
})

// What went wrong: the tile is asked for once more, for its words

let asking = false
map.on('error', async (event) => {
  const status = event.error?.status
  const url = event.error?.url
  if (!url || !status || asking || !find('error').hidden) return
  asking = true
  const answer = await fetch(url, { credentials: 'same-origin' }).finally(() => { asking = false })
  if (answer.ok) return
  showError(await answer.json().catch(() => ({ code: String(answer.status), detail: 'The tile could not be loaded.' })))
})
map.on('data', (event) => { if (event.sourceId === 'layer' && event.tile && event.tile.state === 'loaded') hideError() })
map.on('dataloading', () => find('bar').classList.add('busy'))
map.on('idle', () => find('bar').classList.remove('busy'))

function showError(error) {
  const where = error.line ? ` (line ${error.line})` : ''
  const parts = [element('strong', { textContent: error.detail }), element('span', { className: 'label', textContent: error.code + where })]
  for (const text of [error.message, error.traceback, error.printed]) {
    if (text) parts.push(element('pre', { textContent: text }))
  }
  find('error').replaceChildren(...parts)
  find('error').hidden = false
}

function hideError() {
  find('error').hidden = true
}

// Put together

let pending = 0
function changed() {
  clearTimeout(pending)
  pending = setTimeout(refresh, 250)
}
for (const parameter of page.parameters) {
  const input = control(parameter)
  input.addEventListener('input', changed)
  find('parameters').append(element('div', { className: 'field' }, element('label', { htmlFor: parameter.name, textContent: parameter.name }), input))
}
find('parameters-title').hidden = page.parameters.length === 0
find('opacity')?.addEventListener('input', (event) => setOpacity(Number(event.target.value)))
find('fold').addEventListener('click', () => {
  const folded = find('panel').classList.toggle('folded')
  find('fold').setAttribute('aria-expanded', String(!folded))
})
if (innerWidth <= 640) find('panel').classList.add('folded')
showAddresses()
map.on('load', addLayer)
