/**
 * Which node is to own a shard, and which is to stand by: a pure function of who is there, so that all nodes that see
 * the same members come to the same. It is what the cluster aims at; who owns a shard now, its lease says.
 *
 * Rendezvous hashing with a bound: each shard has an order of all nodes, by a hash of both, and takes the first with
 * room. So a node that comes or goes moves little beside its own share, and the second of an order, which stands by, is
 * mostly the one that comes next.
 *   Thaler, Ravishankar: Using name-based mappings to increase hit rates (1998); Mirrokni, Thorup, Zadimoghaddam:
 *   Consistent hashing with bounded loads (2018).
 */
import { primitives } from "../primitives.ts";

export interface Member {
  readonly node: string;
  /** A standby is in another zone than its owner where there is one; empty: it is not said. */
  readonly zone: string;
  /** Names of the jobs that it can run. */
  readonly jobs: ReadonlySet<string>;
}

export interface ShardName {
  readonly job: string;
  readonly shard: number;
}

export interface Assigned extends ShardName {
  /** `undefined`: nobody can run the job. */
  readonly owner: string | undefined;
  /** `undefined` without one, or without another node. */
  readonly standby: string | undefined;
}

/** In the order of `shards`. Owned shards of nodes that can run the same jobs differ by one at most. */
export function assign(shards: readonly ShardName[], members: readonly Member[], withStandbys: boolean): readonly Assigned[] {
  const groups = new Map<string, Group>();
  const ableOf = new Map<string, Group>();
  for (const { job } of shards) {
    let group = ableOf.get(job);
    if (group === undefined) {
      const able = members.filter(({ jobs }) => jobs.has(job)).sort((a, b) => compare(a.node, b.node));
      const name = able.map(({ node }) => node).join(" ");
      group = groups.get(name) ?? { members: able, shards: 0, owned: new Loads(), stoodBy: new Loads() };
      groups.set(name, group);
      ableOf.set(job, group);
    }
    group.shards++;
  }
  // Whatever order they come in, all nodes go through them in one.
  const order = shards.map((shard, at) => ({ ...shard, at })).sort((a, b) => compare(a.job, b.job) || a.shard - b.shard);
  const assigned: Assigned[] = new Array(shards.length);
  for (const { job, shard, at } of order) {
    const group = ableOf.get(job)!;
    const ranked = group.members.map((member) => ({ member, rank: rankOf(member.node, job, shard) })).sort((a, b) => b.rank - a.rank);
    const owner = group.owned.take(group, ranked);
    const standby = withStandbys && owner !== undefined ? group.stoodBy.take(group, besides(ranked, owner)) : undefined;
    assigned[at] = { job, shard, owner: owner?.node, standby: standby?.node };
  }
  return assigned;
}

interface Group {
  readonly members: readonly Member[];
  shards: number;
  readonly owned: Loads;
  readonly stoodBy: Loads;
}

/** How many shards each node has got, and how many nodes have got one more than all get. */
class Loads {
  readonly #of = new Map<string, number>();
  #full = 0;

  take({ members, shards }: Group, ranked: Ranked): Member | undefined {
    const all = Math.floor(shards / members.length);
    const extra = shards % members.length;
    const hasRoom = (load: number): boolean => load < all || (load === all && this.#full < extra);
    // Where zones leave no other choice, a standby goes to a node that has its share already.
    const taken = (ranked.find(({ member }) => hasRoom(this.#loadOf(member))) ?? ranked[0])?.member;
    if (taken === undefined) return undefined;
    const load = this.#loadOf(taken) + 1;
    this.#of.set(taken.node, load);
    if (load === all + 1) this.#full++;
    return taken;
  }

  #loadOf({ node }: Member): number {
    return this.#of.get(node) ?? 0;
  }
}

type Ranked = readonly { readonly member: Member; readonly rank: number }[];

function besides(ranked: Ranked, owner: Member): Ranked {
  const others = ranked.filter(({ member }) => member !== owner);
  const elsewhere = others.filter(({ member }) => member.zone !== owner.zone);
  return owner.zone === "" || elsewhere.length === 0 ? others : elsewhere;
}

function rankOf(node: string, job: string, shard: number): number {
  return Number.parseInt(primitives.sha256(`${node}|${job}|${shard}`).slice(0, 12), 16);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
