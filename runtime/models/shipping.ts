/**
 * Brings the models of an app to where it runs: registers each, and puts it in force in every log where no version of it
 * is. What an operator has put in force stays. A build that was kept beside the snapshots comes without such files, and
 * runs where a version is in force already.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { MODEL_TABLE } from "../../actors/fold/activated-models.ts";
import type { ShippedModel } from "../../actors/model/shipped-model.ts";
import type { ModelRecord } from "../../inference/model-record.ts";
import type { Clock } from "../clock.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import type { RunningJob } from "../node/node.ts";
import { awaitCopies } from "../reference/copies.ts";
import type { Models } from "./models.ts";

export interface ShippingOptions {
  readonly clock: Clock;
  readonly notice: (message: string) => void;
  readonly signal: AbortSignal;
}

/** How long the partitions of a log are waited for, each time. */
const COPIES_MS = 5_000;

/**
 * Resolves when every partition has what was put in force. Throws APP_INVALID for a file that cannot be read of a model
 * that is not in force, else as {@link Models.put} and {@link Models.activate}.
 */
export async function shipModels(models: Models, running: readonly RunningJob[], options: ShippingOptions): Promise<void> {
  const { notice } = options;
  const shipped = new Map(running.flatMap(({ job }) => (job.models ?? []).map((model) => [model.name, model] as const)));
  for (const model of shipped.values()) {
    const inForce = await models.inForce(model.name);
    const isNeeded = inForce.length === 0 || inForce.some(({ activation }) => activation === undefined);
    const record = await registered(models, model, isNeeded, notice);
    for (const { log, activation } of inForce) {
      if (activation === undefined && record !== undefined) await activateFirst(models, model.name, record.version, log);
      // Of a start that ended half way the record may be there, and not in every partition.
      const last = (await models.history(log, model.name)).at(-1);
      const { map } = running.find(({ job }) => job.log === log)!;
      if (last !== undefined) await reachedAll(models, { log, partitions: map.partitions, source: last.sequence }, options);
      if (activation !== undefined && record !== undefined && activation.champion.sha256 !== record.sha256)
        notice(
          `the log ${log} has version ${activation.champion.version} of the model "${model.name}" in force; this app brings version ${record.version}`,
        );
    }
  }
}

/** `undefined` when its files are not here, and it is not needed. */
async function registered(
  models: Models,
  model: ShippedModel,
  isNeeded: boolean,
  notice: ShippingOptions["notice"],
): Promise<ModelRecord | undefined> {
  let content: Uint8Array | undefined;
  let description: Uint8Array;
  try {
    content = model.content === undefined ? undefined : await read(model, model.content);
    description = await read(model, model.description);
  } catch (error) {
    if (isNeeded || !isTidemarkError(error, "APP_INVALID")) throw error;
    notice(`${error.detail} The version that is in force stays.`);
    return undefined;
  }
  try {
    return await models.ship(model.name, parsed(model, description), content);
  } catch (error) {
    if (isNeeded || !isTidemarkError(error)) throw error;
    notice(`the model "${model.name}" of the app is not registered, and the version that is in force stays: ${error.message}`);
    return undefined;
  }
}

async function activateFirst(models: Models, name: string, champion: number, log: string): Promise<void> {
  try {
    await models.activate(name, { champion }, log);
  } catch (error) {
    // Another node was quicker, with the same or with what its operator wants.
    if (!isTidemarkError(error, "REFERENCE_CONFLICT")) throw error;
  }
}

async function reachedAll(
  models: Models,
  { log, partitions, source }: { readonly log: string; readonly partitions: number; readonly source: number },
  { clock, signal }: ShippingOptions,
): Promise<void> {
  const place = { log, table: MODEL_TABLE.name, source, partitions: models.partitionsOf(log, partitions) };
  while (!signal.aborted) {
    const { missing } = await awaitCopies({ ...place, clock, waitMs: COPIES_MS, signal });
    if (missing.length === 0) return;
  }
}

async function read({ name }: ShippedModel, file: URL): Promise<Uint8Array> {
  try {
    return await readFile(fileURLToPath(file));
  } catch (error) {
    throw new TidemarkError("APP_INVALID", `The model "${name}" cannot be read: ${(error as Error).message}.`, { cause: error });
  }
}

function parsed({ name }: ShippedModel, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch (error) {
    throw new TidemarkError("APP_INVALID", `The description of the model "${name}" is no JSON: ${(error as Error).message}.`, {
      cause: error,
    });
  }
}
