/**
 * What an operator holds, as a migration gets it: what it was declared with, its slot and its entries. It can be handed
 * on only to an operator that was declared alike, for a pane of another length would be another pane.
 */
import type { CellStore, CellView } from "../cell.ts";
import { HandlerError } from "../handler-error.ts";

type Config = Readonly<Record<string, unknown>>;

interface Raw {
  readonly operator: Config;
  readonly slot: unknown;
  readonly entries: readonly (readonly [string, unknown])[];
}

export function rawContent(config: Config, view: CellView): Raw {
  return { operator: config, slot: view.slot() ?? null, entries: [...view.entries()] };
}

/** Throws HandlerError STATE_MIGRATION. */
export function restoreRaw(config: Config, store: CellStore, plain: unknown): void {
  const { operator, slot, entries } = plain as Raw;
  if (JSON.stringify(operator) !== JSON.stringify(config))
    throw new HandlerError(
      "STATE_MIGRATION",
      `${store.path}: it was declared otherwise. Leave it out of what migrate gives, and it begins anew.`,
    );
  if (slot !== null) store.setSlot(slot);
  for (const [id, entry] of entries) store.setEntry(id, entry);
}
