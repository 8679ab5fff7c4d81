/**
 * `npm run cluster [-- app.ts]`: the NATS servers and nodes of docker-compose.yml without containers, until Ctrl-C. A second Ctrl-C
 * ends everything at once.
 */
import { once } from "node:events";
import { resolve } from "node:path";
import { ClusterProcesses } from "./cluster-processes.ts";

const [app] = process.argv.slice(2);
const say = (message: string): void => {
  process.stderr.write(`${message}\n`);
};
const cluster = await ClusterProcesses.prepare({ app: app === undefined ? undefined : resolve(app), notice: say });
const toldToEnd = Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
say(`starting in ${cluster.folder}, where each service has its log`);
const outcome = await Promise.race([cluster.start().then(sayWhere, (error: unknown) => error), toldToEnd.then(() => undefined)]);
if (outcome === undefined) {
  await toldToEnd;
  say("ending; again to end at once");
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
} else say(String(outcome));
const failed = await cluster.stop();
if (failed.length > 0) say(`killed, or ended badly: ${failed.join(", ")}`);
process.exit(failed.length > 0 || outcome !== undefined ? 1 : 0);

function sayWhere(): undefined {
  const { processes, leftOut } = cluster.plan;
  for (const { service, url } of processes) process.stdout.write(`${service} ${url}\n`);
  say(`left out, as nothing of Tidemark needs them: ${leftOut.join(", ")}`);
  say(`passwords: ${cluster.folder}/.env; a token of the API: ${cluster.folder}/deploy/secrets/admin-token`);
}
