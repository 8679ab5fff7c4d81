/** What the user at hand may not do though a node needs it, as the server tells it of its permissions. Nothing is tried. */
import type { NatsConnection } from "@nats-io/transport-node";
import { docPage } from "../../../runtime/doc-page.ts";
import { runtimePermissions } from "../../../runtime/node/account-roles.ts";
import { type Check, fail, ok } from "./check.ts";

const TIMEOUT_MS = 2_000;

export interface Permission {
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
}

export interface Permissions {
  readonly publish?: Permission;
  readonly subscribe?: Permission;
}

interface UserInfo {
  readonly data?: { readonly user?: string; readonly permissions?: Permissions };
}

/** Who may write none of these is no node. */
const WRITTEN = ["$KV.>", "$JS.API.>"];

export async function checkPermissions(nc: NatsConnection, logs: readonly string[], jobs: readonly string[]): Promise<Check[]> {
  let info: UserInfo;
  try {
    info = (await nc.request("$SYS.REQ.USER.INFO", "", { timeout: TIMEOUT_MS })).json<UserInfo>();
  } catch {
    return [ok("permissions", "not visible to this user")];
  }
  const { user = "this user", permissions = {} } = info.data ?? {};
  return [permissionCheck(user, permissions, logs, jobs)];
}

export function permissionCheck(user: string, permissions: Permissions, logs: readonly string[], jobs: readonly string[]): Check {
  const lacking = lackingSubjects(permissions, logs, jobs);
  if (lacking.length === 0) return ok("permissions", `${user} may do what a node does`);
  if (WRITTEN.every((subject) => lacking.includes(subject)))
    return ok("permissions", `${user} looks and is no node's user; as that one the doctor says what it may not`);
  const shown = `${lacking.slice(0, 4).join(", ")}${lacking.length > 4 ? ` and ${lacking.length - 4} more` : ""}`;
  const mend = `Let the user of a node do it (\`tidemark nats-config\`, ${docPage("nats.md")}).`;
  return fail("permissions", `${user} may not do what a node does: ${shown}`, mend);
}

/** Subjects that a node publishes or subscribes to and that these permissions do not cover. */
export function lackingSubjects({ publish, subscribe }: Permissions, logs: readonly string[], jobs: readonly string[]): string[] {
  const wanted = runtimePermissions({ logs, jobs: [], logStreams: [] });
  // Of a job by its name: one that may write the outputs of its own jobs alone is enough.
  const subjects = wanted.publish.flatMap((subject) => (subject.startsWith("*.") ? jobs.map((job) => job + subject.slice(1)) : subject));
  return [...subjects.filter((subject) => !covers(publish, subject)), ...wanted.subscribe.filter((subject) => !covers(subscribe, subject))];
}

function covers(permission: Permission | undefined, subject: string): boolean {
  const { allow = [], deny = [] } = permission ?? {};
  return (allow.length === 0 || allow.some((pattern) => includes(pattern, subject))) && !deny.some((pattern) => includes(pattern, subject));
}

/** Whether every subject that `inner` matches is one that `outer` matches. */
function includes(outer: string, inner: string): boolean {
  const [of, is] = [outer.split("."), inner.split(".")];
  for (const [i, token] of of.entries()) {
    if (token === ">") return i < is.length;
    if (is[i] === undefined || is[i] === ">" || (token !== "*" && token !== is[i])) return false;
  }
  return of.length === is.length;
}
