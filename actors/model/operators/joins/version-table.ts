/**
 * Versions of one thing by the time from which each holds, among the entries of a cell: what is in force at a time is the
 * version with the latest start at or before it. Of what is over, only the version that time has reached is kept.
 */
import type { CellStore, CellView } from "../../cell.ts";
import { HandlerError } from "../../handler-error.ts";
import { prefixRange, timeId, untilRange } from "../time-id.ts";

export interface Version {
  readonly from: number;
  /** `null`: from here on there is nothing. */
  readonly value: unknown;
}

const PREFIX = "v";
const VERSIONS_MAX = 1_000;
const ALL = prefixRange(PREFIX);

/** The version in force at `time`; `undefined` when there is none, or when it says that there is nothing. */
export function versionAt(view: CellView, time: number): Version | undefined {
  let found: Version | undefined;
  for (const [, version] of view.entries(untilRange(time, PREFIX))) found = version as Version;
  return found === undefined || found.value === null ? undefined : found;
}

export function versionsOf(view: CellView): Version[] {
  return [...view.entries(ALL)].map(([, version]) => version as Version);
}

/** One that begins when another does takes its place. `kept`: what is in force from there on must stay. */
export function putVersion(store: CellStore, entry: Version, kept: number): void {
  store.setEntry(PREFIX + timeId(entry.from), entry);
  const versions = [...store.entries(ALL)];
  const needed = versions.findLastIndex(([, version]) => (version as Version).from <= kept);
  for (const [id] of versions.slice(0, Math.max(0, needed))) store.deleteEntry(id);
  if (versions.length - Math.max(0, needed) > VERSIONS_MAX)
    throw new HandlerError("TOO_MANY_VERSIONS", `${store.path}: at most ${VERSIONS_MAX} versions can still be asked for.`);
}
