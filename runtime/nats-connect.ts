/**
 * Connections to NATS: they never give up reconnecting, and take user and password from the URL, which nats.js ignores.
 */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { TidemarkError } from "./errors.ts";

const RECONNECT_MS = 250;

/** `nats://[user:password@]host:port`. Fails with NATS_UNREACHABLE; the password stands in no message. */
export async function connectNats(url: string, name: string): Promise<NatsConnection> {
  const { server, user, pass } = readNatsUrl(url);
  try {
    return await connect({
      servers: server,
      name,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT_MS,
      ...(user === undefined ? {} : { user, pass }),
    });
  } catch (error) {
    throw new TidemarkError("NATS_UNREACHABLE", `${server}: ${error instanceof Error ? error.message : String(error)}.`, { cause: error });
  }
}

export function readNatsUrl(url: string): { readonly server: string; readonly user?: string; readonly pass?: string } {
  const match = /^((?:nats|tls|ws|wss):\/\/)([^@]*)@(.+)$/.exec(url);
  if (match === null) return { server: url };
  const [, scheme, login, host] = match as unknown as [string, string, string, string];
  const colon = login.indexOf(":");
  const user = decodeURIComponent(colon === -1 ? login : login.slice(0, colon));
  return { server: scheme + host, user, pass: colon === -1 ? "" : decodeURIComponent(login.slice(colon + 1)) };
}
