/** deploy/kubernetes: by the schemas of Kubernetes, and by what a node needs there. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { durationMs } from "../../actors/model/time.ts";
import { ROLE_VARIABLES } from "../../runtime/node/cluster-config.ts";
import { readConfig } from "../../runtime/node/config.ts";
import { type Manifest, manifests, plainComposeFile, read, schemaCheck } from "./deployment-files.ts";

const DEFINITIONS: Readonly<Record<string, string>> = {
  "v1 ConfigMap": "io.k8s.api.core.v1.ConfigMap",
  "v1 Service": "io.k8s.api.core.v1.Service",
  "apps/v1 StatefulSet": "io.k8s.api.apps.v1.StatefulSet",
  "policy/v1 PodDisruptionBudget": "io.k8s.api.policy.v1.PodDisruptionBudget",
  "networking.k8s.io/v1 NetworkPolicy": "io.k8s.api.networking.v1.NetworkPolicy",
};

interface Reference {
  readonly name?: string;
  readonly key?: string;
}
interface Container {
  readonly image: string;
  readonly env: readonly {
    readonly name: string;
    readonly value?: string;
    readonly valueFrom?: { readonly fieldRef?: { readonly fieldPath: string }; readonly secretKeyRef?: Reference };
  }[];
  readonly envFrom: readonly { readonly configMapRef?: Reference; readonly secretRef?: Reference }[];
  readonly securityContext: unknown;
  readonly resources: { readonly requests: unknown; readonly limits: unknown };
  readonly volumeMounts: readonly { readonly mountPath: string; readonly readOnly?: boolean }[];
}
interface PodSpec {
  readonly enableServiceLinks: boolean;
  readonly terminationGracePeriodSeconds: number;
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly containers: readonly [Container];
  readonly volumes: readonly {
    readonly configMap?: Reference;
    readonly secret?: { readonly secretName: string; readonly defaultMode: number };
  }[];
}
interface StatefulSetSpec {
  readonly serviceName: string;
  readonly template: { readonly metadata: { readonly labels: Readonly<Record<string, string>> }; readonly spec: PodSpec };
}

const all = manifests();
const compose = plainComposeFile();
const named = (kind: string, name: string): Manifest => all.find((each) => each.kind === kind && each.metadata.name === name)!;
const setOf = (name: string): StatefulSetSpec => named("StatefulSet", name).spec as unknown as StatefulSetSpec;
const podOf = (name: string): PodSpec => setOf(name).template.spec;

test("each object is one by the schema of its kind, which refuses what it does not know", () => {
  assert.equal(all.length, 10);
  for (const { file, ...object } of all) {
    const check = schemaCheck("kubernetes-1.35.json", DEFINITIONS[`${object.apiVersion} ${object.kind}`]!);
    assert.ok(check(object), `${file}: ${object.kind} ${object.metadata.name}: ${JSON.stringify(check.errors)}`);
    assert.ok(!check({ ...object, specc: {} }));
  }
  const check = schemaCheck("kubernetes-1.35.json", DEFINITIONS["apps/v1 StatefulSet"]);
  const misspelt = JSON.parse(JSON.stringify(named("StatefulSet", "tidemark")).replace("readinessProbe", "readinesProbe")) as Record<
    string,
    unknown
  >;
  delete misspelt.file;
  assert.ok(!check(misspelt));
});

test("selectors find the pods, and a set the service that names them", () => {
  for (const name of ["nats", "tidemark"]) {
    const { app } = setOf(name).template.metadata.labels;
    for (const kind of ["StatefulSet", "PodDisruptionBudget", "NetworkPolicy"]) {
      const { selector, podSelector } = named(kind, name).spec as Record<string, { matchLabels: unknown }>;
      assert.deepEqual((selector ?? podSelector)?.matchLabels, { app }, `${kind} ${name}`);
    }
    const { clusterIP, selector } = named("Service", setOf(name).serviceName).spec as Record<string, unknown>;
    assert.deepEqual([clusterIP, selector], ["None", { app }]);
  }
});

/** As a container gets it: `$(NAME)` is a variable that stands before. */
function environmentOf(container: Container, zone: string): Record<string, string> {
  const fields: Record<string, string> = { "metadata.name": "tidemark-0", "metadata.labels['topology.kubernetes.io/zone']": zone };
  const env: Record<string, string> = {};
  for (const { configMapRef } of container.envFrom)
    if (configMapRef !== undefined) Object.assign(env, named("ConfigMap", configMapRef.name!).data);
  for (const { name, value, valueFrom } of container.env) {
    const known = value?.replace(/\$\((\w+)\)/g, (whole, other: string) => env[other] ?? whole);
    env[name] = known ?? (valueFrom?.fieldRef === undefined ? "secret" : fields[valueFrom.fieldRef.fieldPath]!);
  }
  return env;
}

test("a node takes its settings, as in docker-compose.yml where the place makes no difference", () => {
  const [container] = podOf("tidemark").containers;
  const config = readConfig(environmentOf(container, "eu-west-1a"));
  assert.deepEqual([config.nodeId, config.zone], ["tidemark-0", "eu-west-1a"]);
  assert.equal(config.natsUrl, "nats://runtime:secret@nats-0.nats:4222,nats-1.nats:4222,nats-2.nats:4222");
  assert.equal(readConfig(environmentOf(container, "")).zone, "", "before Kubernetes 1.35 no zone is named");
  const inCompose = readConfig(compose.services["tidemark-a"]?.environment ?? {});
  for (const same of ["profile", "natsReplicas", "dataDir", "httpHost", "httpPort", "workers", "drainMs"] as const)
    assert.equal(config[same], inCompose[same], same);
  assert.equal(container.image, compose.services["tidemark-a"]?.image);
  assert.equal(podOf("nats").containers[0].image, compose.services["nats-1"]?.image);
});

test("no variable that Kubernetes adds stops a node, and it has the time to give its shards away", () => {
  assert.equal(podOf("tidemark").enableServiceLinks, false);
  assert.throws(() => readConfig({ TIDEMARK_SERVICE_HOST: "10.0.0.1" }), /TIDEMARK_SERVICE_HOST is no setting/);
  const { drainMs } = readConfig(environmentOf(podOf("tidemark").containers[0], ""));
  assert.ok(podOf("tidemark").terminationGracePeriodSeconds * 1000 > drainMs);
  assert.ok(podOf("tidemark").terminationGracePeriodSeconds * 1000 >= durationMs(compose.services["tidemark-a"]!.stop_grace_period!));
});

test("pods run as nobody in particular, with a root that they may not write, and mount where they do", () => {
  for (const name of ["nats", "tidemark"]) {
    const { securityContext, containers } = podOf(name);
    const [container] = containers;
    assert.deepEqual([securityContext.runAsNonRoot, securityContext.runAsUser, securityContext.fsGroup], [true, 1000, 1000]);
    assert.deepEqual(container.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    assert.ok(container.resources.requests && container.resources.limits, name);
    const writable = container.volumeMounts.filter(({ readOnly }) => readOnly !== true).map(({ mountPath }) => mountPath);
    assert.deepEqual(writable, name === "nats" ? ["/var/lib/nats"] : [readConfig(environmentOf(container, "")).dataDir, "/tmp"]);
  }
  const { apiTokens } = readConfig(environmentOf(podOf("tidemark").containers[0], ""));
  assert.ok(apiTokens?.startsWith("/etc/tidemark/"));
  // A file of tokens that others may write is refused.
  assert.equal(podOf("tidemark").volumes.find(({ secret }) => secret !== undefined)?.secret?.defaultMode, 0o440);
});

test("what pods refer to is an object here or made by a command of the page", () => {
  const page = read("docs/deployment.md");
  for (const name of ["nats", "tidemark"]) {
    const { containers, volumes } = podOf(name);
    const [{ env, envFrom }] = containers;
    const maps = [...envFrom.map(({ configMapRef }) => configMapRef?.name), ...volumes.map(({ configMap }) => configMap?.name)];
    for (const map of maps.filter((each) => each !== undefined))
      assert.ok(named("ConfigMap", map) !== undefined || page.includes(`kubectl create configmap ${map} `), map);
    const secrets = [
      ...envFrom.map(({ secretRef }) => secretRef?.name),
      ...env.map(({ valueFrom }) => valueFrom?.secretKeyRef?.name),
      ...volumes.map(({ secret }) => secret?.secretName),
    ];
    for (const secret of secrets.filter((each) => each !== undefined))
      assert.ok(page.includes(`kubectl create secret generic ${secret} `), secret);
    for (const key of env.map(({ valueFrom }) => valueFrom?.secretKeyRef?.key).filter((each) => each !== undefined))
      assert.ok(Object.values<string>(ROLE_VARIABLES).includes(key), key);
  }
});
