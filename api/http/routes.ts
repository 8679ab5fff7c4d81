/** The one route table of a node. What is not in it is not served, not documented and not allowed to anyone. */
import type { Node } from "../../runtime/node/node.ts";
import { actorRoutes } from "./actors.ts";
import { budgetRoutes } from "./budgets.ts";
import { deadLetterRoutes } from "./dead-letters.ts";
import { documentRoutes } from "./documents.ts";
import { featureRoutes } from "./features.ts";
import { generationRoutes } from "./generations.ts";
import { givenRoutes } from "./given.ts";
import { handOverRoutes } from "./hand-overs.ts";
import { ingestRoutes } from "./ingest.ts";
import { metricsRoutes } from "./metrics.ts";
import { modelRoutes } from "./models.ts";
import { nodeRoutes } from "./nodes.ts";
import { operationRoutes } from "./operations.ts";
import { outputStreamRoutes } from "./output-stream.ts";
import { outputRoutes } from "./outputs.ts";
import { queryRoutes } from "./queries.ts";
import { referenceRoutes } from "./reference.ts";
import { restoreRoutes } from "./restores.ts";
import type { Route } from "./route.ts";
import { shardRoutes } from "./shards.ts";
import { snapshotRoutes } from "./snapshots.ts";
import { stateRoutes } from "./state.ts";
import { timelineRoutes } from "./timeline.ts";
import { trimRoutes } from "./trim.ts";
import { verificationRoutes } from "./verifications.ts";
import { watermarkRoutes } from "./watermark.ts";

export function apiRoutes(node: Node): readonly Route[] {
  const table: readonly Route[] = [
    ...nodeRoutes(node),
    ...metricsRoutes(node),
    ...shardRoutes(node),
    ...actorRoutes(node),
    ...timelineRoutes(node),
    ...givenRoutes(node),
    ...queryRoutes(node),
    ...stateRoutes(node),
    ...outputRoutes(node),
    ...outputStreamRoutes(node),
    ...featureRoutes(node),
    ...ingestRoutes(node),
    ...watermarkRoutes(node),
    ...trimRoutes(node),
    ...referenceRoutes(node),
    ...modelRoutes(node),
    ...budgetRoutes(node),
    ...deadLetterRoutes(node),
    ...handOverRoutes(node),
    ...restoreRoutes(node),
    ...generationRoutes(node),
    ...operationRoutes(node),
    ...snapshotRoutes(node),
    ...verificationRoutes(node),
    ...documentRoutes(() => table),
  ];
  return table;
}
