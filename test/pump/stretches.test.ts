/**
 * A pump of outputs that follows a job, then a generation of it, then the job again: two shards that fold the same entries, each
 * as far as it has come, and a pump beside each, which dies and begins anew at any moment.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { PumpLink } from "../../actors/fold/pump-entry.ts";
import { outputsOf, repartition } from "../../actors/model/repartition.ts";
import { MemoryPartitionLog } from "../../runtime/log/memory-partition-log.ts";
import type { Pump } from "../../runtime/pump/pump.ts";
import { cloudEvent, T0 } from "../support/entries.ts";
import { turn } from "../support/memory-world.ts";
import { SOURCE_STREAM } from "../support/pump-log.ts";
import { PumpWorld } from "../support/pump-world.ts";
import { runEvent, scriptedJob } from "../support/scripted.ts";

const ORIGIN = "first";
const GENERATION = "first-g";
const TARGETS = 2;
const ENTRIES = 30;
const COMMITTED_BACK = 4;
const job = scriptedJob({ from: [repartition(outputsOf(ORIGIN), { streams: [SOURCE_STREAM], key: ({ key }) => key })] });

/** One of the two, with its output stream, and the pump beside it. */
class Shard {
  readonly name: string;
  readonly outputs: MemoryPartitionLog;
  readonly #world: PumpWorld;
  readonly #followed: () => string;
  /** It knows nothing of earlier entries. */
  readonly #first: number;
  entry: number;
  /** Outputs of the entries that it has folded; the stream may have more, from before it was started. */
  made = 0;
  pump: Pump;
  other!: Pump;
  hear!: () => void;

  constructor(world: PumpWorld, name: string, first: number, followed: () => string) {
    this.name = name;
    this.outputs = new MemoryPartitionLog({ stream: `${name}-out-0` });
    this.outputs.now = T0;
    this.#world = world;
    this.#first = first;
    this.#followed = followed;
    this.entry = first - 1;
    this.pump = this.restart();
    this.restartOther();
  }

  restart(): Pump {
    this.pump = this.#start(this.#followed);
    return this.pump;
  }

  /** That of another node, which hears of a switch later. */
  restartOther(): void {
    let heard = this.#followed();
    this.other = this.#start(() => heard);
    this.hear = () => {
      heard = this.#followed();
    };
  }

  #start(followed: () => string): Pump {
    const { name, outputs } = this;
    return this.#world.start(0, {
      source: outputs,
      shardClock: () => ({
        watermark: T0 + this.entry,
        outputs: this.made,
        stored: outputs.lastSequence,
        entry: this.entry,
        atEnd: this.entry === ENTRIES,
      }),
      lineage: { origin: ORIGIN, job: name, followed: () => followed() === name },
    });
  }

  /** It begins with what it had committed, a few entries ago, and folds the rest again. */
  crash(): void {
    for (let back = 0; back < COMMITTED_BACK && this.entry >= this.#first; back++) this.made -= this.madeOf(this.entry--).length;
    this.restart();
  }

  async fold(): Promise<void> {
    if (this.entry === ENTRIES) return;
    this.entry++;
    for (const text of this.madeOf(this.entry)) {
      this.made++;
      if (this.made <= this.outputs.lastSequence) continue;
      const event = runEvent({ id: `${this.name}.${text}`, source: `tidemark/${this.name}/0`, time: T0, steps: [{ say: text }] });
      const key = `k${text.charCodeAt(text.length - 1) % 5}`;
      const output = { ...cloudEvent(event), subject: key, position: `0:${this.entry}.0` };
      await this.outputs.append(`${this.name}.out.0.${key}.script.run`, Buffer.from(JSON.stringify(output)));
    }
  }

  /** None, one or two, and not the same of both. */
  madeOf(entry: number): string[] {
    if (entry < this.#first) return [];
    const count = (entry + (this.name === ORIGIN ? 0 : 1)) % 3;
    return Array.from({ length: count }, (_, i) => `${this.name === ORIGIN ? "a" : "g"}${entry}.${i}`);
  }
}

const act = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("fold origin", "fold generation") },
  { weight: 8, arbitrary: fc.constantFrom("pump origin", "pump generation") },
  { weight: 2, arbitrary: fc.constantFrom("kill origin", "kill generation", "crash origin", "crash generation") },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      "other origin",
      "other generation",
      "hear origin",
      "hear generation",
      "replace origin",
      "replace generation",
    ),
  },
  { weight: 1, arbitrary: fc.constant("switch") },
);

/** A step may find that the other one has written: it begins anew with the next. */
async function step(pump: Pump): Promise<string> {
  try {
    return await pump.step();
  } catch (error) {
    assert.equal((error as { code?: string }).code, "LOG_CONFLICT");
    return "progress";
  }
}

/** By turn, the last one that was told: where two nodes ended at two places another end was told by both. */
function endsOf(told: readonly PumpLink[]): { readonly ended: number; readonly job: string }[] {
  const byTurn = new Map<number, { readonly ended: number; readonly job: string } | undefined>();
  for (const { ended, stretch } of told)
    byTurn.set(stretch?.turn ?? 0, ended === undefined ? undefined : { ended, job: stretch?.job ?? ORIGIN });
  return [...byTurn.values()].flatMap((end) => end ?? []);
}

async function run(acts: readonly string[], begun: number): Promise<void> {
  const world = new PumpWorld(job, { sources: 1, targets: TARGETS });
  let followed = ORIGIN;
  const origin = new Shard(world, ORIGIN, 1, () => followed);
  const generation = new Shard(world, GENERATION, begun, () => followed);
  for (const [verb, who] of acts.map((text) => text.split(" "))) {
    const shard = who === "origin" ? origin : generation;
    if (verb === "fold") await shard.fold();
    if (verb === "pump") await step(shard.pump);
    if (verb === "other") await step(shard.other);
    if (verb === "hear") shard.hear();
    if (verb === "replace") shard.restartOther();
    if (verb === "kill") shard.restart();
    if (verb === "crash") shard.crash();
    if (verb === "switch") followed = followed === ORIGIN ? GENERATION : ORIGIN;
    await turn();
  }
  for (const shard of [origin, generation]) while (shard.entry < ENTRIES) await shard.fold();
  for (const shard of [origin, generation]) shard.hear();
  for (let idle = 0; idle < 8; ) {
    const results: string[] = [];
    for (const pump of [origin.pump, generation.pump, origin.other, generation.other]) results.push(await step(pump));
    await turn();
    idle = results.every((result) => result === "idle") ? idle + 1 : 0;
    await world.clock.sleep(31_000);
  }
  // What each partition was told of the ends of stretches is the same, and says what must have come.
  const links = world.targets.map((_, target) => world.links(target, 0));
  const ends = links.map(endsOf);
  assert.deepEqual(ends[0], ends[1]);
  // One that has nothing to bring to a partition has not begun there.
  const newest = links.flat().reduce((a, b) => ((b.stretch?.turn ?? 0) >= (a.stretch?.turn ?? 0) ? b : a));
  const isOpen = (newest.stretch?.turn ?? 0) === ends[0]!.length;
  const stretches = [...ends[0]!, ...(isOpen ? [{ ended: ENTRIES, job: newest.stretch?.job ?? ORIGIN }] : [])];
  if (isOpen) assert.equal(stretches.at(-1)!.job, followed);
  const expected: string[] = [];
  let from = 0;
  for (const { ended, job: name } of stretches) {
    const shard = name === ORIGIN ? origin : generation;
    for (let entry = from + 1; entry <= ended; entry++) expected.push(...shard.madeOf(entry));
    from = Math.max(from, ended);
  }
  const said = world.said();
  for (const key of ["k0", "k1", "k2", "k3", "k4"]) {
    const of = expected.filter((text) => `k${text.charCodeAt(text.length - 1) % 5}` === key);
    assert.deepEqual(said[key] ?? [], of, `${key} of ${JSON.stringify(stretches)}`);
  }
}

test("each entry's outputs come from the one that was followed then, each once, in order, whoever dies when", {
  timeout: 240_000,
}, async () => {
  const property = fc.asyncProperty(fc.array(act, { maxLength: 160, size: "max" }), fc.integer({ min: 1, max: 12 }), run);
  await fc.assert(property, { numRuns: Number(process.env.PROPERTY_RUNS ?? 60) });
});
