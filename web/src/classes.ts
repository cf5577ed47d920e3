/**
 * The classes that the portal knows by code: their names in both languages and
 * their colours. The colours follow the custom of Chinese land survey and
 * planning maps, paled so that roads, names and assets stay legible on them.
 */

export interface Class {
  /** Values, or prefixes or parts of values, that belong to the class; see the table's comment. */
  codes: string[];
  zh: string;
  en: string;
  color: string;
}

/** GB/T 21010 land-use classes, by the characters that DLBM begins with; 20 is the town and village class of the second survey, 0810 parks in the third. */
export const landUse: Class[] = [
  { codes: ['01'], zh: '耕地', en: 'Cropland', color: '#f8efb6' },
  { codes: ['02'], zh: '园地', en: 'Orchard', color: '#f3d5a0' },
  { codes: ['03'], zh: '林地', en: 'Forest', color: '#b7d6a3' },
  { codes: ['04', '0810'], zh: '草地与公园绿地', en: 'Grassland, parks', color: '#d8e7ae' },
  { codes: ['05'], zh: '商服用地', en: 'Commercial', color: '#ec9a8b' },
  { codes: ['06'], zh: '工矿仓储用地', en: 'Industry and storage', color: '#c8aab9' },
  { codes: ['07', '20'], zh: '住宅与城镇村', en: 'Residential', color: '#f3c1b8' },
  { codes: ['08'], zh: '公共管理与公共服务用地', en: 'Public services', color: '#eeb0c7' },
  { codes: ['09'], zh: '特殊用地', en: 'Special use', color: '#b5af8c' },
  { codes: ['10'], zh: '交通运输用地', en: 'Transport', color: '#cbc9c6' },
  { codes: ['11'], zh: '水域及水利设施', en: 'Water', color: '#a8d2e8' },
  { codes: ['00'], zh: '湿地', en: 'Wetland', color: '#b2dcd4' },
  { codes: ['12'], zh: '其他土地', en: 'Other land', color: '#e0d6c3' },
];

/** GB 50137 classes of city construction land, by the letter that the code begins with; E1 is water. */
export const planning: Class[] = [
  { codes: ['R'], zh: '居住用地', en: 'Residential', color: '#ffe477' },
  { codes: ['A'], zh: '公共管理与公共服务', en: 'Public services', color: '#f4a3c4' },
  { codes: ['B'], zh: '商业服务业', en: 'Business', color: '#ea5a52' },
  { codes: ['M'], zh: '工业用地', en: 'Industry', color: '#b08a6a' },
  { codes: ['W'], zh: '物流仓储', en: 'Logistics', color: '#a48cc6' },
  { codes: ['S'], zh: '道路与交通设施', en: 'Roads and transport', color: '#b9bbbd' },
  { codes: ['U'], zh: '公用设施', en: 'Utilities', color: '#8ba9bf' },
  { codes: ['G'], zh: '绿地与广场', en: 'Green space', color: '#7cc46c' },
  { codes: ['E1'], zh: '水域', en: 'Water', color: '#a8d2e8' },
  { codes: ['E'], zh: '非建设用地', en: 'Not for construction', color: '#cfe4b6' },
  { codes: ['H'], zh: '其他建设用地', en: 'Other construction land', color: '#dcc9a0' },
];

export interface RoadClass extends Class {
  /** Width relative to the others. */
  width: number;
  /** Zoom from which the class is drawn. */
  from: number;
}

/** Road classes, the greatest first, by a part of the value: 国道 and trunk are one class. */
export const roads: RoadClass[] = [
  { codes: ['高速', 'motorway', 'expressway'], zh: '高速公路', en: 'Expressway', color: '#e9a24a', width: 2.6, from: 5 },
  { codes: ['国道', 'trunk', 'national', '快速'], zh: '国道、快速路', en: 'National road', color: '#f2bd63', width: 2.2, from: 6 },
  { codes: ['省道', 'primary', 'provincial', '主干'], zh: '省道、主干路', en: 'Provincial, main road', color: '#f8dc94', width: 1.9, from: 8 },
  { codes: ['县道', '次干', 'secondary', 'county'], zh: '县道、次干路', en: 'County, secondary road', color: '#fdf1cc', width: 1.4, from: 10 },
  { codes: [], zh: '支路、乡村道路', en: 'Local road', color: '#ffffff', width: 0.95, from: 12 },
];

export interface PlaceClass extends Class {
  size: number;
  /** Zoom from which the class is drawn. */
  from: number;
}

/** Seats of government and other places, by GeoNames feature code. */
export const places: PlaceClass[] = [
  { codes: ['PPLA', 'PPLA2'], zh: '市政府驻地', en: 'City seat', color: '#8c2f39', size: 17, from: 6 },
  { codes: ['PPLA3'], zh: '县级驻地', en: 'County seat', color: '#a2463c', size: 15, from: 9 },
  { codes: ['PPLA4'], zh: '乡镇驻地', en: 'Township seat', color: '#5c5248', size: 12.5, from: 9 },
  { codes: [], zh: '其他地名', en: 'Other place', color: '#746a5f', size: 11.5, from: 11 },
];

/** A symbol of point assets: a coloured disc with one character. */
export interface Symbol {
  glyph: string;
  color: string;
}

const terminal: Symbol = { glyph: '终', color: '#1f7a6d' };
const room: Symbol = { glyph: '机', color: '#8e3b46' };
const cabinet: Symbol = { glyph: '柜', color: '#a0622d' };
const line: Symbol = { glyph: '缆', color: '#c2417c' };
const node: Symbol = { glyph: '网', color: '#3d5a99' };
const camera: Symbol = { glyph: '视', color: '#4a4e69' };
const rest: Symbol = { glyph: '资', color: '#59677a' };

/** Asset collections by id. */
export const assets: Record<string, Symbol> = {
  service_terminals: terminal,
  server_rooms: room,
  cabinets: cabinet,
  fibre_lines: line,
  network_nodes: node,
  cameras: camera,
  assets: rest,
  projects: { glyph: '项', color: '#6b3fa0' },
};

/** Assets that projects build, by type; one of another type has the symbol of the collection. */
export const assetSymbols: Record<string, Symbol> = {
  server_room: room,
  cabinet,
  line,
  duct: { glyph: '管', color: '#8a5a83' },
  network_node: node,
  camera,
  pole: { glyph: '杆', color: '#6d6875' },
  sensor: { glyph: '感', color: '#4f772d' },
  base_station: { glyph: '基', color: '#6a4c93' },
  service_terminal: terminal,
  information_system: { glyph: '系', color: '#2a6f97' },
  data_layer: { glyph: '图', color: '#7f6a2c' },
};
