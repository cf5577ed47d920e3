// Writes dist/.sources: a digest of what the build was made from and one of what
// it made. web_test.go computes both again, so a source that changed without a
// build, or a build edited by hand, fails the Go tests.
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';

const inputs = ['index.html', 'package.json', 'package-lock.json', 'sources.mjs', 'src', 'tsconfig.json', 'vite.config.ts'];

function files(path) {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).flatMap((name) => files(`${path}/${name}`));
}

// Each file adds its path, a NUL, its length in decimal, a NUL, and its bytes.
function digest(paths) {
  const hash = createHash('sha256');
  for (const path of [...paths].sort()) {
    const bytes = readFileSync(path);
    hash.update(`${path}\0${bytes.length}\0`);
    hash.update(bytes);
  }
  return hash.digest('hex');
}

const made = files('dist').filter((path) => path !== 'dist/.sources');
writeFileSync('dist/.sources', `sources ${digest(inputs.flatMap(files))}\ndist ${digest(made)}\n`);
