// Bundles the test page of OpenLayers into a folder: node bundle.mjs FOLDER.
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const folder = process.argv[2];
const here = dirname(fileURLToPath(import.meta.url));
await build({
  configFile: false, root: here, logLevel: 'error', publicDir: false,
  build: { outDir: folder, emptyOutDir: false, target: 'es2022', lib: { entry: join(here, 'openlayers.js'), formats: ['es'], fileName: () => 'openlayers.js' } },
});
writeFileSync(join(folder, 'index.html'), `<!doctype html>
<html lang="zh-CN"><meta charset="utf-8"><title>OpenLayers</title>
<style>html, body, #map { margin: 0; width: 100%; height: 100%; background: #efeae0 }</style>
<div id="map"></div><script type="module" src="openlayers.js"></script></html>
`);
