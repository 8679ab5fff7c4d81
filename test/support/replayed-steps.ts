/** Replays what one key was given, alone, in the test kit. */
import type { Job } from "../../actors/model/job.ts";
import { withSettings } from "../../actors/model/job.ts";
import type { KeyStep } from "../../runtime/history/key-history.ts";
import { type JobTest, testJob } from "../../runtime/testing/testing.ts";

export interface ReplayedOutput {
  readonly type: string;
  readonly key: string | undefined;
  readonly time: number;
  readonly data: unknown;
}

/** What the key's steps put out, in order. The watermark stands where the steps put it. */
export async function replaySteps(declared: Job, key: string, steps: readonly KeyStep[]): Promise<ReplayedOutput[]> {
  const first = steps.find((step) => step.kind === "clock");
  if (first === undefined) return [];
  const job: Job = withSettings(declared, { idle: "hold" });
  const test = await testJob(job, { start: first.processingTime, onFailure: "dead-letter" });
  try {
    let redrives = 0;
    for (const step of steps) await replayStep(test, job, key, step, () => ++redrives);
    return test.outputs().map(({ type, key: about, time, data }) => ({ type, key: about, time, data }));
  } finally {
    await test.close();
  }
}

async function replayStep(test: JobTest<Job>, job: Job, key: string, step: KeyStep, redrive: () => number): Promise<void> {
  if (step.kind === "clock") await test.advanceClockTo(step.processingTime, { atOnce: true });
  else if (step.kind === "watermark") await test.advanceWatermark(step.watermark);
  else if (step.kind === "event") await test.sendRaw({ subject: key, ...(step.event as object) });
  else if (step.kind === "reference") {
    const { table, id, version, effectiveFrom, data } = step;
    await test.putReference((table === "_schemas" ? table : job.tables.get(table)) as "_schemas", id, {
      version,
      effectiveFrom,
      data,
    } as never);
  } else if (step.kind === "result") {
    const call = test.calls().filter((one) => one.actor === step.actor && one.key === key)[step.waiting]!;
    if ("failed" in step.outcome) await test.fail(call as never, step.outcome.failed);
    else await test.reply(call as never, step.outcome.output as never);
  } else {
    const entry = { ...(step.entry as object), deadLetter: `${job.name}.0.${1_000_000 + redrive()}` };
    await test.sendRaw(entry, { subject: `${job.log}.p0.j.${job.name}` });
  }
}
