/**
 * What a node does about one shard: a pure decision from the shard's lease, the assignment, and what runs here. It is
 * made again several times a second, so it only ever takes the next step.
 *
 * A lease that is over is first for a standby that is ready, then for the node that is to own the shard, then for the
 * one that is to stand by, then for any: each waits a little longer, so that mostly one of them tries.
 */
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import type { ShardRole } from "../shard/shard-parts.ts";
import type { Assigned } from "./assignment.ts";

/** What runs here of a shard. */
export interface Standing {
  readonly job: string;
  readonly shard: number;
  readonly role: ShardRole;
  readonly status: string;
  /** It has folded nearly all that the log has. */
  readonly ready: boolean;
  /** It has ended, or does not start, because only this build may fold what comes next. */
  readonly needs?: CodeIdentity;
}

export type LeaseView =
  /** Held by this process. */
  | { readonly holder: "me" }
  /** It names this node: it was given to it, or a process before this one held it. */
  | { readonly holder: "my node"; readonly given: boolean }
  /** Since `forMs`; `given`: it does not hold it yet. */
  | { readonly holder: "other"; readonly node: string; readonly given: boolean; readonly forMs: number }
  /** Nobody's since `forMs`: it was released, or not renewed in time. */
  | { readonly holder: "nobody"; readonly forMs: number };

export interface View {
  readonly me: string;
  readonly draining: boolean;
  readonly assigned: Pick<Assigned, "owner" | "standby">;
  readonly lease: LeaseView;
  readonly local: Standing | undefined;
  /** Other nodes whose standby of it is ready. */
  readonly readyElsewhere: readonly string[];
}

export interface Decision {
  readonly lease?: "claim" | "renew" | { readonly giveTo: string };
  /** As what it is to run here; `keep`: as it does. */
  readonly run: ShardRole | "keep" | "none";
}

/** Behind a lease that is over, how long whoever has no state of the shard lets others go first. */
const READY_FIRST_MS = 3_000;
const OWNER_FIRST_MS = 1_500;
/** How long an owner that lost its lease is left to find that out from the log, where it makes no gap. */
const STEP_DOWN_MS = 2_000;

export function decide(view: View): Decision {
  const { lease, local } = view;
  if (lease.holder === "me") return held(view);
  if (lease.holder === "my node") return named(view, lease.given);
  if (lease.holder === "nobody") return mayClaim(view, lease.forMs) ? { lease: "claim", run: "keep" } : { run: besideOwner(view) };
  if (local?.role === "owner" && (lease.given || lease.forMs < STEP_DOWN_MS)) return { run: "keep" };
  return { run: besideOwner(view) };
}

function held({ me, assigned, local, readyElsewhere, draining }: View): Decision {
  const { owner } = assigned;
  const to = owner !== undefined && owner !== me && readyElsewhere.includes(owner) ? owner : draining ? readyElsewhere[0] : undefined;
  // While it starts, as from a snapshot, whoever is ready does better.
  const instead = to ?? (local !== undefined && !runs(local) ? readyElsewhere[0] : undefined);
  if (instead !== undefined) return { lease: { giveTo: instead }, run: "keep" };
  // One that has ended here is not renewed: another node may have more luck, or the build that follows.
  return hasEnded(local) ? { run: "keep" } : { lease: "renew", run: "owner" };
}

/** What a process before this one held goes to a standby that is ready: this one has its state to find first. */
function named({ local, readyElsewhere }: View, given: boolean): Decision {
  const [ready] = readyElsewhere;
  if (given || ready === undefined || (local !== undefined && runs(local))) return { lease: "claim", run: "keep" };
  return { lease: { giveTo: ready }, run: "keep" };
}

function runs({ status }: Standing): boolean {
  return status === "running" || status === "stopping";
}

function hasEnded(local: Standing | undefined): boolean {
  return local?.status === "halted" || local?.status === "stopped";
}

function mayClaim({ me, draining, assigned, local, readyElsewhere }: View, forMs: number): boolean {
  if (hasEnded(local)) return false;
  // One that drains keeps what it owns until somebody has it, and helps out when nobody else is there.
  if (draining) return local !== undefined && (local.role === "owner" || assigned.owner === undefined);
  if (local?.ready === true) return true;
  const readyFirst = readyElsewhere.length > 0 ? READY_FIRST_MS : 0;
  if (assigned.owner === me) return forMs >= readyFirst;
  if (assigned.standby === me) return forMs >= readyFirst + OWNER_FIRST_MS;
  // Both may have halted.
  return forMs >= readyFirst + 2 * OWNER_FIRST_MS;
}

/** A node that is to own the shard stands by until its owner gives it the lease. */
function besideOwner({ me, draining, assigned, local, readyElsewhere }: View): ShardRole | "keep" | "none" {
  if (assigned.owner === me || assigned.standby === me) return "standby";
  if (local === undefined) return "none";
  if (draining) return "keep";
  // Until somebody else is ready it is worth keeping.
  return readyElsewhere.length === 0 && assigned.standby !== undefined ? "standby" : "none";
}
