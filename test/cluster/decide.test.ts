/** What one node does about one shard, by situation; and nodes that decide by themselves come to one owner and one standby. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { decide, type LeaseView, type Standing, type View } from "../../runtime/cluster/decide.ts";

const owner: Standing = { job: "meter", shard: 0, role: "owner", status: "running", ready: true };
const standby: Standing = { ...owner, role: "standby" };
const VIEW: View = {
  me: "n1",
  draining: false,
  assigned: { owner: "n1", standby: "n2" },
  lease: { holder: "nobody", forMs: Number.POSITIVE_INFINITY },
  local: undefined,
  readyElsewhere: [],
};
const others: Extract<LeaseView, { holder: "other" }> = { holder: "other", node: "n2", given: false, forMs: 0 };

suite("about a shard", () => {
  const cases: readonly [string, Partial<View>, ReturnType<typeof decide>][] = [
    ["that nobody ever had, the one that is to own it claims it", {}, { lease: "claim", run: "keep" }],
    [
      "that nobody ever had, a third one does nothing",
      { assigned: { owner: "n2", standby: "n3" }, lease: { holder: "nobody", forMs: 0 } },
      { run: "none" },
    ],
    ["that is mine, I renew and own", { lease: { holder: "me" }, local: owner }, { lease: "renew", run: "owner" }],
    [
      "that my process before this one had, I claim at once",
      { lease: { holder: "my node", given: false } },
      { lease: "claim", run: "keep" },
    ],
    ["that is mine and halted here, I do not renew", { lease: { holder: "me" }, local: { ...owner, status: "halted" } }, { run: "keep" }],
    [
      "that is to be another's, I give it when that one is ready",
      { lease: { holder: "me" }, local: owner, assigned: { owner: "n2", standby: "n1" }, readyElsewhere: ["n2"] },
      { lease: { giveTo: "n2" }, run: "keep" },
    ],
    [
      "that is to be another's, I keep until then",
      { lease: { holder: "me" }, local: owner, assigned: { owner: "n2", standby: "n1" }, readyElsewhere: ["n3"] },
      { lease: "renew", run: "owner" },
    ],
    [
      "when I drain, I give it to whoever is ready",
      { lease: { holder: "me" }, local: owner, draining: true, assigned: { owner: "n2", standby: "n3" }, readyElsewhere: ["n3"] },
      { lease: { giveTo: "n3" }, run: "keep" },
    ],
    ["of another that is assigned to me, I stand by", { lease: others }, { run: "standby" }],
    [
      "of another with which I have nothing to do, I run none",
      { lease: others, assigned: { owner: "n2", standby: "n3" } },
      { run: "none" },
    ],
    [
      "of another, I end mine when somebody else is ready",
      { lease: others, assigned: { owner: "n2", standby: "n3" }, local: standby, readyElsewhere: ["n3"] },
      { run: "none" },
    ],
    [
      "of another, I keep mine as long as nobody else is ready",
      { lease: others, assigned: { owner: "n2", standby: "n3" }, local: standby },
      { run: "standby" },
    ],
    ["that I lost just now, I go on until I find it in the log", { lease: others, local: owner }, { run: "keep" }],
    ["that I lost a while ago, I step down", { lease: { ...others, forMs: 2_500 }, local: owner }, { run: "standby" }],
    [
      "that is over, I claim at once when my standby is ready",
      { lease: { holder: "nobody", forMs: 0 }, assigned: { owner: "n3", standby: "n1" }, local: standby },
      { lease: "claim", run: "keep" },
    ],
    [
      "that is over, I let a standby that is ready go first",
      { lease: { holder: "nobody", forMs: 500 }, readyElsewhere: ["n2"] },
      { run: "standby" },
    ],
    [
      "that is over, I claim when that one does not",
      { lease: { holder: "nobody", forMs: 3_500 }, readyElsewhere: ["n2"] },
      { lease: "claim", run: "keep" },
    ],
    [
      "that my process before this one had, I give to a standby that is ready",
      { lease: { holder: "my node", given: false }, readyElsewhere: ["n2"] },
      { lease: { giveTo: "n2" }, run: "keep" },
    ],
    [
      "that was given to me, I claim whoever is ready",
      { lease: { holder: "my node", given: true }, local: standby, readyElsewhere: ["n2"] },
      { lease: "claim", run: "keep" },
    ],
    [
      "that is mine and only starts, I give to a standby that is ready",
      { lease: { holder: "me" }, local: { ...owner, status: "starting", ready: false }, readyElsewhere: ["n3"] },
      { lease: { giveTo: "n3" }, run: "keep" },
    ],
    [
      "that is mine and only starts, I renew when nobody else is ready",
      { lease: { holder: "me" }, local: { ...owner, status: "starting", ready: false } },
      { lease: "renew", run: "owner" },
    ],
    [
      "that is mine and has handed over, I do not renew",
      { lease: { holder: "me" }, local: { ...owner, status: "stopped" } },
      { run: "keep" },
    ],
    [
      "that I have given away, I go on with until somebody has it",
      { lease: { ...others, given: true, forMs: 9_000 }, local: owner },
      { run: "keep" },
    ],
    [
      "that neither of the assigned two claims, any other does in the end",
      { lease: { holder: "nobody", forMs: 3_500 }, assigned: { owner: "n2", standby: "n3" } },
      { lease: "claim", run: "keep" },
    ],
    [
      "that is over, I claim although I drain when nobody is left to have it",
      { lease: { holder: "nobody", forMs: 0 }, local: standby, draining: true, assigned: { owner: undefined, standby: undefined } },
      { lease: "claim", run: "keep" },
    ],
    [
      "that is over, I claim nothing while I drain",
      { lease: { holder: "nobody", forMs: 9_000 }, local: standby, draining: true },
      { run: "standby" },
    ],
  ];
  for (const [name, view, decision] of cases) test(name, () => assert.deepEqual(decide({ ...VIEW, ...view }), decision));
});

interface Copy {
  role: "owner" | "standby" | undefined;
  ready: boolean;
}

test("nodes that come, go and forget come to one owner and one standby", () => {
  const NODES = ["n1", "n2", "n3"];
  const aFault = fc.record({ node: fc.nat(2), alive: fc.boolean() });
  fc.assert(
    fc.property(fc.array(aFault, { maxLength: 12 }), (faults) => {
      const alive = new Set(NODES);
      const copies = new Map(NODES.map((node): [string, Copy] => [node, { role: undefined, ready: false }]));
      let lease: { node: string; taken: boolean; at: number; changedAt: number } | undefined;
      let now = 0;
      const turns = (count: number): void => {
        for (let i = 0; i < count; i++) {
          now += 250;
          for (const node of NODES.filter((each) => alive.has(each))) {
            const copy = copies.get(node)!;
            if (copy.role !== undefined) copy.ready = true;
            // Who is overtaken finds that in the log.
            if (copy.role === "owner" && lease?.node !== node && lease?.taken === true) copy.role = "standby";
            const present = NODES.filter((each) => alive.has(each));
            const forMs = lease === undefined ? Number.POSITIVE_INFINITY : now - lease.at;
            const held: LeaseView =
              lease === undefined || (lease.node !== node && forMs > 2_000)
                ? { holder: "nobody", forMs: forMs - 2_000 }
                : lease.node !== node
                  ? { holder: "other", node: lease.node, given: !lease.taken, forMs: now - lease.changedAt }
                  : lease.taken && copy.role === "owner"
                    ? { holder: "me" }
                    : { holder: "my node", given: !lease.taken };
            const { lease: act, run } = decide({
              me: node,
              draining: false,
              assigned: { owner: present[0], standby: present[1] },
              lease: held,
              local: copy.role === undefined ? undefined : { job: "j", shard: 0, role: copy.role, status: "running", ready: copy.ready },
              readyElsewhere: present.filter((each) => each !== node && copies.get(each)!.role === "standby" && copies.get(each)!.ready),
            });
            const changedAt = act === "renew" ? lease!.changedAt : now;
            if (act === "claim" || act === "renew") lease = { node, taken: true, at: now, changedAt };
            else if (act !== undefined) lease = { node: act.giveTo, taken: false, at: now, changedAt };
            if (act === "claim") copy.role = "owner";
            else if (run === "none") Object.assign(copy, { role: undefined, ready: false });
            else if (run !== "keep") copy.role = run;
          }
        }
      };
      turns(20);
      for (const { node, alive: lives } of faults) {
        const name = NODES[node]!;
        if (lives) alive.add(name);
        else if (alive.size > 1) {
          alive.delete(name);
          copies.set(name, { role: undefined, ready: false });
        }
        turns(5);
      }
      turns(60);
      const roles = NODES.filter((each) => alive.has(each)).map((each) => copies.get(each)!.role);
      assert.equal(roles.filter((role) => role === "owner").length, 1, roles.join(" "));
      assert.equal(roles.filter((role) => role === "standby").length, Math.min(1, alive.size - 1), roles.join(" "));
      assert.equal(
        lease!.node,
        NODES.find((each) => copies.get(each)!.role === "owner"),
      );
    }),
  );
});
