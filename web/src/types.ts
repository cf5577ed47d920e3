/** The parts of the HTTP contract that the portal reads. Boxes are west, south, east, north in degrees. */

import type { LayerSpecification, VectorSourceSpecification } from 'maplibre-gl';

export type Box = [number, number, number, number];

export interface Link {
  rel: string;
  href: string;
  type?: string;
  title?: string;
}

export interface Principal {
  organisation: string | null;
  name: string;
  nameEn: string;
  role?: 'reader' | 'contributor' | 'approver' | null;
  operator?: boolean;
}

export interface Landing {
  title: string;
  titleEn: string;
  description: string;
  /** bbox is where the city's data may lie, view what a map shows first. */
  city: { name: string; nameEn: string; bbox: Box; view?: Box };
  principal: Principal;
}

export type FieldType = 'text' | 'integer' | 'real' | 'decimal' | 'boolean' | 'date' | 'timestamp';

export interface Field {
  name: string;
  alias: string;
  type: FieldType;
}

export interface Collection {
  id: string;
  title: string;
  titleEn: string;
  description: string;
  extent?: { spatial?: { bbox?: Box[] } };
  geometryType: string;
  owner: { id: string; name: string; nameEn: string } | null;
  sharing: 'public' | 'internal' | 'private';
  kind: 'delivered' | 'edited';
  label: string;
  class: string;
  attribution: string;
  synthetic: boolean;
  release: number;
  revision: number;
  released: string;
  rows: number;
  fields: Field[];
}

/** Values that are drawn alike. */
export interface LegendClass {
  codes?: string[];
  zh: string;
  en: string;
  color: string;
  icon?: string;
}

/** What the colours of a collection mean; without classes it is drawn in one colour. */
export interface Legend {
  match?: 'prefix' | 'value' | 'part';
  color?: string;
  icon?: string;
  classes?: LegendClass[];
}

/** A MapLibre style as the API makes it: a source for each collection, and layers that tell their place among those of others. */
export interface ServedStyle {
  sprite?: string;
  metadata: { 'changde:legends': Record<string, Legend> };
  sources: Record<string, VectorSourceSpecification & { tiles: string[] }>;
  layers: LayerSpecification[];
}

/** How one collection is drawn. */
export interface Drawing {
  source: ServedStyle['sources'][string];
  layers: LayerSpecification[];
  legend: Legend;
}

/** The sheet of icons: its address without an ending, and where each icon is on its picture for screens of one pixel to a pixel. */
export interface Sprite {
  url: string;
  index: Record<string, { x: number; y: number; width: number; height: number }>;
}

export type Value = string | number | boolean | null;

export interface Feature {
  type: 'Feature';
  id: number;
  geometry: GeoJSON.Geometry | null;
  properties: Record<string, Value>;
  collection: string;
  release: number;
  revision: number;
}

export interface ProjectRole {
  code: string;
  name: string;
  nameEn: string;
  role: string;
  state: string;
  href: string;
}

/** Amounts are decimal strings in yuan; dates are YYYY-MM-DD. */
export interface Project {
  code: string;
  name: string;
  nameEn: string;
  unit: string;
  category: string;
  fund: string;
  state: string;
  declaredAmount: string | null;
  approvedAmount: string | null;
  planAmount: string | null;
  planYear: number | null;
  plannedOn: string | null;
  acceptedOn: string | null;
  reviewedOn: string | null;
  tenderFiledOn: string | null;
  constructionStartedOn: string | null;
  finalAcceptedOn: string | null;
  acceptanceResult: string | null;
  bbox: Box | null;
  href: string;
}

export interface Asset {
  collection: string;
  id: number;
  role: string;
  title: string;
  present: boolean;
  bbox: Box | null;
  href: string;
}

export interface ProjectDetail extends Project {
  description: string;
  assets: Asset[];
}

export interface ProjectPage {
  projects: Project[];
  numberMatched: number;
  links: Link[];
}

export interface Figure {
  id: string;
  title: string;
  titleEn: string;
  count: number;
  amounts?: Partial<Record<'declared' | 'approved' | 'plan' | 'cut', string>>;
  rate: string | null;
  href: string;
}

export interface Statistics {
  from: string;
  to: string;
  figures: Figure[];
  sentence: string;
  sentenceEn: string;
}

/** An RFC 9457 problem with the house's English texts beside the Chinese ones. */
export interface Problem {
  /** "/problems/" and a code that never changes. */
  type?: string;
  title: string;
  titleEn: string;
  detail?: string;
  detailEn?: string;
  status: number;
  requestId?: string;
}
