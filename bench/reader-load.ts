/** Readers of the API in a process of their own: so many connections that each ask again as soon as they are answered. */
import { Agent, get } from "node:http";

export interface ReaderCounts {
  readonly answered: number;
  readonly shed: number;
  readonly failed: number;
}

const [url, readers] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, maxSockets: Number(readers) });
const keyOf = (i: number) => `device-${String((i * 7_919) % 10_000).padStart(7, "0")}`;
const TARGETS = [
  (i: number) => `/v1/actors/counter/${keyOf(i)}`,
  (i: number) => `/v1/actors/counter?prefix=device-000${i % 10}&limit=100`,
  () => "/v1/shards",
  () => "/v1/outputs?limit=100",
] as const;

let reading = false;
const wake: (() => void)[] = [];
let counts = { answered: 0, shed: 0, failed: 0 };

process.on("message", (message: "start" | "stop") => {
  reading = message === "start";
  if (reading) for (const resume of wake.splice(0)) resume();
  else {
    process.send!(counts satisfies ReaderCounts);
    counts = { answered: 0, shed: 0, failed: 0 };
  }
});
process.on("disconnect", () => process.exit(0));

function ask(target: string): Promise<number> {
  return new Promise((resolve) => {
    get(`${url}${target}`, { agent }, (answer) => {
      answer.resume().on("end", () => resolve(answer.statusCode!));
    }).on("error", () => resolve(0));
  });
}

async function reader(number: number): Promise<never> {
  for (let i = number; ; i += Number(readers)) {
    if (!reading) {
      await new Promise<void>((resolve) => {
        wake.push(resolve);
      });
    }
    const status = await ask(TARGETS[i % TARGETS.length]!(i));
    if (status === 200 || status === 404) counts.answered++;
    else if (status === 429) counts.shed++;
    else counts.failed++;
  }
}

for (let i = 0; i < Number(readers); i++) void reader(i);
