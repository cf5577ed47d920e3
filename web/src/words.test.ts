import { expect, test } from 'vitest';
import { lang } from './i18n';
import { columnText, milestones, roleText, stateText } from './words';
import type { Project } from './types';

test('codes have words in both languages, unknown ones stay', () => {
  lang.value = 'zh';
  expect(stateText('accepted_final')).toBe('已竣工验收');
  expect(roleText('constructs')).toBe('建设');
  expect(stateText('not_a_state')).toBe('not_a_state');
  expect(stateText('toString')).toBe('toString');
  lang.value = 'en';
  expect(stateText('accepted_final')).toBe('accepted on completion');
  lang.value = 'zh';
});

test('only columns of codes are translated', () => {
  expect(columnText('projects', 'fund', 'bond')).toBe('债券');
  expect(columnText('projects', 'name_zh', 'bond')).toBeNull();
  expect(columnText('dltb', 'state', 'accepted')).toBeNull();
  expect(columnText('projects', 'acceptance_result', null)).toBeNull();
});

test('milestones come in the order of the course', () => {
  const p = { plannedOn: '2012-01-10', acceptedOn: '2012-02-01', reviewedOn: '2012-03-01', tenderFiledOn: null, constructionStartedOn: null, finalAcceptedOn: null } as Project;
  expect(milestones(p).map((m) => m.date)).toEqual(['2012-01-10', '2012-02-01', '2012-03-01', null, null, null]);
});
