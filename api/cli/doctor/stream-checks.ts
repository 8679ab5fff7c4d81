/** Checks of streams and of the account that they lie in: limits, how full, how many copies, and whether those are up to date. Pure. */
import type { StreamInfo } from "../../../runtime/log/jetstream-api.ts";
import { ownStream } from "../../../runtime/log/own-streams.ts";
import { bytesText, type Check, fail, ok, warn } from "./check.ts";
import type { Wanted } from "./server-checks.ts";

/** Of `$JS.API.INFO`. */
export interface AccountInfo {
  readonly storage: number;
  readonly reserved_storage?: number;
  readonly streams: number;
  readonly limits: { readonly max_storage: number; readonly max_streams: number };
}

const FILL_WARN = 0.8;
const FILL_FAIL = 0.95;
/** Of what an account may reserve. */
const RESERVED_WARN = 0.9;

export type CheckedStream = Pick<StreamInfo, "state"> & {
  readonly config: Pick<StreamInfo["config"], "name" | "subjects" | "discard" | "max_age" | "max_bytes">;
};

/** Streams of logs and outputs; of others nothing is known here. Those that are as they should be share one line: there may be thousands. */
export function checkStreams(streams: readonly CheckedStream[]): Check[] {
  const own = streams.filter(({ config }) => ["log", "outputs"].includes(ownStream(config.subjects)?.kind ?? ""));
  if (own.length === 0) return [ok("streams", "no log yet; a job that starts makes its own")];
  const wrong = own.flatMap(checkStream);
  const fullest = own.reduce((a, b) => (fillOf(b) > fillOf(a) ? b : a));
  const good = own.length - new Set(wrong.map(({ check }) => check)).size;
  const found = `${good} of ${own.length} are as they should be; the fullest, ${fullest.config.name}, has ${bytesText(fullest.state.bytes)} of ${bytesText(fullest.config.max_bytes)}`;
  return [...wrong, ok("streams", found)];
}

function checkStream(stream: CheckedStream): Check[] {
  const { config, state } = stream;
  const { name, discard, max_age: age, max_bytes: max } = config;
  const check = `stream ${name}`;
  const checks: Check[] = [];
  if (age > 0)
    checks.push(fail(check, "messages are dropped by age", `Set max_age of ${name} to 0: what is dropped is lost to the state.`));
  if (discard !== "new") checks.push(fail(check, "old messages are dropped when it is full", `Set discard of ${name} to new.`));
  const fill = fillOf(stream);
  const found = `${bytesText(state.bytes)} of ${bytesText(max)}, ${Math.floor(fill * 100)} %`;
  const mend = `Raise max_bytes: nats stream edit ${name} --max-bytes=…; a full stream takes nothing more.`;
  if (fill >= FILL_FAIL) checks.push(fail(check, found, mend));
  else if (fill >= FILL_WARN) checks.push(warn(check, found, mend));
  return checks;
}

function fillOf({ config, state }: CheckedStream): number {
  return config.max_bytes > 0 ? state.bytes / config.max_bytes : 0;
}

/** Every stream of Tidemark's: as many replicas as the settings say, and none behind. */
export function checkReplicas(streams: readonly StreamInfo[], wanted: Wanted): Check[] {
  const own = streams.filter(({ config }) => ownStream(config.subjects) !== undefined);
  if (own.length === 0) return [];
  const checks = own.flatMap(({ config, cluster }) => {
    const behind = (cluster?.replicas ?? []).filter(({ current, offline }) => !current || offline === true);
    if (cluster !== undefined && cluster.leader === undefined)
      return [
        fail(`stream ${config.name}`, "it has no leader and takes nothing", "Start the servers that are away; a majority has to be there."),
      ];
    if (behind.length === 0) return [];
    const names = behind.map(({ name }) => name).join(", ");
    return [
      warn(`stream ${config.name}`, `not up to date on ${names}`, "Wait until they have caught up before another server is restarted."),
    ];
  });
  const other = own.filter(({ config }) => config.num_replicas !== wanted.natsReplicas);
  return [...checks, replicasCheck(own, other, wanted)];
}

function replicasCheck(own: readonly StreamInfo[], other: readonly StreamInfo[], wanted: Wanted): Check {
  const { natsReplicas, profile, allowSingleReplica } = wanted;
  const single = own.filter(({ config }) => config.num_replicas < 2);
  const names = (streams: readonly StreamInfo[]): string =>
    `${streams[0]!.config.name}${streams.length > 1 ? ` and ${streams.length - 1} more` : ""}`;
  if (profile === "production" && !allowSingleReplica && single.length > 0) {
    const mend = `nats stream edit ${single[0]!.config.name} --replicas=3, and so on; or TIDEMARK_ALLOW_SINGLE_REPLICA=on where one server is meant.`;
    return fail("replicas", `one server alone keeps ${names(single)}`, mend);
  }
  if (other.length > 0) {
    const mend = `nats stream edit ${other[0]!.config.name} --replicas=${natsReplicas}, and so on; or set TIDEMARK_NATS_REPLICAS to what they have.`;
    return warn("replicas", `TIDEMARK_NATS_REPLICAS is ${natsReplicas}, and not so of ${names(other)}`, mend);
  }
  return ok("replicas", `${natsReplicas} of each of ${own.length} streams`);
}

/** Whether the account has room for what its streams reserve, and for more of them. */
export function checkAccount({ limits, reserved_storage: reserved = 0, streams }: AccountInfo): Check[] {
  const mend = "Raise the account's limits, or lower TIDEMARK_STREAM_MAX_BYTES before streams are created.";
  const checks: Check[] = [];
  if (limits.max_storage > 0) {
    const found = `${bytesText(reserved)} of ${bytesText(limits.max_storage)} are reserved`;
    checks.push(reserved > limits.max_storage * RESERVED_WARN ? warn("account", found, mend) : ok("account", found));
  }
  if (limits.max_streams > 0 && streams >= limits.max_streams)
    checks.push(fail("account", `all ${limits.max_streams} streams that it may have are there`, mend));
  return checks;
}
