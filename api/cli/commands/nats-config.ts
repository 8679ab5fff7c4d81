/** `tidemark nats-config`: the configuration of a NATS server for production, with a user for each role. */
import { existsSync } from "node:fs";
import { SHIPPED_APP } from "../../../runtime/own-package.ts";
import { command, optional, parsed, text } from "../framework/command.ts";

const CLIENT_PORT = 4222;
const CLUSTER_PORT = 6222;
const HOST = /^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$/;

export const natsConfig = command({
  name: "nats-config",
  summary: "Prints the configuration of a NATS server for an app: flushing, accounts, a user for each role",
  details: [
    "Each server of a cluster has one of its own, which differs in --server alone. Passwords are variables of the server's environment: TIDEMARK_RUNTIME_PASSWORD, TIDEMARK_DOCTOR_PASSWORD, TIDEMARK_OPERATOR_PASSWORD, TIDEMARK_PUBLISHER_PASSWORD and TIDEMARK_READER_PASSWORD, plain or bcrypt.",
    "Permissions name the app's logs, jobs and partitions (TIDEMARK_PARTITIONS): print it anew when a job is added. docs/nats.md says what each role may.",
  ],
  arguments: {
    app: optional("module of the app; the shipped jobs when not given and there is no ./app.ts", { file: true }),
  },
  options: {
    server: parsed("NAME", 'name of this server, and of its machine for the others; "nats-1" when not given', readHost),
    cluster: parsed("NAME,…", "names of all servers of the cluster; one server alone when not given", (written) =>
      written.split(",").map(readHost),
    ),
    "store-dir": text("DIR", 'where it keeps its streams; "/var/lib/nats" when not given'),
    "tls-dir": text("DIR", "directory of ca.pem, server.pem and server.key on the server; no TLS when not given"),
  },
  examples: [
    { line: "tidemark nats-config app.ts > nats.conf", says: "One server" },
    {
      line: "tidemark nats-config app.ts --server nats-1 --cluster nats-1,nats-2,nats-3 --tls-dir /etc/nats/tls > nats-1.conf",
      says: "The first of three",
    },
  ],
  async run({ args, options, env, terminal }) {
    const [{ loadApp }, { logsOf }, { readConfig }, { clusterConfig }] = await Promise.all([
      import("../../../runtime/app.ts"),
      import("../../../runtime/pump/pump-places.ts"),
      import("../../../runtime/node/config.ts"),
      import("../../../runtime/node/cluster-config.ts"),
    ]);
    const { partitions } = readConfig(env);
    const { jobs } = await loadApp(args.app ?? (existsSync("app.ts") ? "app.ts" : SHIPPED_APP));
    const logs = logsOf(jobs);
    const config = clusterConfig({
      serverName: options.server ?? "nats-1",
      listen: `0.0.0.0:${CLIENT_PORT}`,
      storeDir: options["store-dir"] ?? "/var/lib/nats",
      cluster:
        options.cluster === undefined
          ? undefined
          : { listen: `0.0.0.0:${CLUSTER_PORT}`, routes: options.cluster.map((host) => `nats://${host}:${CLUSTER_PORT}`) },
      tlsDir: options["tls-dir"],
      logs,
      jobs: jobs.map(({ name }) => ({ name, partitions })),
      logStreams: logs.flatMap((log) => Array.from({ length: partitions }, (_, p) => `${log}-${p}`)),
    });
    // A document of its own, also where it goes into a file.
    await terminal.line(config.trimEnd());
    return 0;
  },
});

function readHost(written: string): string {
  if (HOST.test(written)) return written;
  throw new TypeError("write the names of machines, several joined by commas");
}
