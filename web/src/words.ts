import { both } from './i18n';
import type { Project } from './types';
import type { Key } from './zh';

type Words = Record<string, [zh: string, en: string]>;

/** What projects do with features. */
const roles: Words = {
  constructs: ['建设', 'constructs'],
  upgrades: ['改扩建', 'upgrades'],
  replaces: ['替代', 'replaces'],
  uses: ['使用', 'uses'],
  hosts: ['承载', 'hosts'],
  contributes_layer: ['提供图层', 'contributes layer'],
  consumes_layer: ['调用图层', 'consumes layer'],
};

/** States of a project, in the order of its course. */
const states: Words = {
  draft: ['草稿', 'draft'],
  declared: ['已申报', 'declared'],
  returned: ['退回补正', 'returned'],
  accepted: ['已受理', 'accepted'],
  planned: ['已列入年度计划', 'planned'],
  approved: ['已立项', 'approved'],
  rejected: ['不予立项', 'rejected'],
  tech_review: ['技术评审中', 'in technical review'],
  tech_revising: ['方案修改', 'revising'],
  tech_passed: ['技术评审通过', 'technical review passed'],
  budget_review: ['预算评审中', 'in budget review'],
  budget_approved: ['预算已审定', 'budget approved'],
  tender_filing: ['招标文件备案中', 'tender being filed'],
  tender_returned: ['招标文件退回', 'tender returned'],
  tender_filed: ['招标已备案', 'tender filed'],
  procuring: ['采购中', 'procuring'],
  awarded: ['已中标', 'awarded'],
  contracted: ['已签合同', 'contracted'],
  building: ['建设中', 'under construction'],
  change_pending: ['变更审批中', 'change pending'],
  trial: ['试运行', 'trial run'],
  acceptance: ['竣工验收中', 'in final acceptance'],
  rectifying: ['整改中', 'rectifying'],
  accept_failed: ['验收不合格', 'acceptance failed'],
  accepted_final: ['已竣工验收', 'accepted on completion'],
  operating: ['运行维护', 'operating'],
  retired: ['停用', 'retired'],
  cancelled: ['已终止', 'cancelled'],
};

const categories: Words = {
  infrastructure: ['基础设施', 'infrastructure'],
  base_database: ['基础数据库', 'base database'],
  application: ['应用系统', 'application'],
  network: ['网络', 'network'],
  security: ['安全', 'security'],
  terminal: ['终端', 'terminal'],
  service: ['服务', 'service'],
};

const funds: Words = {
  egov_special: ['电子政务专项资金', 'e-government special fund'],
  digital_changde_special: ['数字常德专项资金', 'Digital Changde special fund'],
  dept_budget: ['部门预算', 'department budget'],
  superior_grant: ['上级补助', 'grant from above'],
  bond: ['债券', 'bond'],
  self_raised: ['自筹', 'self-raised'],
  other: ['其他', 'other'],
};

const results: Words = {
  pass_first: ['一次性合格', 'passed at once'],
  pass_after_rectify: ['整改合格', 'passed after rectifying'],
  fail: ['不合格', 'failed'],
};

const assetTypes: Words = {
  server_room: ['机房', 'server room'],
  cabinet: ['机柜', 'cabinet'],
  line: ['线路', 'line'],
  duct: ['管道', 'duct'],
  network_node: ['网络节点', 'network node'],
  camera: ['视频监控点', 'camera'],
  pole: ['杆', 'pole'],
  sensor: ['传感器', 'sensor'],
  base_station: ['基站', 'base station'],
  service_terminal: ['公共服务终端', 'service terminal'],
  hosting_slot: ['托管位', 'hosting slot'],
  data_layer: ['数据图层', 'data layer'],
  information_system: ['信息系统', 'information system'],
  building: ['建筑物', 'building'],
  land_parcel: ['宗地', 'land parcel'],
};

const statuses: Words = {
  declared: ['拟建', 'declared'],
  approved: ['已批', 'approved'],
  building: ['在建', 'under construction'],
  in_use: ['在用', 'in use'],
  idle: ['闲置', 'idle'],
  retired: ['停用', 'retired'],
};

/** The columns of the platform's own collections that hold codes. */
const columns: Record<string, Record<string, Words>> = {
  projects: { state: states, category: categories, fund: funds, acceptance_result: results },
  assets: { type: assetTypes, status: statuses },
};

function word(words: Words, code: string): string {
  const known = Object.hasOwn(words, code) ? words[code] : undefined;
  return known ? both(...known) : code;
}

// A code that is not known is shown as the API gives it.
export const roleText = (code: string) => word(roles, code);
export const stateText = (code: string) => word(states, code);
export const categoryText = (code: string) => word(categories, code);
export const fundText = (code: string) => word(funds, code);
export const resultText = (code: string) => word(results, code);

/** The words for a code in a column of a collection, or null when the column holds none. */
export function columnText(collection: string, column: string, code: unknown): string | null {
  const words = columns[collection]?.[column];
  return words && typeof code === 'string' && code !== '' ? word(words, code) : null;
}

/** The milestones of a project in the order of its course. */
export function milestones(p: Project): { key: Key; date: string | null }[] {
  return [
    { key: 'stepPlanned', date: p.plannedOn },
    { key: 'stepAccepted', date: p.acceptedOn },
    { key: 'stepReviewed', date: p.reviewedOn },
    { key: 'stepTender', date: p.tenderFiledOn },
    { key: 'stepConstruction', date: p.constructionStartedOn },
    { key: 'stepFinal', date: p.finalAcceptedOn },
  ];
}
