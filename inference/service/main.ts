/** The process of a node in which inferences are made; its own main module. */
import { setTimeout as delay } from "node:timers/promises";
import { notice, runInferenceProcess } from "./process-life.ts";
import { serveWith } from "./serve.ts";

const clock = {
  now: () => Date.now(),
  sleep: (ms: number, signal: AbortSignal) => delay(ms, undefined, { signal }).catch(() => {}),
};

runInferenceProcess((settings) =>
  serveWith(settings, { clock, monotonic: () => performance.now(), random: Math.random, environment: process.env, notice }),
);
