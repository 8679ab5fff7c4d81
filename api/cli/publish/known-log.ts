/** The log that a command names, looked at before its input is read: who forgot it has written a file in its place. */
import { existsSync } from "node:fs";
import { isName } from "../../../actors/model/actor.ts";
import { TidemarkError } from "../../../runtime/errors.ts";
import type { ApiClient } from "../client/api-client.ts";
import { knownJobs } from "../client/known-jobs.ts";
import { usageError } from "../framework/command.ts";
import { nearest } from "../framework/suggestion.ts";

/** Throws USAGE_INVALID for a word that is no name. `meant`: the command line, if the word is a file. */
export function checkName(what: "log" | "table", word: string, meant: string): void {
  if (isName(word)) return;
  throw usageError(`"${word}" is no name of a ${what}: those are of a-z, 0-9 and -${didYouMean(word, meant)}.`);
}

/**
 * Throws LOG_MISSING when the node says which logs it has and this is none of them. When no answer says, it is taken to have one
 * partition: then everything goes in the order of the input, which is right for any number, only slower.
 */
export async function findLog(api: ApiClient, log: string, meant: string): Promise<{ readonly partitions: number }> {
  const jobs = await knownJobs(api);
  if (jobs === undefined) return { partitions: 1 };
  const logs = new Map(jobs.flatMap(({ from = [] }) => from.map(({ source, partitions }) => [source, partitions] as const)));
  for (const job of jobs) logs.set(job.log, job.partitions);
  const partitions = logs.get(log);
  if (partitions === undefined) {
    const near = nearest(log, [...logs.keys()]);
    const instead = near === undefined ? didYouMean(log, meant) : `; did you mean "${near}"`;
    throw new TidemarkError("LOG_MISSING", `There is no log "${log}" on ${api.url}${instead}.`);
  }
  return { partitions: Number.isSafeInteger(partitions) && partitions >= 1 ? partitions : 1 };
}

function didYouMean(word: string, meant: string): string {
  return existsSync(word) ? `; did you mean: ${meant}` : "";
}
