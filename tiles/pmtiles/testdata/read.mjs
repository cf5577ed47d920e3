// Prints what the JavaScript reader finds in an archive: the header and metadata,
// then for each line "z x y" of standard input the SHA-256 of the tile.
//   node read.mjs MODULE ARCHIVE
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const [module, path] = process.argv.slice(2);
const { PMTiles } = await import(pathToFileURL(module));
const file = await open(path);
const archive = new PMTiles({
  getKey: () => path,
  async getBytes(offset, length) {
    const { buffer, bytesRead } = await file.read(new Uint8Array(length), 0, length, offset);
    return { data: buffer.buffer.slice(0, bytesRead) };
  },
});
const header = await archive.getHeader();
console.log(JSON.stringify({ header, metadata: await archive.getMetadata() }));
const answer = async (line) => {
  const tile = await archive.getZxy(...line.split(" ").map(Number));
  return tile ? createHash("sha256").update(Buffer.from(tile.data)).digest("hex") : "none";
};
const lines = readFileSync(0, "utf8").trimEnd().split("\n");
for (let i = 0; i < lines.length; i += 500) {
  console.log((await Promise.all(lines.slice(i, i + 500).map(answer))).join("\n"));
}
await file.close();
