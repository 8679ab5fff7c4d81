/** Runs a query of an actor over committed rows. Nothing that it does can change one. */
import type { KeyRow, Section } from "../../actors/fold/key-row.ts";
import type { Meta } from "../../actors/fold/meta.ts";
import type { CommittedRows } from "../../actors/fold/rows.ts";
import { StoredCell } from "../../actors/fold/stored-cell.ts";
import type { Actor } from "../../actors/model/actor.ts";
import type { CellStore } from "../../actors/model/cell.ts";
import { sameCell } from "../../actors/model/cells/restored-cell.ts";
import { HandlerError } from "../../actors/model/handler-error.ts";
import { readingHost } from "../../actors/model/operators/operator.ts";

/** A plain record: it crosses threads. */
export type QueryAnswer =
  | { readonly ok: true; readonly json: string }
  | { readonly ok: false; readonly code: "QUERY_FAILED" | "QUERY_TOO_LARGE" | "STATE_OLD_SHAPE"; readonly message: string };

const ANSWER_MAX_CHARS = 1024 * 1024;

export function answerQuery(
  rows: CommittedRows,
  row: KeyRow,
  section: Section,
  actor: Actor,
  name: string,
  input: unknown,
  { watermark, processingTime }: Pick<Meta, "watermark" | "processingTime">,
): QueryAnswer {
  const handles: Record<string, unknown> = {};
  for (const cell of actor.cells) {
    const stored = section.shape.cells.findIndex((candidate) => candidate.name === cell.name && sameCell(candidate, cell));
    if (stored === -1) return oldShape(actor, cell.name);
    handles[cell.name] = cell.bind(
      new QueriedCell(rows, row, section, stored, watermark),
      readingHost(cell.operator?.clock === "processing" ? processingTime : watermark),
    );
  }
  try {
    const answer = actor.queries[name]!({ key: row.key, watermark, state: handles }, input);
    const json = JSON.stringify(answer ?? null);
    if (json === undefined) return { ok: false, code: "QUERY_FAILED", message: `${name} gave a ${typeof answer}, which is no JSON.` };
    if (json.length > ANSWER_MAX_CHARS)
      return { ok: false, code: "QUERY_TOO_LARGE", message: `${name} gave ${json.length} characters, at most ${ANSWER_MAX_CHARS}.` };
    return { ok: true, json };
  } catch (thrown) {
    return { ok: false, code: "QUERY_FAILED", message: thrown instanceof Error ? thrown.message : String(thrown) };
  }
}

/** A stored cell under the handle of this build's, whose methods that change it refuse. */
class QueriedCell extends StoredCell implements CellStore {
  readonly path = "query";

  setSlot(): never {
    throw readOnly();
  }
  clearSlot(): never {
    throw readOnly();
  }
  clear(): never {
    throw readOnly();
  }
  setEntry(): never {
    throw readOnly();
  }
  deleteEntry(): never {
    throw readOnly();
  }
}

function readOnly(): HandlerError {
  return new HandlerError("READ_ONLY", "A query changes nothing. Publish an event whose handler does.");
}

function oldShape(actor: Actor, cell: string): QueryAnswer {
  const message = `An earlier build has left this actor, and its cell "${cell}" was declared otherwise. The next event of the key brings it to version ${actor.version}.`;
  return { ok: false, code: "STATE_OLD_SHAPE", message };
}
