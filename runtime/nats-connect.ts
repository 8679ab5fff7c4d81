/**
 * Connections to NATS: to any server of a cluster, never given up once they were there. Certificates and credentials are read from their
 * files at each connect, so that those that were renewed are used without a restart. No password, seed or token stands in a message.
 */
import { readFileSync } from "node:fs";
import {
  type Authenticator,
  connect,
  credsAuthenticator,
  type NatsConnection,
  type NodeConnectionOptions,
  nkeyAuthenticator,
} from "@nats-io/transport-node";
import { TidemarkError } from "./errors.ts";
import { readNatsUrl } from "./nats-url.ts";

/** Which servers, and as whom. A plain record: it crosses threads and processes. */
export interface NatsAccess {
  /** `[nats://|tls://][user:password@]host:port`, several servers of one cluster joined by commas; the login stands in the first. */
  readonly url: string;
  /** Certificates of whom the servers are trusted by; without it those that Node trusts. */
  readonly caFile?: string | undefined;
  /** Our own certificate and its key, for servers that ask for them. */
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** A JWT and its seed, as `nsc` writes them. */
  readonly credsFile?: string | undefined;
  /** The seed of an NKey. */
  readonly nkeyFile?: string | undefined;
}

const RECONNECT_MS = 250;
/** A server that takes no connection must not keep the others waiting. */
const CONNECT_TIMEOUT_MS = 10_000;
/** One that is gone without a word is noticed behind two pings. */
const PING_MS = 10_000;

/** Fails with NATS_UNREACHABLE, or CONFIG_INVALID when a file of credentials is none. */
export async function connectNats(access: NatsAccess, name: string, more: Partial<NodeConnectionOptions> = {}): Promise<NatsConnection> {
  const { servers } = readNatsUrl(access.url);
  const options = connectionOptions(access);
  try {
    return await connect({ ...options, name, ...more });
  } catch (error) {
    throw new TidemarkError("NATS_UNREACHABLE", `${servers.join(", ")}: ${error instanceof Error ? error.message : String(error)}.`, {
      cause: error,
    });
  }
}

function connectionOptions(access: NatsAccess): NodeConnectionOptions {
  const { servers, user, pass } = readNatsUrl(access.url);
  const authenticator = authenticatorOf(access);
  return {
    servers: [...servers],
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_MS,
    timeout: CONNECT_TIMEOUT_MS,
    pingInterval: PING_MS,
    // A login that is refused is mended where it is kept, and tried again from there.
    ignoreAuthErrorAbort: true,
    ...(user === undefined ? {} : { user, pass }),
    ...(authenticator === undefined ? {} : { authenticator }),
    ...tlsOf(access, servers),
  };
}

/** With it a server that offers no TLS is refused. */
function tlsOf({ caFile, certFile, keyFile }: NatsAccess, servers: readonly string[]): Pick<NodeConnectionOptions, "tls"> {
  const files = Object.entries({ caFile, certFile, keyFile }).filter(([, file]) => file !== undefined);
  if (files.length === 0 && !servers.some((server) => server.startsWith("tls://"))) return {};
  return { tls: Object.fromEntries(files) };
}

function authenticatorOf({ credsFile, nkeyFile }: NatsAccess): Authenticator | undefined {
  if (credsFile !== undefined) return rereading(credsFile, credsIn, credsAuthenticator);
  if (nkeyFile !== undefined) return rereading(nkeyFile, seedIn, nkeyAuthenticator);
  return undefined;
}

function credsIn(text: string): string | undefined {
  return /BEGIN NATS USER JWT[\s\S]+BEGIN USER NKEY SEED/.test(text) ? text : undefined;
}

function seedIn(text: string): string | undefined {
  return /\bSU[A-Z2-7]{56}\b/.exec(text)?.[0];
}

/** The file as it is, once for each connect; as it was while it is being replaced. Throws CONFIG_INVALID when it is not right to begin with. */
function rereading(
  file: string,
  wanted: (text: string) => string | undefined,
  authenticator: (credentials: Uint8Array) => Authenticator,
): Authenticator {
  const read = (): Authenticator => {
    const credentials = wanted(readFileSync(file, "utf8"));
    if (credentials === undefined) throw new Error("it holds no credentials");
    return authenticator(Buffer.from(credentials));
  };
  let last: Authenticator;
  try {
    last = read();
  } catch (error) {
    throw new TidemarkError("CONFIG_INVALID", `${file}: ${error instanceof Error ? error.message : String(error)}.`);
  }
  return (nonce) => {
    try {
      last = read();
    } catch {
      // Half written, or away for a moment.
    }
    return last(nonce);
  };
}
