import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { type Assigned, assign, type Member, type ShardName } from "../../runtime/cluster/assignment.ts";

const JOBS = ["cases", "meter", "clicks"];

function shardsOf(partitions: number): ShardName[] {
  return JOBS.flatMap((job) => Array.from({ length: partitions }, (_, shard) => ({ job, shard })));
}

function membersOf(count: number, zones = 1): Member[] {
  return Array.from({ length: count }, (_, i) => ({ node: `node-${i}`, zone: zones === 1 ? "" : `z${i % zones}`, jobs: new Set(JOBS) }));
}

function loads(assigned: readonly Assigned[], role: "owner" | "standby", members: readonly Member[]): number[] {
  return members.map(({ node }) => assigned.filter((each) => each[role] === node).length);
}

const moved = (before: readonly Assigned[], after: readonly Assigned[]): number =>
  before.filter(({ owner }, i) => after[i]!.owner !== owner).length;

suite("the assignment of shards", () => {
  test("spreads owners and standbys evenly, never both on one node", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 32 }), (nodes, partitions) => {
        const members = membersOf(nodes);
        const assigned = assign(shardsOf(partitions), members, true);
        for (const role of ["owner", "standby"] as const) {
          const counts = loads(assigned, role, members);
          if (role === "owner") assert(Math.max(...counts) - Math.min(...counts) <= 1, counts.join(" "));
          if (role === "standby" && nodes > 1)
            assert.equal(assigned.filter(({ standby }) => standby !== undefined).length, assigned.length);
        }
        for (const { owner, standby } of assigned) assert.notEqual(owner, standby);
      }),
    );
  });

  test("is the same whatever order members and shards are seen in", () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(membersOf(7), { minLength: 7 }),
        fc.shuffledSubarray(shardsOf(8), { minLength: 24 }),
        (members, shards) => {
          const usual = assign(shardsOf(8), membersOf(7), true);
          const byName = new Map(assign(shards, members, true).map((each) => [`${each.job}/${each.shard}`, each]));
          for (const each of usual) assert.deepEqual(byName.get(`${each.job}/${each.shard}`), each);
        },
      ),
    );
  });

  test("moves little beside the share of a node that comes or goes", () => {
    for (let nodes = 2; nodes <= 10; nodes++) {
      const shards = shardsOf(32);
      const before = assign(shards, membersOf(nodes), true);
      const after = assign(shards, membersOf(nodes + 1), true);
      const share = shards.length / (nodes + 1);
      assert(moved(before, after) <= 2.5 * share, `${nodes}: ${moved(before, after)} of ${shards.length}, the share is ${share}`);
    }
  });

  test("the standby of a shard is mostly its next owner", () => {
    const shards = shardsOf(32);
    const before = assign(shards, membersOf(4), true);
    const after = assign(shards, membersOf(4).slice(1), true);
    const orphans = before.flatMap((each, i) => (each.owner === "node-0" ? [{ standby: each.standby, next: after[i]!.owner }] : []));
    const warm = orphans.filter(({ standby, next }) => standby === next).length;
    assert(warm >= orphans.length / 3, `${warm} of ${orphans.length}`);
  });

  test("puts standbys into other zones", () => {
    const members = membersOf(6, 3);
    const zoneOf = new Map(members.map(({ node, zone }) => [node, zone]));
    for (const { owner, standby } of assign(shardsOf(16), members, true)) assert.notEqual(zoneOf.get(owner!), zoneOf.get(standby!));
    // Where all are in one, it is another node at least.
    for (const { owner, standby } of assign(shardsOf(4), membersOf(2, 1), true)) assert.notEqual(owner, standby);
  });

  test("gives a job only to nodes that have it, and no standbys where none are wanted", () => {
    const members = membersOf(3).map((member, i) => (i === 2 ? { ...member, jobs: new Set(["cases"]) } : member));
    const assigned = assign(shardsOf(8), members, false);
    for (const { job, owner } of assigned) if (owner === "node-2") assert.equal(job, "cases");
    assert(assigned.every(({ standby }) => standby === undefined));
    assert(assigned.some(({ owner }) => owner === "node-2"));
    assert(assign(shardsOf(2), [], true).every(({ owner }) => owner === undefined));
  });
});
