import * as state from './state';
import { titleOf } from './theme';

/** The id of a dataset as free text, with those there are as suggestions. */
export function DatasetField({ name, value, onInput, describedBy }: { name: string; value: string; onInput: (id: string) => void; describedBy?: string }) {
  const list = `${name}-list`;
  return (
    <>
      <input
        name={name}
        list={list}
        value={value}
        maxLength={41}
        pattern="[a-z][a-z0-9_]*"
        autocomplete="off"
        autocapitalize="none"
        spellcheck={false}
        aria-describedby={describedBy}
        onInput={(e) => onInput(e.currentTarget.value)}
      />
      <datalist id={list}>
        {(state.collections.value ?? []).filter((c) => c.kind === 'delivered').map((c) => <option key={c.id} value={c.id}>{titleOf(c)}</option>)}
      </datalist>
    </>
  );
}
