/** The one route table of a node. What is not in it is not served, not documented and not allowed to anyone. */
import type { Node } from "../../runtime/node/node.ts";
import { actorRoutes } from "./actors.ts";
import { ingestRoutes } from "./ingest.ts";
import { outputStreamRoutes } from "./output-stream.ts";
import { outputRoutes } from "./outputs.ts";
import type { Route } from "./route.ts";
import { shardRoutes } from "./shards.ts";
import { watermarkRoutes } from "./watermark.ts";

export function apiRoutes(node: Node): readonly Route[] {
  return [
    ...shardRoutes(node),
    ...actorRoutes(node),
    ...outputRoutes(node),
    ...outputStreamRoutes(node),
    ...ingestRoutes(node),
    ...watermarkRoutes(node),
  ];
}
