/**
 * The accounts of a nats-server for Tidemark: who may do what, by subject. Publishers and readers have accounts of their own: within one
 * account a reply subject, or where a consumer delivers, is not checked, so that who may ask anything could have the answer written into a
 * log. What crosses accounts is answered to the asker alone. Pure: records, which `nats-config` prints.
 */
import { outputStreamName } from "../outputs/output-layout.ts";
import { SERVERS_SUBJECT } from "./server-reports.ts";

export interface RoleScope {
  readonly logs: readonly string[];
  /** With the partitions of its log. */
  readonly jobs: readonly { readonly name: string; readonly partitions: number }[];
  /** Streams of logs, which nobody deletes. */
  readonly logStreams: readonly string[];
}

export interface Permissions {
  readonly publish: readonly string[];
  readonly deny?: readonly string[];
  readonly subscribe: readonly string[];
}

/** Before the JetStream API as readers ask it: their account has none of its own. */
export const READER_API = "OUTPUTS.API";
const API = "$JS.API";
const INBOX = ["_INBOX.>"];
/** On which nodes ask each other. */
const NODE_SUBJECTS = ["tidemark-nodes.>", "tidemark-owners.>"];

/** A subject that answers whoever asks it from another account. `stream`: with several messages. */
export interface Shared {
  readonly subject: string;
  readonly stream: boolean;
  /** As the other account names it. */
  readonly as: string;
}

/** Everything that a node does in its account, and nothing that ends a history. */
export function runtimePermissions({ logs, logStreams }: RoleScope): Permissions {
  return {
    publish: [
      ...logs.flatMap((log) => [`${log}.>`, `${log}-reference.>`]),
      // Of jobs and of the generations that they will have.
      "*.out.>",
      "*.skips.*",
      "$KV.>",
      "$O.>",
      `${API}.>`,
      "$JS.ACK.>",
      "$JS.FC.>",
      SERVERS_SUBJECT,
      "$SYS.REQ.USER.INFO",
      ...NODE_SUBJECTS,
      // Nodes answer each other.
      ...INBOX,
    ],
    deny: [...logStreams, "KV_tidemark-logs"].map((stream) => `${API}.STREAM.DELETE.${stream}`),
    subscribe: [...INBOX, ...NODE_SUBJECTS],
  };
}

/** What `tidemark doctor` asks. The last is the probe of a mapping: a message that no stream takes. */
export function doctorPermissions({ logs }: RoleScope): Permissions {
  return {
    publish: [
      `${API}.INFO`,
      `${API}.STREAM.LIST`,
      `${API}.STREAM.INFO.*`,
      SERVERS_SUBJECT,
      "$SYS.REQ.USER.INFO",
      ...logs.flatMap((log) => [`${log}.tidemark-probe`, `${log}.*.e.tidemark-probe`]),
    ],
    subscribe: INBOX,
  };
}

/** Raises replicas and bounds, makes consumers for readers, takes backups; writes no message into any stream. */
export function operatorPermissions(): Permissions {
  // The second: of another site, for mirrors.
  return { publish: [`${API}.>`, "$JS.*.API.>", SERVERS_SUBJECT, "$SYS.REQ.USER.INFO"], subscribe: INBOX };
}

export function publisherPermissions({ logs }: RoleScope): Permissions {
  return { publish: logs.flatMap((log) => [`${log}.*`, `${log}.*.e.*`, `${log}.*.b.*`]), subscribe: INBOX };
}

/** Events and batches; plain publishes are mapped to them in the publishers' own account. */
export function publisherShares({ logs }: RoleScope): Shared[] {
  return logs.flatMap((log) => [`${log}.*.e.*`, `${log}.*.b.*`]).map((subject) => ({ subject, stream: false, as: subject }));
}

export function readerPermissions(scope: RoleScope): Permissions {
  return { publish: readerShares(scope).map(({ as }) => as), subscribe: INBOX };
}

/** Messages by their number, and consumers that an operator has made; none that could be made to deliver elsewhere. */
export function readerShares({ jobs }: RoleScope): Shared[] {
  const streams = jobs.flatMap(({ name, partitions }) => Array.from({ length: partitions }, (_, p) => outputStreamName(name, p)));
  return streams.flatMap((stream) => [
    asked(`STREAM.INFO.${stream}`, false),
    asked(`DIRECT.GET.${stream}`, true),
    asked(`CONSUMER.INFO.${stream}.*`, false),
    asked(`CONSUMER.MSG.NEXT.${stream}.*`, true),
    { subject: `$JS.ACK.${stream}.>`, stream: false, as: `$JS.ACK.${stream}.>` },
  ]);
}

function asked(path: string, stream: boolean): Shared {
  return { subject: `${API}.${path}`, stream, as: `${READER_API}.${path}` };
}
