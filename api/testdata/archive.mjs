// Prints what the JavaScript reader finds in an archive that it reads by URL: the
// header, then for each line "z x y" of standard input how many bytes the tile has.
//   node archive.mjs MODULE URL KEY
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [module, url, key] = process.argv.slice(2);
const { FetchSource, PMTiles } = await import(pathToFileURL(module));
const archive = new PMTiles(new FetchSource(url, new Headers({ "X-API-Key": key })));
const { minZoom, maxZoom, tileType, numAddressedTiles } = await archive.getHeader();
console.log(JSON.stringify({ minZoom, maxZoom, tileType, numAddressedTiles }));
for (const line of readFileSync(0, "utf8").trimEnd().split("\n")) {
  const tile = await archive.getZxy(...line.split(" ").map(Number));
  console.log(tile ? tile.data.byteLength : 0);
}
