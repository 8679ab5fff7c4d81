/**
 * Tells when a connection has come back. One watch per connection, however many ask: every status iterator
 * that nobody reads keeps its queue.
 */
import type { NatsConnection } from "@nats-io/transport-node";

const watches = new WeakMap<NatsConnection, Set<() => void>>();

/** Calls `listener` after each reconnect; call what is returned to stop. */
export function onReconnect(nc: NatsConnection, listener: () => void): () => void {
  let listeners = watches.get(nc);
  if (listeners === undefined) {
    listeners = new Set();
    watches.set(nc, listeners);
    void watch(nc, listeners);
  }
  const own = listeners;
  own.add(listener);
  return () => own.delete(listener);
}

async function watch(nc: NatsConnection, listeners: ReadonlySet<() => void>): Promise<void> {
  for await (const status of nc.status()) {
    if (status.type === "reconnect") for (const listener of [...listeners]) listener();
  }
}
