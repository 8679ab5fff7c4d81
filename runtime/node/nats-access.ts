/** Which NATS servers the settings name, and as whom one connects to them; the same for a node, its threads and processes, and commands. */
import { join } from "node:path";
import type { NatsAccess } from "../nats-connect.ts";
import type { Config } from "./config.ts";
import { runningServerUrl } from "./nats-server.ts";

/** `undefined`: the settings name no server. */
export function natsAccess(config: Config): NatsAccess | undefined {
  const { natsUrl: url, natsCa: caFile, natsCert: certFile, natsKey: keyFile, natsCreds: credsFile, natsNkey: nkeyFile } = config;
  return url === undefined ? undefined : { url, caFile, certFile, keyFile, credsFile, nkeyFile };
}

/** The named servers, else the one that runs on the data directory; `undefined` when there is neither. */
export function foundNatsAccess(config: Config): NatsAccess | undefined {
  const named = natsAccess(config);
  if (named !== undefined) return named;
  const url = runningServerUrl(join(config.dataDir, "nats"));
  return url === undefined ? undefined : { url };
}
