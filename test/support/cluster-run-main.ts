/** A cluster run in a network of its own. */
import { clusterRun } from "./cluster-run.ts";
import { workInNetwork } from "./own-network.ts";

workInNetwork(clusterRun);
