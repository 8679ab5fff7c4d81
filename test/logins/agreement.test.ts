/**
 * The two jobs and the plain scripts, which were written from the README's rules and not from the jobs, agree on every
 * alert and side output: over the sample, over generated lines, and over wild ones, with everything that goes wrong, in
 * partitions, with commits and crashes in between. LOGINS_RUNS and LOGINS_SEED make it longer.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { loginEvents } from "../../actors/logins/generate.ts";
import logins from "../../actors/logins/logins.ts";
import type { Job } from "../../actors/model/job.ts";
import { formatInstant, parseInstant } from "../../actors/model/time.ts";
import { Dice } from "../../actors/random.ts";
import type { PlainLine } from "../support/plain-shard.ts";
import { differencesOf, type Judged, type Judging, judge, type Line } from "./folded.ts";
import { type PlainOutputs, plainLogins } from "./plain-logins.ts";
import { plainUsers } from "./plain-users.ts";
import { unfedByUser } from "./unfed.ts";

const RUNS = Number(process.env.LOGINS_RUNS ?? 3);
const SEED = Number(process.env.LOGINS_SEED ?? Math.floor(Math.random() * 1e9));
const START = Date.UTC(2026, 2, 2);
const MINUTE = 60_000;

const JOBS: readonly (readonly [Job, (lines: readonly PlainLine[]) => PlainOutputs])[] = [
  [logins, plainLogins],
  [unfedByUser, plainUsers],
];

for (const [job, plainOf] of JOBS) {
  const isByUser = job === unfedByUser;
  const judged = (lines: readonly (Line | number)[], how?: Judging): Judged[] =>
    judge(job, plainOf, isByUser ? lines.map(ofUser) : lines, how);
  const assertAgrees = (all: readonly Judged[]): number => {
    for (const one of all) assert.deepEqual(differencesOf(one).slice(0, 3), []);
    return all.reduce((sum, { plain }) => sum + plain.alerts.length, 0);
  };

  suite(job.name, () => {
    test("the sample", () => {
      const all = judged(sample(), { partitions: 4 });
      assert(assertAgrees(all) > 30);
      const types = new Set(all.flatMap(({ plain }) => plain.alerts.map(({ type }) => type)));
      assert.equal(types.size, 2, [...types].join());
    });

    // How many alerts a seed gives is chance, so only of one that is known there must be some.
    test("generated and wild lines give alerts to compare", () => {
      const made = [...loginEvents({ seed: 1, people: 6, days: 10, start: START, attacksADay: 4 })];
      assert(assertAgrees(judged(made, { partitions: 2 })) > 0);
      assert(assertAgrees(judged(wild(1, 600))) > 5);
    });

    for (let run = 0; run < RUNS; run++) {
      const seed = SEED + run;
      test(`generated lines (LOGINS_SEED=${seed})`, () => {
        const made = [...loginEvents({ seed, people: 6, days: 10, start: START, attacksADay: 4 })];
        assertAgrees(judged(made, { partitions: 2 }));
      });

      test(`wild lines: a few keys, every edge, stragglers and jumps of the watermark (LOGINS_SEED=${seed})`, () => {
        assertAgrees(judged(wild(seed, 600)));
      });
    }

    test(`a user of very many networks over years (LOGINS_SEED=${SEED})`, () => {
      assertAgrees(judged(nomad(SEED)));
    });

    test(`wherever commits and crashes fall, bytes and state are the same (LOGINS_SEED=${SEED})`, () => {
      const lines = wild(SEED, 400);
      const [whole] = judged(lines) as [Judged];
      for (const commitEveryUnits of [1, 7]) {
        const [cut] = judged(lines, { interruptions: { commitEveryUnits, crash: true, liveRowsMax: 2 } }) as [Judged];
        assert.deepEqual(cut.outputs, whole.outputs);
        assert.equal(cut.stateHash, whole.stateHash);
      }
    });

    test("the comparison finds an alert that is missing, one too many, and one that differs", () => {
      const [one] = judged(wild(1, 300)) as [Judged];
      const at = one.outputs.findIndex(({ type }) => type.startsWith("alert."));
      const alert = one.outputs[at]!;
      assert.notDeepEqual(differencesOf({ ...one, outputs: one.outputs.toSpliced(at, 1) }), []);
      assert.notDeepEqual(differencesOf({ ...one, outputs: [...one.outputs, alert] }), []);
      assert.equal(differencesOf({ ...one, outputs: one.outputs.with(at, { ...alert, causeid: "another" }) }).length, 1);
    });
  });
}

function sample(): Line[] {
  const text = readFileSync(new URL("../../actors/logins/sample.ndjson", import.meta.url), "utf8");
  return text.trimEnd().split("\n").map(lineOf);
}

function lineOf(text: string): Line {
  const [, key = "sample"] = /"subject":"([^"]+)"/.exec(text) ?? [];
  return { key, text, time: parseInstant(/"time":"([^"]+)"/.exec(text)?.[1] ?? "") ?? 0 };
}

/** The same line, by the user that it names. */
function ofUser(line: Line | number): Line | number {
  if (typeof line === "number") return line;
  const [, key = "sample"] = /"userId":"([^"]+)"/.exec(line.text) ?? [];
  return { ...line, key, text: line.text.replace(/"subject":"[^"]+"/, `"subject":${JSON.stringify(key)}`) };
}

const WIDE = [0, 1, 2_000, 60_000, 150_000, 300_000, 300_001, 599_999];
const DENSE = [0, 1, 1_000, 10_000, 60_000];

/** Steps of minutes and milliseconds around the edges, many of them behind, some late, and watermarks that jump; every second seed dense. */
function wild(seed: number, count: number): (Line | number)[] {
  const dice = new Dice(seed);
  const isDense = seed % 2 === 0;
  const lines: (Line | number)[] = [];
  let now = START;
  for (let i = 0; i < count; i++) {
    now += dice.chance(0.02) ? dice.between(0, 2 * 24 * 60) * MINUTE : dice.pick(isDense ? DENSE : WIDE);
    const backMs = dice.weighted([
      ["0", 6],
      ["10000", 2],
      ["300000", 3],
      ["400000", 1],
    ])!;
    const time = now - (dice.chance(isDense ? 0.1 : 0.3) ? Number(backMs) : dice.between(0, Number(backMs) + 1));
    const ip = dice.pick(["192.0.2.1", "198.51.100.7", "2001:db8:1::1"].slice(isDense ? 1 : 0));
    const written = dice.pick([ip, ip, ip.replace("2001:db8:1::1", "2001:DB8:1:0::1"), ip.includes(":") ? ip : `::ffff:${ip}`]);
    const userId = dice.pick(["amara", "bela"]);
    const data = { userId, result: dice.chance(isDense ? 0.15 : 0.45) ? "success" : "failed", ip: written };
    const id = dice.chance(0.03) ? `w${dice.between(0, i)}` : `w${i}`;
    const key = dice.chance(0.06) ? written : ip;
    const event = { specversion: "1.0", id, source: "/wild", type: "login", subject: key, time: formatInstant(time), data };
    lines.push({ key, text: JSON.stringify(event), time });
    if (dice.chance(0.03)) lines.push(now + dice.between(-10 * MINUTE, 20 * MINUTE));
  }
  return lines;
}

/** One address a network, more of them than are kept; months apart now and then, and once over a year. */
function nomad(seed: number): Line[] {
  const dice = new Dice(seed);
  let now = START;
  return Array.from({ length: 700 }, (_, i) => {
    now += i === 500 ? 366 * 24 * 60 * MINUTE : dice.chance(0.02) ? dice.between(0, 40 * 24 * 60) * MINUTE : dice.between(0, 200) * MINUTE;
    const ip = `10.${dice.between(0, 2)}.${dice.chance(0.5) ? dice.between(0, 5) : dice.between(0, 80)}.1`;
    const time = now - dice.between(0, 20_000);
    const data = { userId: "amara", result: "success", ip };
    const event = { specversion: "1.0", id: `n${i}`, source: "/wild", type: "login", subject: ip, time: formatInstant(time), data };
    return { key: ip, text: JSON.stringify(event), time };
  });
}
