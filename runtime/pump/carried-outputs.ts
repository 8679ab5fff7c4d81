/** Which outputs pumps carry right now, as the logs that they feed say. */
import type { NatsConnection } from "@nats-io/transport-node";
import { type PumpLink, readPumpLink } from "../../actors/fold/pump-entry.ts";
import { pumpSubject } from "../../actors/fold/subject.ts";
import type { Job } from "../../actors/model/job.ts";
import { NatsPartitionLog } from "../log/nats-partition-log.ts";
import { newestStretch } from "./pump-course.ts";

/** What a pump of one source partition said last, by target partition. */
export async function pumpLinks(
  nc: NatsConnection,
  log: string,
  targets: number,
  pump: string,
  source: number,
): Promise<(PumpLink | undefined)[]> {
  const numbers = Array.from({ length: targets }, (_, target) => target);
  return await Promise.all(
    numbers.map(async (target) => {
      const last = await new NatsPartitionLog(nc, log, target).lastOn(pumpSubject(log, target, pump, source));
      return readPumpLink(last?.headers);
    }),
  );
}

export interface OutputPump {
  /** That declares it. */
  readonly job: Job;
  readonly pump: string;
}

/** Pumps of an app that read the outputs of a job. */
export function pumpsOfOutputs(jobs: readonly Job[], origin: string): readonly OutputPump[] {
  return jobs.flatMap((job) =>
    job.from.flatMap(({ name, source }) => (source.kind === "outputs" && source.job === origin ? [{ job, pump: name }] : [])),
  );
}

/** One that has yet to end its part of the outputs of `name`, which is `origin` or a generation of it; `undefined` when none has. */
export async function pumpThatCarries(
  nc: NatsConnection,
  jobs: readonly Job[],
  origin: string,
  name: string,
  partitionsOf: (job: string) => number,
): Promise<OutputPump | undefined> {
  for (const pump of pumpsOfOutputs(jobs, origin)) {
    for (let source = 0; source < partitionsOf(origin); source++) {
      const links = await pumpLinks(nc, pump.job.log, partitionsOf(pump.job.name), pump.pump, source);
      const newest = newestStretch(links, origin);
      if (newest?.stretch.job === name && !newest.isOver) return pump;
    }
  }
  return undefined;
}
