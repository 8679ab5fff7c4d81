/** When a circuit opens, what it lets through, and when it closes again; against a model that remembers everything. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { Circuit, type CircuitSettings, type Permit } from "../../../inference/guards/circuit.ts";

const SETTINGS: CircuitSettings = { window: 10, outcomesMin: 6, share: 0.5, consecutive: 4, openMs: 100, openMaxMs: 350, probes: 2 };

function admitted(circuit: Circuit, now: number): Permit {
  const permit = circuit.admit(now);
  assert(typeof permit !== "number", "it was not let through");
  return permit;
}

function fail(circuit: Circuit, times: number, now = 0): void {
  for (let i = 0; i < times; i++) admitted(circuit, now).failed(now);
}

suite("a closed circuit", () => {
  test("opens with failures one behind the other", () => {
    const circuit = new Circuit({ ...SETTINGS, outcomesMin: 10 });
    fail(circuit, 3);
    admitted(circuit, 0).succeeded();
    fail(circuit, 3);
    assert.equal(circuit.state, "closed");
    fail(circuit, 1);
    assert.equal(circuit.state, "open");
    assert.equal(circuit.admit(40), 60);
  });

  test("opens with too large a share of failures, once there are enough outcomes", () => {
    const circuit = new Circuit({ ...SETTINGS, consecutive: 10 });
    for (let i = 0; i < 2; i++) {
      admitted(circuit, 0).succeeded();
      admitted(circuit, 0).failed(0);
    }
    assert.equal(circuit.state, "closed");
    admitted(circuit, 0).succeeded();
    admitted(circuit, 0).failed(0);
    assert.equal(circuit.state, "open");
  });

  test("looks at the newest outcomes only", () => {
    const circuit = new Circuit({ ...SETTINGS, outcomesMin: 10, consecutive: 10 });
    fail(circuit, 4);
    for (let i = 0; i < 10; i++) admitted(circuit, 0).succeeded();
    fail(circuit, 4);
    assert.equal(circuit.state, "closed");
    fail(circuit, 1);
    assert.equal(circuit.state, "open");
  });

  test("counts nothing of what tells nothing", () => {
    const circuit = new Circuit(SETTINGS);
    fail(circuit, 3);
    for (let i = 0; i < 20; i++) admitted(circuit, 0).dropped();
    assert.equal(circuit.state, "closed");
    fail(circuit, 1);
    assert.equal(circuit.state, "open");
  });
});

suite("an open circuit", () => {
  test("lets so many probes through once its time is over, and closes when they succeed", () => {
    const circuit = new Circuit(SETTINGS);
    fail(circuit, 4);
    assert.equal(circuit.admit(99), 1);
    const probes = [admitted(circuit, 100), admitted(circuit, 100)];
    assert.equal(circuit.state, "half-open");
    assert.equal(typeof circuit.admit(100), "number");
    probes[0]!.succeeded();
    assert.equal(typeof circuit.admit(100), "number");
    probes[1]!.succeeded();
    assert.equal(circuit.state, "closed");
    fail(circuit, 3, 100);
    assert.equal(circuit.state, "closed");
  });

  test("lets another probe through for one that told nothing", () => {
    const circuit = new Circuit(SETTINGS);
    fail(circuit, 4);
    const [first] = [admitted(circuit, 100), admitted(circuit, 100)];
    first.dropped();
    admitted(circuit, 100);
    assert.equal(typeof circuit.admit(100), "number");
  });

  test("stays open for twice as long each time that a probe fails, up to a bound, and begins anew once it has closed", () => {
    const circuit = new Circuit(SETTINGS);
    fail(circuit, 4);
    let now = 0;
    for (const openMs of [100, 200, 350, 350]) {
      assert.equal(circuit.admit(now), openMs);
      now += openMs;
      admitted(circuit, now).failed(now);
    }
    now += 350;
    for (const probe of [admitted(circuit, now), admitted(circuit, now)]) probe.succeeded();
    fail(circuit, 4, now);
    assert.equal(circuit.admit(now), 100);
  });

  test("counts nothing of what was let through before", () => {
    const circuit = new Circuit(SETTINGS);
    const old = Array.from({ length: 8 }, () => admitted(circuit, 0));
    fail(circuit, 4);
    old[0]!.failed(0);
    old[1]!.succeeded();
    assert.equal(circuit.admit(0), 100);
    const probe = admitted(circuit, 100);
    old[2]!.succeeded();
    old[3]!.failed(100);
    assert.equal(circuit.state, "half-open");
    probe.failed(100);
    assert.equal(circuit.admit(100), 200);
    for (const each of old.slice(4)) each.succeeded();
    assert.equal(circuit.state, "open");
  });
});

/** Everything that ever happened, looked at again for each question. */
class Remembering {
  #outcomes: boolean[] = [];
  #openMs = SETTINGS.openMs;
  #openUntil: number | undefined;
  #probes: { settled: boolean; ok: boolean }[] | undefined;
  #turn = 0;

  get state(): string {
    if (this.#probes !== undefined) return "half-open";
    return this.#openUntil === undefined ? "closed" : "open";
  }

  admit(now: number): ((outcome: "ok" | "bad" | "dropped", at: number) => void) | undefined {
    if (this.#openUntil !== undefined && this.#probes === undefined) {
      if (now < this.#openUntil) return undefined;
      this.#probes = [];
      this.#turn++;
    }
    if (this.#probes !== undefined && this.#probes.length >= SETTINGS.probes) return undefined;
    const turn = this.#turn;
    const probe = { settled: false, ok: false };
    this.#probes?.push(probe);
    return (outcome, at) => {
      if (turn !== this.#turn) return;
      if (this.#probes !== undefined) this.#probed(probe, outcome, at);
      else if (outcome !== "dropped") this.#outcome(outcome === "bad", at);
    };
  }

  #probed(probe: { settled: boolean; ok: boolean }, outcome: string, at: number): void {
    if (outcome === "dropped") this.#probes = this.#probes!.filter((each) => each !== probe);
    else if (outcome === "bad") {
      this.#openMs = Math.min(SETTINGS.openMaxMs, 2 * this.#openMs);
      this.#open(at);
    } else {
      Object.assign(probe, { settled: true, ok: true });
      if (this.#probes!.filter(({ ok }) => ok).length < SETTINGS.probes) return;
      this.#probes = undefined;
      this.#openUntil = undefined;
      this.#outcomes = [];
      this.#openMs = SETTINGS.openMs;
      this.#turn++;
    }
  }

  #outcome(bad: boolean, at: number): void {
    this.#outcomes.push(bad);
    const recent = this.#outcomes.slice(-SETTINGS.window);
    const inARow = this.#outcomes.slice(-SETTINGS.consecutive);
    const allBad = inARow.length === SETTINGS.consecutive && inARow.every(Boolean);
    const share = recent.filter(Boolean).length / recent.length;
    if (bad && (allBad || (recent.length >= SETTINGS.outcomesMin && share >= SETTINGS.share))) this.#open(at);
  }

  #open(at: number): void {
    this.#openUntil = at + this.#openMs;
    this.#probes = undefined;
    this.#outcomes = [];
    this.#turn++;
  }
}

test("property: a circuit does what one does that remembers everything", () => {
  const steps = fc.array(
    fc.oneof(
      { weight: 5, arbitrary: fc.constant({ kind: "ask" as const }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.integer({ min: 0, max: 150 }) }) },
      {
        weight: 5,
        arbitrary: fc.record({
          kind: fc.constant("end" as const),
          which: fc.nat(),
          outcome: fc.constantFrom("ok", "bad", "bad", "dropped"),
        }),
      },
    ),
    { minLength: 60, maxLength: 200 },
  );
  const reached = new Set<string>();
  fc.assert(
    fc.property(steps, (script) => {
      const circuit = new Circuit(SETTINGS);
      const model = new Remembering();
      const open: { permit: Permit; expected: NonNullable<ReturnType<Remembering["admit"]>> }[] = [];
      let now = 0;
      for (const step of script) {
        if (step.kind === "pass") now += step.ms;
        else if (step.kind === "ask") {
          const permit = circuit.admit(now);
          const expected = model.admit(now);
          assert.equal(typeof permit === "number", expected === undefined);
          if (typeof permit !== "number" && expected !== undefined) open.push({ permit, expected });
        } else if (open.length > 0) {
          const [{ permit, expected }] = open.splice(step.which % open.length, 1) as [(typeof open)[number]];
          if (step.outcome === "ok") permit.succeeded();
          else if (step.outcome === "bad") permit.failed(now);
          else permit.dropped();
          expected(step.outcome, now);
        }
        assert.equal(circuit.state, model.state);
        reached.add(circuit.state);
      }
    }),
    { numRuns: 500 },
  );
  assert.deepEqual([...reached].sort(), ["closed", "half-open", "open"]);
});
