/**
 * The HTTP API of a node (CONTRACT "HTTP"): its route table on a server. It talks to the node, never to a store or a
 * shard.
 */
import type { FastifyInstance } from "fastify";
import { systemClock } from "../../runtime/clock.ts";
import type { Node } from "../../runtime/node/node.ts";
import { type Access, openOnLoopback, withTokens } from "./access.ts";
import type { ApiLimits } from "./limits.ts";
import { apiRoutes } from "./routes.ts";
import { buildServer } from "./server.ts";
import { TokenFile } from "./tokens.ts";

export interface ApiOptions {
  readonly access: Access;
  readonly limits?: Partial<ApiLimits>;
}

/**
 * Who may call: by the token file, or without one everybody on loopback. Opened before the node is, so that a wrong
 * line stops the start at once. Throws CONFIG_INVALID.
 */
export function openAccess(tokenFile: string | undefined, notice: (message: string) => void): Access {
  return tokenFile === undefined ? openOnLoopback : withTokens(new TokenFile(tokenFile, { clock: systemClock, notice }));
}

export function buildApi(node: Node, options: ApiOptions): FastifyInstance {
  return buildServer(apiRoutes(node), { ...options, clock: systemClock, load: () => node.load() });
}
