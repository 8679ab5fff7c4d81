/** The text of a nats-server configuration for production: one server, or one of a cluster, with an account for each role. Pure. */
import {
  doctorPermissions,
  operatorPermissions,
  type Permissions,
  publisherPermissions,
  publisherShares,
  type RoleScope,
  readerPermissions,
  readerShares,
  runtimePermissions,
  type Shared,
} from "./account-roles.ts";
import { slotMappings } from "./nats-config.ts";
import { SERVERS_SUBJECT } from "./server-reports.ts";

export interface ClusterConfigSettings extends RoleScope {
  readonly serverName: string;
  /** `host:port` for clients. */
  readonly listen: string;
  readonly storeDir: string;
  /** Undefined: one server alone. */
  readonly cluster: { readonly listen: string; readonly routes: readonly string[] } | undefined;
  /** Directory with ca.pem, server.pem and server.key, for clients and between servers; undefined: no TLS. */
  readonly tlsDir: string | undefined;
}

/** Passwords are variables, which each server takes from its environment. */
export const ROLE_VARIABLES = {
  runtime: "TIDEMARK_RUNTIME_PASSWORD",
  doctor: "TIDEMARK_DOCTOR_PASSWORD",
  operator: "TIDEMARK_OPERATOR_PASSWORD",
  publisher: "TIDEMARK_PUBLISHER_PASSWORD",
  reader: "TIDEMARK_READER_PASSWORD",
} as const;
type Role = keyof typeof ROLE_VARIABLES;

export function clusterConfig(settings: ClusterConfigSettings): string {
  const { serverName, listen, storeDir, cluster, tlsDir } = settings;
  const lines = [
    `server_name: ${JSON.stringify(serverName)}`,
    `listen: ${JSON.stringify(listen)}`,
    "max_payload: 1MB",
    "jetstream {",
    `  store_dir: ${JSON.stringify(storeDir)}`,
    "  sync_interval: always",
    "}",
    ...tlsBlock(tlsDir, "", []),
  ];
  if (cluster !== undefined)
    lines.push(
      "cluster {",
      "  name: tidemark",
      `  listen: ${JSON.stringify(cluster.listen)}`,
      `  routes: ${JSON.stringify(cluster.routes)}`,
      ...tlsBlock(tlsDir, "  ", ["verify: true"]),
      "}",
    );
  lines.push("system_account: SYS", "accounts {", ...accounts(settings), "}");
  return `${lines.join("\n")}\n`;
}

function tlsBlock(dir: string | undefined, indent: string, more: readonly string[]): string[] {
  if (dir === undefined) return [];
  const files = [
    ["cert_file", "server.pem"],
    ["key_file", "server.key"],
    ["ca_file", "ca.pem"],
  ].map(([name, file]) => `${name}: ${JSON.stringify(`${dir}/${file}`)}`);
  return block(`${indent}tls {`, [...files, ...more], indent);
}

function accounts(scope: RoleScope): string[] {
  const servers: Shared = { subject: SERVERS_SUBJECT, stream: true, as: SERVERS_SUBJECT };
  const [toPublish, toRead] = [publisherShares(scope), readerShares(scope)];
  return [
    ...account("SYS", ["users: []", ...list("exports", [exported(servers, "TIDEMARK")])]),
    ...account("TIDEMARK", [
      "jetstream: enabled",
      ...mappings(scope.logs),
      ...list("imports", [imported(servers, "SYS")]),
      ...list("exports", [
        ...toPublish.map((share) => exported(share, "PUBLISHERS")),
        ...toRead.map((share) => exported(share, "READERS")),
      ]),
      ...list("users", [
        user("runtime", runtimePermissions(scope)),
        user("doctor", doctorPermissions(scope)),
        user("operator", operatorPermissions()),
      ]),
    ]),
    ...account("PUBLISHERS", [
      ...mappings(scope.logs),
      ...list(
        "imports",
        toPublish.map((share) => imported(share, "TIDEMARK")),
      ),
      ...list("users", [user("publisher", publisherPermissions(scope))]),
    ]),
    ...account("READERS", [
      ...list(
        "imports",
        toRead.map((share) => imported(share, "TIDEMARK")),
      ),
      ...list("users", [user("reader", readerPermissions(scope))]),
    ]),
  ];
}

function account(name: string, lines: readonly string[]): string[] {
  return block(`  ${name} {`, lines, "  ");
}

function mappings(logs: readonly string[]): string[] {
  return block(
    "mappings = {",
    Object.entries(slotMappings(logs)).map(([from, to]) => `${JSON.stringify(from)}: ${JSON.stringify(to)}`),
    "",
  );
}

function exported({ subject, stream }: Shared, account: string): string {
  return `{ service: ${JSON.stringify(subject)}, ${stream ? "response_type: stream, " : ""}accounts: [${account}] }`;
}

function imported({ subject, as }: Shared, account: string): string {
  return `{ service: { account: ${account}, subject: ${JSON.stringify(subject)} }${as === subject ? "" : `, to: ${JSON.stringify(as)}`} }`;
}

function user(role: Role, { publish, deny, subscribe }: Permissions): string {
  const denied = deny === undefined ? "" : `, deny: ${JSON.stringify(deny)}`;
  return `{ user: ${role}, password: $${ROLE_VARIABLES[role]}, permissions: { publish: { allow: ${JSON.stringify(publish)}${denied} }, subscribe: ${JSON.stringify(subscribe)} } }`;
}

function list(name: string, items: readonly string[]): string[] {
  return [`${name}: [`, ...items.map((item) => `  ${item}`), "]"];
}

function block(head: string, lines: readonly string[], indent: string): string[] {
  return [head, ...lines.map((line) => `${indent}  ${line}`), `${indent}}`];
}
