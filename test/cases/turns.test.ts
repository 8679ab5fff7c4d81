/** What a case remembers in two turns: the last entries, and not all (the bounds of the README). */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { known, remember } from "../../actors/cases/turns.ts";
import { day, iso, Office, T0 } from "./office.ts";

const TURN = 20_000;
/** As far as a turn needs one, a Map is a map cell. */
const turns = () => [new Map<string, number>() as never, new Map<string, number>() as never] as const;

suite("two turns", () => {
  test("know the last entries of a turn at least, and never more than two", () => {
    const [newer, older] = turns();
    for (let n = 0; n < TURN; n++) remember(newer, older, `k${n}`, n as never);
    assert.equal(known(newer, older, "k0"), 0);
    remember(newer, older, "one more", 1 as never);
    assert.deepEqual([known(newer, older, "k0"), known(newer, older, `k${TURN - 1}`)], [0, TURN - 1]);
    for (let n = 1; n <= TURN; n++) remember(newer, older, `l${n}`, n as never);
    assert.deepEqual([known(newer, older, "k0"), known(newer, older, "l1")], [undefined, 1]);
  });

  test("set anew what they know, and what has changed counts", () => {
    const [newer, older] = turns();
    for (let n = 0; n <= TURN; n++) remember(newer, older, `k${n}`, n as never);
    remember(newer, older, "k0", 7 as never);
    assert.equal(known(newer, older, "k0"), 7);
  });
});

test("a correction names an alert of the turn before", async () => {
  const office = await Office.open();
  await office.opened();
  const started = await office.send("SlaClockStarted", { slaId: "s", policyId: "strict" });
  await office.passed(day(5));
  const [breach] = office.alerts("sla-breached");
  const pauses = Array.from({ length: TURN }, (_, n) => ({
    stream: "SlaClockPaused" as const,
    key: "c1",
    data: { slaId: "none", pausedAt: iso(T0 + n) },
    id: `p${n}`,
    time: day(5),
  }));
  for (let n = 0; n < TURN; n += 1_000) await office.kit.sendBatch(pauses.slice(n, n + 1_000));
  assert.equal(office.alerts("inconsistent-state").length, TURN);
  await office.send("EventCorrected", { correctedEventId: started, correction: {}, reason: "typo" });
  assert.deepEqual(office.told("case.correction-impact").at(-1)?.alertIds, [breach?.alertId]);
});
