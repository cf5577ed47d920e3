import type { ChangeKind, DeliveryAction, DeliveryState, Mode, Severity } from './deliverytypes';
import { both } from './i18n';

type Pair = [zh: string, en: string];

/** The states of a delivery in the order of its course. */
export const states: Record<DeliveryState, Pair> = {
  receiving: ['接收中', 'being received'],
  received: ['已接收', 'received'],
  inspected: ['待指定数据集', 'datasets to be named'],
  loading: ['入库中', 'loading'],
  staged: ['已入暂存表', 'staged'],
  checked: ['已检查比对', 'checked'],
  awaiting: ['待审批', 'awaiting approval'],
  released: ['已发布', 'released'],
  rejected: ['已退回', 'rejected'],
  withdrawn: ['已撤回', 'withdrawn'],
  failed: ['失败', 'failed'],
  split: ['已分解', 'split'],
};

/** A state's sign: told by form as well as by colour. */
export const stateSigns: Record<DeliveryState, string> = {
  receiving: '↑', received: '…', inspected: '?', loading: '▶', staged: '▶', checked: '▶', awaiting: '!',
  released: '✓', rejected: '↩', withdrawn: '–', failed: '×', split: '⋔',
};

const modes: Record<Mode, Pair> = {
  full: ['全量', 'full'],
  changes: ['差异', 'changes'],
  append: ['追加', 'append'],
};

const severities: Record<Severity, Pair> = {
  block: ['阻断', 'block'],
  error: ['错误', 'error'],
  warn: ['警告', 'warning'],
};

export const severitySigns: Record<Severity, string> = { block: '■', error: '▲', warn: '●' };

const outcomes: Record<string, Pair> = {
  refused: ['拒收', 'refused'],
  repaired: ['已修复', 'repaired'],
  noted: ['提示', 'noted'],
};

const kinds: Record<ChangeKind, Pair> = {
  added: ['新增', 'added'],
  removed: ['删除', 'removed'],
  changed: ['变更', 'changed'],
};

export const kindSigns: Record<ChangeKind, string> = { added: '＋', removed: '－', changed: '△' };

/** Colours that a reader without red or green tells apart; removals are dashed on the map besides. */
export const kindColors: Record<ChangeKind, string> = { added: '#1261c4', removed: '#c1121f', changed: '#d97a00' };
export const severityColors: Record<Severity, string> = { block: '#7b1fa2', error: '#c1121f', warn: '#b26a00' };

const actions: Record<DeliveryAction, Pair> = {
  approve: ['批准', 'Approve'],
  reject: ['退回', 'Reject'],
  withdraw: ['撤回', 'Withdraw'],
  retry: ['重新检查', 'Check again'],
  cancel: ['取消', 'Cancel delivery'],
};

const phases: Record<string, Pair> = {
  wait: ['排队', 'waiting'],
  load: ['读取入库', 'loading'],
  check: ['检查几何', 'checking geometry'],
  rules: ['质量规则', 'quality rules'],
  compare: ['与当前版比较', 'comparing'],
  index: ['建立索引', 'indexing'],
  tiles: ['切瓦片', 'cutting tiles'],
  publish: ['发布', 'publishing'],
};

const versions: Record<string, Pair> = {
  release: ['发布', 'release'],
  rollback: ['回退', 'rollback'],
  edit: ['在线编辑', 'edit'],
};

const choiceNames: Record<string, Pair> = {
  format: ['格式', 'Format'],
  encoding: ['编码', 'Encoding'],
  crs: ['坐标系', 'CRS'],
  geometry: ['几何', 'Geometry'],
  policy: ['无效几何', 'Invalid geometry'],
  target: ['目标', 'Target'],
  profile: ['图层标准', 'Layer standard'],
};

/** The titles of the quality rules, Q01 to Q20 (GB/T 24356 gives the elements they serve). */
const rules: Pair[] = [
  ['文件可读、编码与字段名完整', 'file opens, encoding and field names whole'],
  ['图层、字段与几何类型', 'layer, fields and geometry type'],
  ['坐标系与坐标范围', 'CRS and range'],
  ['几何有效', 'geometry valid'],
  ['无多部件要素', 'no multipart features'],
  ['层内无重叠', 'no overlaps'],
  ['无缝隙、覆盖完整', 'no gaps'],
  ['无碎小和狭长图斑', 'no slivers'],
  ['无重复要素、重复节点和尖角', 'no duplicates, no spikes'],
  ['线无悬挂', 'no dangling ends'],
  ['位于上级范围内', 'inside the parent'],
  ['标识码唯一', 'identifier unique'],
  ['必填属性完整', 'mandatory attributes filled'],
  ['属性值域与代码', 'codes known, values within bounds'],
  ['属性逻辑一致', 'attributes agree'],
  ['面积一致', 'area agrees'],
  ['接边一致', 'edges match'],
  ['现势性与日期合理', 'dates plausible'],
  ['元数据完整', 'metadata complete'],
  ['与上一版本变化合理', 'change plausible'],
];

const checks: Record<string, Pair> = {
  'name-of-code': ['名称与代码对应', 'name of the code'],
  'required-when': ['条件必填', 'required when'],
  'value-when': ['条件取值', 'value when'],
  product: ['乘积', 'product'],
  difference: ['差值', 'difference'],
};

// A word that is not known is shown as the API gives it.
function word(words: Record<string, Pair>, code: string): string {
  const known = Object.hasOwn(words, code) ? words[code] : undefined;
  return known ? both(...known) : code;
}

export const deliveryStateText = (code: string) => word(states, code);
export const modeText = (code: string) => word(modes, code);
export const severityText = (code: string) => word(severities, code);
export const outcomeText = (code: string) => word(outcomes, code);
export const kindText = (code: string) => word(kinds, code);
export const actionText = (code: string) => word(actions, code);
export const phaseText = (code: string) => word(phases, code);
export const versionText = (code: string) => word(versions, code);
export const choiceText = (code: string) => word(choiceNames, code);
export const checkText = (code: string) => word(checks, code);

export function ruleText(code: string): string {
  const m = /^Q(\d{2})$/.exec(code);
  const title = m ? rules[Number(m[1]) - 1] : undefined;
  return title ? both(...title) : '';
}

/** What may be decided of a delivery in a state, in the order of the buttons. */
export function actionsIn(state: DeliveryState): DeliveryAction[] {
  switch (state) {
    case 'awaiting':
      return ['approve', 'reject', 'withdraw', 'retry'];
    case 'received':
    case 'receiving':
    case 'inspected':
      return ['withdraw'];
    case 'loading':
      return ['cancel'];
    case 'failed':
      return ['retry'];
    default:
      return [];
  }
}

/** Whether a worker is at a delivery, or will be soon. */
export function running(state: DeliveryState): boolean {
  return state === 'received' || state === 'loading' || state === 'staged' || state === 'checked';
}
