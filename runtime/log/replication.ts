/** How many servers keep a stream, and which: asked for when it is created, left alone afterwards. Plain records: they cross threads. */

/** Where in a cluster of clusters a stream lies; the server's own choice where nothing is said. */
export interface Placement {
  /** Name of the cluster. */
  readonly cluster?: string;
  /** Of servers that all of them have. */
  readonly tags?: readonly string[];
}

export interface Replication {
  /** 1 to 5. */
  readonly replicas: number;
  readonly placement?: Placement | undefined;
}

export const SINGLE: Replication = { replicas: 1 };

interface ConfiguredPlacement {
  readonly placement?: { cluster: string; tags: string[] };
}

/** As a stream's configuration has it. */
export function replicationConfig({ replicas, placement }: Replication): ConfiguredPlacement & { readonly num_replicas: number } {
  return { num_replicas: replicas, ...placementConfig(placement) };
}

/** As the options of a bucket have it. */
export function bucketReplication({ replicas, placement }: Replication): ConfiguredPlacement & { readonly replicas: number } {
  return { replicas, ...placementConfig(placement) };
}

function placementConfig(placement: Placement | undefined): ConfiguredPlacement {
  return placement === undefined ? {} : { placement: { cluster: placement.cluster ?? "", tags: [...(placement.tags ?? [])] } };
}
