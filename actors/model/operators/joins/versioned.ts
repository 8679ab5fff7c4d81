/**
 * A table of one key, as a cell: versions by the time from which they hold, for facts that must be judged by what was in
 * force then. Tables of a whole log are reference data; this is for what comes as events of the key.
 */
import { type Cell, type CellView, defineCell } from "../../cell.ts";
import type { DeepReadonly } from "../../readonly.ts";
import { type AnySchema, type Infer, schemaOf, storedSchema } from "../../schema.ts";
import { durationMs } from "../../time.ts";
import { elementOf } from "../element-check.ts";
import { instantOf } from "../instant.ts";
import { rawContent, restoreRaw } from "../raw-content.ts";
import { putVersion, versionAt, versionsOf } from "./version-table.ts";

export interface VersionedHandle<T> {
  /** What is in force at `time` (default `ctx.now`); `undefined` for nothing. */
  asOf(time?: number): DeepReadonly<T> | undefined;
  /** Holds from `from` (default `ctx.now`) until the next version. One with the same start is replaced. */
  set(value: DeepReadonly<T>, options?: { readonly from?: number }): void;
  /** From `from` (default `ctx.now`) on there is nothing. */
  end(options?: { readonly from?: number }): void;
}

/**
 * `versioned(Rate, { keep: "30d" })`: a version that is over is kept so long behind the watermark, and at least as long
 * as events of its time can come. The schema must not allow `null`. At most 1,000 versions.
 */
export function versioned<S extends AnySchema>(
  schema: S,
  { keep = 0 }: { readonly keep?: string | number } = {},
): Cell<VersionedHandle<Infer<S>>> {
  const value = schemaOf(schema);
  if (value.check(null)) throw new TypeError("versioned: the schema allows null, which ends a version. Wrap the value in an object.");
  const keepMs = durationMs(keep, "versioned: keep");
  const config = { kind: "versioned", keepMs, value: value.json };
  const properties = { from: { type: "integer" }, value: {} };
  return defineCell({
    kind: "operator",
    entry: schemaOf(storedSchema({ type: "object", properties, required: Object.keys(properties) })),
    operator: { clock: "event", config, ring: () => {}, show },
    bind: (store, host) => {
      const kept = (): number => host.reached - Math.max(keepMs, host.allowedLatenessMs);
      return {
        asOf: (time) => versionAt(store, instantOf(time, host.time, store.path))?.value as DeepReadonly<Infer<S>> | undefined,
        set(given, options) {
          const from = instantOf(options?.from, host.time, store.path);
          putVersion(store, { from, value: elementOf(value, given, store.path) }, kept());
        },
        end: (options) => putVersion(store, { from: instantOf(options?.from, host.time, store.path), value: null }, kept()),
      };
    },
    plain: (view) => rawContent(config, view),
    load: (store, plain) => restoreRaw(config, store, plain),
  });
}

function show(view: CellView): unknown {
  return versionsOf(view);
}
