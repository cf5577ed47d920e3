// Judges styles by the style specification: node judge.mjs MODULE reads
// {"styles": {name: style}, "asks": [{style, layer, key, properties, zoom}]} and
// writes {"faults": {name: [text]}, "answers": [value]}. A key "filter" asks whether
// the layer shows the feature.
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';

const spec = await import(pathToFileURL(process.argv[2]));
const { styles, asks } = JSON.parse(await text(process.stdin));

const faults = {};
for (const [name, style] of Object.entries(styles)) {
  faults[name] = spec.validateStyleMin(style).map((e) => `${e.line ?? ''} ${e.message}`);
}

function evaluate({ style, layer, key, properties, zoom }) {
  const found = styles[style].layers.find((l) => l.id === layer);
  const feature = { type: 3, properties };
  if (key === 'filter') return spec.featureFilter(found.filter, layer).filter({ zoom }, feature);
  const value = found.paint?.[key] ?? found.layout?.[key];
  const kind = found.paint?.[key] === undefined ? 'layout' : 'paint';
  const made = spec.createExpression(value, layer, spec.latest[`${kind}_${found.type}`][key]);
  if (made.result !== 'success') throw new Error(`${layer} ${key}: ${JSON.stringify(made.value)}`);
  return made.value.evaluate({ zoom }, feature);
}

console.log(JSON.stringify({ faults, answers: asks.map(evaluate) }));
