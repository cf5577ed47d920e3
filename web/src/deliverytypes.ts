import type { Link, Value } from './types';

/** The parts of the contract on deliveries and releases that the portal reads. */

export type DeliveryState =
  | 'receiving' | 'received' | 'inspected' | 'loading' | 'staged' | 'checked' | 'awaiting'
  | 'released' | 'rejected' | 'withdrawn' | 'failed' | 'split';

export type Mode = 'full' | 'changes' | 'append';
export type Severity = 'block' | 'error' | 'warn';
export type DeliveryAction = 'approve' | 'reject' | 'withdraw' | 'retry' | 'cancel';
export type ChangeKind = 'added' | 'removed' | 'changed';

/** total is absent where it is not known. */
export interface Progress {
  phase: string;
  done?: number;
  total?: number;
}

interface Counts {
  read: number;
  published: number;
  refused: number;
  blocking: number;
  errors: number;
  warnings: number;
}

export interface DeliverySummary extends Counts {
  delivery: number;
  dataset: string;
  state: DeliveryState;
  mode: Mode;
  release?: number;
  sender?: string;
  senderName?: string;
  document?: string;
  files: string[] | null;
  bytes: number;
  confirm?: boolean;
  zh?: string;
  en?: string;
  progress?: Progress | null;
  error?: string;
  started: string;
  finished: string | null;
}

export interface DeliveryPage {
  deliveries: DeliverySummary[];
  links: Link[];
}

export interface Note {
  zh: string;
  en: string;
}

/** Something the plan settled, with its reason. */
export interface Choice extends Note {
  value: string;
}

export interface ColumnPlan {
  field: string;
  column: string;
  type: string;
  zh?: string;
  en?: string;
}

export const choices = ['format', 'encoding', 'crs', 'geometry', 'policy', 'target', 'profile'] as const;

export type Plan = Partial<Record<(typeof choices)[number], Choice>> & {
  currentRelease?: number;
  layers?: string[] | null;
  rows?: number;
  columns?: ColumnPlan[] | null;
  notes?: Note[] | null;
  /** Of a delivery whose layers go into several datasets. */
  assignments?: { layers: string[]; dataset: string; rows: number; geometry: string; zh: string; en: string }[] | null;
};

export interface RuleResult {
  rule: string;
  check?: string;
  severity: Severity;
  found: number;
  /** found was not counted to the end */
  atLeast?: boolean;
  rows?: number;
  seconds: number;
  skipZh?: string;
  skipEn?: string;
}

/** area is in square metres on the ellipsoid; 0 for points and lines. */
export interface ClassCount {
  class: string;
  rows: number;
  area: number;
}

export interface ReleaseStatistics {
  rows: number;
  area: number;
  column?: string;
  classes: ClassCount[] | null;
  /** How many classes are counted together as "…". */
  folded?: number;
}

export interface Difference {
  from: number;
  to?: number;
  added: number;
  removed: number;
  changed: number;
  moved: number;
  unchanged: number;
  fields: { field: string; rows: number }[] | null;
  before: ReleaseStatistics;
  after: ReleaseStatistics;
  schema: Note[] | null;
  inPlace: boolean;
  listed: boolean;
  /** The list of changes has the values before and after. */
  values?: boolean;
  /** The list of changes is no longer kept. */
  dropped?: boolean;
  zh: string;
  en: string;
}

/** place is longitude, latitude. Row 0 is the layer as a whole. */
export interface Finding {
  row: number;
  file?: string;
  rule: string;
  code: string;
  severity: Severity;
  action: 'refused' | 'repaired' | 'noted';
  field?: string;
  zh: string;
  en: string;
  place?: [number, number];
  before?: string;
  after?: string;
}

export interface Decision {
  id: number;
  action: DeliveryAction;
  actor: string;
  organisation?: string;
  document?: string;
  note?: string;
  decided: string;
  /** Absent until a worker has carried the decision out. */
  carried?: string;
  error?: string;
}

export interface Delivery extends Counts {
  delivery: number;
  dataset: string;
  state: DeliveryState;
  mode: Mode;
  release?: number;
  repaired: number;
  noted: number;
  codes: Record<string, number>;
  rules?: RuleResult[];
  difference?: Difference | null;
  confirm?: boolean;
  error?: string;
  findings: Finding[];
  kept: number;
  plan?: Plan | null;
  progress?: Progress | null;
  decisions: Decision[] | null;
  /** What this key may do with the delivery as it stands. */
  may?: DeliveryAction[];
  sender?: string;
  senderName?: string;
  ownerName?: string;
  actor?: string;
  document?: string;
  note?: string;
  owner?: string;
  files: string[] | null;
  bytes: number;
  sha256: string;
  started: string;
  finished: string | null;
}

/** A feature that a delivery changes, with the shape it will have or had. */
export interface ChangedFeature {
  type: 'Feature';
  id: number;
  geometry: GeoJSON.Geometry | null;
  properties: {
    kind: ChangeKind;
    key: string | null;
    label: string | null;
    fields: string | null;
    moved: boolean;
    before_fid: number | null;
    row_number: number | null;
    /** The changed fields alone, as text; absent from lists made without them. */
    before?: Record<string, string | null> | null;
    after?: Record<string, string | null> | null;
  };
}

export interface ChangedPage {
  features: ChangedFeature[];
  numberMatched?: number;
  links: Link[];
}

export interface ReleaseInfo {
  release: number;
  revision: number;
  current: boolean;
  restores?: number;
  rows: number;
  bbox: [number, number, number, number] | null;
  released: string;
  note?: string;
}

export interface Releases {
  dataset: string;
  current: number;
  releases: ReleaseInfo[];
}

export interface Differences {
  dataset: string;
  difference: Difference;
  features: { kind: ChangeKind; fid: number; key?: string; fields?: string[]; moved?: boolean }[];
}

/** A state that a feature had. to is absent for the state of today. */
export interface Version {
  release: number;
  revision: number;
  kind: 'release' | 'rollback' | 'edit';
  fid: number;
  from: string;
  to?: string;
  organisation: string;
  document: string;
  note: string;
  feature: { geometry: GeoJSON.Geometry | null; properties: Record<string, Value> };
}
