/** Operators of every kind through a crash run. */
import { HOUR_MS } from "../../actors/model/time.ts";
import type { EventPayload } from "../../runtime/log/log-publisher.ts";
import { type CrashScenario, seeded } from "./crash-run.ts";
import { cloudEvent } from "./entries.ts";
import operators from "./operators-app.ts";

const START = Date.UTC(2026, 2, 29);
const KEYS = 20;

interface Line {
  readonly key: string;
  readonly event: EventPayload;
}

export const OPERATORS: CrashScenario<Line> = {
  app: new URL("./operators-app.ts", import.meta.url).pathname,
  jobs: [operators],
  lines,
  keyOf: ({ key }) => key,
  payloadOf: ({ event }) => event,
  endMs: START + 1_000 * HOUR_MS,
};

/** Disorder, some events behind the watermark and some late, duplicates; the time goes on by a second an event. */
function* lines(seed: number, events: number): Generator<Line> {
  const random = seeded(seed);
  for (let i = 0; i < events; i++) {
    const id = `e${random() < 0.03 ? Math.max(0, i - 5) : i}`;
    const key = `k${Math.floor(random() * KEYS)}`;
    const back = random();
    const time = START + i * 1_000 - Math.floor(random() * (back < 0.8 ? 9_000 : back < 0.98 ? 180_000 : 600_000));
    const data = { amount: Math.floor(random() * 10_000) / 100, shop: `s${Math.floor(random() * 3)}`, back: random() < 0.3 };
    yield { key, event: Buffer.from(JSON.stringify(cloudEvent({ id, type: "paid", key, time, data }))) };
  }
}
