// A page that draws a style of the platform with OpenLayers in CGCS2000. Its address
// says which and where: ?style=URL&lon=&lat=&zoom=. window.__portal answers a test as
// the portal does.
import OLMap from 'ol/Map.js';
import View from 'ol/View.js';
import { get } from 'ol/proj.js';
import { register } from 'ol/proj/proj4.js';
import { apply } from 'ol-mapbox-style';
import proj4 from 'proj4';

proj4.defs('EPSG:4490', '+proj=longlat +ellps=GRS80 +no_defs +type=crs');
register(proj4);
get('EPSG:4490').setExtent([-180, -90, 180, 90]);

const asked = new URLSearchParams(location.search);
const number = (name) => Number(asked.get(name));
// Zoom 0 of a style shows 360 degrees in 512 pixels.
const resolution = 360 / 512 / 2 ** number('zoom');
const view = new View({ projection: 'EPSG:4490', center: [number('lon'), number('lat')], resolution });
const map = new OLMap({ target: 'map', controls: [], interactions: [], pixelRatio: 1, view });

const errors = [];
window.addEventListener('error', (e) => errors.push(e.message));
window.addEventListener('unhandledrejection', (e) => errors.push(String(e.reason)));

async function draw() {
  // The document itself: given its address, the library would put the last parameter of
  // that, which it takes for a key, on every tile.
  const url = asked.get('style');
  await apply(map, await (await fetch(url)).json(), { projection: 'EPSG:4490', styleUrl: new URL('/', url).href });
  for (const layer of map.getAllLayers()) layer.getSource()?.on('tileloaderror', () => errors.push(`a tile of ${layer.get('mapbox-source')} did not come`));
  view.setCenter([number('lon'), number('lat')]);
  view.setResolution(resolution);
  await new Promise((resolve) => { map.once('rendercomplete', resolve); map.render(); });
  return true;
}

const drawn = draw();
window.__portal = {
  errors,
  map,
  idle: () => drawn,
  // Whether the layer that writes the names of a collection is drawn at this resolution.
  named: (id) => map.getAllLayers().some((l) => l.get('mapbox-layers')?.includes(`${id}:names`) && l.getFeaturesInExtent(view.calculateExtent()).length > 0),
  // Where a position is on the page, in pixels.
  screen: (lon, lat) => { const [x, y] = map.getPixelFromCoordinate([lon, lat]); return { x, y }; },
};
